"""The layout of VGG-19 as torchvision publishes it: what its file must hold. No torch here.

Keys are `features.N.weight` and `features.N.bias`, N counting convolutions, activations and pools
together; of the network only the 16 convolutions are wanted.
"""

from collections.abc import Mapping
from functools import cache
from typing import NamedTuple

POOL = 0
WIDTHS = (64, 64, 0, 128, 128, 0, 256, 256, 256, 256, 0, 512, 512, 512, 512, 0, 512, 512, 512, 512)


class Layer(NamedTuple):
    """A convolution and the activation after it."""

    number: int  # in torchvision's Sequential
    before: int  # channels
    width: int  # channels after it
    name: str  # of the activation, as published


@cache
def layers() -> tuple[Layer, ...]:
    """All convolutions in order."""
    found = []
    number, before, block, place = 0, 3, 1, 1
    for width in WIDTHS:
        if width == POOL:
            number, block, place = number + 1, block + 1, 1
            continue
        found.append(Layer(number, before, width, f"relu{block}_{place}"))
        number, before, place = number + 2, width, place + 1
    return tuple(found)


def problem_of(file: object, found: Mapping[str, tuple[int, ...]]) -> str:
    """What is wrong with the tensors of a file, given their shapes by key; "" if nothing is."""
    for key, shape in shapes().items():
        if key not in found:
            return f"{file} lacks {key}; it must have torchvision's layout"
        if found[key] != shape:
            return f"{key} of {file} is {found[key]}, VGG-19's is {shape}"
    return ""


def shapes() -> dict[str, tuple[int, ...]]:
    """The tensors that a file must hold, by key."""
    wanted: dict[str, tuple[int, ...]] = {}
    for layer in layers():
        wanted[f"features.{layer.number}.weight"] = (layer.width, layer.before, 3, 3)
        wanted[f"features.{layer.number}.bias"] = (layer.width,)
    return wanted
