"""From clean latents to encoded pictures."""

from collections.abc import Generator, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from engine.calls import Call, Enlarge, NetworkRef, Pipeline
from engine.diffusion.prediction import ModelFacts
from engine.events import Picture
from engine.media import png
from engine.pipelines.stages import autoencoding
from engine.pipelines.stages.aside import aside
from engine.pipelines.stages.autoencoding import AT_ONCE
from engine.pipelines.stages.canvas import Canvas, fitted

CONTINUED = 16  # pixels by which a seamless tile is continued before it is enlarged


def decoded(
    network: NetworkRef, facts: ModelFacts, canvas: Canvas, latents: Tensor
) -> Generator[Call, Any, list[Tensor]]:
    """Decode latents (B, C, h, w) to finished pixels, one (3, H, W) on the CPU per image."""
    images: list[Tensor] = []
    at_once = max(1, AT_ONCE // (canvas.drawn_width * canvas.drawn_height))
    for chunk in torch.split(latents, at_once):
        pixels = yield from autoencoding.decoded(network, chunk, canvas.latent_scale)
        if facts.output_upscale > 1:
            pixels = yield from _enlarged(network, pixels, facts.output_upscale)
        pixels = fitted(pixels, canvas.width, canvas.height, tile=network.tile)
        images += pixels.cpu().unbind()
    return images


def _enlarged(network: NetworkRef, pixels: Tensor, factor: int) -> Generator[Call, Any, Tensor]:
    """Enlarge (B, 3, H, W); a seamless tile is continued on all sides, and the rest cut off."""
    if not network.tile:
        enlarged: Tensor = yield Enlarge(network, pixels, factor)
        return enlarged
    around = functional.pad(pixels, (CONTINUED,) * 4, mode="circular")
    enlarged = yield Enlarge(network, around, factor)
    cut = CONTINUED * factor
    return enlarged[:, :, cut:-cut, cut:-cut]


def pictures(images: Sequence[Tensor], seeds: Sequence[int]) -> Pipeline:
    """Encode pixels (3, H, W) as PNG, letting others run meanwhile."""
    done: list[Picture] = []
    for pixels, seed in zip(images, seeds, strict=True):
        encoded = yield from aside(partial(_encoded, pixels))
        done.append(Picture(encoded, seed, pixels.shape[2], pixels.shape[1]))
    return tuple(done)


def _encoded(pixels: Tensor) -> bytes:
    (image,) = png.images_of_pixels(pixels[None].numpy())
    return png.encode_png(image)
