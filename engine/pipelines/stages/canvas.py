"""From the size that is wanted to the size that a model draws, and back."""

import math
from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional

from engine.diffusion.prediction import ModelFacts


@dataclass(frozen=True, slots=True)
class Canvas:
    """The sizes of one request, in pixels; what is drawn covers what is wanted."""

    width: int  # of the finished picture
    height: int
    drawn_width: int  # by the model, before its upscaler
    drawn_height: int
    latent_scale: int  # drawn pixels per latent

    @property
    def drawn_size(self) -> tuple[int, int]:
        """Width and height of what the model draws, in pixels."""
        return self.drawn_width, self.drawn_height

    @property
    def latent_size(self) -> tuple[int, int]:
        """Height and width of the latents."""
        return self.drawn_height // self.latent_scale, self.drawn_width // self.latent_scale


def canvas_of(width: int, height: int, facts: ModelFacts) -> Canvas:
    """Return the smallest canvas a model can draw that covers `width` x `height`."""
    drawn = [
        math.ceil(side / (facts.output_upscale * facts.size_multiple)) * facts.size_multiple
        for side in (width, height)
    ]
    return Canvas(width, height, drawn[0], drawn[1], facts.latent_scale)


def fitted(pixels: Tensor, width: int, height: int, *, tile: bool) -> Tensor:
    """Bring pictures (B, 3, H, W) that cover `width` x `height` to just that size.

    What juts out is cut off evenly; a seamless `tile` is scaled instead, as a cut would show.
    """
    top, left = (pixels.shape[2] - height) // 2, (pixels.shape[3] - width) // 2
    if top == left == 0 and pixels.shape[2:] == (height, width):
        return pixels
    if tile:
        scaled = functional.interpolate(pixels, (height, width), mode="bicubic", antialias=True)
        return scaled.clamp(0, 1)
    return pixels[:, :, top : top + height, left : left + width]
