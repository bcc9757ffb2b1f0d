"""Large pictures in overlapping tiles: memory stays bounded and no seam shows.

Near the inner edge of a tile a convolution misses what lies beyond it; there the tile counts for
nothing, and from there its weight rises evenly until its neighbour's has fallen.
"""

import itertools
import math
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Grid:
    """How a picture is cut, in pixels of the source."""

    side: int = 256  # of a tile
    overlap: int = 32  # that two neighbours share at least
    blind: int = 8  # along an inner edge that count for nothing


GRID = Grid()


@dataclass(frozen=True, slots=True)
class Stretch:
    """Where a tile lies along one axis, in pixels of the source."""

    start: int
    stop: int
    length: int  # of the whole axis
    grid: Grid = GRID

    def weights(self, factor: int) -> Tensor:
        """Return how much each pixel counts, `factor` times as many, in (0, 1]."""
        count = (self.stop - self.start) * factor
        place = torch.arange(count, dtype=torch.float32) + 0.5
        blind = self.grid.blind * factor
        ramp = self.grid.overlap * factor - 2 * blind
        weights = torch.ones(count)
        if self.start > 0:
            weights = weights.minimum((place - blind) / ramp)
        if self.stop < self.length:
            weights = weights.minimum((count - place - blind) / ramp)
        return weights.clamp(min=1e-6)


@dataclass(frozen=True, slots=True)
class Tile:
    """One piece of a picture."""

    rows: Stretch
    columns: Stretch

    def cut(self, pixels: Tensor) -> Tensor:
        """Return this piece of (3, H, W)."""
        return pixels[:, self.rows.start : self.rows.stop, self.columns.start : self.columns.stop]


class Mosaic:
    """An enlarged picture, or what else has rows and columns, that grows out of its tiles."""

    def __init__(self, height: int, width: int, factor: int, channels: int = 3) -> None:
        self._factor = factor
        self._sum = torch.zeros(channels, height * factor, width * factor)
        self._weight = torch.zeros(1, height * factor, width * factor)

    def add(self, tile: Tile, pixels: Tensor) -> None:
        """Lay down an enlarged tile, (C, factor*h, factor*w)."""
        weight = torch.outer(tile.rows.weights(self._factor), tile.columns.weights(self._factor))
        rows = slice(tile.rows.start * self._factor, tile.rows.stop * self._factor)
        columns = slice(tile.columns.start * self._factor, tile.columns.stop * self._factor)
        self._sum[:, rows, columns] += pixels.cpu() * weight
        self._weight[:, rows, columns] += weight

    def picture(self) -> Tensor:
        """Return the whole, (C, factor*H, factor*W); all tiles have been added."""
        return self._sum.div_(self._weight)


def tiles_of(height: int, width: int, grid: Grid = GRID) -> list[Tile]:
    """Return tiles of one size that cover a picture, line by line."""
    both = itertools.product(_stretches(height, grid), _stretches(width, grid))
    return [Tile(rows, columns) for rows, columns in both]


def _stretches(length: int, grid: Grid) -> list[Stretch]:
    side = min(grid.side, length)
    count = 1
    if length > grid.side:
        count = math.ceil((length - grid.overlap) / (grid.side - grid.overlap))
    gaps = max(1, count - 1)
    starts = [round(i * (length - side) / gaps) for i in range(count)]
    return [Stretch(start, start + side, length, grid) for start in starts]
