"""Upscaler of the pack: pixels (B, 3, H, W) -> twice or four times as large, sharp on drawings.

Residual blocks at the small size and sub-pixel convolution, after Shi et al. 2016,
https://arxiv.org/abs/1609.05158 and Lim et al. 2017, https://arxiv.org/abs/1707.02921. The network
predicts what bicubic enlargement lacks, so that it starts as good as that.
"""

from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F


@dataclass(frozen=True, kw_only=True, slots=True)
class UpscalerConfig:
    """Sizes of an `Upscaler`."""

    width: int = 48
    blocks: int = 8
    factors: tuple[int, ...] = (2, 4)


class Block(nn.Module):
    """x + conv(silu(conv(x))), starting as the identity."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        nn.init.normal_(self.second.weight, std=1e-3)

    def forward(self, x: Tensor) -> Tensor:
        """Refine features (B, C, H, W)."""
        out: Tensor = self.second(F.silu(self.first(x)))
        return x + out


class Upscaler(nn.Module):
    """One body with one head per factor."""

    def __init__(self, config: UpscalerConfig) -> None:
        super().__init__()
        self.config = config
        self.enter = nn.Conv2d(3, config.width, 3, padding=1)
        self.body = nn.Sequential(*(Block(config.width) for _ in range(config.blocks)))
        self.heads = nn.ModuleDict(
            {str(n): nn.Conv2d(config.width, 3 * n * n, 3, padding=1) for n in config.factors}
        )
        for head in self.heads.values():
            assert isinstance(head, nn.Conv2d)
            nn.init.zeros_(head.weight)
            assert head.bias is not None
            nn.init.zeros_(head.bias)

    def forward(self, pixels: Tensor, factor: int = 2) -> Tensor:
        """Pixels in [0, 1], `factor` times as large and not clamped.

        Raises:
            KeyError: there is no head for the factor.
        """
        features = self.enter(pixels * 2 - 1)
        detail = F.pixel_shuffle(self.heads[str(factor)](self.body(features)), factor)
        return enlarged(pixels, factor) + detail

    @torch.no_grad()
    def enlarge(self, pixels: Tensor, factor: int = 2) -> Tensor:
        """`forward`, clamped to [0, 1]."""
        out: Tensor = self(pixels, factor)
        return out.clamp(0, 1)

    def configuration(self) -> dict[str, Any]:
        """Plain values from which `Upscaler(UpscalerConfig(**values))` builds the same network."""
        return asdict(self.config)


def enlarged(pixels: Tensor, factor: int) -> Tensor:
    """Bicubic enlargement of (B, 3, H, W)."""
    return F.interpolate(pixels, scale_factor=factor, mode="bicubic", align_corners=False)
