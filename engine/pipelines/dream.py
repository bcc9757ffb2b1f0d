"""Images that a generator dreams: of seeds, on walks between them, or like a picture."""

import time
from collections.abc import Generator
from typing import Any

import torch
from torch import Tensor

from engine.calls import Call, NetworkRef, Pipeline, Report
from engine.gan.space import LatentSpace
from engine.gan.walks import spherical
from engine.pipelines.stages import denoising, dreaming, finishing, sources
from engine.pipelines.stages.enlarging import enlarged
from engine.pipelines.stages.showing import preview_of
from engine.requests import Dream, seeds_of

Points = Generator[Call, Any, Tensor]


def run(
    request: Dream,
    *,
    preview_interval_s: float = denoising.PREVIEW_INTERVAL_S,
    clock: denoising.Clock = time.monotonic,
) -> Pipeline:
    """Return one picture per image, in the order of their seeds.

    Raises:
        InvalidRequest: the look is unknown, or the picture unreadable.
    """
    network = dreaming.network_of(request.model, request.weights)
    space = yield from dreaming.space_of(network, request.look)
    if request.like:
        teller = _Teller(request, network, preview_interval_s, clock)
        w = yield from _near_picture(request, network, space, teller)
    else:
        w = yield from _of_seeds(request, network, space)
    pixels = yield from dreaming.drawn(network, w)
    pixels = yield from enlarged(pixels, request.factor)
    total = _steps_of(request)
    yield Report(total, total)
    return (yield from finishing.pictures(list(pixels.cpu()), tuple(seeds_of(request))))


class _Teller:
    """Progress of the search, with a preview now and then by the wall clock."""

    def __init__(
        self, request: Dream, network: NetworkRef, interval_s: float, clock: denoising.Clock
    ) -> None:
        self._total = _steps_of(request)
        self._network = network
        self._has_previews = request.previews
        self._interval_s = interval_s
        self._clock = clock
        self._shown = clock()
        self._step = 0

    def on_iteration(self, w: Tensor) -> Generator[Call, Any, None]:
        """Count a step; `w` (B, D) are the points it has come to."""
        self._step += 1
        preview = None
        if self._has_previews and self._clock() - self._shown >= self._interval_s:
            preview = preview_of((yield from dreaming.drawn(self._network, w)))
            self._shown = self._clock()
        yield Report(self._step, self._total, preview)


def _steps_of(request: Dream) -> int:
    return dreaming.ITERATIONS if request.like else 1


def _of_seeds(request: Dream, network: NetworkRef, space: LatentSpace) -> Points:
    """The points of the images, by great circles between the noise of seeds."""
    seeds = tuple(seeds_of(request))
    own = [dreaming.noise_of(space, seed) for seed in seeds]
    if request.origin is None:
        looks = [dreaming.look_of(space, request.look, seed) for seed in seeds]
        return (yield from dreaming.mapped(network, torch.stack(own), looks, request.truncation))
    z = dreaming.noise_of(space, request.origin)
    for stride in request.path:
        z = _towards(z, dreaming.noise_of(space, stride.seed), stride.distance)
    ends = torch.stack([_towards(z, noise, request.distance) for noise in own])
    looks = [dreaming.look_of(space, request.look, request.origin)] * len(seeds)
    return (yield from dreaming.mapped(network, ends, looks, request.truncation))


def _towards(z: Tensor, other: Tensor, distance: float) -> Tensor:
    return spherical(z, other, torch.tensor([distance]))[0]


def _near_picture(
    request: Dream, network: NetworkRef, space: LatentSpace, teller: _Teller
) -> Points:
    """The points of the images, by straight lines from the one that draws the picture best."""
    picture = sources.covering(sources.opened(request.like, "like"), space.size, space.size)
    looks = range(len(space.looks))
    if request.look:
        looks = range(space.looks.index(request.look), space.looks.index(request.look) + 1)
    pixels = sources.pixels_of(picture)
    w = yield from dreaming.found(network, space, pixels, looks, teller.on_iteration)
    strides = [(stride.seed, stride.distance) for stride in request.path]
    seeds = [*(seed for seed, _ in strides), *seeds_of(request)]
    z = torch.stack([dreaming.noise_of(space, seed) for seed in seeds])
    own_looks = [dreaming.look_of(space, request.look, seed) for seed in seeds]
    ends = yield from dreaming.mapped(network, z, own_looks, request.truncation)
    ends = dreaming.longer(ends, space)
    for (_, distance), end in zip(strides, ends[: len(strides)], strict=True):
        w = torch.lerp(w, end[None], distance)
    return torch.lerp(w, ends[len(strides) :], request.distance)
