"""Several pictures mixed into one in an autoencoder's latents, and drawn further by a prompt."""

import time
from collections.abc import Generator
from typing import Any

import torch
from torch import Tensor

from engine.calls import Call, Facts, NetworkRef, Pipeline, Report
from engine.diffusion.noise import generator_of
from engine.pipelines.stages import (
    autoencoding,
    denoising,
    finishing,
    references,
    restyling,
    sources,
)
from engine.pipelines.stages.canvas import Canvas, canvas_of
from engine.pipelines.stages.mixing import mixed
from engine.requests import Blend, seeds_of

CHAOS_SPREAD = 1.5  # of the logarithms of the weights, at full chaos


def run(
    request: Blend,
    *,
    preview_interval_s: float = denoising.PREVIEW_INTERVAL_S,
    clock: denoising.Clock = time.monotonic,
) -> Pipeline:
    """Return one picture per image, in the order of their seeds.

    Each source is scaled to cover the size that is asked for and cut evenly.

    Raises:
        InvalidRequest: a picture is unreadable, or the prompt has too many parts.
    """
    network = denoising.network_of(request)
    facts = yield Facts(network)
    canvas = canvas_of(request.width, request.height, facts)
    encoded = yield from _encoded(request, network, canvas)
    latents = mixed(encoded, weights_of(request).to(encoded))
    if request.strength > 0:
        latents = yield from denoising.denoise(
            request,
            network,
            facts,
            canvas,
            # The whole strength leaves nothing of the sources, not even what noise would.
            source=latents if request.strength < 1 else None,
            strength=request.strength,
            preview_interval_s=preview_interval_s,
            clock=clock,
        )
    images = yield from finishing.decoded(network, facts, canvas, latents)
    if request.strength == 0 or not references.are_shown(request, facts):
        images = yield from restyling.in_the_look_of_references(images, request)
    yield Report(1, 1)
    return (yield from finishing.pictures(images, tuple(seeds_of(request))))


def weights_of(request: Blend) -> Tensor:
    """Return how much of each picture is in each image, (B, n) with rows of sum 1."""
    weights = request.weights or [1.0] * len(request.pictures)
    given = torch.tensor(weights, dtype=torch.float64)
    spread = CHAOS_SPREAD * request.chaos / 100
    rows = [
        given * torch.exp(spread * torch.randn(len(given), generator=_generator(seed)))
        for seed in seeds_of(request)
    ]
    spread_out = torch.stack(rows)
    return (spread_out / spread_out.sum(1, keepdim=True)).float()


def _generator(seed: int) -> torch.Generator:
    return generator_of(seed, "chaos of a blend")


def _encoded(request: Blend, network: NetworkRef, canvas: Canvas) -> Generator[Call, Any, Tensor]:
    """Return the latents of all pictures, (n, C, h, w)."""
    fitted = [
        sources.covering(sources.opened(picture, "pictures"), *canvas.drawn_size)
        for picture in request.pictures
    ]
    pixels = torch.stack([sources.pixels_of(one) for one in fitted])
    return (yield from autoencoding.encoded(network, pixels, canvas.latent_scale))
