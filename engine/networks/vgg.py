"""VGG-19 as a feature extractor, with weights in torchvision's published layout.

Simonyan and Zisserman 2014, https://arxiv.org/abs/1409.1556. Only the 16 convolutions; the file
may hold the classifier too (`vgg_layers` has its layout).
"""

import pickle
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

from engine.errors import ModelUnavailable, UnsafeCheckpoint
from engine.networks.vgg_layers import layers, problem_of, shapes

# ImageNet mean and standard deviation, as VGG-19 was trained.
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
# Gatys et al. 2016, section 3
STYLE_LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
CONTENT_LAYER = "relu4_2"
# What torch raises of a damaged file, besides UnpicklingError: its reader checks nothing first.
_DAMAGED = (
    RuntimeError,
    OSError,
    EOFError,
    ValueError,
    LookupError,
    AttributeError,
    TypeError,
    MemoryError,
    struct.error,
)


class Vgg19(nn.Module):
    """Activations by their published names, `relu1_1` to `relu5_4`."""

    mean: Tensor
    std: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.convolutions = nn.ModuleDict(
            {
                str(number): nn.Conv2d(before, width, 3, padding=1)
                for number, before, width, _ in layers()
            }
        )
        self.register_buffer("mean", torch.tensor(MEAN)[:, None, None])
        self.register_buffer("std", torch.tensor(STD)[:, None, None])

    def forward(self, pixels: Tensor, names: Sequence[str]) -> dict[str, Tensor]:
        """The named activations of pixels (B, 3, H, W) in [0, 1]; H and W at least 16.

        Differs from the paper: average pooling, which Gatys et al. 2016 found to look better.
        """
        x = (pixels - self.mean) / self.std
        found: dict[str, Tensor] = {}
        block = 1
        for number, _, _, name in layers():
            if int(name[4]) != block:
                block = int(name[4])
                x = F.avg_pool2d(x, 2)
            x = F.relu(self.convolutions[str(number)](x))
            if name in names:
                found[name] = x
            if len(found) == len(set(names)):
                return found
        missing = sorted(set(names) - set(found))
        msg = f"VGG-19 has no layers {missing}"
        raise KeyError(msg)


def load_vgg19(path: Path) -> Vgg19:
    """Read weights from a safetensors file, or a state dict that holds tensors alone.

    Raises:
        ModelUnavailable: the file is missing, truncated, or not VGG-19's.
        UnsafeCheckpoint: the file would run code when loaded.
    """
    state = _read(path)
    network = Vgg19()
    tensors = {key: part for key, part in state.items() if isinstance(part, Tensor)}
    problem = problem_of(path, {key: tuple(part.shape) for key, part in tensors.items()})
    if problem:
        raise ModelUnavailable("vgg19", problem)
    wanted = {key.removeprefix("features."): tensors[key] for key in shapes()}
    network.convolutions.load_state_dict(wanted)
    return network.eval().requires_grad_(requires_grad=False)


def _read(path: Path) -> Mapping[str, Tensor]:
    if not path.is_file():
        raise ModelUnavailable("vgg19", f"there is no file {path}")
    if path.suffix == ".safetensors":
        try:
            tensors: Mapping[str, Tensor] = load_file(path)
        except (SafetensorError, OSError) as error:
            raise ModelUnavailable("vgg19", f"{path} is broken or truncated ({error})") from None
        return tensors
    return _read_state_dict(path)


def _read_state_dict(path: Path) -> Mapping[str, Tensor]:
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if "GLOBAL" in str(error):
            reason = f"{path} holds more than tensors; convert it to safetensors"
            raise UnsafeCheckpoint("vgg19", reason) from None
        raise ModelUnavailable("vgg19", f"{path} is broken or truncated") from error
    except _DAMAGED as error:
        raise ModelUnavailable("vgg19", f"{path} is broken or truncated") from error
    if not isinstance(state, dict):
        raise ModelUnavailable("vgg19", f"{path} holds no state dict")
    return state
