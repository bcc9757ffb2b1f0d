"""The style networks: the shipped encoder and decoder, or VGG-19 for optimising.

`engine.networks.style` restyles in one pass and can guide an optimiser; VGG-19, where the operator
has its weights, guides one only. What is learnt of one style is a change of the decoder.
"""

import copy
import hashlib
import logging
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from engine.calls import (
    ChangeGradient,
    ContentFeatures,
    DescribeStyle,
    FirstChange,
    LayStrokes,
    PresetPicture,
    Recall,
    Remember,
    Restyle,
    StyleCall,
    StyleCode,
    StyleGradient,
    StylePreset,
)
from engine.errors import Unsupported
from engine.media.png import pixels_of_image
from engine.models.families.style_files import (
    PRESETS,
    SHIPPED,
    WEIGHTS,
    decode_style,
    encode_style,
    read_presets,
    read_style_transfer,
)
from engine.models.families.style_guides import (
    Extractor,
    PackExtractor,
    VggExtractor,
    guided_loss,
    slices_of,
)
from engine.models.notebook import Notebook
from engine.models.style_presets import style_presets
from engine.models.style_versions import version_of
from engine.networks.low_rank import change_size, changes_of, first_change
from engine.networks.style import StyleConfig, StyleTransfer, statistics
from engine.networks.vgg import Vgg19, load_vgg19
from engine.style import losses
from engine.style.colour import FAINTEST, colour_moments, recoloured_as
from engine.style.learning import decode_change
from engine.style.objective import Weights, restyling_loss
from engine.style.strokes import Strokes, laid
from engine.style.target import Style
from engine.wording import Said

log = logging.getLogger(__name__)

NETWORKS = ("style", "vgg19")  # as calls name them; no models of the catalogue
TEACHING = Weights()
CACHED_PIXELS = 128 * 128  # of a gradient's rows together; more at once go through main memory


class StyleNetworks:
    """Answers style calls on one device; networks are read when first asked for."""

    def __init__(
        self,
        device: torch.device,
        *,
        folder: Path = SHIPPED,
        vgg19: Path | None = None,
        notes: Path | None = None,
        precision: torch.dtype | None = None,
    ) -> None:
        """Paint in `precision`: by default in what this device multiplies best, see `quickest`."""
        self.device = device
        self.precision = quickest(device) if precision is None else precision
        self._folder = folder
        self._vgg19_file = vgg19
        self._notebook = Notebook(notes)

    def execute(self, calls: Sequence[StyleCall]) -> list[Any]:
        """Return a result for each call, all of one batch key, from one pass of all their rows.

        Raises:
            ModelUnavailable: a file is missing or broken.
            Unsupported: there is no preset of that name, or VGG-19 is asked to restyle.
        """
        first = calls[0]
        match first:
            case Restyle():
                return self._restyle([c for c in calls if isinstance(c, Restyle)])
            case LayStrokes():
                return self._lay([c for c in calls if isinstance(c, LayStrokes)])
            case StyleGradient():
                return self._gradients([c for c in calls if isinstance(c, StyleGradient)])
            case StyleCode() | ContentFeatures():
                rows = [c.pixels for c in calls if isinstance(c, type(first))]
                pixels = _by_pixel(self._joined(rows))
                if isinstance(first, StyleCode):
                    answer = self._transfer.encoder.style_code(pixels)
                else:
                    answer = self._extractor(first.network.model).features(pixels)[0]
                return list(torch.split(answer.float().cpu(), [len(part) for part in rows]))
            case _:
                return [self._answer(call) for call in calls]

    @property
    def config(self) -> StyleConfig:
        """The sizes of the networks that restyle."""
        return self._transfer.config

    def fingerprint(self, network: str) -> str:
        """Ten digits of the hash of the shipped weights; empty for an operator's own."""
        return self._version[:10] if network == "style" else ""

    def preset_names(self) -> tuple[str, ...]:
        """The styles that are shipped, by name."""
        return tuple(self._presets)

    def _answer(self, call: StyleCall) -> Any:
        """The result of a call that shares no pass."""
        match call:
            case StylePreset(name=name):
                return self._preset(name)
            case PresetPicture(name=name):
                return _painting(name)
            case DescribeStyle():
                return self._described(call)
            case FirstChange(seed=seed):
                generator = torch.Generator().manual_seed(seed)
                return first_change(self._transfer.decoder, generator), self._version
            case ChangeGradient():
                return self._change_gradient(call)
            case Remember(key=key, data=data):
                return self._notebook.write(key, data)
            case Recall(key=key):
                return self._notebook.read(key)
            case other:
                kind = type(other).__name__
                raise Unsupported(Said("the style networks compute no {kind}", kind=kind))

    def _restyle(self, calls: Sequence[Restyle]) -> list[Tensor]:
        contents = [call.pixels[:1] if _is_one(call.pixels) else call.pixels for call in calls]
        counts = [len(call.pixels) if _is_one(call.pixels) else 1 for call in calls]
        times = [n for content, n in zip(contents, counts, strict=True) for _ in content]
        owns = [call.own for call in calls if call.own is not None]
        answer = self._painter(
            _by_pixel(self._joined(contents)).to(self.precision),
            self._joined([call.code for call in calls]),
            self._joined([call.strength for call in calls]),
            self._joined(owns) if owns else None,
            self._learnt(calls[0].changes),
            torch.tensor(times, device=self.device),
        )
        return list(torch.split(answer.float().cpu(), [len(call.pixels) for call in calls]))

    def _lay(self, calls: Sequence[LayStrokes]) -> list[Tensor]:
        details = torch.cat([call.details for call in calls]).to(self.device)
        strokes = Strokes(self._joined([call.bases for call in calls]), details)
        pixels = self._joined([call.pixels for call in calls])
        answer = laid(pixels, strokes, self._joined([call.strength for call in calls]))
        return list(torch.split(answer.cpu(), [len(call.pixels) for call in calls]))

    def _learnt(self, changes: Sequence[tuple[bytes, float]]) -> dict[str, Tensor]:
        """What was learnt of styles: what it adds to the decoder's parameters, by their names."""
        total: dict[str, Tensor] = {}
        for data, weight in changes:
            change = decode_change(data, self._version)
            if change is None or len(change) != change_size(self._transfer.decoder):
                log.warning("what was learnt of a style is of other networks, and is left out")
                continue
            for name, part in changes_of(self._transfer.decoder, change.to(self.device)):
                total[name] = total[name] + weight * part if name in total else weight * part
        return total

    def _change_gradient(self, call: ChangeGradient) -> tuple[Tensor, Tensor]:
        network = self._transfer
        pixels, code = call.pixels.to(self.device), call.code.to(self.device)
        grams = [gram.to(self.device) for gram in call.grams]
        with torch.enable_grad():
            change = call.change.to(self.device).detach().requires_grad_()
            learnt = dict(changes_of(network.decoder, change))
            adapted = network.adapted(pixels, code.expand(len(pixels), -1))
            drawn = network.decoded(adapted, learnt)
            # A picture is shown in the style's palette, whatever the decoder makes of it. What is
            # learnt may not count on that: a palette is set as for the decoder as it ships.
            with torch.no_grad():
                shipped = network.decoded(adapted, {})
            covariance = (call.covariance + FAINTEST * torch.eye(3)).to(self.device)
            mean = call.mean.to(self.device)
            drawn = recoloured_as(drawn, shipped, mean, covariance, FAINTEST)
            found = network.encoder(drawn.clamp(-0.2, 1.2))
            codes = network.encoder.split_code(code)
            loss = restyling_loss(drawn, found, adapted[-1], codes, grams, TEACHING)
            (gradient,) = torch.autograd.grad(loss, change)
        return loss.detach()[None].cpu(), gradient.cpu()

    def _gradients(self, calls: Sequence[StyleGradient]) -> list[tuple[Tensor, Tensor]]:
        extractor = self._extractor(calls[0].network.model)
        pixels = _by_pixel(self._joined([call.pixels for call in calls]))
        content = self._joined([call.content for call in calls])
        weight = self._joined([call.style_weight for call in calls])
        levels = range(len(calls[0].grams))
        grams = [self._joined([call.grams[level] for call in calls]) for level in levels]
        levels = range(len(calls[0].slices))
        slices = [self._joined([call.slices[level] for call in calls]) for level in levels]
        rows = self._rows_at_once(pixels)
        whole = (pixels, content, weight, *grams, *slices)
        pieces = zip(*(torch.split(part, rows) for part in whole), strict=True)
        found = [_loss_and_gradient(extractor, len(grams), *piece) for piece in pieces]
        loss, gradient = (torch.cat(parts).cpu() for parts in zip(*found, strict=True))
        sizes = [len(call.pixels) for call in calls]
        return list(zip(torch.split(loss, sizes), torch.split(gradient, sizes), strict=True))

    def _rows_at_once(self, pixels: Tensor) -> int:
        """Rows of a pass on the way back: as many as a CPU's caches hold, all elsewhere."""
        if self.device.type != "cpu":
            return len(pixels)
        return max(1, CACHED_PIXELS // pixels[0, 0].numel())

    def _described(self, call: DescribeStyle) -> Style:
        """What a picture looks like; of one that is kept, what was written down of it."""
        if not call.is_kept or call.is_sliced:
            return self._describe(call)
        picture = hashlib.sha256(call.pixels.numpy().tobytes()).hexdigest()
        key = f"fp32 style {call.network.model} {self._version_of(call.network.model)} {picture}"
        style = decode_style(self._notebook.read(key))
        if style is None:
            style = self._describe(call)
            self._notebook.write(key, encode_style(style))
        return style

    def _describe(self, call: DescribeStyle) -> Style:
        pixels = _by_pixel(call.pixels.float().to(self.device))
        _, levels = self._extractor(call.network.model).features(pixels)
        code = torch.cat([statistics(level) for level in levels], dim=1)
        grams = tuple(losses.gram_matrix(level).cpu() for level in levels)
        mean, covariance = colour_moments(call.pixels)
        slices = slices_of(levels) if call.is_sliced else ()
        return Style(code.cpu(), grams, mean, covariance, tuple(part.cpu() for part in slices))

    def _preset(self, name: str) -> Style:
        if name not in self._presets:
            known = ", ".join(self._presets)
            raise Unsupported(
                Said("there is no style called {name}: choose from {names}", name=name, names=known)
            )
        return self._presets[name]

    def _version_of(self, model: str) -> str:
        return self._vgg19_version if model == "vgg19" else self._version

    def _extractor(self, model: str) -> Extractor:
        if model == "vgg19":
            return VggExtractor(self._vgg19)
        return PackExtractor(self._transfer)

    @cached_property
    def _transfer(self) -> StyleTransfer:
        network = read_style_transfer(self._folder).to(self.device)
        return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]

    @cached_property
    def _painter(self) -> StyleTransfer:
        """The network that paints; what guides and teaches stays in full precision."""
        if self.precision == torch.float32:
            return self._transfer
        return copy.deepcopy(self._transfer).to(self.precision)

    @cached_property
    def _version(self) -> str:
        return version_of(self._folder / WEIGHTS)

    @cached_property
    def _presets(self) -> dict[str, Style]:
        return read_presets(self._folder / PRESETS)

    @cached_property
    def _vgg19(self) -> Vgg19:
        return load_vgg19(self._vgg19_path).to(self.device)

    @cached_property
    def _vgg19_version(self) -> str:
        return version_of(self._vgg19_path)

    @property
    def _vgg19_path(self) -> Path:
        if self._vgg19_file is None:
            raise Unsupported("no weights of VGG-19 are configured: leave the network out")
        return self._vgg19_file

    def _joined(self, parts: Sequence[Tensor]) -> Tensor:
        return torch.cat([part.float() for part in parts]).to(self.device)


def _loss_and_gradient(
    extractor: Extractor,
    levels: int,
    pixels: Tensor,
    content: Tensor,
    weight: Tensor,
    *wanted: Tensor,
) -> tuple[Tensor, Tensor]:
    """The loss (B,) of each row and its gradient; Gram matrices come first in what is wanted."""
    grams, slices = wanted[:levels], wanted[levels:]
    with torch.enable_grad():
        x = pixels.detach().requires_grad_()
        loss = guided_loss(extractor, x, content, grams, weight, slices)
        # The rows are independent, so the sum's gradient is each row's own.
        (gradient,) = torch.autograd.grad(loss.sum(), x)
    return loss.detach(), gradient


def quickest(device: torch.device) -> torch.dtype:
    """In what a network paints soonest: bfloat16 on CPUs that multiply in it."""
    # No public names tell it yet; without units for it the product is no faster, and less exact.
    units = (torch.cpu._is_amx_tile_supported, torch.cpu._is_avx512_bf16_supported)  # noqa: SLF001
    has_units = device.type == "cpu" and any(is_there() for is_there in units)
    return torch.bfloat16 if has_units else torch.float32


def _by_pixel(pixels: Tensor) -> Tensor:
    """The same (B, 3, H, W), with the channels of a pixel side by side, as convolutions want it."""
    return pixels.contiguous(memory_format=torch.channels_last)


def _is_one(pixels: Tensor) -> bool:
    """Whether all rows (B, 3, H, W) are one picture, expanded."""
    return len(pixels) > 1 and pixels.stride(0) == 0


def _painting(name: str) -> Tensor:
    """The picture of a preset, (3, H, W)."""
    preset = next((one for one in style_presets() if one.name == name), None)
    if preset is None:
        raise Unsupported(Said("there is no style called {name}", name=name))
    with Image.open(preset.painting) as image:
        return torch.from_numpy(pixels_of_image(image)[0])
