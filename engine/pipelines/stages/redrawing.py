"""A picture noised and drawn again by a prompt; Meng et al. 2022, "SDEdit".

https://arxiv.org/abs/2108.01073
"""

import time
from collections.abc import Generator
from typing import Any

from PIL import Image
from torch import Tensor

from engine.calls import Call, Facts, NetworkRef, Sampling
from engine.pipelines.stages import (
    autoencoding,
    denoising,
    finishing,
    references,
    restyling,
    sources,
)
from engine.pipelines.stages.canvas import Canvas, canvas_of
from engine.requests import ImageToImage


def redrawn(
    request: ImageToImage,
    source: Image.Image,
    *,
    preview_interval_s: float = denoising.PREVIEW_INTERVAL_S,
    clock: denoising.Clock = time.monotonic,
) -> Generator[Call, Any, list[Tensor]]:
    """Return the pixels (3, H, W) of each image, in the look of the request's style references.

    The source is scaled to cover the size that is asked for and cut evenly. Strength 0 leaves it
    so, but for the look.
    """
    if request.strength == 0:
        kept = sources.pixels_of(sources.covering(source, request.width, request.height))
        kept_images = [kept] * request.image_count
        return (yield from restyling.in_the_look_of_references(kept_images, request))
    network = denoising.network_of(request)
    facts = yield Facts(network)
    canvas = canvas_of(request.width, request.height, facts)
    latents = yield from denoising.denoise(
        request,
        network,
        facts,
        canvas,
        # The whole strength leaves nothing of the source, not even what noise would.
        source=(yield from _encoded(network, canvas, source)) if request.strength < 1 else None,
        strength=request.strength,
        preview_interval_s=preview_interval_s,
        clock=clock,
    )
    images = yield from finishing.decoded(network, facts, canvas, latents)
    if references.are_shown(request, facts):
        return images
    return (yield from restyling.in_the_look_of_references(images, request))


def _encoded(network: NetworkRef, canvas: Canvas, source: Image.Image) -> Sampling:
    """Return the source's latents, (1, C, h, w)."""
    drawn = sources.covering(source, canvas.drawn_width, canvas.drawn_height)
    pixels = sources.pixels_of(drawn)[None]
    return (yield from autoencoding.encoded(network, pixels, canvas.latent_scale))
