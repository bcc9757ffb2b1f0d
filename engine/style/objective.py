"""What a decoder that restyles is trained to: the content's features with the style's statistics.

Content and statistics losses of Huang and Belongie 2017, with the Gram loss of Gatys et al. 2016
beside them, so that correlations of features are learnt and not their means alone. Each counts
relative to the size of its target, as levels differ in size.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from engine.style import losses

LEAST_SIZE = 0.25  # of a target, to the mean of its batch


@dataclass(frozen=True, kw_only=True, slots=True)
class Weights:
    """How much each part counts."""

    content: float = 1.0
    statistics: float = 4.0
    gram: float = 4.0
    variation: float = 2.0
    overflow: float = 4.0  # of pixels outside of 0..1


def restyling_loss(
    pixels: Tensor,
    found: Sequence[Tensor],
    content: Tensor,
    codes: Sequence[Tensor],
    grams: Sequence[Tensor],
    weights: Weights,
) -> Tensor:
    """The loss () of restyled pixels (B, 3, H, W), by the features (B, C, h, w) `found` in them.

    `content` are the deepest features they should have, `codes` (B or 1, 2C) and `grams`
    (B or 1, C, C) each level's statistics of the style.
    """
    total = weights.content * _relative(losses.content_loss(found[-1], content), content)
    for level, code, gram in zip(found, codes, grams, strict=True):
        mean, deviation = code.chunk(2, dim=1)
        own = losses.channel_statistics(level)
        off = losses.statistics_loss(own, (mean, deviation))
        total = total + weights.statistics * _relative(off, code)
        off = losses.gram_loss(losses.gram_matrix(level), gram)
        total = total + weights.gram * _relative(off, gram)
    total = total + weights.variation * losses.total_variation_loss(pixels).mean()
    outside = (pixels - pixels.clamp(0, 1)).abs().mean()
    loss: Tensor = total + weights.overflow * outside
    return loss


def _relative(loss: Tensor, target: Tensor) -> Tensor:
    """The mean of losses (B,), each by the size of its target, which a flat picture hardly has.

    Such a target counts as one of a share of the usual size, or it would outweigh all others.
    """
    sizes = target.float().square().flatten(1).mean(1)
    return (loss / sizes.clamp_min(LEAST_SIZE * float(sizes.mean()) + 1e-6)).mean()
