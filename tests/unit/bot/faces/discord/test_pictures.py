"""Pictures fit the limit of the chat, as good as they can."""

import io
import sys

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from bot.faces.discord.pictures import (
    fitting_animation,
    fitting_animations,
    fitting_upload,
    grid_of,
)
from engine.api import is_video, read_parameters


def noise(side: int, seed: int = 0, parameters: str = "") -> bytes:
    """A PNG that compresses badly."""
    pixels = np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)
    chunks = PngImagePlugin.PngInfo()
    if parameters:
        chunks.add_text("parameters", parameters)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", pnginfo=chunks)
    return file.getvalue()


def opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))


async def test_a_picture_within_the_limit_stays_the_original_png():
    png = noise(64)
    upload = await fitting_upload(png, len(png))
    assert upload is not None
    assert (upload.data, upload.suffix, upload.is_original) == (png, "png", True)


async def test_over_the_limit_it_is_a_webp_of_the_same_size():
    png = noise(128)
    upload = await fitting_upload(png, len(png) - 1)
    assert upload is not None
    assert upload.suffix == "webp"
    assert len(upload.data) < len(png)
    assert opened(upload.data).size == (128, 128)


async def test_far_over_the_limit_it_is_made_smaller_or_given_up():
    png = noise(256)
    upload = await fitting_upload(png, 4000)
    assert upload is not None
    assert len(upload.data) <= 4000
    assert opened(upload.data).width < 256
    assert await fitting_upload(png, 4000, may_scale=False) is None
    assert await fitting_upload(png, 10) is None


@pytest.mark.parametrize(("count", "size"), [(1, (32, 32)), (2, (68, 32)), (4, (68, 68))])
async def test_images_of_a_job_stand_in_a_grid(count, size):
    assert opened(await grid_of([noise(32, seed) for seed in range(count)])).size == size


async def test_a_grid_says_what_made_it():
    text = "a fox\nSteps: 4, Sampler: Euler, CFG scale: 5, Seed: 7, Size: 32x32, Model: pack"
    parameters = read_parameters(await grid_of([noise(32, seed, text) for seed in range(4)]))
    assert parameters is not None
    assert parameters.seed == 7


def moving(side: int = 128) -> bytes:
    rng = np.random.default_rng(1)
    pixels = rng.integers(0, 256, (6, side, side, 3), dtype=np.uint8)
    frames = [Image.fromarray(frame) for frame in pixels]
    file = io.BytesIO()
    frames[0].save(file, "WEBP", save_all=True, append_images=frames[1:], duration=80, quality=95)
    return file.getvalue()


async def test_an_animation_becomes_a_video_where_it_would_not_fit():
    webp = moving()
    kept = await fitting_animation(webp, len(webp))
    assert kept is not None
    assert (kept.data, kept.suffix, kept.is_original) == (webp, "webp", True)
    upload = await fitting_animation(webp, len(webp) - 1)
    assert upload is not None
    assert (upload.suffix, upload.is_original) == ("mp4", False)
    assert len(upload.data) < len(webp)
    assert is_video(upload.data)
    again = await fitting_animation(upload.data, len(upload.data) // 2)
    assert again is not None
    assert again.suffix == "mp4"
    assert await fitting_animation(upload.data, 100) is None


async def test_several_animations_share_the_limit():
    webp = moving()
    kept = await fitting_animations([webp, webp], 2 * len(webp))
    assert [upload and upload.data for upload in kept] == [webp, webp]
    smaller = await fitting_animations([webp, webp], 2 * len(webp) - 2)
    assert [upload and upload.is_original for upload in smaller] == [False, False]
    assert sum(len(upload.data) for upload in smaller if upload) <= 2 * len(webp) - 2
    assert await fitting_animations([webp, webp], 200) == [None, None]


async def test_without_an_encoder_an_animation_is_made_coarser(monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    webp = moving()
    upload = await fitting_animation(webp, len(webp) // 2)
    assert upload is not None
    assert upload.suffix == "webp"
    assert len(upload.data) <= len(webp) // 2
