"""From a picture back to the point of latent space that draws it: descent.

Abdal et al. 2019, "Image2StyleGAN", https://arxiv.org/abs/1904.03189. The loop knows no network: it
yields points and is sent their losses and gradients, so that a worker can answer those of many
members in one pass. Rows never influence each other.
"""

from collections.abc import Generator
from typing import TypeAlias

import torch
from torch import Tensor
from torch.nn import functional as F

Search: TypeAlias = Generator[Tensor, tuple[Tensor, Tensor], tuple[Tensor, Tensor]]

SCALES = 4  # sizes at which pictures are compared, each half the one before
PULL = 1e-4  # towards the start: far from all training w a generator draws nonsense


def picture_loss(pixels: Tensor, target: Tensor) -> Tensor:
    """Mean squared error over several sizes, (B, 3, S, S) twice -> (B,).

    Small sizes see where things are; at full size alone a contour that is off by little costs as
    much as one that is missing.
    """
    total = torch.zeros(len(pixels), device=pixels.device)
    for scale in range(SCALES):
        if scale:
            pixels, target = F.avg_pool2d(pixels, 2), F.avg_pool2d(target, 2)
        total = total + (pixels - target).square().flatten(1).mean(1)
    return total / SCALES


def descend(start: Tensor, iterations: int, learning_rate: float = 0.08) -> Search:
    """Return the best points met, (B, D), and their losses (B,).

    Kingma and Ba 2014, Algorithm 1, with rows of their own: no row's step depends on another's.
    """
    w = start
    mean, square = torch.zeros_like(w), torch.zeros_like(w)
    best, lowest = w, torch.full((len(w),), float("inf"))
    for step in range(1, iterations + 1):
        loss, gradient = yield w
        is_better = loss < lowest
        best = torch.where(is_better[:, None], w, best)
        lowest = torch.where(is_better, loss, lowest)
        gradient = gradient + 2 * PULL * (w - start)
        mean = mean.lerp(gradient, 0.1)
        square = square.lerp(gradient.square(), 0.01)
        rate = learning_rate * min(1.0, 2 * (1 - (step - 1) / iterations) + 0.05)
        w = w - rate * (mean / (1 - 0.9**step)) / ((square / (1 - 0.99**step)).sqrt() + 1e-8)
    return best, lowest
