"""Pictures made fit for a message: the grid of a job, and a file within the limit."""

import asyncio
import io
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from PIL import Image
from PIL.PngImagePlugin import PngInfo

GRID_GAP = 4  # pixels between the images of a grid
_WEBP_QUALITIES = (95, 90, 80)
_SCALES = (0.75, 0.5, 0.35, 0.25, 0.15)


@dataclass(frozen=True, slots=True)
class Upload:
    """A picture as it is attached."""

    data: bytes
    suffix: str  # "png" or "webp"
    is_original: bool  # nothing was lost


async def fitting_upload(png: bytes, limit_bytes: int, *, may_scale: bool = True) -> Upload | None:
    """The best version of a picture within the limit: PNG, then WebP, then a smaller WebP."""
    if len(png) <= limit_bytes:
        return Upload(png, "png", is_original=True)
    return await asyncio.to_thread(_compressed, png, limit_bytes, may_scale=may_scale)


async def grid_of(pngs: Sequence[bytes]) -> bytes:
    """One PNG of all images of a job, two in a row (four in a row from five on)."""
    if len(pngs) == 1:
        return pngs[0]
    return await asyncio.to_thread(_grid, pngs)


def _grid(pngs: Sequence[bytes]) -> bytes:
    images = [_opened(png) for png in pngs]
    columns = 2 if len(images) <= 4 else 4
    rows = math.ceil(len(images) / columns)
    width = max(image.width for image in images)
    height = max(image.height for image in images)
    size = (columns * (width + GRID_GAP) - GRID_GAP, rows * (height + GRID_GAP) - GRID_GAP)
    sheet = Image.new("RGBA" if any(i.mode == "RGBA" for i in images) else "RGB", size)
    for number, image in enumerate(images):
        row, column = divmod(number, columns)
        left = column * (width + GRID_GAP) + (width - image.width) // 2
        top = row * (height + GRID_GAP) + (height - image.height) // 2
        sheet.paste(image, (left, top))
    return _png(sheet, str(images[0].info.get("parameters", "")))


def _png(image: Image.Image, parameters: str) -> bytes:
    chunks = PngInfo()
    if parameters:
        chunks.add_itxt("parameters", parameters)
    out = io.BytesIO()
    image.save(out, "PNG", pnginfo=chunks)
    return out.getvalue()


def _compressed(png: bytes, limit_bytes: int, *, may_scale: bool) -> Upload | None:
    image = _opened(png)
    for candidate, quality in _candidates(image, may_scale=may_scale):
        out = io.BytesIO()
        candidate.save(out, "WEBP", quality=quality, method=4)
        if out.tell() <= limit_bytes:
            return Upload(out.getvalue(), "webp", is_original=False)
    return None


def _candidates(image: Image.Image, *, may_scale: bool) -> Iterator[tuple[Image.Image, int]]:
    longest = max(image.size)
    if longest <= 16383:  # a limit of the WebP format
        yield from ((image, quality) for quality in _WEBP_QUALITIES)
    if may_scale:
        for scale in _SCALES:
            size = tuple(max(1, min(16383, round(side * scale))) for side in image.size)
            yield image.resize((size[0], size[1]), Image.Resampling.LANCZOS), 85


def _opened(png: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(png))  # our own picture, drawn by the engine
    image.load()
    return image if image.mode in ("RGB", "RGBA") else image.convert("RGBA")
