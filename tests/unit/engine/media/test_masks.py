"""Masks from cells."""

import io

import numpy as np
import pytest
from PIL import Image

from engine.media.masks import cells_mask


def opened(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)))


def test_a_cell_is_white_and_the_rest_black():
    mask = opened(cells_mask([(1, 2)], 400, 200))
    assert mask.shape == (200, 400)
    assert mask[125, 150] == 255
    assert mask[125, 250] == mask[25, 150] == mask[75, 150] == 0
    assert 0 < mask[125, 100] < 255, "edges are soft"


@pytest.mark.parametrize(("width", "height"), [(1, 1), (3, 3), (7, 500)])
def test_all_cells_together_leave_nothing_out(width, height):
    cells = [(column, row) for column in range(4) for row in range(4)]
    assert opened(cells_mask(cells, width, height)).min() == 255
