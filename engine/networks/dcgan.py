"""The classic pair: a DCGAN generator and a critic for WGAN-GP, with the interface of `gan`.

Radford et al. 2015, https://arxiv.org/abs/1511.06434 (transposed convolutions, batch norm, ReLU).
Gulrajani et al. 2017, https://arxiv.org/abs/1704.00028: the critic has no batch norm, as its
gradient penalty is one of each picture. Here w is the noise plus the look's own vector, (B, Z).
"""

import itertools
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from engine.networks.gan import COARSEST, SLOPE, GanConfig


class DcganGenerator(nn.Module):
    """Noise and a look -> w -> a picture; batch norm uses running statistics when drawing."""

    def __init__(self, config: GanConfig) -> None:
        super().__init__()
        self.config = config
        self.looks = nn.Embedding(len(config.looks), config.latent)
        widths = config.generator_widths
        layers: list[nn.Module] = [
            nn.ConvTranspose2d(config.latent, widths[0], COARSEST, bias=False),
            nn.BatchNorm2d(widths[0]),
            nn.ReLU(),
        ]
        for before, width in itertools.pairwise(widths):
            layers += [
                nn.ConvTranspose2d(before, width, 4, stride=2, padding=1, bias=False),
                nn.BatchNorm2d(width),
                nn.ReLU(),
            ]
        layers.append(nn.ConvTranspose2d(widths[-1], 3, 4, stride=2, padding=1))
        self.layers = nn.Sequential(*layers)
        for layer in self.layers:
            if isinstance(layer, nn.ConvTranspose2d):
                nn.init.normal_(layer.weight, std=0.02)

    def styles(self, z: Tensor, looks: Tensor) -> Tensor:
        """Add the look to noise (B, Z)."""
        out: Tensor = z + self.looks(looks)
        return out

    def mean_styles(self, looks: Tensor) -> Tensor:
        """The average w of each look, (B, Z)."""
        out: Tensor = self.looks(looks)
        return out

    def fit_means(self, samples: int = 0) -> None:
        """Nothing to fit: noise has a mean of zero, so the mean is the look's own vector."""

    def draw(self, w: Tensor) -> Tensor:
        """Pixels of w."""
        out: Tensor = torch.tanh(self.layers(w[:, :, None, None])) / 2 + 0.5
        return out

    @property
    def extras(self) -> int:
        """No numbers may follow w."""
        return 0

    def pixels(self, w: Tensor) -> Tensor:
        """The same: this generator draws pixels."""
        return self.draw(w)

    def forward(self, w: Tensor) -> Tensor:
        """Pixels (B, 3, S, S) in [0, 1] of w (B, Z)."""
        return self.draw(w)

    def configuration(self) -> dict[str, Any]:
        """Plain values from which the same network can be built."""
        return asdict(self.config)


class Critic(nn.Module):
    """Pixels and looks -> one number each (B,), any real number."""

    def __init__(self, config: GanConfig) -> None:
        super().__init__()
        widths = list(config.generator_widths)[::-1]
        layers: list[nn.Module] = []
        before = 3
        for width in widths:
            layers += [nn.Conv2d(before, width, 4, stride=2, padding=1), nn.LeakyReLU(SLOPE)]
            before = width
        self.layers = nn.Sequential(*layers)
        self.out = nn.Linear(before * COARSEST**2, 1)
        self.looks = nn.Embedding(len(config.looks), before)

    def forward(self, pixels: Tensor, looks: Tensor) -> Tensor:
        """Judge pictures (B, 3, S, S) of looks (B,)."""
        features = self.layers(pixels * 2 - 1)
        pooled = F.adaptive_avg_pool2d(features, 1).flatten(1)
        total: Tensor = self.out(features.flatten(1))[:, 0] + (pooled * self.looks(looks)).sum(1)
        return total
