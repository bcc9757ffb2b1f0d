"""VGG-19 as a feature extractor, with weights in torchvision's published layout.

Simonyan and Zisserman 2014, https://arxiv.org/abs/1409.1556. Only the 16 convolutions; the file
may hold the classifier too. Keys are `features.N.weight` and `features.N.bias`, N counting
convolutions, activations and pools together.
"""

import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

from engine.errors import ModelUnavailable, UnsafeCheckpoint

# ImageNet mean and standard deviation, as VGG-19 was trained.
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
WIDTHS = (64, 64, 0, 128, 128, 0, 256, 256, 256, 256, 0, 512, 512, 512, 512, 0, 512, 512, 512, 512)
POOL = 0
# Gatys et al. 2016, section 3
STYLE_LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
CONTENT_LAYER = "relu4_2"


class Vgg19(nn.Module):
    """Activations by their published names, `relu1_1` to `relu5_4`."""

    mean: Tensor
    std: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.convolutions = nn.ModuleDict(
            {
                str(number): nn.Conv2d(before, width, 3, padding=1)
                for number, before, width, _ in _layers()
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
        for number, _, _, name in _layers():
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
    wanted = {
        f"features.{number}.{kind}": getattr(network.convolutions[str(number)], kind)
        for number, _, _, _ in _layers()
        for kind in ("weight", "bias")
    }
    with torch.no_grad():
        for key, parameter in wanted.items():
            parameter.copy_(_checked(path, state, key, parameter.shape))
    return network.eval().requires_grad_(requires_grad=False)


def _layers() -> list[tuple[int, int, int, str]]:
    """(number in torchvision's Sequential, channels before, channels after, name) of each."""
    layers = []
    number, before, block, place = 0, 3, 1, 1
    for width in WIDTHS:
        if width == POOL:
            number, block, place = number + 1, block + 1, 1
            continue
        layers.append((number, before, width, f"relu{block}_{place}"))
        number, before, place = number + 2, width, place + 1
    return layers


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
        if "Unsupported" in str(error) or "GLOBAL" in str(error):
            reason = f"{path} holds more than tensors; convert it to safetensors"
            raise UnsafeCheckpoint("vgg19", reason) from None
        raise ModelUnavailable("vgg19", f"{path} is broken or truncated") from error
    except (RuntimeError, OSError, EOFError, ValueError) as error:
        raise ModelUnavailable("vgg19", f"{path} is broken or truncated") from error
    if not isinstance(state, dict):
        raise ModelUnavailable("vgg19", f"{path} holds no state dict")
    return state


def _checked(path: Path, state: Mapping[str, Tensor], key: str, shape: torch.Size) -> Tensor:
    tensor = state.get(key)
    if tensor is None:
        reason = f"{path} lacks {key}; it must have torchvision's layout"
        raise ModelUnavailable("vgg19", reason)
    if tensor.shape != shape:
        reason = f"{key} of {path} is {tuple(tensor.shape)}, VGG-19's is {tuple(shape)}"
        raise ModelUnavailable("vgg19", reason)
    return tensor
