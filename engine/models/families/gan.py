"""Generators of adversarial pairs: the shipped one, and those trained on a folder of pictures."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias

import torch
from torch import Tensor

from engine.calls import (
    DescribeLatents,
    GanCall,
    InversionGradient,
    MapNoise,
    MeanOfLook,
    Synthesise,
)
from engine.errors import ModelUnavailable
from engine.gan.inversion import picture_loss
from engine.gan.space import LatentSpace
from engine.models.catalogue import ModelInfo
from engine.models.families import OnLoad, Place
from engine.networks.dcgan import DcganGenerator
from engine.networks.gan import GanConfig, Generator
from engine.networks.weights import BrokenWeights, decode_network, read_network

NETWORK = "gan"  # what its file is called

Drawer: TypeAlias = Generator | DcganGenerator


class GanModel:
    """A generator, loaded."""

    def __init__(self, place: Place, generator: Drawer) -> None:
        self._device = place.device
        self._generator = generator.to(place.device)

    @property
    def bytes_used(self) -> int:
        """Device memory of the weights."""
        return sum(tensor.nbytes for tensor in self._generator.state_dict().values())

    def execute(self, calls: Sequence[GanCall]) -> list[Any]:
        """Return a result for each call, all of one batch key, from one pass of all their rows."""
        match calls[0]:
            case DescribeLatents():
                return [self._space() for _ in calls]
            case MapNoise():
                mates = [call for call in calls if isinstance(call, MapNoise)]
                looks = self._looks([call.looks for call in mates])
                answer = self._generator.styles(self._joined([call.z for call in mates]), looks)
                return _parted(answer, [len(call.z) for call in mates])
            case MeanOfLook():
                parts = [call.looks for call in calls if isinstance(call, MeanOfLook)]
                answer = self._generator.mean_styles(self._looks(parts))
                return _parted(answer, [len(part) for part in parts])
            case Synthesise():
                rows = [call.w for call in calls if isinstance(call, Synthesise)]
                return _parted(self._generator(self._joined(rows)), [len(row) for row in rows])
            case InversionGradient():
                return self._gradients([c for c in calls if isinstance(c, InversionGradient)])

    def _space(self) -> LatentSpace:
        config = self._generator.config
        w = self._generator.mean_styles(self._looks([torch.zeros(1, dtype=torch.int64)]))
        size = self._generator(w).shape[-1]
        extras = self._generator.extras
        return LatentSpace(tuple(config.looks), config.latent, w.shape[1], size, extras)

    def _gradients(self, calls: Sequence[InversionGradient]) -> list[tuple[Tensor, Tensor]]:
        w = self._joined([call.w for call in calls])
        target = self._joined([call.pixels for call in calls])
        with torch.enable_grad():
            w.requires_grad_()
            loss = picture_loss(self._generator.pixels(w), target)
            # The rows are independent, so the sum's gradient is each row's own.
            (gradient,) = torch.autograd.grad(loss.sum(), w)
        sizes = [len(call.w) for call in calls]
        losses = _parted(loss.detach(), sizes)
        return list(zip(losses, _parted(gradient, sizes), strict=True))

    def _joined(self, parts: Sequence[Tensor]) -> Tensor:
        return torch.cat([part.float() for part in parts]).to(self._device)

    def _looks(self, parts: Sequence[Tensor]) -> Tensor:
        return torch.cat(list(parts)).to(self._device)


def _parted(answer: Tensor, sizes: list[int]) -> list[Tensor]:
    return list(torch.split(answer.float().cpu(), sizes))


def read_generator(folder: Path) -> Drawer:
    """Read the generator of a folder, in fp32 on the CPU.

    Raises:
        BrokenWeights: the file is missing, damaged or of another network.
    """
    return _built(*read_network(folder, NETWORK), str(folder / NETWORK))


def _read_file(file: Path) -> Drawer:
    return _built(*decode_network(file.read_bytes(), NETWORK), str(file))


def _built(configuration: dict[str, Any], weights: dict[str, Tensor], place: str) -> Drawer:
    try:
        config = GanConfig(**configuration)
        generator = DcganGenerator(config) if config.design == "dcgan" else Generator(config)
        generator.load_state_dict(weights)
    except (TypeError, RuntimeError) as error:
        raise BrokenWeights(place, f"the weights do not fit ({error})") from error
    return generator.eval().requires_grad_(requires_grad=False)


def load(info: ModelInfo, files: Path, place: Place, on_progress: OnLoad) -> GanModel:
    """Read a generator from its folder, or from a single file of any name.

    Raises:
        ModelUnavailable: the file is missing, broken or of another network.
    """
    try:
        generator = read_generator(files) if files.is_dir() else _read_file(files)
    except (BrokenWeights, OSError) as error:
        raise ModelUnavailable(info.name, str(error)) from error
    on_progress(1.0)
    return GanModel(place, generator)


def load_own(name: str, weights: bytes, place: Place) -> GanModel:
    """Make a generator that was trained here from its file.

    Raises:
        ModelUnavailable: the file is damaged or of another network.
    """
    try:
        return GanModel(place, _built(*decode_network(weights, NETWORK), name))
    except BrokenWeights as error:
        raise ModelUnavailable(name, str(error)) from error
