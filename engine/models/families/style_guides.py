"""What guides an optimiser of pixels: features of the shipped encoder or VGG-19, and a loss."""

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from engine.networks.style import StyleTransfer
from engine.networks.vgg import CONTENT_LAYER, STYLE_LAYERS, Vgg19
from engine.style import losses

# Of the shipped encoder. Deeper levels, a half or a quarter of the size, do not see what the finest
# one's Gram matrix then fills a picture with: combs, dots and double contours a few pixels wide.
CONTENT_LEVEL = 0
STYLE_GAIN = 4.0  # as so fine a level holds the content firmly; at twice as much, faces go
SLICES, QUANTILES = 32, 256  # directions of the sliced loss, and what is kept along each
VARIATION_WEIGHT = 10.0  # of total variation in the optimiser's loss; less leaves coloured grain


class Extractor(Protocol):
    """What an optimiser needs of a network."""

    style_gain: float  # how much the style counts beside what the network holds of a content

    def features(self, pixels: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Content features (B, C, h, w), and those of each style level."""
        ...


class PackExtractor:
    """The shipped encoder: the finest level is the content, all are the style."""

    style_gain = STYLE_GAIN

    def __init__(self, network: StyleTransfer) -> None:
        self._network = network

    def features(self, pixels: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Content features (B, C, h, w), and those of each style level."""
        levels = self._network.encoder(pixels)
        return levels[CONTENT_LEVEL], levels


class VggExtractor:
    """The layers of Gatys et al. 2016."""

    style_gain = 1.0

    def __init__(self, network: Vgg19) -> None:
        self._network = network

    def features(self, pixels: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Content features (B, C, h, w), and those of each style level."""
        found = self._network(pixels, [*STYLE_LAYERS, CONTENT_LAYER])
        return found[CONTENT_LAYER], [found[name] for name in STYLE_LAYERS]


def directions_for(level: Tensor) -> Tensor:
    """Along which features (B, C, H, W) of a level are compared: ever the same ones, (N, C)."""
    generator = torch.Generator().manual_seed(0)
    return losses.random_directions(level.shape[1], SLICES, generator).to(level.device)


def slices_of(levels: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """What the sliced loss needs of a style's levels, (B, N, Q) each."""
    return tuple(
        losses.projected_quantiles(level, directions_for(level), QUANTILES) for level in levels
    )


def guided_loss(
    extractor: Extractor,
    x: Tensor,
    content: Tensor,
    grams: Sequence[Tensor],
    weight: Tensor,
    slices: Sequence[Tensor] = (),
) -> Tensor:
    """Gatys et al. 2016, eq. 7, with total variation; (B,). Slices count in place of `grams`.

    Differs from the paper: content and each level count relative to the size of their targets, so
    that one style weight serves networks and pictures of any size.
    """
    features, levels = extractor.features(x)
    total = losses.content_loss(features, content) / _size(content)
    share = weight * extractor.style_gain / len(levels)
    for number, level in enumerate(levels):
        if slices:
            wanted = slices[number]
            error = losses.sliced_loss(level, wanted, directions_for(level))
        else:
            wanted = grams[number]
            error = losses.gram_loss(losses.gram_matrix(level), wanted)
        total = total + share * error / _size(wanted)
    return total + VARIATION_WEIGHT * losses.total_variation_loss(x)


def _size(target: Tensor) -> Tensor:
    return target.square().flatten(1).mean(1).clamp_min(1e-8)
