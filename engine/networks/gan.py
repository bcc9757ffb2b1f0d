"""A generator of pictures and the discriminator it learns from, in pixels or in latents of a VAE.

Huang et al. 2024, "The GAN is dead; long live the GAN!" (R3GAN), https://arxiv.org/abs/2501.05441:
residual blocks of 1x1, grouped 3x3 and 1x1 convolutions with a wide middle, no normalisation
layers, initialised as Zhang et al. 2019 (fix-up), https://arxiv.org/abs/1901.09321.

Legend: z (B, Z) standard normal noise, looks (B,) int64 index into `GanConfig.looks`, w (B, D) what
the generator draws from, canvas (B, C, S, S) what it draws and the discriminator sees: pixels, or
normalised latents that the generator's own copy of a VAE's decoder turns into pixels.

A point may be longer than w: what follows, (B, E), is added to the coarsest features and to the
canvas. So a search comes near to pictures that no w draws.

Differs from the paper: a small network maps z and the look to w, so that each look has a mean to
truncate to. Batches are small here, so the discriminator may see how much those of a look differ
from one another (Karras et al. 2018, https://arxiv.org/abs/1710.10196, section 3); without that, a
generator of pixels repeats itself.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from engine.networks.vae import Decoder, VaeConfig

SLOPE = 0.2  # of leaky ReLUs
_GAIN = (2 / (1 + SLOPE**2)) ** 0.5  # keeps the variance through them
COARSEST = 4  # pixels of the coarsest stage
WASH = 4  # pixels on a side of each place of the colours that may be laid over a canvas of pixels
WASH_GAIN = 4.0  # so that a search comes to them in steps that suit w


@dataclass(frozen=True, kw_only=True, slots=True)
class GanConfig:
    """Sizes of both networks; widths go from the coarsest stage (4x4) to the finest.

    With `vae`, the canvas is the latents of an autoencoder of that configuration.
    """

    looks: Sequence[str] = ("any",)
    size: int = 64  # of a side of the canvas, S
    channels: int = 3  # of the canvas, C
    latent: int = 64  # Z
    styles: int = 128  # D
    generator_widths: Sequence[int] = (256, 128, 64)
    generator_blocks: Sequence[int] = (1, 1, 1)
    discriminator_widths: Sequence[int] = (128, 64, 48)  # up to S/4
    discriminator_blocks: Sequence[int] = (1, 1, 1)
    expansion: int = 2  # of a block's middle
    group: int = 16  # channels that one group of a 3x3 convolution sees
    finest: int = 0  # width of a last step that draws single pixels; 0: places drawn together
    spread: bool = False  # the discriminator sees how much the canvases of a look differ
    design: str = "r3gan"  # or "dcgan": see `engine.networks.dcgan`
    vae: Mapping[str, Any] | None = None

    @property
    def shuffle(self) -> int:
        """Places of the canvas that one of the generator's finest stage draws, on a side."""
        return self.size // int(COARSEST * 2 ** (len(self.generator_widths) - 1))


class ResidualBlock(nn.Module):
    """x + a 1x1, a grouped 3x3 and a 1x1 convolution; starts as the identity."""

    def __init__(self, width: int, expansion: int, group: int, depth: int) -> None:
        """`depth` blocks follow one another in the whole network."""
        super().__init__()
        middle = width * expansion
        # Fix-up: of three layers, the last is zero and the others shrink with the depth.
        gain = _GAIN * depth ** (-1 / 4)
        self.widen = _convolution(width, middle, 1, gain=gain)
        self.mix = _convolution(middle, middle, 3, groups=max(1, middle // group), gain=gain)
        self.narrow = _convolution(middle, width, 1, gain=0.0)

    def forward(self, x: Tensor) -> Tensor:
        """Refine features (B, C, H, W), same shape out."""
        out = self.mix(F.leaky_relu(self.widen(x), SLOPE))
        change: Tensor = self.narrow(F.leaky_relu(out, SLOPE))
        return x + change


def _convolution(
    before: int, width: int, kernel: int, *, groups: int = 1, stride: int = 1, gain: float = 1.0
) -> nn.Conv2d:
    """A convolution whose output has `gain` times its input's deviation; bias zero."""
    layer = nn.Conv2d(before, width, kernel, stride, kernel // 2, groups=groups)
    nn.init.normal_(layer.weight, std=gain * layer.weight[0].numel() ** -0.5)
    assert layer.bias is not None
    nn.init.zeros_(layer.bias)
    return layer


def _linear(before: int, width: int, gain: float = 1.0) -> nn.Linear:
    layer = nn.Linear(before, width)
    nn.init.normal_(layer.weight, std=gain * before**-0.5)
    nn.init.zeros_(layer.bias)
    return layer


class Generator(nn.Module):
    """Noise and a look -> w -> a picture."""

    mean_w: Tensor
    latent_mean: Tensor
    latent_std: Tensor

    def __init__(self, config: GanConfig) -> None:
        super().__init__()
        self.config = config
        self.looks = nn.Embedding(len(config.looks), config.latent)
        self.map = nn.Sequential(
            _linear(2 * config.latent, config.styles, _GAIN),
            nn.LeakyReLU(SLOPE),
            _linear(config.styles, config.styles),
        )
        self.register_buffer("mean_w", torch.zeros(len(config.looks), config.styles))
        widths, blocks = config.generator_widths, config.generator_blocks
        self.to_basis = _linear(config.styles, widths[0])
        self.basis = nn.Parameter(torch.randn(widths[0], COARSEST, COARSEST))
        self.stages = nn.ModuleList()
        before = widths[0]
        for width, count in zip(widths, blocks, strict=True):
            layers: list[nn.Module] = [_convolution(before, width, 1)] if width != before else []
            layers += [
                ResidualBlock(width, config.expansion, config.group, sum(blocks))
                for _ in range(count)
            ]
            self.stages.append(nn.Sequential(*layers))
            before = width
        self.finest: nn.Sequential | None = None
        if config.finest:
            self.finest = nn.Sequential(
                _convolution(before, config.finest, 1),
                nn.Upsample(scale_factor=config.shuffle, mode="bilinear"),
                _convolution(config.finest, config.finest, 3, gain=_GAIN),
                nn.LeakyReLU(SLOPE),
            )
            before = config.finest
        together = 1 if config.finest else config.shuffle**2
        self.to_canvas = _convolution(before, config.channels * together, 3, gain=0.5)
        # Places drawn together start alike, or the first pictures are all grid.
        first = self.to_canvas.weight.detach()[::together]
        self.to_canvas.weight.data.copy_(first.repeat_interleave(together, dim=0))
        self.decoder: Decoder | None = None
        if config.vae is not None:
            self.decoder = Decoder(VaeConfig(**config.vae))
            self.decoder.requires_grad_(requires_grad=False)
            self.register_buffer("latent_mean", torch.zeros(config.channels, 1, 1))
            self.register_buffer("latent_std", torch.ones(config.channels, 1, 1))

    def styles(self, z: Tensor, looks: Tensor) -> Tensor:
        """Map noise (B, Z) and looks (B,) to w (B, D)."""
        out: Tensor = self.map(torch.cat([z, self.looks(looks)], dim=1))
        return out

    def mean_styles(self, looks: Tensor) -> Tensor:
        """The average w of each look, (B, D)."""
        return self.mean_w[looks]

    @torch.no_grad()
    def fit_means(self, samples: int = 4096) -> None:
        """Set the average w of each look from as many noise vectors of a fixed seed."""
        generator = torch.Generator().manual_seed(0)
        z = torch.randn(samples, self.config.latent, generator=generator).to(self.mean_w)
        for look in range(len(self.config.looks)):
            looks = torch.full((samples,), look, device=z.device)
            self.mean_w[look] = self.styles(z, looks).mean(0)

    @property
    def extras(self) -> int:
        """How many numbers may follow w, E: for the coarsest features, then for the canvas."""
        return self.basis.numel() + self.config.channels * self._fine**2

    @property
    def _fine(self) -> int:
        """Places on a side of what may be added to the canvas.

        On pixels it is a coarse wash of colour: as many numbers as pixels would be the picture.
        """
        return self.config.size // (1 if self.decoder is not None else WASH)

    def draw(self, w: Tensor) -> Tensor:
        """The canvas of w or longer points: normalised latents, or pixels that are not clamped."""
        styles = self.config.styles
        w, coarse, fine = w.tensor_split((styles, styles + self.basis.numel()), dim=1)
        x = self.to_basis(w)[:, :, None, None] * self.basis
        if coarse.shape[1]:
            x = x + coarse.reshape(x.shape)
        for number, stage in enumerate(self.stages):
            if number:
                x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
            x = stage(x)
        if self.finest is None:
            canvas = F.pixel_shuffle(self.to_canvas(x), self.config.shuffle)
        else:
            canvas = self.to_canvas(self.finest(x))
        if fine.shape[1]:
            places = fine.reshape(len(canvas), self.config.channels, self._fine, self._fine)
            if self.decoder is None:
                size = canvas.shape[2:]
                places = WASH_GAIN * F.interpolate(places, size, mode="bilinear")
            canvas = canvas + places
        return canvas if self.decoder is not None else canvas / 2 + 0.5

    def pixels(self, w: Tensor) -> Tensor:
        """Pixels of w, not clamped, as a search wants them."""
        canvas = self.draw(w)
        if self.decoder is None:
            return canvas
        pixels: Tensor = self.decoder(canvas * self.latent_std + self.latent_mean)
        return pixels / 2 + 0.5

    def forward(self, w: Tensor) -> Tensor:
        """Pixels (B, 3, H, H) in [0, 1] of w (B, D)."""
        return self.pixels(w).clamp(0, 1)

    def configuration(self) -> dict[str, Any]:
        """Plain values from which `Generator(GanConfig(**values))` builds the same network."""
        return asdict(self.config)


class Discriminator(nn.Module):
    """A canvas and looks -> one number each (B,): higher where they seem real."""

    def __init__(self, config: GanConfig) -> None:
        super().__init__()
        self.config = config
        widths = list(config.discriminator_widths)[::-1]
        blocks = list(config.discriminator_blocks)[::-1]
        reduction = config.size // (COARSEST * 2 ** (len(widths) - 1))
        self.unshuffle = max(1, reduction // 2)
        channels, stride = config.channels * self.unshuffle**2, min(2, reduction)
        self.from_canvas = _convolution(channels, widths[0], 3, stride=stride)
        self.stages = nn.ModuleList()
        for number, (width, count) in enumerate(zip(widths, blocks, strict=True)):
            layers: list[nn.Module] = [
                ResidualBlock(width, config.expansion, config.group, sum(blocks))
                for _ in range(count)
            ]
            if number + 1 < len(widths):
                layers += [_convolution(width, widths[number + 1], 1), nn.AvgPool2d(2)]
            self.stages.append(nn.Sequential(*layers))
        deepest = widths[-1]
        self.basis = nn.Conv2d(deepest, deepest, COARSEST, groups=deepest, bias=False)
        nn.init.normal_(self.basis.weight, std=1 / COARSEST)
        self.out = _linear(2 * deepest if config.spread else deepest, config.styles)
        self.looks = nn.Embedding(len(config.looks), config.styles)

    def forward(self, canvas: Tensor, looks: Tensor) -> Tensor:
        """Judge canvases (B, C, S, S) of looks (B,); with `spread`, all real or all drawn."""
        x = canvas if self.config.vae is not None else canvas * 2 - 1
        x = self.from_canvas(F.pixel_unshuffle(x, self.unshuffle))
        for stage in self.stages:
            x = stage(x)
        seen = self.basis(x).flatten(1)
        if self.config.spread:
            seen = torch.cat([seen, spread_of(x, looks, len(self.config.looks))], dim=1)
        features = self.out(seen)
        # The projection of Miyato and Koyama 2018, https://arxiv.org/abs/1802.05637.
        scores: Tensor = (features * self.looks(looks)).sum(1)
        return scores / math.sqrt(features.shape[1])


def spread_of(x: Tensor, looks: Tensor, count: int) -> Tensor:
    """How much each feature (B, C, H, W) differs among the rows of the same look, (B, C)."""
    belongs = F.one_hot(looks, count).float()  # (B, L)
    share = belongs / belongs.sum(0).clamp(min=1)
    rows = x.float().flatten(1)
    mean = belongs @ (share.T @ rows)
    variance = belongs @ (share.T @ (rows - mean).square())
    return (variance + 1e-4).sqrt().view(x.shape).mean((2, 3))
