"""A style as it is kept: the code that a decoder applies, and the Gram matrices of an optimiser."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from engine.style.strokes import Strokes, chosen_anew, mixed


@dataclass(frozen=True, slots=True, eq=False)
class Style:
    """Rows of statistics of one or more styles; small enough to be stored."""

    code: Tensor  # (B, S) means and deviations of all levels
    grams: tuple[Tensor, ...]  # (B, C, C) of each level
    mean: Tensor  # (B, 3) of the picture's colours in 0..1
    covariance: Tensor  # (B, 3, 3)
    # (B, N, Q) of each level: features along random directions, at so many quantiles; may be empty
    slices: tuple[Tensor, ...] = ()
    strokes: Strokes | None = None  # where the fast method will lay them

    def __len__(self) -> int:
        return len(self.code)


def blended(styles: Sequence[Style], weights: Sequence[float]) -> Style:
    """One row: the weighted mean of several, in feature space; the weights are normalised."""
    total = sum(weights)
    shares = torch.tensor([weight / total for weight in weights])

    def mix(parts: list[Tensor]) -> Tensor:
        stacked = torch.cat(parts)
        share = shares.view(-1, *[1] * (stacked.dim() - 1))
        return (stacked * share).sum(0, keepdim=True)

    levels = range(len(styles[0].grams))
    strokes = [style.strokes for style in styles if style.strokes]
    return Style(
        mix([style.code for style in styles]),
        tuple(mix([style.grams[level] for style in styles]) for level in levels),
        mix([style.mean for style in styles]),
        mix([style.covariance for style in styles]),
        # The mean of quantiles is the barycentre of distributions along each direction.
        tuple(mix([style.slices[level] for style in styles]) for level in _levels(styles)),
        mixed(strokes, weights) if len(strokes) == len(styles) else None,
    )


def _levels(styles: Sequence[Style]) -> range:
    return range(min(len(style.slices) for style in styles))


def perturbed(style: Style, amount: float, generator: torch.Generator) -> Style:
    """The style, moved at random by about `amount` of itself; the same for the same generator."""
    if amount == 0:
        return style
    factor = 1 + amount * torch.randn(style.code.shape, generator=generator)
    grams = []
    for gram in style.grams:
        # Scaling channels keeps a Gram matrix one: symmetric, without negative eigenvalues.
        scale = 1 + amount * torch.randn(gram.shape[:2], generator=generator)
        grams.append(gram * scale[:, :, None] * scale[:, None, :])
    scale = 1 + amount * torch.randn(style.mean.shape, generator=generator)
    spread = style.covariance.diagonal(dim1=1, dim2=2).sqrt()
    moved = amount * spread * torch.randn(style.mean.shape, generator=generator)
    covariance = style.covariance * scale[:, :, None] * scale[:, None, :]
    slices = tuple(
        part * (1 + amount * torch.randn(*part.shape[:2], 1, generator=generator))
        for part in style.slices
    )
    strokes = style.strokes and chosen_anew(style.strokes, generator)
    return Style(style.code * factor, tuple(grams), style.mean + moved, covariance, slices, strokes)
