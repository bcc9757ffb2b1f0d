"""An animation from one picture, prompt or dream to the next.

words     one noise, and what lies between the prompts' encodings (frames drawn together)
dreams    the great circle between the noise of their seeds
pictures  what lies between their latents; words and dreams among pictures become pictures first

Style references are shown to the model that draws the words; where it sees none, their look is laid
over all frames alike.
"""

import itertools
import math
import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from engine.calls import Call, Facts, NetworkRef, Pipeline, Report
from engine.diffusion.prediction import ModelFacts
from engine.diffusion.schedules import steps_until
from engine.events import Picture
from engine.gan.walks import spherical
from engine.media import animation, png, video
from engine.pipelines.stages import (
    autoencoding,
    denoising,
    dreaming,
    finishing,
    moving,
    references,
    restyling,
    sources,
)
from engine.pipelines.stages.aside import aside
from engine.pipelines.stages.canvas import Canvas, canvas_of
from engine.pipelines.stages.enlarging import covering, enlarged
from engine.pipelines.stages.mixing import mixed, steered_between
from engine.pipelines.stages.showing import preview_of
from engine.requests import Morph, TextToImage, Waypoint

DREAM_FACTOR = 4  # by which dreams are enlarged
AT_ONCE = 16  # frames that are drawn together

Frames = Generator[Call, Any, list[Image.Image]]


@dataclass(frozen=True, slots=True)
class Way:
    """Some frames between two stops."""

    start: int  # index of the stop
    end: int
    shares: Tensor  # (B,) of the way that is behind each frame, 0..1


def run(
    request: Morph,
    *,
    preview_interval_s: float = denoising.PREVIEW_INTERVAL_S,
    clock: denoising.Clock = time.monotonic,
) -> Pipeline:
    """Return the first frame, with all of them as its animation.

    Raises:
        InvalidRequest: a picture is unreadable, a prompt has too many parts, or a look is unknown.
        Unsupported: a video is asked for, and there is no encoder.
    """
    if request.is_video:
        video.require_encoder()
    teller = _Teller(request, preview_interval_s, clock)
    if all(stop.prompt for stop in request.stops):
        frames = yield from _through_words(request, teller)
    elif all(stop.seed is not None for stop in request.stops):
        frames = yield from _through_dreams(request, teller)
    else:
        frames = yield from _through_pictures(request, teller)
    durations_ms = [round(1000 * request.seconds / request.frames)] * len(frames)
    moving = yield from aside(partial(animation.encode_animated_webp, frames, durations_ms))
    mp4 = b""
    if request.is_video:
        mp4 = yield from aside(partial(video.encode_mp4, frames, durations_ms))
    still = yield from aside(partial(png.encode_png, frames[0]))
    return (Picture(still, request.seed, frames[0].width, frames[0].height, moving, mp4),)


def ways_of(request: Morph, at_once: int = AT_ONCE) -> Iterator[Way]:
    """Spread the frames evenly over the stops, at most `at_once` together.

    A loop's last frame is the one before the first; else the last stop is the last frame. Each way
    begins and ends slowly, so that the stops are seen.
    """
    count = len(request.stops)
    legs = count if request.loop else count - 1
    steps = request.frames if request.loop else request.frames - 1
    places = [index * legs / steps for index in range(request.frames)]
    by_leg = itertools.groupby(places, lambda place: min(int(place), legs - 1))
    for leg, group in by_leg:
        eased = [(1 - math.cos(math.pi * (place - leg))) / 2 for place in group]
        for shares in torch.split(torch.tensor(eased), at_once):
            yield Way(leg, (leg + 1) % count, shares)


class _Teller:
    """Progress by frames, with a preview of the newest now and then by the wall clock."""

    def __init__(self, request: Morph, interval_s: float, clock: denoising.Clock) -> None:
        drawn = sum(bool(stop.prompt) for stop in request.stops)
        self.is_drawn = drawn == len(request.stops)
        steps = steps_until(request.drawing.steps, request.drawing.stop)
        self._frames = request.frames
        self._total = request.frames + steps * (request.frames if self.is_drawn else drawn)
        self._done = 0
        self._has_previews = request.drawing.previews
        self._interval_s = interval_s
        self._clock = clock
        self._shown = clock()

    def tell(self, count: int, newest: Tensor | None = None) -> Generator[Call, Any, None]:
        """Count steps; `newest` (3, H, W) is the last frame that is done."""
        self._done = min(self._done + count, self._total)
        preview = None
        is_due = self._clock() - self._shown >= self._interval_s
        if newest is not None and self._has_previews and is_due:
            preview = preview_of(newest[None])
            self._shown = self._clock()
        yield Report(self._done, self._total, preview)

    def expect_restyling(self) -> None:
        """Have each frame counted twice: when it is there, and when it is restyled."""
        self._total += self._frames

    def on_restyled(self, count: int, newest: Tensor) -> Generator[Call, Any, None]:
        """So many frames are restyled; `newest` (1, 3, H, W) is the last of them."""
        yield from self.tell(self._total - self._frames + count - self._done, newest[0])


def _through_words(request: Morph, teller: _Teller) -> Frames:
    drawing = request.drawing
    network = denoising.network_of(drawing)
    facts = yield Facts(network)
    is_restyled = _is_restyled(drawing, facts)
    if is_restyled:
        teller.expect_restyling()
    canvas = canvas_of(drawing.width, drawing.height, facts)
    wanted = [replace(drawing, prompt=stop.prompt) for stop in request.stops]
    steered = yield from denoising.steerings(wanted, facts, network, canvas)
    frames: list[Image.Image] = []
    for way in ways_of(request):
        count = len(way.shares)

        def on_step(_: Tensor, count: int = count) -> Generator[Call, Any, None]:
            yield from teller.tell(count)

        latents = yield from denoising.denoise(
            drawing,
            network,
            facts,
            canvas,
            steered=steered_between(steered[way.start], steered[way.end], way.shares),
            on_step=on_step,
        )
        frames += yield from _decoded(network, facts, canvas, latents, teller)
    return (yield from _restyled(frames, drawing, teller)) if is_restyled else frames


def _through_dreams(request: Morph, teller: _Teller) -> Frames:
    network = dreaming.network_of(request.dreams, request.weights)
    space = yield from dreaming.space_of(network, request.look)
    seeds = [stop.seed for stop in request.stops if stop.seed is not None]
    noise = [dreaming.noise_of(space, seed) for seed in seeds]
    looks = [dreaming.look_of(space, request.look, seed) for seed in seeds]
    frames: list[Image.Image] = []
    for way in ways_of(request):
        z = spherical(noise[way.start], noise[way.end], way.shares)
        pair = torch.cat([z, z])
        both = [looks[way.start]] * len(z) + [looks[way.end]] * len(z)
        w = yield from dreaming.mapped(network, pair, both, request.truncation)
        # The same noise in two looks: where they differ, one look turns into the other.
        w = torch.lerp(w[: len(z)], w[len(z) :], way.shares[:, None])
        pixels = yield from _dreamt(request, network, w)
        yield from teller.tell(len(pixels), pixels[-1])
        frames += _images(list(pixels))
    return frames


def _dreamt(request: Morph, network: NetworkRef, w: Tensor) -> Generator[Call, Any, Tensor]:
    """Draw points at the size of the frames, (B, 3, H, W)."""
    pixels = yield from dreaming.drawn(network, w)
    pixels = yield from enlarged(pixels, DREAM_FACTOR)
    return covering(pixels, request.drawing.width, request.drawing.height).cpu()


def _through_pictures(request: Morph, teller: _Teller) -> Frames:
    drawing = request.drawing
    network = denoising.network_of(drawing)
    facts = yield Facts(network)
    is_restyled = _is_restyled(drawing, facts)
    if is_restyled:
        teller.expect_restyling()
    canvas = canvas_of(drawing.width, drawing.height, facts)
    stops: list[Tensor] = []
    for stop in request.stops:
        stops += [(yield from _latents(request, stop, network, facts, canvas, teller))]
    frames: list[Image.Image] = []
    for way in ways_of(request):
        pair = torch.cat([stops[way.start], stops[way.end]])
        weights = torch.stack([1 - way.shares, way.shares], dim=1).to(pair)
        frames += yield from _decoded(network, facts, canvas, mixed(pair, weights), teller)
    return (yield from _restyled(frames, drawing, teller)) if is_restyled else frames


def _is_restyled(drawing: TextToImage, facts: ModelFacts) -> bool:
    """Whether the look of style references is laid over the frames."""
    has_look = bool(drawing.style_references and drawing.style_weight)
    return has_look and not references.are_shown(drawing, facts)


def _restyled(frames: list[Image.Image], drawing: TextToImage, teller: _Teller) -> Frames:
    """All frames in the look of the style references, steady."""
    look = yield from restyling.look_of_references(drawing, max(frames[0].size))
    pixels = [sources.pixels_of(frame) for frame in frames]
    return _images((yield from moving.restyled_frames(pixels, *look, teller.on_restyled)))


def _latents(
    request: Morph,
    stop: Waypoint,
    network: NetworkRef,
    facts: ModelFacts,
    canvas: Canvas,
    teller: _Teller,
) -> Generator[Call, Any, Tensor]:
    """Return what a stop looks like, as latents (1, C, h, w)."""
    if stop.prompt:
        wanted = replace(request.drawing, prompt=stop.prompt)
        on_step = partial(_one_step, teller)
        return (yield from denoising.denoise(wanted, network, facts, canvas, on_step=on_step))
    if stop.seed is not None:
        pixels = yield from _dream_of(request, stop.seed, canvas)
    else:
        picture = sources.opened(stop.picture, "stops")
        pixels = sources.pixels_of(sources.covering(picture, *canvas.drawn_size))[None]
    return (yield from autoencoding.encoded(network, pixels, canvas.latent_scale))


def _dream_of(request: Morph, seed: int, canvas: Canvas) -> Generator[Call, Any, Tensor]:
    """Draw the dream of a seed as the model of pictures would see it, (1, 3, H, W)."""
    network = dreaming.network_of(request.dreams, request.weights)
    space = yield from dreaming.space_of(network, request.look)
    look = dreaming.look_of(space, request.look, seed)
    z = dreaming.noise_of(space, seed)[None]
    w = yield from dreaming.mapped(network, z, [look], request.truncation)
    pixels = yield from _dreamt(request, network, w)
    return covering(pixels, *canvas.drawn_size)


def _one_step(teller: _Teller, _: Tensor) -> Generator[Call, Any, None]:
    yield from teller.tell(1)


def _decoded(
    network: NetworkRef, facts: ModelFacts, canvas: Canvas, latents: Tensor, teller: _Teller
) -> Frames:
    pixels = yield from finishing.decoded(network, facts, canvas, latents)
    yield from teller.tell(len(pixels), pixels[-1])
    return _images(pixels)


def _images(pixels: Sequence[Tensor]) -> list[Image.Image]:
    """Frames as bytes at once: as numbers they would take four times the memory."""
    return [png.images_of_pixels(one[None].numpy())[0] for one in pixels]
