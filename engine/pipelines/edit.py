"""Images from a prompt and a source image: noise the source, then denoise it by the prompt.

Meng et al. 2022, "SDEdit" (https://arxiv.org/abs/2108.01073).
"""

import time

from engine.calls import Pipeline
from engine.pipelines.stages import denoising, finishing, redrawing, sources
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
        InvalidRequest: the prompt has too many parts, or a picture is unreadable.
    """
    source = sources.opened(request.source, "source")
    images = yield from redrawing.redrawn(
        request, source, preview_interval_s=preview_interval_s, clock=clock
    )
    return (yield from finishing.pictures(images, tuple(seeds_of(request))))
