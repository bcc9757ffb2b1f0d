"""Passes of more and more rows through a model, which nobody waits for, so that they are timed.

A call is answered with None in place of its result where the worker allows no pass of so many
rows; then no more are asked for. What the passes compute is thrown away.
"""

from collections.abc import Callable, Generator
from typing import Any, TypeAlias

import torch

from engine.calls import (
    Call,
    Decode,
    Denoise,
    DescribeLatents,
    Encode,
    EncodeText,
    Enlarge,
    Facts,
    MapNoise,
    NetworkRef,
    Pipeline,
    Synthesise,
)
from engine.diffusion.conditioning import rows as rows_of
from engine.diffusion.noise import ImageNoise
from engine.pipelines.stages.autoencoding import AT_ONCE
from engine.pipelines.stages.canvas import canvas_of
from engine.requests import Span

_Of: TypeAlias = Callable[[int], Call]  # the same call of so many rows

_SIGMA = 1.0  # any will do


def drawing(network: NetworkRef, width: int, height: int) -> Pipeline:
    """Go through all that pictures of `width` x `height` pixels from a prompt need of a model."""
    facts = yield Facts(network)
    canvas = canvas_of(width, height, facts)
    text = yield EncodeText(network, ((Span(""),),), canvas.drawn_width, canvas.drawn_height)
    noise = ImageNoise((0,), (facts.latent_channels, *canvas.latent_size)).draw()

    def denoise(rows: int) -> Call:
        sigma = torch.full((rows,), _SIGMA)
        return Denoise(network, noise.repeat(rows, 1, 1, 1), sigma, rows_of(text, [0] * rows))

    yield from _growing(denoise)
    if canvas.drawn_width * canvas.drawn_height <= AT_ONCE:  # larger ones are decoded in tiles
        yield from _growing(lambda rows: Decode(network, noise.repeat(rows, 1, 1, 1)))
        pixels = yield Decode(network, noise)
        if facts.output_upscale > 1:
            factor = facts.output_upscale
            yield from _growing(lambda rows: Enlarge(network, pixels.repeat(rows, 1, 1, 1), factor))
        yield from _growing(lambda rows: Encode(network, pixels.repeat(rows, 1, 1, 1)))
    if facts.has_preview:
        yield from _growing(lambda rows: Decode(network, noise.repeat(rows, 1, 1, 1), preview=True))
    return ()


def dreaming(network: NetworkRef) -> Pipeline:
    """Go through all that dreams need of a generator."""
    space = yield DescribeLatents(network)
    z = ImageNoise((0,), (space.latent,)).draw()
    look = torch.zeros(1, dtype=torch.int64)
    w = yield MapNoise(network, z, look)
    yield from _growing(lambda rows: Synthesise(network, w.repeat(rows, 1)))
    yield from _growing(lambda rows: MapNoise(network, z.repeat(rows, 1), look.repeat(rows)))
    return ()


def _growing(of: _Of) -> Generator[Call, Any, None]:
    """Ask for one row twice, as first passes are slow, then for twice as many each time."""
    yield of(1)
    rows = 1
    while (yield of(rows)) is not None:
        rows *= 2
