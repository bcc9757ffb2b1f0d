"""Descent on pictures as generators: each yields a picture and is sent its loss and gradient.

Kingma and Ba 2014, "Adam" (https://arxiv.org/abs/1412.6980)
Nocedal and Wright 2006, "Numerical Optimization", Algorithms 7.4 and 7.5 (L-BFGS)

Pictures are (1, 3, H, W). The loops know no network, so that a worker can answer those of many
members in one pass.
"""

from collections import deque
from collections.abc import Generator
from typing import TypeAlias

import torch
from torch import Tensor

Descent: TypeAlias = Generator[Tensor, tuple[float, Tensor], Tensor]

HISTORY = 10  # pairs that L-BFGS remembers
SETTLED_OVER = 20  # iterations
SETTLED_GAIN = 2e-3  # of the loss, over so many iterations: less is standstill


def adam(x: Tensor, iterations: int, learning_rate: float = 0.05) -> Descent:
    """Return the best picture met; Kingma and Ba 2014, Algorithm 1.

    Differs from the paper: shorter memories (0.8, 0.95), as these gradients have no noise.
    """
    mean, square = torch.zeros_like(x), torch.zeros_like(x)
    watch = _Watch(x)
    for step in range(1, iterations + 1):
        loss, gradient = yield x
        if watch.has_settled(x, loss):
            break
        mean = mean.lerp(gradient, 0.2)
        square = square.lerp(gradient.square(), 0.05)
        # The rate falls in the last third, so that the end is not noise of the step's size.
        rate = learning_rate * min(1.0, 3 * (1 - (step - 1) / iterations) + 0.05)
        direction = (mean / (1 - 0.8**step)) / ((square / (1 - 0.95**step)).sqrt() + 1e-8)
        x = (x - rate * direction).clamp(0, 1)
    return watch.best


def lbfgs(x: Tensor, iterations: int) -> Descent:
    """Return the best picture met; one loss a step, the step halved while it would climb."""
    pairs: deque[tuple[Tensor, Tensor, float]] = deque(maxlen=HISTORY)
    watch = _Watch(x)
    loss, gradient = yield x
    watch.has_settled(x, loss)
    length, done = 0.0, 1
    direction = -gradient
    while done < iterations:
        if length == 0:
            slope = float((direction * gradient).sum())
            # Without a curvature yet, the first step moves each value by 0.02 on average.
            first = 1.0 if pairs else 0.02 / float(gradient.abs().mean().clamp_min(1e-12))
            length = first
        x_next = (x + length * direction).clamp(0, 1)
        loss_next, gradient_next = yield x_next
        done += 1
        if loss_next > loss + 1e-4 * length * slope and length > 1e-3 * first:
            length *= 0.3
            continue
        moved, turned = x_next - x, gradient_next - gradient
        curvature = float((moved * turned).sum())
        if curvature > 1e-10:
            pairs.append((moved, turned, curvature))
        x, loss, gradient, length = x_next, loss_next, gradient_next, 0.0
        if watch.has_settled(x, loss):
            break
        direction = -_two_loops(gradient, pairs)
    return watch.best


def _two_loops(gradient: Tensor, pairs: deque[tuple[Tensor, Tensor, float]]) -> Tensor:
    """The inverse Hessian's product with the gradient; Nocedal and Wright 2006, Algorithm 7.4."""
    q = gradient
    alphas = []
    for moved, turned, curvature in reversed(pairs):
        alpha = float((moved * q).sum()) / curvature
        alphas.append(alpha)
        q = q - alpha * turned
    if pairs:
        _, turned, curvature = pairs[-1]
        q = q * (curvature / float(turned.square().sum()))
    for (moved, turned, curvature), alpha in zip(pairs, reversed(alphas), strict=True):
        beta = float((turned * q).sum()) / curvature
        q = q + (alpha - beta) * moved
    return q


class _Watch:
    """Keeps the best picture, and notices when losses no longer fall."""

    def __init__(self, x: Tensor) -> None:
        self.best = x
        self._lowest = float("inf")
        self._losses: deque[float] = deque(maxlen=SETTLED_OVER + 1)

    def has_settled(self, x: Tensor, loss: float) -> bool:
        """Note a loss; True if the last ones gained next to nothing."""
        if loss < self._lowest:
            self._lowest, self.best = loss, x
        self._losses.append(self._lowest)
        if len(self._losses) <= SETTLED_OVER:
            return False
        return self._losses[0] - self._losses[-1] < SETTLED_GAIN * self._losses[0]
