"""Masks drawn from cells of a picture rather than by hand."""

import io
from collections.abc import Iterable

from PIL import Image, ImageDraw, ImageFilter

SOFT_SHARE = 64  # of the shorter side, that an edge between cells is soft


def cells_mask(
    cells: Iterable[tuple[int, int]], width: int, height: int, *, columns: int = 4, rows: int = 4
) -> bytes:
    """Return a grey PNG, white in the cells (column, row from 0) and soft at their edges."""
    mask = Image.new("L", (width, height))
    draw = ImageDraw.Draw(mask)
    for column, row in cells:
        left, right = (round(edge * width / columns) for edge in (column, column + 1))
        top, bottom = (round(edge * height / rows) for edge in (row, row + 1))
        if right > left and bottom > top:
            draw.rectangle((left, top, right - 1, bottom - 1), fill=255)
    soft = mask.filter(ImageFilter.BoxBlur(min(width, height) / SOFT_SHARE))
    file = io.BytesIO()
    soft.save(file, "PNG")
    return file.getvalue()
