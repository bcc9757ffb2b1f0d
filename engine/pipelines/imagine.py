"""Images from a prompt: encode it, draw noise, remove it, decode."""

import time

from engine.calls import Facts, Pipeline
from engine.diffusion import schedules
from engine.errors import Unsupported
from engine.pipelines.stages import denoising, finishing
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
        Unsupported: the request has style references.
    """
    if request.style_references:
        raise Unsupported(
            "this engine can't take a look from style references yet: leave --sref out"
        )
    network = denoising.network_of(request)
    facts = yield Facts(network)
    canvas = canvas_of(request.width, request.height, facts)
    steered = yield from denoising.steering(request, facts, network, canvas)
    sigmas = schedules.sigmas_for(facts, request.schedule, request.sampler, request.steps)
    noise, first = denoising.noise_of(request, facts, canvas)
    x = first.to(steered.scales.device)
    x = x * schedules.noise_scale(facts, request.sampler, sigmas[0])
    sigmas = schedules.stopped(sigmas, request.stop)
    progress = denoising.Progress(
        network,
        len(sigmas) - 1,
        has_previews=request.previews and facts.has_preview,
        interval_s=preview_interval_s,
        clock=clock,
    )
    latents = yield from denoising.denoise(request, network, steered, x, sigmas, noise, progress)
    images = yield from finishing.decoded(network, facts, canvas, latents)
    # Between pixels and pictures is where another's look would be laid over them.
    return (yield from finishing.pictures(images, tuple(seeds_of(request))))
