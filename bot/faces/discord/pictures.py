"""Pictures made fit for a message: the grid of a job, and a file within the limit."""

import asyncio
import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from PIL import Image

from engine.api import (
    VIDEO_SUFFIX,
    animation_within,
    contact_grid,
    encode_webp,
    image_of,
    is_video,
    read_parameters,
    sheet_of_squares,
    thumbnail,
    video_within,
    webp_within,
    with_parameters,
)

SMALLER_QUALITY = 82  # of a WebP that had to be made smaller
SHEET_SIDE, SHEET_COLUMNS = 128, 4  # pixels of a cell, and cells of a row
LOST_COLOUR = "#80848e"
_SCALE_STEP = 0.75
_SMALLEST_SIDE = 64  # pixels


@dataclass(frozen=True, slots=True)
class Upload:
    """A picture as it is attached."""

    data: bytes
    suffix: str  # "png", "webp" or "mp4"
    is_original: bool  # nothing was lost


async def fitting_upload(png: bytes, limit_bytes: int, *, may_scale: bool = True) -> Upload | None:
    """The best version of a picture within the limit: PNG, then WebP, then a smaller WebP."""
    if len(png) <= limit_bytes:
        return Upload(png, "png", is_original=True)
    if not limit_bytes:
        return None
    webp = await asyncio.to_thread(_webp, png, limit_bytes, may_scale=may_scale)
    return None if webp is None else Upload(webp, "webp", is_original=False)


async def fitting_animation(
    moving: bytes, limit_bytes: int, *, may_scale: bool = True
) -> Upload | None:
    """The best version of a WebP or MP4 within the limit: as it is, as MP4, coarser, smaller."""
    suffix = VIDEO_SUFFIX if is_video(moving) else "webp"
    if len(moving) <= limit_bytes:
        return Upload(moving, suffix, is_original=True)
    if not limit_bytes:
        return None
    # A video takes a fraction of an animated WebP's bytes.
    smaller = await asyncio.to_thread(video_within, moving, limit_bytes, may_scale=may_scale)
    if smaller is not None:
        return Upload(smaller, VIDEO_SUFFIX, is_original=False)
    if suffix == VIDEO_SUFFIX:
        return None
    smaller = await asyncio.to_thread(animation_within, moving, limit_bytes, may_scale=may_scale)
    return None if smaller is None else Upload(smaller, "webp", is_original=False)


async def fitting_animations(
    moving: Sequence[bytes], limit_bytes: int, *, may_scale: bool = True
) -> list[Upload | None]:
    """The best versions of some WebPs or MP4s that are within the limit together.

    Where they are too large, each gets the same share of it.
    """
    is_within = sum(map(len, moving)) <= limit_bytes
    share = limit_bytes if is_within else limit_bytes // len(moving)
    return [await fitting_animation(one, share, may_scale=may_scale) for one in moving]


async def grid_of(pngs: Sequence[bytes]) -> bytes:
    """One PNG of all images of a job, with the parameters of the first."""
    if len(pngs) == 1:
        return pngs[0]
    return await asyncio.to_thread(_grid, pngs)


async def small_sheet(pictures: Sequence[bytes]) -> bytes:
    """Small pictures, PNG or WebP, side by side as one WebP."""
    return await asyncio.to_thread(_small_sheet, pictures)


@cache
def lost_picture() -> bytes:
    """The grey square, a WebP, that stands for a picture whose file is gone."""
    return encode_webp(Image.new("RGB", (SHEET_SIDE, SHEET_SIDE), LOST_COLOUR))


def _small_sheet(pictures: Sequence[bytes]) -> bytes:
    return encode_webp(sheet_of_squares(pictures, SHEET_SIDE, SHEET_COLUMNS))


def _grid(pngs: Sequence[bytes]) -> bytes:
    file = io.BytesIO()
    contact_grid([image_of(png) for png in pngs]).save(file, "PNG")
    parameters = read_parameters(pngs[0])
    return with_parameters(file.getvalue(), parameters) if parameters else file.getvalue()


def _webp(png: bytes, limit_bytes: int, *, may_scale: bool) -> bytes | None:
    image = image_of(png)
    found = webp_within(image, limit_bytes)
    side = float(max(image.size))
    while found is None and may_scale and side * _SCALE_STEP >= _SMALLEST_SIDE:
        side *= _SCALE_STEP
        smaller = encode_webp(thumbnail(image, round(side)), quality=SMALLER_QUALITY)
        found = smaller if len(smaller) <= limit_bytes else None
    return found
