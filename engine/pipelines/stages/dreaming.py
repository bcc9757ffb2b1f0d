"""Points of a generator's latent space: of seeds, near a picture, and what they draw."""

import hashlib
from collections.abc import Callable, Generator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from engine.calls import (
    Call,
    DescribeLatents,
    InversionGradient,
    MapNoise,
    MeanOfLook,
    NetworkRef,
    Synthesise,
)
from engine.diffusion.noise import generator_of
from engine.errors import InvalidRequest
from engine.gan.inversion import descend
from engine.gan.space import LatentSpace
from engine.gan.walks import truncated
from engine.wording import Said

OF_LOOKS = 60  # iterations of the search for a picture's w, from each look
OF_DETAIL = 60  # of the search for what no w draws of it
ITERATIONS = OF_LOOKS + OF_DETAIL

Points = Generator[Call, Any, Tensor]
OnIteration = Callable[[Tensor], Generator[Call, Any, None]]  # hears the points it has come to


def network_of(model: str, weights: bytes = b"") -> NetworkRef:
    """A generator of the catalogue, or one that was trained here, named by its `weights`."""
    if not weights:
        return NetworkRef(model)
    return NetworkRef(f"own {hashlib.sha256(weights).hexdigest()[:16]}", weights=weights)


def space_of(network: NetworkRef, look: str) -> Generator[Call, Any, LatentSpace]:
    """Ask for a generator's latent space.

    Raises:
        InvalidRequest: it has no such look.
    """
    space: LatentSpace = yield DescribeLatents(network)
    if look and look not in space.looks:
        names = ", ".join(space.looks)
        reason = Said("must be one of {names}, not {given}", names=names, given=look)
        raise InvalidRequest("look", reason)
    return space


def look_of(space: LatentSpace, look: str, seed: int) -> int:
    """The index of a look; without a name the one that a seed draws."""
    if look:
        return space.looks.index(look)
    draw = torch.randint(len(space.looks), (), generator=generator_of(seed, "look of a dream"))
    return int(draw)


def noise_of(space: LatentSpace, seed: int) -> Tensor:
    """The noise (Z,) of a seed's dream."""
    return torch.randn(space.latent, generator=generator_of(seed))


def mapped(network: NetworkRef, z: Tensor, looks: Sequence[int], truncation: float) -> Points:
    """Return the points w (B, D) of noise (B, Z), drawn towards their looks' average."""
    rows = torch.tensor(looks)
    w = yield MapNoise(network, z, rows)
    mean = yield MeanOfLook(network, rows)
    return truncated(w, mean, truncation)


def found(
    network: NetworkRef,
    space: LatentSpace,
    pixels: Tensor,
    looks: Sequence[int],
    on_iteration: OnIteration,
) -> Points:
    """Search the point (1, D + E) whose drawing is nearest to a picture (3, S, S).

    First w, from the mean of each look, then the best of them together with the extras.
    """
    start = yield MeanOfLook(network, torch.tensor(looks))
    w = yield from _nearest(network, pixels, start, OF_LOOKS, on_iteration)
    return (yield from _nearest(network, pixels, longer(w, space), OF_DETAIL, on_iteration))


def longer(w: Tensor, space: LatentSpace) -> Tensor:
    """Points with extras of zero: they draw the same, (B, D) -> (B, D + E)."""
    return F.pad(w, (0, space.extras))


def _nearest(
    network: NetworkRef, pixels: Tensor, start: Tensor, iterations: int, on_iteration: OnIteration
) -> Points:
    """The best point (1, D) that a descent from some points (B, D) meets."""
    search = descend(start, iterations)
    target = pixels.expand(len(start), -1, -1, -1)
    w = next(search)
    while True:
        answer = yield InversionGradient(network, w, target)
        try:
            w = search.send(answer)
        except StopIteration as end:
            best, losses = end.value
            nearest: Tensor = best[losses.argmin()][None]
            return nearest
        yield from on_iteration(w)


def drawn(network: NetworkRef, w: Tensor) -> Points:
    """Return the pixels (B, 3, S, S) of points."""
    pixels: Tensor = yield Synthesise(network, w)
    return pixels.clamp(0, 1)
