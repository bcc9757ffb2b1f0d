"""Rows of conditioning: taken apart, put together, turned away from the usual."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional

from engine.calls import Conditioning, StyleTokens
from engine.diffusion.noise import generator_of
from engine.requests import Prompt, Span

WEIRD_RANGE = 3000
WEIRD_ANGLE = 0.7  # radians at the end of the range
CHAOS_RANGE = 100
CHAOS_ANGLE = 0.5  # radians at the end of the range


def negative_row(prompt: Prompt) -> tuple[Span, ...]:
    """Return what to steer away from as one row of spans; empty where nothing is named.

    Weights count against each other: the strongest part keeps its spans' own weights.
    """
    parts = [part for part in prompt if part.weight < 0]
    strongest = max((-part.weight for part in parts), default=1.0)
    row: list[Span] = []
    for part in parts:
        share = -part.weight / strongest
        row += [Span(", ")] if row else []
        row += [replace(span, weight=span.weight * share) for span in part.spans]
    return tuple(row)


def rows(conditioning: Conditioning, indices: Sequence[int]) -> Conditioning:
    """Return the rows of those indices, in that order, repeated where asked twice."""
    chosen = torch.tensor(list(indices), device=conditioning.tokens.device)
    style = conditioning.style
    return Conditioning(
        conditioning.tokens[chosen],
        conditioning.pooled[chosen],
        conditioning.extra[chosen],
        style and StyleTokens(style.tokens[chosen], style.scale[chosen]),
    )


def joined(parts: Iterable[Conditioning]) -> Conditioning:
    """Return all rows one after the other; those without style references have them at scale 0."""
    parts = list(parts)
    return Conditioning(
        torch.cat([part.tokens for part in parts]),
        torch.cat([part.pooled for part in parts]),
        torch.cat([part.extra for part in parts]),
        _joined_styles(parts),
    )


def _joined_styles(parts: Sequence[Conditioning]) -> StyleTokens | None:
    shown = next((part.style for part in parts if part.style is not None), None)
    if shown is None:
        return None
    styles = [
        part.style
        or StyleTokens(
            shown.tokens.new_zeros(len(part), *shown.tokens.shape[1:]),
            shown.scale.new_zeros(len(part)),
        )
        for part in parts
    ]
    return StyleTokens(
        torch.cat([style.tokens for style in styles]), torch.cat([style.scale for style in styles])
    )


def turned(row: Conditioning, angle: float, seed: int, purpose: str) -> Conditioning:
    """Return one row turned by `angle` radians towards a random direction at right angles to it.

    Its length stays, so that the network sees nothing out of scale. The same seed and purpose
    always give the same direction.
    """
    if angle == 0:
        return row
    generator = generator_of(seed, purpose)
    return replace(
        row,
        tokens=_turned(row.tokens, angle, generator),
        pooled=_turned(row.pooled, angle, generator),
    )


def strayed(row: Conditioning, seed: int, *, weird: int, chaos: int) -> Conditioning:
    """Return the row as the image of that seed sees it; weird is 0..3000, chaos 0..100."""
    row = turned(row, WEIRD_ANGLE * weird / WEIRD_RANGE, seed, "weird")
    return turned(row, CHAOS_ANGLE * chaos / CHAOS_RANGE, seed, "chaos")


def _turned(vectors: Tensor, angle: float, generator: torch.Generator) -> Tensor:
    """Turn the vectors of the last dimension, each within a plane of its own."""
    if vectors.numel() == 0:
        return vectors
    direction = torch.randn(vectors.shape, generator=generator).to(vectors)
    along: Tensor = functional.normalize(vectors, dim=-1)
    across: Tensor = functional.normalize(
        direction - (direction * along).sum(-1, keepdim=True) * along, dim=-1
    )
    length = vectors.norm(dim=-1, keepdim=True)
    result: Tensor = vectors * math.cos(angle) + across * length * math.sin(angle)
    return result
