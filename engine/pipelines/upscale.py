"""A larger version of one picture: resampled, or with the detail a network has learned."""

from collections.abc import Generator
from functools import partial
from typing import Any

import torch
from PIL import Image, ImageFilter
from torch import Tensor

from engine.calls import Call, Enlarge, NetworkRef, Pipeline, Report
from engine.errors import InvalidRequest
from engine.events import Picture
from engine.media import png
from engine.pipelines.stages import sources
from engine.pipelines.stages.aside import aside
from engine.pipelines.stages.enlarging import UPSCALER
from engine.pipelines.stages.tiling import Mosaic, tiles_of
from engine.requests import Upscale, UpscaleMethod
from engine.wording import Said

MAX_PIXELS = 24_000_000  # of the result
NEUTRAL = 0.5  # the detail at which a method is left as it is


def run(request: Upscale, *, upscaler: NetworkRef = UPSCALER) -> Pipeline:
    """Return the one picture, `factor` times as wide and high; transparency is kept.

    Raises:
        InvalidRequest: the source is unreadable, or the result would be too large.
        Unsupported: `upscaler` can't enlarge by that factor.
    """
    source = sources.opened(request.source, "source")
    width, height = source.width * request.factor, source.height * request.factor
    if width * height > MAX_PIXELS:
        reason = Said(
            "makes {width} x {height}; choose a smaller factor or a smaller picture",
            width=width,
            height=height,
        )
        raise InvalidRequest("factor", reason)
    colours = sources.opaque(source)
    match request.method:
        case UpscaleMethod.RESAMPLE:
            enlarged = yield from aside(partial(_resampled, colours, request))
        case UpscaleMethod.LEARNED:
            enlarged = yield from _learned(colours, request, upscaler)
    encoded = yield from aside(partial(_encoded, enlarged, source))
    return (Picture(encoded, request.seed, width, height),)


def _resampled(colours: Image.Image, request: Upscale) -> Image.Image:
    """Lanczos; softer below the neutral detail, sharpened above."""
    enlarged = _resized(colours, request.factor, Image.Resampling.LANCZOS)
    away = (request.detail - NEUTRAL) / NEUTRAL
    if away > 0:
        mask = ImageFilter.UnsharpMask(
            radius=request.factor, percent=round(100 * away), threshold=2
        )
        return enlarged.filter(mask)
    soft = _resized(colours, request.factor, Image.Resampling.BILINEAR)
    return Image.blend(enlarged, soft, -away)


def _learned(
    colours: Image.Image, request: Upscale, upscaler: NetworkRef
) -> Generator[Call, Any, Image.Image]:
    """Lanczos at detail 0, the network's answer at 0.5, half as much detail again at 1."""
    pixels = sources.pixels_of(colours)
    mosaic = Mosaic(colours.height, colours.width, request.factor)
    tiles = tiles_of(colours.height, colours.width)
    for number, tile in enumerate(tiles, start=1):
        enlarged: Tensor = yield Enlarge(upscaler, tile.cut(pixels)[None], request.factor)
        mosaic.add(tile, enlarged[0])
        yield Report(number, len(tiles))
    return (yield from aside(partial(_mixed, colours, mosaic, request)))


def _mixed(colours: Image.Image, mosaic: Mosaic, request: Upscale) -> Image.Image:
    smooth = sources.pixels_of(_resized(colours, request.factor, Image.Resampling.LANCZOS))
    share = min(request.detail / NEUTRAL, NEUTRAL + request.detail)
    mixed = torch.lerp(smooth, mosaic.picture(), share)
    return png.images_of_pixels(mixed[None].numpy())[0]


def _encoded(enlarged: Image.Image, source: Image.Image) -> bytes:
    """Encode as PNG, with the transparency of the source."""
    if source.mode == "RGBA":
        alpha = source.getchannel("A").resize(enlarged.size, Image.Resampling.LANCZOS)
        enlarged.putalpha(alpha)
    return png.encode_png(enlarged)


def _resized(image: Image.Image, factor: int, how: Image.Resampling) -> Image.Image:
    return image.resize((image.width * factor, image.height * factor), how)
