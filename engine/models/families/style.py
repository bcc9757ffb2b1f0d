"""The style networks: the shipped encoder and decoder, or VGG-19 for optimising.

`engine.networks.style` restyles in one pass and can guide an optimiser; VGG-19, where the operator
has its weights, guides one only.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from engine.calls import (
    ContentFeatures,
    DescribeStyle,
    Restyle,
    StyleCall,
    StyleCode,
    StyleGradient,
    StylePreset,
)
from engine.errors import ModelUnavailable, Unsupported
from engine.networks.style import StyleConfig, StyleTransfer, statistics
from engine.networks.vgg import CONTENT_LAYER, STYLE_LAYERS, Vgg19, load_vgg19
from engine.networks.weights import BrokenWeights, read_network
from engine.style import losses
from engine.style.colour import colour_moments
from engine.style.target import Style

SHIPPED = Path(__file__).parents[1] / "pack"
WEIGHTS = "style.safetensors"
PRESETS = "style-presets.safetensors"
CONTENT_LEVEL = 2  # a quarter of the size: deeper ones keep too little of what is where
VARIATION_WEIGHT = 2.0  # of total variation in the optimiser's loss


class Extractor(Protocol):
    """What an optimiser needs of a network."""

    def features(self, pixels: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Content features (B, C, h, w), and those of each style level."""
        ...


class PackExtractor:
    """The shipped encoder: one of the deeper levels is the content, all are the style."""

    def __init__(self, network: StyleTransfer) -> None:
        self._network = network

    def features(self, pixels: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Content features (B, C, h, w), and those of each style level."""
        levels = self._network.encoder(pixels)
        return levels[CONTENT_LEVEL], levels


class VggExtractor:
    """The layers of Gatys et al. 2016."""

    def __init__(self, network: Vgg19) -> None:
        self._network = network

    def features(self, pixels: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Content features (B, C, h, w), and those of each style level."""
        found = self._network(pixels, [*STYLE_LAYERS, CONTENT_LAYER])
        return found[CONTENT_LAYER], [found[name] for name in STYLE_LAYERS]


class StyleNetworks:
    """Answers style calls on one device; networks are read when first asked for."""

    def __init__(
        self, device: torch.device, *, folder: Path = SHIPPED, vgg19: Path | None = None
    ) -> None:
        self._device = device
        self._folder = folder
        self._vgg19_file = vgg19
        self._transfer: StyleTransfer | None = None
        self._vgg19: Vgg19 | None = None
        self._presets: dict[str, Style] | None = None

    def execute(self, calls: Sequence[StyleCall]) -> list[Any]:
        """Return a result for each call, all of one batch key, from one pass of all their rows.

        Raises:
            ModelUnavailable: a file is missing or broken.
            Unsupported: there is no preset of that name, or VGG-19 is asked to restyle.
        """
        first = calls[0]
        match first:
            case StylePreset():
                return [self._preset(call.name) for call in calls if isinstance(call, StylePreset)]
            case StyleGradient():
                return self._gradients([c for c in calls if isinstance(c, StyleGradient)])
            case DescribeStyle():
                return [self._describe(c) for c in calls if isinstance(c, DescribeStyle)]
            case Restyle():
                return self._restyle([c for c in calls if isinstance(c, Restyle)])
            case StyleCode() | ContentFeatures():
                pixels = self._joined([c.pixels for c in calls if isinstance(c, type(first))])
                if isinstance(first, StyleCode):
                    answer = self._network().encoder.style_code(pixels)
                else:
                    answer = self._extractor(first.network.model).features(pixels)[0]
                sizes = [len(c.pixels) for c in calls if isinstance(c, type(first))]
                return list(torch.split(answer.float().cpu(), sizes))

    def preset_names(self) -> tuple[str, ...]:
        """The styles that are shipped, by name."""
        return tuple(self._styles())

    def _restyle(self, calls: Sequence[Restyle]) -> list[Tensor]:
        answer = self._network()(
            self._joined([call.pixels for call in calls]),
            self._joined([call.code for call in calls]),
            self._joined([call.strength for call in calls]),
            self._joined([call.own for call in calls]),
        )
        return list(torch.split(answer.float().cpu(), [len(call.pixels) for call in calls]))

    def _gradients(self, calls: Sequence[StyleGradient]) -> list[tuple[Tensor, Tensor]]:
        extractor = self._extractor(calls[0].network.model)
        pixels = self._joined([call.pixels for call in calls])
        content = self._joined([call.content for call in calls])
        weight = self._joined([call.style_weight for call in calls])
        levels = range(len(calls[0].grams))
        grams = [self._joined([call.grams[level] for call in calls]) for level in levels]
        with torch.enable_grad():
            x = pixels.requires_grad_()
            loss = _loss(extractor, x, content, grams, weight)
            # The rows are independent, so the sum's gradient is each row's own.
            (gradient,) = torch.autograd.grad(loss.sum(), x)
        sizes = [len(call.pixels) for call in calls]
        losses_of = torch.split(loss.detach().cpu(), sizes)
        parts = zip(losses_of, torch.split(gradient.cpu(), sizes), strict=True)
        return list(parts)

    def _describe(self, call: DescribeStyle) -> Style:
        pixels = call.pixels.float().to(self._device)
        _, levels = self._extractor(call.network.model).features(pixels)
        code = torch.cat([statistics(level) for level in levels], dim=1)
        grams = tuple(losses.gram_matrix(level).cpu() for level in levels)
        mean, covariance = colour_moments(call.pixels)
        return Style(code.cpu(), grams, mean, covariance)

    def _extractor(self, model: str) -> Extractor:
        if model == "vgg19":
            return VggExtractor(self._vgg())
        return PackExtractor(self._network())

    def _network(self) -> StyleTransfer:
        if self._transfer is None:
            self._transfer = read_style_transfer(self._folder).to(self._device)
        return self._transfer

    def _vgg(self) -> Vgg19:
        if self._vgg19_file is None:
            raise Unsupported("no weights of VGG-19 are configured: leave the network out")
        if self._vgg19 is None:
            self._vgg19 = load_vgg19(self._vgg19_file).to(self._device)
        return self._vgg19

    def _styles(self) -> dict[str, Style]:
        if self._presets is None:
            self._presets = read_presets(self._folder / PRESETS)
        return self._presets

    def _preset(self, name: str) -> Style:
        styles = self._styles()
        if name not in styles:
            raise Unsupported(f"there is no style called {name}: choose from {', '.join(styles)}")
        return styles[name]

    def _joined(self, parts: Sequence[Tensor]) -> Tensor:
        return torch.cat([part.float() for part in parts]).to(self._device)


def _loss(
    extractor: Extractor, x: Tensor, content: Tensor, grams: Sequence[Tensor], weight: Tensor
) -> Tensor:
    """Gatys et al. 2016, eq. 7, with total variation; (B,).

    Differs from the paper: content and each level count relative to the size of their targets, so
    that one style weight serves networks and pictures of any size.
    """
    features, levels = extractor.features(x)
    total = losses.content_loss(features, content) / _size(content)
    for level, gram in zip(levels, grams, strict=True):
        error = losses.gram_loss(losses.gram_matrix(level), gram) / _size(gram)
        total = total + weight * error / len(grams)
    return total + VARIATION_WEIGHT * losses.total_variation_loss(x)


def _size(target: Tensor) -> Tensor:
    return target.square().flatten(1).mean(1).clamp_min(1e-8)


def read_style_transfer(folder: Path) -> StyleTransfer:
    """Read encoder and decoder.

    Raises:
        ModelUnavailable: the file is missing, broken or of another network.
    """
    try:
        config, state = read_network(folder, "style")
        network = StyleTransfer(StyleConfig(**config))
        network.load_state_dict(state)
    except (BrokenWeights, TypeError, RuntimeError) as error:
        raise ModelUnavailable(
            "style", f"{folder / WEIGHTS} is missing or broken ({error})"
        ) from None
    return network.eval().requires_grad_(requires_grad=False)


def read_presets(path: Path) -> dict[str, Style]:
    """Read styles by name, in the order of their names.

    Raises:
        ModelUnavailable: the file is missing or broken.
    """
    try:
        with safe_open(path, "pt") as file:
            parts = {key: file.get_tensor(key).float() for key in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise ModelUnavailable("style", f"{path} is missing or broken ({error})") from None
    names = sorted({key.split("/")[0] for key in parts})
    return {name: _style_of(name, parts) for name in names}


def preset_tensors(name: str, style: Style) -> dict[str, Tensor]:
    """How a style is stored; `read_presets` reads it back."""
    tensors = {f"{name}/code": style.code.half(), f"{name}/mean": style.mean.half()}
    tensors[f"{name}/covariance"] = style.covariance.float()
    tensors |= {f"{name}/gram{level}": gram.half() for level, gram in enumerate(style.grams)}
    return tensors


def _style_of(name: str, parts: dict[str, Tensor]) -> Style:
    count = sum(key.startswith(f"{name}/gram") for key in parts)
    grams = tuple(parts[f"{name}/gram{level}"] for level in range(count))
    return Style(parts[f"{name}/code"], grams, parts[f"{name}/mean"], parts[f"{name}/covariance"])
