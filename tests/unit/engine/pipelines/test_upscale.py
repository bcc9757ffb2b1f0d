import io
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw
from torch.nn import functional

from engine import calls
from engine.errors import InvalidRequest, UnreadableImage
from engine.pipelines import upscale
from engine.requests import Upscale, UpscaleMethod


def png_of(image):
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def noise(width, height, seed=0):
    values = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(values).resize((width, height))


def waves(width, height):
    y, x = np.mgrid[:height, :width]
    values = np.stack([np.sin(x / 9), np.cos(y / 7), np.sin((x + y) / 11)], 2)
    return Image.fromarray((values * 100 + 127).astype(np.uint8))


def opened(picture):
    return np.asarray(Image.open(io.BytesIO(picture.png))).astype(int)


class ConvolvingUpscaler:
    """Enlarges by convolutions that pad with zeros, so that every edge of a tile is wrong."""

    def __init__(self):
        generator = torch.Generator().manual_seed(0)
        kernels = torch.rand(3, 1, 5, 5, generator=generator)
        self._kernels = kernels / kernels.sum((2, 3), keepdim=True)
        self.seen = []

    def answer(self, call):
        self.seen.append(call)
        if not isinstance(call, calls.Enlarge):
            return None
        pixels = functional.conv2d(call.pixels, self._kernels, padding=2, groups=3)
        pixels = functional.conv2d(pixels, self._kernels, padding=2, groups=3)
        return functional.interpolate(pixels, scale_factor=call.factor, mode="nearest")


@pytest.fixture
def upscaler(driver):
    driver.model = ConvolvingUpscaler()
    return driver


@pytest.mark.parametrize("factor", [2, 4])
@pytest.mark.parametrize("method", list(UpscaleMethod))
def test_the_picture_is_larger_by_the_factor(upscaler, factor, method):
    request = Upscale(source=png_of(waves(40, 30)), factor=factor, method=method, seed=9)
    (picture,) = upscaler.run(upscale.run(request))
    assert (picture.seed, picture.width, picture.height) == (9, 40 * factor, 30 * factor)
    assert opened(picture).shape == (30 * factor, 40 * factor, 3)


def test_tiles_show_no_seams(upscaler):
    source = waves(600, 300)
    (picture,) = upscaler.run(upscale.run(Upscale(source=png_of(source), factor=2)))
    tiles = [call for call in upscaler.model.seen if isinstance(call, calls.Enlarge)]
    assert len(tiles) == 6
    assert {tuple(call.pixels.shape) for call in tiles} == {(1, 3, 256, 256)}
    pixels = torch.from_numpy(np.array(source)).permute(2, 0, 1)[None] / 255
    whole = upscaler.model.answer(calls.Enlarge(upscale.UPSCALER, pixels, 2))[0]
    whole = (whole.permute(1, 2, 0) * 255).round().int().numpy()
    assert abs(opened(picture) - whole).max() <= 1


def test_a_picture_of_one_tile_is_enlarged_in_one_call(upscaler):
    upscaler.run(upscale.run(Upscale(source=png_of(waves(256, 100)), factor=2)))
    asked = [call for call in upscaler.model.seen if not isinstance(call, calls.Pause)]
    assert [type(call) for call in asked] == [calls.Enlarge, calls.Report]


@pytest.mark.parametrize("method", list(UpscaleMethod))
def test_more_detail_is_crisper(driver, method):
    def crispness(detail):
        request = Upscale(source=png_of(noise(48, 48)), method=method, detail=detail)
        (picture,) = driver.run(upscale.run(request))
        values = opened(picture)
        return abs(np.diff(values, axis=0)).mean() + abs(np.diff(values, axis=1)).mean()

    measured = [crispness(detail) for detail in (0.0, 0.25, 0.5, 0.75, 1.0)]
    assert measured == sorted(measured)
    assert len(set(measured)) == 5


def test_learned_at_the_middle_is_what_the_network_answers(driver):
    source = noise(32, 32)
    (picture,) = driver.run(upscale.run(Upscale(source=png_of(source), detail=0.5)))
    doubled = np.asarray(source.resize((64, 64), Image.Resampling.NEAREST)).astype(int)
    assert (opened(picture) == doubled).all()


@pytest.mark.parametrize("method", list(UpscaleMethod))
def test_transparency_is_kept(driver, method):
    source = Image.new("RGBA", (32, 32), (200, 10, 10, 0))
    source.paste((10, 200, 10, 255), (16, 0, 32, 32))
    (picture,) = driver.run(upscale.run(Upscale(source=png_of(source), method=method)))
    alpha = opened(picture)[:, :, 3]
    assert alpha.shape == (64, 64)
    assert (alpha[:, :24] == 0).all()
    assert (alpha[:, 40:] == 255).all()


@pytest.mark.parametrize("method", list(UpscaleMethod))
def test_edges_take_nothing_from_colours_that_nobody_sees(driver, method):
    source = Image.new("RGBA", (64, 64), (0, 0, 0, 0))
    ImageDraw.Draw(source).ellipse((16, 16, 48, 48), fill=(255, 255, 255, 255))
    (picture,) = driver.run(upscale.run(Upscale(source=png_of(source), method=method)))
    pixels = opened(picture)
    seen = pixels[..., 3] > 8
    assert pixels[seen][:, :3].min() >= 250


def test_a_result_beyond_the_limit_is_refused_with_its_size(driver):
    request = Upscale(source=png_of(Image.new("RGB", (2048, 2048))), factor=4)
    with pytest.raises(InvalidRequest, match="factor makes 8192 x 8192; choose a smaller"):
        driver.run(upscale.run(request))


def test_a_broken_source_is_refused_by_name(driver):
    with pytest.raises(UnreadableImage, match="source is no readable PNG"):
        driver.run(upscale.run(replace(Upscale(source=b"x"), source=b"GIF89a")))
