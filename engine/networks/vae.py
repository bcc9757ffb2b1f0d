"""Variational autoencoder of the pack: pixels (B, 3, H, W) <-> latents (B, C, H/8, W/8).

Kingma and Welling 2013, https://arxiv.org/abs/1312.6114. Convolutions alone and no normalisation
layers, so that a latent depends on its surroundings only and pictures of any size can be coded.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F


@dataclass(frozen=True, kw_only=True, slots=True)
class VaeConfig:
    """Sizes of a `Vae`; widths go from the finest stage (H/2) to the coarsest (H/8)."""

    latent_channels: int = 8
    encoder_widths: Sequence[int] = (32, 64, 128)
    decoder_widths: Sequence[int] = (32, 72, 144)
    encoder_blocks: int = 2
    decoder_blocks: Sequence[int] = (2, 2, 3)


def reparametrised(mean: Tensor, log_variance: Tensor, noise: Tensor) -> Tensor:
    """A sample of N(mean, variance) that gradients pass through; Kingma and Welling 2013, 2.4."""
    return mean + noise * (0.5 * log_variance).exp()


class ResidualBlock(nn.Module):
    """x + conv(silu(conv(silu(x)))); starts as the identity, so it needs no normalisation."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        nn.init.normal_(self.second.weight, std=1e-3)
        nn.init.zeros_(self.second.bias if self.second.bias is not None else torch.empty(0))

    def forward(self, x: Tensor) -> Tensor:
        """Refine features (B, C, H, W), same shape out."""
        out: Tensor = self.second(F.silu(self.first(F.silu(x))))
        return x + out


class Encoder(nn.Module):
    """Pixels -> mean and log variance of the latents, (B, 2C, H/8, W/8)."""

    def __init__(self, config: VaeConfig) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.PixelUnshuffle(2)]
        before = 12
        for stage, width in enumerate(config.encoder_widths):
            layers.append(nn.Conv2d(before, width, 3, padding=1, stride=1 if stage == 0 else 2))
            layers += [ResidualBlock(width) for _ in range(config.encoder_blocks)]
            before = width
        layers += [nn.SiLU(), nn.Conv2d(before, 2 * config.latent_channels, 3, padding=1)]
        self.layers = nn.Sequential(*layers)

    def forward(self, pixels: Tensor) -> Tensor:
        """Encode pixels in [-1, 1]."""
        out: Tensor = self.layers(pixels)
        return out


class Decoder(nn.Module):
    """Latents (B, C, h, w) -> pixels (B, 3, 8h, 8w) in about [-1, 1]."""

    def __init__(self, config: VaeConfig) -> None:
        super().__init__()
        widths = list(config.decoder_widths)[::-1]
        blocks = list(config.decoder_blocks)[::-1]
        layers: list[nn.Module] = [nn.Conv2d(config.latent_channels, widths[0], 3, padding=1)]
        for stage, (width, count) in enumerate(zip(widths, blocks, strict=True)):
            if stage:
                layers.append(nn.Upsample(scale_factor=2))
                layers.append(nn.Conv2d(widths[stage - 1], width, 3, padding=1))
            layers += [ResidualBlock(width) for _ in range(count)]
        layers += [nn.SiLU(), nn.Conv2d(widths[-1], 12, 3, padding=1), nn.PixelShuffle(2)]
        self.layers = nn.Sequential(*layers)

    def forward(self, latents: Tensor) -> Tensor:
        """Decode raw (not normalised) latents."""
        out: Tensor = self.layers(latents)
        return out


class Vae(nn.Module):
    """The autoencoder with its latent statistics and a linear preview.

    `encode` and `decode` speak in normalised latents: zero mean and unit variance per channel over
    the training pictures, which is what the denoiser works on.
    """

    mean: Tensor
    std: Tensor
    latent_rgb: Tensor

    def __init__(self, config: VaeConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = Encoder(config)
        self.decoder = Decoder(config)
        channels = config.latent_channels
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("std", torch.ones(channels))
        # (C + 1, 3): colour = latents @ latent_rgb[:C] + latent_rgb[C], in [0, 1]
        self.register_buffer("latent_rgb", torch.zeros(channels + 1, 3))

    def posterior(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log variance of the raw latents of pixels (B, 3, H, W) in [0, 1]."""
        mean, log_variance = self.encoder(pixels * 2 - 1).chunk(2, dim=1)
        return mean, log_variance.clamp(-12, 4)

    def sample(self, pixels: Tensor, noise: Tensor) -> Tensor:
        """Normalised latents drawn from the posterior of pixels in [0, 1] by standard normal noise.

        `noise` is (B, C, H/8, W/8). Without pixels, normalised latents are drawn as N(0, 1), and
        `decode(noise)` is a sample of that prior.
        """
        raw = reparametrised(*self.posterior(pixels), noise)
        return (raw - self.mean[:, None, None]) / self.std[:, None, None]

    def decode_raw(self, latents: Tensor) -> Tensor:
        """Pixels of raw latents, not clamped, as the training loss wants them."""
        out: Tensor = self.decoder(latents) / 2 + 0.5
        return out

    def encode(self, pixels: Tensor) -> Tensor:
        """Normalised latents of pixels in [0, 1]; height and width must be multiples of 8."""
        mean, _ = self.posterior(pixels)
        return (mean - self.mean[:, None, None]) / self.std[:, None, None]

    def decode(self, latents: Tensor) -> Tensor:
        """Pixels in [0, 1] of normalised latents (B, C, h, w)."""
        raw = latents * self.std[:, None, None] + self.mean[:, None, None]
        return self.decode_raw(raw).clamp(0, 1)

    def preview(self, latents: Tensor) -> Tensor:
        """A rough picture (B, 3, h, w) in [0, 1]: one linear map per latent."""
        rgb = torch.einsum("bchw,cr->brhw", latents, self.latent_rgb[:-1])
        return (rgb + self.latent_rgb[-1][:, None, None]).clamp(0, 1)

    def configuration(self) -> dict[str, Any]:
        """Plain values from which `Vae(VaeConfig(**values))` builds the same network."""
        return asdict(self.config)
