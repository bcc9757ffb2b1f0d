"""Small changes of a network's convolutions, each the product of two thin matrices.

Hu et al. 2021, "LoRA" (https://arxiv.org/abs/2106.09685), for convolutions: a kernel is seen as a
matrix of (outputs, inputs * height * width). Biases change freely, as they are few. A change is one
flat vector (P,), so that an optimiser needs to know nothing of layers.
"""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

RANK = 16


def product(up: Tensor, down: Tensor, weight: Tensor) -> Tensor:
    """What factors (out, rank) and (rank, rest) add to a weight, shaped like that.

    Either may be written as a convolution's, with further dimensions.
    """
    return (up.flatten(1) @ down.flatten(1)).view_as(weight)


def change_size(module: nn.Module) -> int:
    """How many numbers a change of the module has: P."""
    return sum(_share_of(parameter) for parameter in module.parameters())


def first_change(module: nn.Module, generator: torch.Generator) -> Tensor:
    """A change (P,) that changes nothing yet: one factor is random, the other one nought."""
    parts = []
    for parameter in module.parameters():
        if parameter.dim() == 1:
            parts.append(torch.zeros(len(parameter)))
            continue
        rows, columns = _matrix_shape(parameter)
        rank = min(RANK, rows)
        right = torch.randn(rank * columns, generator=generator) * columns**-0.5
        parts += [torch.zeros(rows * rank), right]
    return torch.cat(parts)


def changes_of(module: nn.Module, change: Tensor) -> Iterator[tuple[str, Tensor]]:
    """What a change (P,) adds to each parameter, by the parameter's name."""
    start = 0
    for name, parameter in module.named_parameters():
        size = _share_of(parameter)
        part = change[start : start + size]
        start += size
        if parameter.dim() == 1:
            yield name, part
            continue
        rows, columns = _matrix_shape(parameter)
        rank = min(RANK, rows)
        left, right = torch.split(part, [rows * rank, rank * columns])
        yield name, product(left.view(rows, rank), right.view(rank, columns), parameter)


def _share_of(parameter: Tensor) -> int:
    if parameter.dim() == 1:
        return len(parameter)
    rows, columns = _matrix_shape(parameter)
    return min(RANK, rows) * (rows + columns)


def _matrix_shape(parameter: Tensor) -> tuple[int, int]:
    return parameter.shape[0], parameter[0].numel()
