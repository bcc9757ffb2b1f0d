"""Places on a picture as they are typed: columns A to D from the left, rows 1 to 4 from above.

A1          one cell
B2-C3       all cells between two corners
A1 D4, B2   several of them
"""

import re

from bot.errors import UserError
from bot.wording import Said

COLUMNS = "ABCD"
ROWS = "1234"
_CORNER = rf"[{COLUMNS}][{ROWS}]"
_PLACE = re.compile(rf"({_CORNER})(?:-({_CORNER}))?", re.IGNORECASE)
_DASH = re.compile(r"\s*[-–]\s*")


def read_cells(text: str) -> frozenset[tuple[int, int]]:
    """The cells that are meant, as column and row from 0.

    Raises:
        UserError: it can't be read.
    """
    cells: set[tuple[int, int]] = set()
    for place in _DASH.sub("-", text).replace(",", " ").split():
        match = _PLACE.fullmatch(place)
        if match is None:
            raise UserError(
                Said("{cell} is no cell; write such as A1 or B2-C3, from A1 to D4", cell=place[:20])
            )
        first, last = _cell(match[1]), _cell(match[2] or match[1])
        columns = range(min(first[0], last[0]), max(first[0], last[0]) + 1)
        rows = range(min(first[1], last[1]), max(first[1], last[1]) + 1)
        cells |= {(column, row) for column in columns for row in rows}
    if not cells:
        raise UserError("no cell is named; write such as A1 or B2-C3, from A1 to D4")
    return frozenset(cells)


def _cell(corner: str) -> tuple[int, int]:
    return COLUMNS.index(corner[0].upper()), ROWS.index(corner[1])
