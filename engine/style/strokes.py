"""Brush strokes of one picture on another: patches of detail, chosen by what is under them.

An edge-preserving filter parts a picture into a base, with its edges and tones, and the detail on
it, with its grain and strokes. The content's detail gives way to patches of the style's: in each
place one whose own base is most like the base there. So strokes fit tones, and follow edges.

Chen and Schmidt 2016, "Fast Patch-based Style Transfer" (https://arxiv.org/abs/1612.04337)
He and Sun 2015, "Fast Guided Filter" (https://arxiv.org/abs/1505.00996)
Heitz and Neyret 2018, "High-Performance By-Example Noise" (https://doi.org/10.1145/3233304)

Pixels are (B, 3, H, W) in [0, 1]; H and W multiples of 8, at least 32.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

import torch
from torch import Tensor
from torch.nn import functional

SIDE = 32  # pixels of a patch
STEP = 16  # from one patch to the next, so that each pixel lies under four
COARSE = 4  # pixels of the base that count as one where patches are compared
COUNT = 2048  # patches kept of a style
KINDS = 4  # of patches in each row and column of places, in turn: no patch repeats itself nearby
REACH = 64  # pixels, a multiple of KINDS * STEP: what is further away changes nothing
RADIUS = 2  # of the filter's window, in coarse pixels
FLAT = 0.01  # variance of a window that is smoothed as much as kept
FLAT_IN_STYLE = 0.02  # more of a painting counts as its strokes
AMOUNT = 1.3  # of the style's detail: its patches soften where they cross
SPARED = 0.6  # of an edge of the content is free of strokes, so that eyes stay eyes


@dataclass(frozen=True, slots=True, eq=False)
class Strokes:
    """Patches of one or more styles, in random order."""

    bases: Tensor  # (B, K, D) coarse pixels under each patch
    details: Tensor  # (B, K, 3 * SIDE * SIDE) in half precision

    def __len__(self) -> int:
        return len(self.bases)


def strokes_of(pixels: Tensor, count: int = COUNT) -> Strokes:
    """Patches from random places of a picture (1, 3, H, W), ever the same ones; one row."""
    base, coarse, _ = _based(pixels, FLAT_IN_STYLE)
    detail = (pixels - base)[0].half()
    under = _patches(coarse, 1)[0]
    generator = torch.Generator().manual_seed(0)
    chosen = torch.randint(len(under), (count,), generator=generator)
    across = coarse.shape[3] - SIDE // COARSE + 1
    windows = detail.unfold(1, SIDE, COARSE).unfold(2, SIDE, COARSE).permute(1, 2, 0, 3, 4)
    details = windows[chosen // across, chosen % across]
    return Strokes(under[chosen][None], details.flatten(1)[None])


def mixed(strokes: Sequence[Strokes], weights: Sequence[float]) -> Strokes:
    """Patches of several styles, of each as many of the whole as it weighs; one row."""
    count = strokes[0].bases.shape[1]
    bounds = [round(count * part / sum(weights)) for part in accumulate(weights, initial=0.0)]
    shares = [stop - start for start, stop in pairwise(bounds)]
    parts = list(zip(strokes, shares, strict=True))
    return Strokes(
        torch.cat([own.bases[:, :share] for own, share in parts], dim=1),
        torch.cat([own.details[:, :share] for own, share in parts], dim=1),
    )


def chosen_anew(strokes: Strokes, generator: torch.Generator) -> Strokes:
    """As many patches, drawn from those there are: some are missing, some there more than once."""
    count = strokes.bases.shape[1]
    chosen = torch.randint(count, (count,), generator=generator)
    return Strokes(strokes.bases[:, chosen], strokes.details[:, chosen])


def laid(pixels: Tensor, strokes: Strokes, strength: Tensor) -> Tensor:
    """Pixels with the detail of each row's strokes, by strength (B,), in place of their own."""
    base, coarse, edges = _based(pixels, FLAT)
    height, width = pixels.shape[2:]
    right, bottom = -width % STEP, -height % STEP
    border = torch.tensor([STEP, STEP + right, STEP, STEP + bottom])
    around = functional.pad(coarse, (border // COARSE).tolist(), mode="replicate")
    chosen = _most_alike(_patches(around, STEP // COARSE), strokes.bases, around.shape[3])
    windows = _window(pixels)
    size = (height + bottom + 2 * STEP, width + right + 2 * STEP)
    details = torch.stack(
        [row[places].to(pixels) for row, places in zip(strokes.details, chosen, strict=True)]
    )
    total = functional.fold((details * windows).mT, size, SIDE, stride=STEP)
    # Patches know nothing of each other, so that their variances add up: the root of the summed
    # squares, not the sum of the windows, keeps the contrast where they cross (Heitz and Neyret).
    squares = windows.square().expand(1, chosen.shape[1], -1)
    spread = functional.fold(squares.mT, size, SIDE, stride=STEP).sqrt()
    detail = (total / spread)[:, :, STEP : STEP + height, STEP : STEP + width]
    painted = base + AMOUNT * (1 - SPARED * edges) * detail
    return torch.lerp(pixels, painted, strength[:, None, None, None])


def _based(pixels: Tensor, flat: float) -> tuple[Tensor, Tensor, Tensor]:
    """The picture without its detail, that in coarse pixels, and where edges are, 0..1.

    He and Sun 2015, Algorithm 2.
    """
    small = functional.avg_pool2d(pixels, COARSE)
    mean = _blurred(small)
    variance = _blurred(functional.avg_pool2d(pixels.square(), COARSE)) - mean.square()
    # Differs from the paper: one share for all three colours, so that none bleeds over an edge.
    variance = variance.mean(1, keepdim=True)
    share = variance / (variance + flat)
    rest = _blurred(mean * (1 - share))
    share = _blurred(share)
    size = tuple(pixels.shape[2:])
    edges = _enlarged(share, size)
    return edges * pixels + _enlarged(rest, size), share * small + rest, edges


def _blurred(x: Tensor) -> Tensor:
    padded = functional.pad(x, [RADIUS] * 4, mode="replicate")
    return functional.avg_pool2d(padded, 2 * RADIUS + 1, stride=1)


def _enlarged(x: Tensor, size: tuple[int, ...]) -> Tensor:
    return functional.interpolate(x, size=size, mode="bilinear", align_corners=False)


def _patches(coarse: Tensor, step: int) -> Tensor:
    """The coarse pixels under every patch, (B, 3, h, w) -> (B, N, D)."""
    return functional.unfold(coarse, SIDE // COARSE, stride=step).mT


def _most_alike(places: Tensor, bases: Tensor, width: int) -> Tensor:
    """Which patch (B, K, D), of the kind that may lie there, is nearest to each place (B, N, D)."""
    score = places @ bases.mT - bases.square().sum(2)[:, None] / 2
    columns = (width - SIDE // COARSE) // (STEP // COARSE) + 1
    place = torch.arange(places.shape[1], device=places.device)
    kind = place // columns % KINDS * KINDS + place % columns % KINDS
    patch = torch.arange(bases.shape[1], device=places.device)
    score.masked_fill_(patch % KINDS**2 != kind[:, None], -torch.inf)
    return score.argmax(2)


def _window(like: Tensor) -> Tensor:
    """How much each pixel of a patch counts, (3 * SIDE * SIDE,)."""
    place = (torch.arange(SIDE, device=like.device, dtype=like.dtype) + 0.5) / SIDE
    along = torch.sin(torch.pi * place).square()
    return torch.outer(along, along).flatten().repeat(3)
