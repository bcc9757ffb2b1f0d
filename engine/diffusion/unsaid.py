"""What a prompt leaves unsaid, decided by numbers of an image's seed that a network is told.

A network that is told nothing of where a thing stands, or which way it looks, has to draw a mean of
all of them at first; and steered by its prompt it ends at the likeliest one, for every seed. Told
as much (Podell et al. 2023, https://arxiv.org/abs/2307.01952, section 2.2, do so with crops) it
draws that one, and every seed another. What a prompt does say is drawn as it says.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import torch
from torch import Tensor

from engine.diffusion.noise import generator_of

# Networks have learnt what these codes mean: who changes them trains one anew.
MIRRORED = 0.35  # share of images
STRAIGHT = 0.7
# Kind, colour and share of grounds that nobody asked for.
GROUNDS: tuple[tuple[str, str, float], ...] = (
    ("plain", "white", 0.24),
    ("gradient", "blue", 0.08),
    ("gradient", "teal", 0.08),
    ("gradient", "pink", 0.08),
    ("gradient", "yellow", 0.08),
    ("gradient", "purple", 0.08),
    ("gradient", "orange", 0.06),
    ("gradient", "green", 0.06),
    ("sky", "", 0.06),
    ("meadow", "", 0.07),
    ("hills", "", 0.06),
    ("sunset", "", 0.05),
)
_UP_TO = list(accumulate(share for *_, share in GROUNDS))
_DRAWINGS = (1 / 4, 1 / 3, 1 / 2, 2 / 3, 3 / 4)  # where the choice among two to four changes
CHANCES = 7
CODES = 5 + 1 + len(_DRAWINGS) + len(GROUNDS)


@dataclass(frozen=True, slots=True)
class Unsaid:
    """Which of all that a prompt may leave open is drawn."""

    is_mirrored: bool
    x: float  # -1..1, as the next three: from left to right
    y: float
    size: float
    turn: float  # 0 in most images
    drawing: float  # 0..1: which one of several of the same thing
    ground: int  # of `GROUNDS`

    def of_drawings(self, count: int) -> int:
        """The number of the drawing that is shown of so many."""
        return min(count - 1, int(self.drawing * count))

    def code(self) -> Tensor:
        """What a network is told of it, (CODES,); of nothing it is told zeros."""
        ground = [float(number == self.ground) for number in range(len(GROUNDS))]
        drawing = [1.0 if self.drawing >= change else -1.0 for change in _DRAWINGS]
        mirrored = 1.0 if self.is_mirrored else -1.0
        places = [self.x, self.y, self.size, self.turn, 2 * self.drawing - 1]
        return torch.tensor([mirrored, *places, *drawing, *ground])


def unsaid_of(chances: Sequence[float]) -> Unsaid:
    """What is drawn by so many (CHANCES) even chances in [0, 1)."""
    mirrored, x, y, size, turn, drawing, ground = chances
    return Unsaid(
        is_mirrored=mirrored < MIRRORED,
        x=2 * x - 1,
        y=2 * y - 1,
        size=2 * size - 1,
        turn=0.0 if turn < STRAIGHT else 2 * (turn - STRAIGHT) / (1 - STRAIGHT) - 1,
        drawing=drawing,
        ground=min(len(GROUNDS) - 1, bisect_right(_UP_TO, ground * _UP_TO[-1])),
    )


def code_of_seed(seed: int) -> Tensor:
    """What the network is told for the image of a seed, (CODES,)."""
    chances = torch.rand(CHANCES, generator=generator_of(seed, "unsaid"))
    return unsaid_of(chances.tolist()).code()
