"""What the trainings of all networks share: rates and averages over a run, and Adam's direction.

Kingma and Ba 2014 (Adam), https://arxiv.org/abs/1412.6980
"""

import math

from torch import Tensor

STEADY = 0.55  # of a run, after which the rate falls
_LAST = 0.01  # of the rate, at the end
_TINY = 1e-8


def rate_factor(progress: float, warm: float) -> float:
    """Share of the learning rate: `warm` until that is 1, then steady, then a cosine downwards."""
    fall = min(1.0, max(0.0, (progress - STEADY) / (1 - STEADY)))
    return min(1.0, warm) * (_LAST + (1 - _LAST) * 0.5 * (1 + math.cos(math.pi * fall)))


def kept_of_average(most: float, step: int) -> float:
    """How much of an average of weights is kept at a step, `most` in the long run.

    Early on the average follows quickly, so that it does not remember the first weights.
    """
    return min(most, (1 + step) / (10 + step))


def adam_direction(
    mean: Tensor, square: Tensor, step: int, kept: tuple[float, float] = (0.9, 0.99)
) -> Tensor:
    """Where Adam goes at step 1, 2...: Algorithm 1, of the gradients' mean and mean square so far.

    `kept` are its betas; with a first one of 0, the mean is the gradient itself.
    """
    unbiased = square / (1 - kept[1] ** step)
    return (mean / (1 - kept[0] ** step)) / (unbiased.sqrt() + _TINY)
