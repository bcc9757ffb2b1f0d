"""Feed-forward style transfer: an encoder whose statistics are a style, and a decoder.

Huang and Belongie 2017, "Arbitrary Style Transfer in Real-time with Adaptive Instance
Normalization" (https://arxiv.org/abs/1703.06868). Differs from the paper: the statistics of every
level are replaced, not of the deepest alone, and the decoder sees each level of the content so
changed; so fine contours survive an encoder of under a million parameters.

Pixels are (B, 3, H, W) in [0, 1]; H and W multiples of 8. A style code is (B, 2 * sum(widths)):
means and standard deviations of each level, finest first.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from engine.style.losses import channel_statistics

# By which of 3 weights each of 2 small neighbours counts, in even and in odd rows (2, 2, 3)
DOUBLED = torch.tensor([[[1.0, 0, 0], [0, 1, 1]], [[1, 1, 0], [0, 0, 1]]])

NOTHING: Mapping[str, Tensor] = MappingProxyType({})


@dataclass(frozen=True, kw_only=True, slots=True)
class StyleConfig:
    """Channels of the levels at 1, 1/2, 1/4 and 1/8 of the picture's size."""

    widths: Sequence[int] = (32, 64, 128, 192)


def statistics(features: Tensor) -> Tensor:
    """Means and deviations of each channel in fp32, (B, C, H, W) -> (B, 2C)."""
    return torch.cat(channel_statistics(features), dim=1)


def adapt(features: Tensor, code: Tensor, own: Tensor | None = None) -> Tensor:
    """Give features (B, C, H, W) the statistics `code` (B, 2C); Huang and Belongie 2017, eq. 8.

    `own` are the statistics to take away: by default those of the features themselves. Tiles of one
    picture share the statistics of the whole, so that they meet without a seam.
    """
    own = statistics(features) if own is None else own
    mean, deviation = own[..., None, None].chunk(2, dim=1)
    new_mean, new_deviation = code[..., None, None].chunk(2, dim=1)
    scale = new_deviation / deviation
    shift = new_mean - mean * scale
    # In the precision of the statistics: a flat channel is scaled by hundreds.
    return torch.addcmul(shift, features.to(scale.dtype), scale).to(features.dtype)


class StyleEncoder(nn.Module):
    """Eight convolutions in four levels, each level half the size of the one before."""

    mean: Tensor

    def __init__(self, config: StyleConfig) -> None:
        super().__init__()
        self.config = config
        befores = (3, *config.widths[:-1])
        self.levels = nn.ModuleList(
            nn.ModuleList([_conv(before, width), _conv(width, width)])
            for before, width in zip(befores, config.widths, strict=True)
        )
        # Mean and deviation of a channel differ by level; these bring all to the same size.
        for level, width in enumerate(config.widths):
            self.register_buffer(f"scale{level}", torch.ones(width))

    def forward(self, pixels: Tensor) -> list[Tensor]:
        """Activations of each level, finest first."""
        x = pixels * 2 - 1
        found = []
        for number, level in enumerate(self.levels):
            if number:
                x = F.avg_pool2d(x, 2)
            assert isinstance(level, nn.ModuleList)
            for convolution in level:
                x = F.relu(convolution(x))
            scale: Tensor = getattr(self, f"scale{number}")
            found.append(x * scale[:, None, None].to(x.dtype))
        return found

    def style_code(self, pixels: Tensor) -> Tensor:
        """The statistics of all levels, (B, 2 * sum(widths)) in fp32."""
        return torch.cat([statistics(features) for features in self(pixels)], dim=1)

    def split_code(self, code: Tensor) -> list[Tensor]:
        """A style code, cut into the (B, 2C) of each level."""
        return list(torch.split(code, [2 * width for width in self.config.widths], dim=1))

    def configuration(self) -> dict[str, Any]:
        """Plain values from which the same network can be built."""
        return asdict(self.config)


class StyleDecoder(nn.Module):
    """Adapted features of all levels -> pixels."""

    def __init__(self, config: StyleConfig) -> None:
        super().__init__()
        self.config = config
        deepest, *finer = config.widths[::-1]
        self.first = _conv(deepest, deepest)
        self.downs = nn.ModuleList()
        self.skips = nn.ModuleList()
        self.refines = nn.ModuleList()
        before = deepest
        for width in finer:
            self.downs.append(_conv(before, width))
            self.skips.append(nn.Conv2d(width, width, 1))
            self.refines.append(_conv(width, width))
            before = width
        self.last = nn.Conv2d(before, 3, 3, padding=1, padding_mode="reflect")

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """Decode features (finest first) to pixels, not clamped."""
        *finer, deepest = features
        x = F.relu(self.first(deepest))
        for skip, down, refine, level in zip(
            self.skips, self.downs, self.refines, finer[::-1], strict=True
        ):
            assert isinstance(down, nn.Conv2d)
            x = F.relu(doubled_by(x, down) + skip(level))
            x = x + F.relu(refine(x))
        out: Tensor = self.last(x).float() / 2 + 0.5  # in fp32: half precision would show bands
        return out

    def configuration(self) -> dict[str, Any]:
        """Plain values from which the same network can be built."""
        return asdict(self.config)


class StyleTransfer(nn.Module):
    """Encoder and decoder together, as they are shipped and run."""

    def __init__(self, config: StyleConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = StyleEncoder(config)
        self.decoder = StyleDecoder(config)

    def forward(
        self,
        content: Tensor,
        code: Tensor,
        strength: Tensor,
        own: Tensor | None = None,
        learnt: Mapping[str, Tensor] = NOTHING,
        times: Tensor | None = None,
    ) -> Tensor:
        """Content (B, 3, H, W) in the style of `code` (B, S); strength (B,) in 0..1 -> pixels.

        `own` is the style code of the whole picture where `content` is a tile of it; `learnt` is
        added to the decoder's parameters, by their names. With `times` (n,) each content is seen
        once and painted so many times; the codes are then as many as the pictures painted.
        """
        return self.decoded(self.adapted(content, code, strength, own, times), learnt)

    def adapted(
        self,
        content: Tensor,
        code: Tensor,
        strength: Tensor | None = None,
        own: Tensor | None = None,
        times: Tensor | None = None,
    ) -> list[Tensor]:
        """The features of the content with the statistics of `code`; without strength all of it."""
        features = self.encoder(content)
        seen = torch.cat([statistics(level) for level in features], dim=1) if own is None else own
        if times is not None:
            features = [level.repeat_interleave(times, dim=0) for level in features]
            seen = seen if own is not None else seen.repeat_interleave(times, dim=0)
        codes = self.encoder.split_code(code)
        owns = self.encoder.split_code(seen)
        if strength is not None:
            # Interpolation of statistics is that of features: `adapt` is linear in the code.
            pairs = zip(owns, codes, strict=True)
            codes = [torch.lerp(mine, wanted, strength[:, None]) for mine, wanted in pairs]
        return [
            adapt(level, wanted, mine)
            for level, wanted, mine in zip(features, codes, owns, strict=True)
        ]

    def decoded(self, features: Sequence[Tensor], learnt: Mapping[str, Tensor]) -> Tensor:
        """Pixels of adapted features, by the decoder with what is learnt added to it."""
        if not learnt:
            out: Tensor = self.decoder(features)
            return out
        parameters = {
            name: (parameter + learnt[name]).to(parameter.dtype)
            for name, parameter in self.decoder.named_parameters()
        }
        changed: Tensor = functional_call(self.decoder, parameters, (features,))
        return changed

    def configuration(self) -> dict[str, Any]:
        """Plain values from which the same network can be built."""
        return asdict(self.config)


def _conv(before: int, width: int) -> nn.Conv2d:
    # Reflected edges, so that borders get no frame of another colour.
    return nn.Conv2d(before, width, 3, padding=1, padding_mode="reflect")


def doubled_by(x: Tensor, convolution: nn.Conv2d) -> Tensor:
    """A 3x3 convolution of x (B, C, h, w) doubled in size by nearest neighbours.

    Neighbours and a convolution, as transposed ones draw checkerboards. Computed on the small
    picture, where it is four convolutions of 2x2, one for each pixel that comes of a small one.
    """
    count, _, height, width = x.shape
    phases = DOUBLED.to(convolution.weight)
    weight = torch.einsum("ati,buj,ocij->aboctu", phases, phases, convolution.weight)
    bias = None if convolution.bias is None else convolution.bias.repeat(4)
    # What reflects at the border of the doubled picture repeats in the small one.
    around = F.pad(x, (1, 1, 1, 1), mode="replicate")
    found = F.conv2d(around, weight.flatten(0, 2), bias).permute(0, 2, 3, 1)
    found = found.reshape(count, height + 1, width + 1, 2, 2, -1)
    rows = [
        torch.stack([found[:, a : a + height, b : b + width, a, b] for b in (0, 1)], dim=3)
        for a in (0, 1)
    ]
    doubled = torch.stack(rows, dim=2).view(count, 2 * height, 2 * width, -1)
    return doubled.permute(0, 3, 1, 2)
