"""What the style encoder sees of pictures, as features by which sets of them are compared."""

import torch
from torch import Tensor
from torch.nn import functional as F

from engine.networks.style import StyleEncoder


def quarters(encoder: StyleEncoder, pixels: Tensor) -> Tensor:
    """Means of the two deepest levels in each quarter, (B, 3, H, W) -> (B, D)."""
    deepest = encoder(pixels)[-2:]
    return torch.cat([F.adaptive_avg_pool2d(level, 2).flatten(1) for level in deepest], dim=1)
