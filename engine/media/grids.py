"""Several images on one: contact grids and thumbnails."""

import io
import math
from collections.abc import Sequence

from PIL import Image, ImageOps

BACKGROUND = (24, 24, 27)  # near black, as chats' dark themes are
GAP = 4  # pixels between cells


def grid_shape(count: int) -> tuple[int, int]:
    """Give columns and rows for `count` cells: 1x1, 2x1, 2x2, 3x2, 3x3, then near squares."""
    columns = math.ceil(math.sqrt(count))
    return columns, math.ceil(count / columns)


def contact_grid(
    images: Sequence[Image.Image],
    *,
    cell_side: int | None = None,
    gap: int = GAP,
    columns: int | None = None,
) -> Image.Image:
    """Put images on one in reading order, each whole and centred in a cell of the same size.

    A cell is as large as the widest and the tallest image need; with `cell_side` its longer side
    is that many pixels. Images are made smaller to fit, never larger. The grid is nearly square,
    or of so many columns.
    Raises: ValueError without images.
    """
    if not images:
        raise ValueError("a grid needs at least one image")
    width, height = _cell(images, cell_side)
    across, rows = grid_shape(len(images))
    if columns is not None:
        across, rows = columns, math.ceil(len(images) / columns)
    size = (across * (width + gap) - gap, rows * (height + gap) - gap)
    grid = Image.new("RGB", size, BACKGROUND)
    for index, image in enumerate(images):
        row, column = divmod(index, across)
        fitted = _flat(_fit(image, width, height))
        left = column * (width + gap) + (width - fitted.width) // 2
        top = row * (height + gap) + (height - fitted.height) // 2
        grid.paste(fitted, (left, top))
    return grid


def stacked(images: Sequence[Image.Image], *, gap: int = GAP) -> Image.Image:
    """Put images of any widths one below the other, each in the middle.

    Raises: ValueError without images.
    """
    if not images:
        raise ValueError("a stack needs at least one image")
    width = max(image.width for image in images)
    stack = Image.new("RGB", (width, sum(image.height + gap for image in images) - gap), BACKGROUND)
    top = 0
    for image in images:
        stack.paste(_flat(image), ((width - image.width) // 2, top))
        top += image.height + gap
    return stack


def sheet_of_squares(pictures: Sequence[bytes], side: int, columns: int) -> Image.Image:
    """Encoded pictures of our own in reading order, each cut to a square of `side` pixels.

    Raises: ValueError without pictures.
    """
    if not pictures:
        raise ValueError("a sheet needs at least one picture")
    step, columns = side + GAP, min(columns, len(pictures))
    rows = math.ceil(len(pictures) / columns)
    sheet = Image.new("RGB", (columns * step - GAP, rows * step - GAP), BACKGROUND)
    for index, picture in enumerate(pictures):
        row, column = divmod(index, columns)
        with Image.open(io.BytesIO(picture), formats=("PNG", "WEBP")) as opened:
            square = ImageOps.fit(_flat(opened), (side, side), Image.Resampling.LANCZOS)
        sheet.paste(square, (column * step, row * step))
    return sheet


def thumbnail(image: Image.Image, side: int) -> Image.Image:
    """Make a copy of which no side is above `side` pixels; never larger than the image."""
    return _fit(image, side, side).copy()


def _cell(images: Sequence[Image.Image], cell_side: int | None) -> tuple[int, int]:
    width = max(image.width for image in images)
    height = max(image.height for image in images)
    if cell_side is None:
        return width, height
    scale = cell_side / max(width, height)
    return max(1, round(width * scale)), max(1, round(height * scale))


def _fit(image: Image.Image, width: int, height: int) -> Image.Image:
    scale = min(width / image.width, height / image.height, 1.0)
    if scale == 1.0:
        return image
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return image.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)


def _flat(image: Image.Image) -> Image.Image:
    """Lay a transparent image over the background."""
    if not image.has_transparency_data:
        return image.convert("RGB")
    below = Image.new("RGBA", image.size, BACKGROUND)
    return Image.alpha_composite(below, image.convert("RGBA")).convert("RGB")
