"""Images from a prompt: encode it, draw noise, remove it, decode."""

import time

from engine.calls import Facts, Pipeline
from engine.pipelines.stages import denoising, finishing, references, restyling
from engine.pipelines.stages.canvas import canvas_of
from engine.requests import TextToImage, seeds_of


def run(
    request: TextToImage,
    *,
    preview_interval_s: float = denoising.PREVIEW_INTERVAL_S,
    clock: denoising.Clock = time.monotonic,
) -> Pipeline:
    """Return one picture per image, in the order of their seeds.

    Raises:
        InvalidRequest: the prompt has too many parts.
        UnreadableImage: a style reference is no readable picture.
    """
    network = denoising.network_of(request)
    facts = yield Facts(network)
    canvas = canvas_of(request.width, request.height, facts)
    latents = yield from denoising.denoise(
        request, network, facts, canvas, preview_interval_s=preview_interval_s, clock=clock
    )
    images = yield from finishing.decoded(network, facts, canvas, latents)
    if not references.are_shown(request, facts):
        images = yield from restyling.in_the_look_of_references(images, request)
    return (yield from finishing.pictures(images, tuple(seeds_of(request))))
