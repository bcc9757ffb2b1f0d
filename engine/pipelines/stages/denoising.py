"""From a request to clean latents, with progress on the way."""

import time
from collections.abc import Callable, Generator, Sequence
from typing import Any, TypeAlias

from torch import Tensor

from engine.calls import Call, Decode, EncodeText, NetworkRef, Report, Sampling
from engine.diffusion import conditioning, guidance, samplers, schedules
from engine.diffusion.noise import ImageNoise, mixed_noise
from engine.diffusion.prediction import ModelFacts
from engine.pipelines.stages import references
from engine.pipelines.stages.canvas import Canvas
from engine.pipelines.stages.showing import preview_of
from engine.requests import Blend, ImageToImage, TextToImage, seeds_of, variation_seeds_of

DiffusionRequest: TypeAlias = TextToImage | ImageToImage | Blend
Clock: TypeAlias = Callable[[], float]  # seconds

PREVIEW_INTERVAL_S = 0.7
PREVIEW_WORTH_S = 3.0  # a result that is nearer than this needs no preview


class Progress:
    """Tells how far the denoising is, with a preview now and then by the wall clock."""

    def __init__(
        self,
        network: NetworkRef,
        total: int,
        *,
        has_previews: bool,
        interval_s: float = PREVIEW_INTERVAL_S,
        clock: Clock = time.monotonic,
    ) -> None:
        self._network = network
        self._total = total
        self._has_previews = has_previews
        self._interval_s = interval_s
        self._clock = clock
        self._step = 0
        self._begun = self._shown = clock()

    def on_step(self, denoised: Tensor) -> Generator[Call, Any, None]:
        """Count a step; `denoised` (B, C, h, w) is what the images will roughly be."""
        self._step += 1
        preview = None
        if self._is_preview_due():
            pixels = yield Decode(self._network, denoised, preview=True)
            preview = preview_of(pixels)
            self._shown = self._clock()
        yield Report(self._step, self._total, preview)

    def _is_preview_due(self) -> bool:
        now = self._clock()
        left = self._total - self._step
        left_s = (now - self._begun) / self._step * left
        is_time = now - self._shown >= self._interval_s
        return self._has_previews and is_time and left > 0 and left_s >= PREVIEW_WORTH_S


def network_of(request: DiffusionRequest) -> NetworkRef:
    """Return the network a request names, with what is applied on top."""
    loras = tuple((lora.name, lora.weight) for lora in request.loras)
    return NetworkRef(request.model, loras, request.tile)


def denoise(
    request: DiffusionRequest,
    network: NetworkRef,
    facts: ModelFacts,
    canvas: Canvas,
    *,
    source: Tensor | None = None,
    strength: float = 1.0,
    steered: guidance.Guidance | None = None,
    on_step: samplers.OnStep | None = None,
    preview_interval_s: float = PREVIEW_INTERVAL_S,
    clock: Clock = time.monotonic,
) -> Sampling:
    """Return the clean latents (B, C, h, w) of a request's images.

    `source` (1 or B, C, h, w) are the latents an edit begins with, `strength` how far it leaves
    them, 0 exclusive to 1; without one the images begin as noise. `steered` steers them in place
    of the prompt; where the request is of one image, so many then share its noise. `on_step` hears
    of the steps in place of whoever asked.

    Raises:
        InvalidRequest: the prompt has too many parts.
    """
    if steered is None:
        steered = yield from steering(request, facts, network, canvas, is_new=source is None)
    sigmas = schedules.sigmas_for(facts, request.schedule, request.sampler, request.steps)
    sigmas = schedules.started(sigmas, strength)
    noise, first = _noise_of(request, facts, canvas)
    device, rows = steered.scales.device, len(steered)
    first = first.to(device).expand(rows, -1, -1, -1)
    if source is None:
        x = first * schedules.noise_scale(facts, request.sampler, sigmas[0])
    else:
        x = source.to(first) + first * sigmas[0]
    sigmas = schedules.stopped(sigmas, request.stop)
    progress = Progress(
        network,
        len(sigmas) - 1,
        has_previews=request.previews and facts.has_preview,
        interval_s=preview_interval_s,
        clock=clock,
    )
    sampling = samplers.sample(
        request.sampler,
        guidance.guided(network, steered),
        x,
        sigmas,
        draw_noise=lambda: noise.draw().to(device).expand(rows, -1, -1, -1),
        on_step=on_step or progress.on_step,
    )
    return (yield from sampling)


def steering(
    request: DiffusionRequest,
    facts: ModelFacts,
    network: NetworkRef,
    canvas: Canvas,
    *,
    is_new: bool = True,
) -> Generator[Call, Any, guidance.Guidance]:
    """Encode the prompt and what is shown beside it; return how each image is steered by them.

    `is_new` says that the images begin as noise, not with a picture that has its own places.

    Raises:
        InvalidRequest: the prompt has too many parts.
        UnreadableImage: a style reference is no readable picture.
    """
    (steered,) = yield from steerings([request], facts, network, canvas, is_new=is_new)
    return steered


def steerings(
    requests: Sequence[DiffusionRequest],
    facts: ModelFacts,
    network: NetworkRef,
    canvas: Canvas,
    *,
    is_new: bool = True,
) -> Generator[Call, Any, list[guidance.Guidance]]:
    """Steer as `steering` does, by requests that differ in nothing but their prompts.

    These are encoded together and so equally long: what lies between them can be mixed.

    Raises:
        InvalidRequest: a prompt has too many parts.
        UnreadableImage: a style reference is no readable picture.
    """
    wordings = [guidance.wording(request, facts) for request in requests]
    texts = tuple(text for words in wordings for text in words.texts)
    encoded = yield EncodeText(network, texts, canvas.drawn_width, canvas.drawn_height)
    shown = yield from references.shown(requests[0], facts, network)
    steered: list[guidance.Guidance] = []
    begin = 0
    for request, words in zip(requests, wordings, strict=True):
        own = conditioning.rows(encoded, range(begin, begin + len(words.texts)))
        begin += len(words.texts)
        seeds = tuple(seeds_of(request))
        steered += [guidance.guidance_of(request, facts, words, own, seeds, shown, is_new=is_new)]
    return steered


def _noise_of(
    request: DiffusionRequest, facts: ModelFacts, canvas: Canvas
) -> tuple[ImageNoise, Tensor]:
    """Return the images' source of noise and their first, (B, C, h, w), drawn from it."""
    seeds = tuple(seeds_of(request))
    shape = (facts.latent_channels, *canvas.latent_size)
    source = ImageNoise(seeds, shape)
    first = source.draw()
    others = tuple(variation_seeds_of(request))
    if others:
        first = mixed_noise(first, ImageNoise(others, shape).draw(), request.variation_strength)
    return source, first
