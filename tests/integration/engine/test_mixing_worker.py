"""Blends, morphs, dreams and larger pictures by the shipped networks, in company and alone."""

import asyncio
import io
import itertools

import numpy as np
import pytest
import pytest_asyncio
from PIL import Image

from engine.config import EngineConfig
from engine.errors import InvalidRequest
from engine.host import open_engine
from engine.requests import (
    Blend,
    Dream,
    Morph,
    TextToImage,
    Upscale,
    Waypoint,
    plain,
)
from tests.tiny_gan import NAME, write_tiny_gan

pytestmark = [
    pytest.mark.timeout(180),
    pytest.mark.asyncio(loop_scope="module"),
]


def ignore(event):
    pass


def picture(seed, side=64):
    numbers = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(numbers).resize((side, side), Image.Resampling.BICUBIC).save(file, "PNG")
    return file.getvalue()


DRAWING = TextToImage(
    model="atelier-pack",
    prompt=plain("a red apple"),
    seed=3,
    width=64,
    height=64,
    steps=3,
    image_count=1,
)


def a_blend(seed, **changes):
    pair = (picture(seed), picture(seed + 1))
    fields = {name: getattr(DRAWING, name) for name in ("model", "prompt", "width", "height")}
    return Blend(**fields, seed=seed, steps=4, image_count=1, pictures=pair, **changes)


def a_dream(seed, **changes):
    return Dream(model=NAME, seed=seed, image_count=2, factor=2, **changes)


def frames_of(finished, count):
    """So many frames of an animation; those that are alike are one in the file, which lasts."""
    with Image.open(io.BytesIO(finished.images[0].animation)) as image:
        found, lasting = [], []
        for index in range(image.n_frames):
            image.seek(index)
            found.append(np.asarray(image.convert("RGB"), dtype=np.int16))
            lasting.append(image.info["duration"])
    each = sum(lasting) / count
    return [
        frame for frame, ms in zip(found, lasting, strict=True) for _ in range(round(ms / each))
    ]


def pixels_of(finished):
    return [
        np.asarray(Image.open(io.BytesIO(one.png)).convert("RGB"), dtype=np.int16)
        for one in finished.images
    ]


def difference(ones, others):
    return max(np.abs(a - b).max() for a, b in zip(ones, others, strict=True))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def engine(tmp_path_factory):
    page = write_tiny_gan(tmp_path_factory.mktemp("gan"))
    config = EngineConfig(devices=("cpu",), catalogue_files=(page,), threads=1)
    async with open_engine(config) as engine:
        yield engine


async def test_each_request_gets_in_company_what_it_gets_alone(engine):
    requests = [
        a_blend(1),
        a_blend(11, strength=0.6),
        a_dream(21),
        a_dream(31, origin=4, distance=0.4),
        Upscale(source=picture(5, 40), factor=2, detail=0.8),
    ]
    alone = [await engine.run(request, ignore) for request in requests]
    together = await asyncio.gather(*(engine.run(request, ignore) for request in requests))
    for one, other in zip(alone, together, strict=True):
        # One level of 8 bits: what is beneath differs in the last bits alone.
        assert difference(pixels_of(one), pixels_of(other)) <= 1


async def test_a_morph_of_pictures_words_and_dreams_moves(engine):
    stops = (
        Waypoint(picture=picture(1)),
        Waypoint(prompt=plain("a blue cat")),
        Waypoint(seed=5),
    )
    request = Morph(stops=stops, drawing=DRAWING, frames=6, seconds=1.0, dreams=NAME)
    finished = await engine.run(request, ignore)
    frames = frames_of(finished, 6)
    assert len(frames) == 6
    assert min(np.abs(a - b).mean() for a, b in itertools.pairwise(frames)) > 1


async def test_words_turn_into_words_frame_by_frame(engine):
    told = []
    words = ("a red apple on a blue background", "a green tree on a yellow background")
    stops = tuple(Waypoint(prompt=plain(said)) for said in words)
    request = Morph(stops=stops, drawing=DRAWING, frames=4, seconds=1.0, loop=False)
    finished = await engine.run(request, told.append)
    frames = frames_of(finished, 4)
    assert len(frames) == 4
    blue, yellow = (frame[:8].mean((0, 1)) for frame in (frames[0], frames[-1]))
    assert blue[2] > blue[0] + 60
    assert yellow[0] > yellow[2] + 60
    assert told[-1].step == told[-1].total == 4 * 3 + 4


async def test_detail_makes_a_picture_crisper(engine):
    def crispness(finished):
        return np.abs(np.diff(pixels_of(finished)[0], axis=1)).mean()

    source = picture(7, 48)
    results = [
        await engine.run(Upscale(source=source, factor=2, detail=detail), ignore)
        for detail in (0.0, 0.5, 1.0)
    ]
    smooth, usual, crisp = (crispness(one) for one in results)
    assert smooth < usual < crisp


async def test_a_cancelled_morph_leaves_the_engine_at_work(engine):
    stops = (Waypoint(prompt=plain("a red apple")), Waypoint(prompt=plain("a green tree")))
    request = Morph(stops=stops, drawing=DRAWING, frames=60, seconds=4.0)
    begun = asyncio.Event()
    task = asyncio.create_task(engine.run(request, lambda _: begun.set()))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (await engine.run(a_blend(3), ignore)).images


async def test_an_unknown_look_fails_with_those_there_are(engine):
    with pytest.raises(InvalidRequest, match="cat, moon"):
        await engine.run(a_dream(1, look="dog"), ignore)
