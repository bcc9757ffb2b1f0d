"""Pixels made larger by the upscaler that is used where a request names none."""

from collections.abc import Generator
from typing import Any

from torch import Tensor
from torch.nn import functional

from engine.calls import Call, Enlarge, NetworkRef

UPSCALER = NetworkRef("atelier-pack")


def enlarged(pixels: Tensor, factor: int) -> Generator[Call, Any, Tensor]:
    """Enlarge (B, 3, H, W) by 1, 2 or 4."""
    if factor == 1:
        return pixels
    larger: Tensor = yield Enlarge(UPSCALER, pixels, factor)
    return larger.clamp(0, 1)


def covering(pixels: Tensor, width: int, height: int) -> Tensor:
    """Scale (B, 3, H, W) to cover a size, and cut off evenly what juts out."""
    old_height, old_width = pixels.shape[2:]
    scale = max(width / old_width, height / old_height)
    size = (max(height, round(scale * old_height)), max(width, round(scale * old_width)))
    if size != (old_height, old_width):
        pixels = functional.interpolate(pixels, size, mode="bicubic", antialias=True).clamp(0, 1)
    top, left = (pixels.shape[2] - height) // 2, (pixels.shape[3] - width) // 2
    return pixels[:, :, top : top + height, left : left + width]
