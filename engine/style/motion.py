"""Where things of one frame were in the frame before, and what was there, brought along.

Bierling 1988, "Displacement Estimation by Hierarchical Blockmatching" (https://doi.org/10.1117/12.969046)
Barnes et al. 2009, "PatchMatch" (https://doi.org/10.1145/1531326.1531330)

Frames are (3, H, W) in [0, 1]; a way is (2, H, W) whole pixels down and to the right, from a place
of this frame to where that was in the one before. Whole pixels, so that nothing brought along over
many frames grows soft.
"""

from collections.abc import Iterable
from itertools import product

import torch
from torch import Tensor
from torch.nn import functional

LEVELS = 3  # of the pyramid, each half as large as the one below
FAR = 3  # pixels of the smallest level that are looked at each way: 12 of the frame itself
ROUNDS = 3  # in which ways spread and are bettered by a pixel, on each level
SPREAD = 10  # pixels over which a way is handed on
BLOCK = 9  # pixels of a side of what is compared around a place
TIE = 0.0005  # of colour, for each pixel of way: where all looks alike, nothing moved
WIDE = tuple(product(range(-FAR, FAR + 1), repeat=2))
CLOSE = tuple(step for step in product((-1, 0, 1), repeat=2) if any(step))


def way_back(now: Tensor, before: Tensor) -> Tensor:
    """Find for each place of `now` the place of `before` around which colours are most alike."""
    levels = [(now, before)]
    while len(levels) < LEVELS and min(levels[-1][0].shape[1:]) >= 4 * BLOCK:
        one, two = (functional.avg_pool2d(f[None], 2, ceil_mode=True)[0] for f in levels[-1])
        levels.append((one, two))
    smallest = levels[-1][0]
    way = torch.zeros(2, *smallest.shape[1:], dtype=torch.long, device=now.device)
    for number, frames in enumerate(reversed(levels)):
        if number:
            height, width = frames[0].shape[1:]
            way = 2 * way.repeat_interleave(2, 1).repeat_interleave(2, 2)[:, :height, :width]
        match = _Match(*frames, way)
        match.try_all(CLOSE if number else WIDE)
        for _ in range(ROUNDS):
            match.spread()
            if number:
                match.try_all(CLOSE)
        way = match.way
    return way


def brought(frame: Tensor, way: Tensor) -> Tensor:
    """What a frame before shows, where it is now; beyond its border, the border itself."""
    height, width = frame.shape[1:]
    rows = torch.arange(height, device=frame.device)[:, None] + way[0]
    columns = torch.arange(width, device=frame.device) + way[1]
    places = rows.clamp_(0, height - 1).mul_(width).add_(columns.clamp_(0, width - 1))
    return frame.flatten(1).index_select(1, places.flatten()).view_as(frame)


class _Match:
    """The best way found so far between two frames of one size."""

    def __init__(self, now: Tensor, before: Tensor, way: Tensor) -> None:
        self.now, self.before, self.way = now, before, way
        self._cost = self._cost_of(way)

    def try_all(self, steps: Iterable[tuple[int, ...]]) -> None:
        """Take the best of the way and of ways so many pixels off it."""
        start = self.way
        for step in steps:
            self._try(start + torch.tensor(step, device=start.device)[:, None, None])

    def spread(self) -> None:
        """Take a neighbour's way where that is better."""
        for away, along in product((-SPREAD, SPREAD), (1, 2)):
            self._try(self.way.roll(away, along))

    def _try(self, way: Tensor) -> None:
        cost = self._cost_of(way)
        is_better = cost < self._cost
        self.way = torch.where(is_better, way, self.way)
        self._cost = torch.where(is_better, cost, self._cost)

    def _cost_of(self, way: Tensor) -> Tensor:
        """How much the colours around each place differ, (h, w); a little more for a long way."""
        difference = (self.now - brought(self.before, way)).abs().mean(0)[None]
        half = BLOCK // 2
        rows = functional.avg_pool2d(difference, (BLOCK, 1), 1, (half, 0), count_include_pad=False)
        around = functional.avg_pool2d(rows, (1, BLOCK), 1, (0, half), count_include_pad=False)
        return around[0] + TIE * way.float().square().sum(0).sqrt()
