"""Images from a prompt and a source image: noise the source, then denoise it by the prompt.

Meng et al. 2022, "SDEdit" (https://arxiv.org/abs/2108.01073).
"""

import time

from PIL import Image
from torch import Tensor

from engine.calls import Encode, Facts, NetworkRef, Pipeline, Sampling
from engine.pipelines.stages import denoising, finishing, sources
from engine.pipelines.stages.canvas import Canvas, canvas_of
from engine.requests import ImageToImage, seeds_of


def run(
    request: ImageToImage,
    *,
    preview_interval_s: float = denoising.PREVIEW_INTERVAL_S,
    clock: denoising.Clock = time.monotonic,
) -> Pipeline:
    """Return one picture per image, in the order of their seeds.

    The source is scaled to cover the size that is asked for and cut evenly. Strength 0 returns
    it so, without a network in between.

    Raises:
        InvalidRequest: the prompt has too many parts, or the source is unreadable.
        Unsupported: the request has style references.
    """
    denoising.refuse_style_references(request)
    seeds = tuple(seeds_of(request))
    source = sources.opened(request.source, "source")
    if request.strength == 0:
        kept = sources.pixels_of(sources.covering(source, request.width, request.height))
        return (yield from finishing.pictures([kept] * len(seeds), seeds))
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
    return (yield from finishing.pictures(images, seeds))


def _encoded(network: NetworkRef, canvas: Canvas, source: Image.Image) -> Sampling:
    """Return the source's latents, (1, C, h, w)."""
    drawn = sources.covering(source, canvas.drawn_width, canvas.drawn_height)
    latents: Tensor = yield Encode(network, sources.pixels_of(drawn)[None])
    return latents
