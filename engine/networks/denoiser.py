"""Denoiser of the pack: a small U-Net that predicts the velocity of rectified flow.

U-Net after Ho et al. 2020, https://arxiv.org/abs/2006.11239, with cross-attention after Rombach et
al. 2022, https://arxiv.org/abs/2112.10752; trained as in Liu et al. 2022,
https://arxiv.org/abs/2209.03003: x_t = (1 - t) x_0 + t noise, velocity = noise - x_0.

Every row has its own time and its result does not depend on the other rows of the batch.
"""

import math
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from engine.networks.text_encoder import Layer

PLACE_SIZE = 0.3  # of the marks of places at first, beside features of about 1


@dataclass(frozen=True, kw_only=True, slots=True)
class DenoiserConfig:
    """Sizes of a `Denoiser` of two stages; latents must have even height and width."""

    latent_channels: int = 8
    widths: tuple[int, int] = (128, 256)  # at full and at half the latents' size
    blocks: int = 2  # per stage, on the way down and on the way up
    heads: int = 4
    text_width: int = 256
    adapter_layers: int = 2
    deeper: int = 0  # further stages in the middle
    blueprint: int = 0  # hidden width of the `Blueprint`; 0 for a network without one
    text_length: int = 0  # places of a prompt that the adapter tells apart; 0 for none
    unsaid: int = 0  # numbers it is told of what the prompt leaves open; 0 for none


def time_features(t: Tensor, width: int) -> Tensor:
    """Sines and cosines (B, width) of times (B,) in [0, 1]."""
    rates = torch.exp(-math.log(1000) * torch.arange(width // 2, device=t.device) / (width // 2))
    angles = t.float()[:, None] * 1000 * rates[None] / 10
    return torch.cat([angles.sin(), angles.cos()], dim=1)


def place_features(length: int, width: int) -> Tensor:
    """Sines and cosines (length, width) of places; Vaswani et al. 2017, section 3.5."""
    rates = torch.exp(-math.log(100) * torch.arange(width // 2) / (width // 2))
    angles = torch.arange(length)[:, None] * rates[None]
    return torch.cat([angles.sin(), angles.cos()], dim=1)


class PixelNorm(nn.Module):
    """Group normalisation over 32 groups or fewer, scaled and shifted by a condition."""

    def __init__(self, width: int, condition: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(min(32, width // 8), width, affine=False)
        self.scale_shift = nn.Linear(condition, 2 * width)
        nn.init.zeros_(self.scale_shift.weight)
        nn.init.zeros_(self.scale_shift.bias)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """Normalise (B, C, H, W) with the condition (B, D)."""
        scale, shift = self.scale_shift(condition)[:, :, None, None].chunk(2, dim=1)
        steered: Tensor = torch.addcmul(shift, self.norm(x), 1 + scale)
        return steered


class ResidualBlock(nn.Module):
    """Two convolutions; the condition steers the second one's normalisation."""

    def __init__(self, before: int, width: int, condition: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(min(32, before // 8), before)
        self.first = nn.Conv2d(before, width, 3, padding=1)
        self.steered = PixelNorm(width, condition)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        self.skip = nn.Identity() if before == width else nn.Conv2d(before, width, 1)
        nn.init.zeros_(self.second.weight)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """Features (B, before, H, W) -> (B, width, H, W)."""
        out = self.first(F.silu(self.norm(x)))
        out = self.second(F.silu(self.steered(out, condition)))
        refined: Tensor = self.skip(x) + out
        return refined


class Attention(nn.Module):
    """Each place looks at all places and at the prompt's tokens, in one pass over both."""

    def __init__(self, width: int, heads: int, text_width: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.GroupNorm(1, width)
        self.qkv = nn.Linear(width, 3 * width)
        self.text = nn.Linear(text_width, 2 * width)
        self.out = nn.Linear(width, width)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, x: Tensor, tokens: Tensor) -> Tensor:
        """Mix features (B, C, H, W) with tokens (B, T, D)."""
        batch, width, height, wide = x.shape
        flat = self.norm(x).flatten(2).mT
        q, k, v = self._heads(self.qkv(flat), 3)
        text_k, text_v = self._heads(self.text(tokens), 2)
        keys, values = torch.cat([k, text_k], dim=2), torch.cat([v, text_v], dim=2)
        mixed = F.scaled_dot_product_attention(q, keys, values)
        mixed = self.out(mixed.transpose(1, 2).reshape(batch, height * wide, width))
        back: Tensor = mixed.mT.reshape(batch, width, height, wide)
        return x + back

    def _heads(self, x: Tensor, parts: int) -> tuple[Tensor, ...]:
        batch, length, _ = x.shape
        split = x.view(batch, length, parts, self.heads, -1).permute(2, 0, 3, 1, 4)
        return tuple(split[part] for part in range(parts))


class Stage(nn.Module):
    """A residual block, followed by attention where the stage has it."""

    def __init__(
        self, before: int, width: int, condition: int, attention: Attention | None
    ) -> None:
        super().__init__()
        self.block = ResidualBlock(before, width, condition)
        self.attention = attention

    def forward(self, x: Tensor, condition: Tensor, tokens: Tensor) -> Tensor:
        """Features (B, before, H, W) -> (B, width, H, W)."""
        out: Tensor = self.block(x, condition)
        return out if self.attention is None else self.attention(out, tokens)


class TextAdapter(nn.Module):
    """Reads the frozen encoder's tokens for what a picture needs of them.

    Returns tokens of the same shape for attention, and a vector of the whole prompt that steers
    every normalisation: what stands where, in which colour, which a mean of tokens would lose.

    An encoder of meanings says little of the order of words: "pink" has the same features wherever
    it stands. With a `length` each place is marked, so that a colour finds the noun it goes with.
    """

    def __init__(self, width: int, layers: int, condition: int, length: int) -> None:
        super().__init__()
        self.places = nn.Parameter(PLACE_SIZE * place_features(length, width)) if length else None
        self.layers = nn.ModuleList(Layer(width, 4) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.to_condition = nn.Linear(width, condition)

    def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Tokens (B, T, D), zero at padding -> tokens (B, T, D) and condition (B, C)."""
        valid = tokens.abs().amax(dim=-1) > 0
        x = tokens if self.places is None else tokens + self.places[: tokens.shape[1]]
        for layer in self.layers:
            x = layer(x, valid)
        x = self.norm(x) * valid[..., None]
        condition: Tensor = self.to_condition(x[:, 0])  # the start token has seen all others
        return x, condition


class Blueprint(nn.Module):
    """Draws a coarse map of the picture from the prompt alone, for the middle of the U-Net.

    What a thing looks like and where it stands would else have to come out of scales and shifts
    that are the same everywhere. The two linear layers act as a memory of shapes (Geva et al. 2021,
    https://arxiv.org/abs/2012.14913) and cost less than a hundredth of the network's work.
    """

    SIDE, CHANNELS = 8, 48

    def __init__(self, condition: int, hidden: int, width: int) -> None:
        super().__init__()
        self.recall = nn.Linear(condition, hidden)
        self.draw = nn.Linear(hidden, self.CHANNELS * self.SIDE**2)
        self.leave = nn.Conv2d(self.CHANNELS, width, 1)
        assert self.leave.bias is not None
        nn.init.zeros_(self.leave.weight)
        nn.init.zeros_(self.leave.bias)

    def forward(self, condition: Tensor, size: tuple[int, int]) -> Tensor:
        """Condition (B, D) -> features (B, width, *size)."""
        drawn = self.draw(F.gelu(self.recall(condition)))
        drawn = drawn.unflatten(1, (self.CHANNELS, self.SIDE, self.SIDE))
        if size != (self.SIDE, self.SIDE):
            drawn = F.interpolate(drawn, size, mode="bilinear", align_corners=False)
        features: Tensor = self.leave(drawn)
        return features


class Denoiser(nn.Module):
    """Velocity of noisy latents (B, C, h, w) at flow times (B,), given an encoded prompt."""

    def __init__(self, config: DenoiserConfig) -> None:
        super().__init__()
        self.config = config
        fine, coarse = config.widths
        condition = 2 * fine
        self.time = nn.Sequential(
            nn.Linear(fine, condition), nn.SiLU(), nn.Linear(condition, condition)
        )
        self.pooled = nn.Linear(config.text_width, condition)
        self.adapter = TextAdapter(
            config.text_width, config.adapter_layers, condition, config.text_length
        )
        # Two more channels hold each place's coordinates, so that "left" and "top" are plain.
        self.enter = nn.Conv2d(config.latent_channels + 2, fine, 3, padding=1)
        self.blueprint = (
            Blueprint(config.text_width + condition, config.blueprint, coarse)
            if config.blueprint
            else None
        )
        self.unsaid = _told(config.unsaid, condition) if config.unsaid else None
        count = config.blocks
        self.down_fine = nn.ModuleList(Stage(fine, fine, condition, None) for _ in range(count))
        self.shrink = nn.Conv2d(fine, coarse, 3, stride=2, padding=1)
        self.down_coarse = nn.ModuleList(
            Stage(coarse, coarse, condition, _attention(config)) for _ in range(count)
        )
        self.middle = Stage(coarse, coarse, condition, _attention(config))
        self.deeper = nn.ModuleList(
            Stage(coarse, coarse, condition, _attention(config)) for _ in range(config.deeper)
        )
        self.up_coarse = nn.ModuleList(
            Stage(2 * coarse, coarse, condition, _attention(config)) for _ in range(count)
        )
        self.grow = nn.Conv2d(coarse, 4 * fine, 1)
        self.up_fine = nn.ModuleList(Stage(2 * fine, fine, condition, None) for _ in range(count))
        self.norm = nn.GroupNorm(min(32, fine // 8), fine)
        self.leave = nn.Conv2d(fine, config.latent_channels, 3, padding=1)
        nn.init.zeros_(self.leave.weight)

    def forward(
        self, x: Tensor, t: Tensor, tokens: Tensor, pooled: Tensor, unsaid: Tensor | None = None
    ) -> Tensor:
        """Predict noise - x_0; tokens (B, T, D) and pooled (B, D) come from the text encoder.

        `unsaid` (B, config.unsaid) says what the prompt leaves open, zeros (or None) nothing.
        """
        tokens, whole = self.adapter(tokens)
        if self.unsaid is not None and unsaid is not None:
            whole = whole + self.unsaid(unsaid)
        condition = self.time(time_features(t, self.config.widths[0])) + self.pooled(pooled)
        condition = F.silu(condition + whole)
        x = self.enter(torch.cat([x, coordinates(x)], dim=1))
        skips: list[Tensor] = []
        for stage in self.down_fine:
            x = stage(x, condition, tokens)
            skips.append(x)
        x = self.shrink(x)
        if self.blueprint is not None:
            known = torch.cat([pooled, whole], dim=1)
            x = x + self.blueprint(known, (x.shape[-2], x.shape[-1]))
        for stage in self.down_coarse:
            x = stage(x, condition, tokens)
            skips.append(x)
        for stage in (self.middle, *self.deeper):
            x = stage(x, condition, tokens)
        for stage in self.up_coarse:
            x = stage(torch.cat([x, skips.pop()], dim=1), condition, tokens)
        x = F.pixel_shuffle(self.grow(x), 2)
        for stage in self.up_fine:
            x = stage(torch.cat([x, skips.pop()], dim=1), condition, tokens)
        out: Tensor = self.leave(F.silu(self.norm(x)))
        return out

    def configuration(self) -> dict[str, Any]:
        """Plain values from which `Denoiser(DenoiserConfig(**values))` builds the same network."""
        return asdict(self.config)


def _told(numbers: int, condition: int) -> nn.Sequential:
    """Makes numbers a part of the condition; has no effect at first, and of zeros never has any."""
    last = nn.Linear(condition, condition, bias=False)
    nn.init.zeros_(last.weight)
    return nn.Sequential(nn.Linear(numbers, condition, bias=False), nn.SiLU(), last)


def _attention(config: DenoiserConfig) -> Attention:
    return Attention(config.widths[1], config.heads, config.text_width)


def coordinates(x: Tensor) -> Tensor:
    """Rows and columns of each place of (B, C, h, w) in [-1, 1], as (B, 2, h, w)."""
    batch, _, height, width = x.shape
    rows = torch.linspace(-1, 1, height, device=x.device, dtype=x.dtype)
    columns = torch.linspace(-1, 1, width, device=x.device, dtype=x.dtype)
    grid = torch.stack(torch.meshgrid(rows, columns, indexing="ij"))
    return grid.expand(batch, -1, -1, -1)
