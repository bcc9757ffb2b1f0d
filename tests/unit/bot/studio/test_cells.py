"""Cells as they are typed."""

import pytest

from bot.errors import UserError
from bot.studio.cells import read_cells


@pytest.mark.parametrize(
    ("text", "cells"),
    [
        ("A1", {(0, 0)}),
        ("d4", {(3, 3)}),
        ("A1-B2", {(0, 0), (0, 1), (1, 0), (1, 1)}),
        ("B2 – A1", {(0, 0), (0, 1), (1, 0), (1, 1)}),
        ("A1, C3 D4", {(0, 0), (2, 2), (3, 3)}),
        ("A1-D4", {(column, row) for column in range(4) for row in range(4)}),
    ],
)
def test_cells_are_corners_and_what_lies_between(text: str, cells: set[tuple[int, int]]) -> None:
    assert read_cells(text) == cells


@pytest.mark.parametrize("text", ["", " , ", "E1", "A5", "A", "A1-", "A1B2", "-", "upper left"])
def test_what_names_no_cell_is_answered_with_an_example(text: str) -> None:
    with pytest.raises(UserError, match="B2-C3"):
        read_cells(text)
