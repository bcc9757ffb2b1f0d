"""Muon for matrices and convolutions, AdamW for the rest, as one optimiser.

Jordan et al. 2024, "Muon: an optimizer for hidden layers", https://kellerjordan.github.io/posts/muon;
the update's size is matched to AdamW's as in Liu et al. 2025, https://arxiv.org/abs/2502.16982.
"""

from collections.abc import Callable
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

# Shorter side of the matrices that are worth orthogonalising; the work grows with its square.
SMALLEST, LARGEST = 16, 512


def orthogonalised(gradient: Tensor, steps: int = 5) -> Tensor:
    """Nearest semi-orthogonal matrix to (..., m, n), by a quintic Newton-Schulz iteration."""
    a, b, c = 3.4445, -4.7750, 2.0315  # Jordan et al. 2024, tuned for a steep slope at zero
    x = gradient.bfloat16()
    tall = x.shape[-2] > x.shape[-1]
    x = x.mT if tall else x
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(steps):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    out: Tensor = (x.mT if tall else x).to(gradient.dtype)
    return out


def orthogonalised_by_all(matrices: list[Tensor]) -> list[Tensor]:
    """`orthogonalised` of each matrix; replicas of a run share the work and the results."""
    if not dist.is_initialized() or dist.get_world_size() == 1:
        return [orthogonalised(matrix) for matrix in matrices]
    effort = [0] * dist.get_world_size()
    owner = {}
    costly_first = sorted(range(len(matrices)), key=lambda k: -_effort(matrices[k]))
    for index in costly_first:
        owner[index] = effort.index(min(effort))
        effort[owner[index]] += _effort(matrices[index])
    mine = dist.get_rank()
    out = [
        orthogonalised(matrix) if owner[index] == mine else torch.zeros_like(matrix)
        for index, matrix in enumerate(matrices)
    ]
    flat = torch.cat([matrix.flatten() for matrix in out])
    dist.all_reduce(flat)
    parts, start = [], 0
    for matrix in matrices:
        parts.append(flat[start : start + matrix.numel()].view_as(matrix))
        start += matrix.numel()
    return parts


def _effort(matrix: Tensor) -> int:
    return matrix.numel() * min(matrix.shape)


class Muon(torch.optim.Optimizer):
    """Muon on groups with `muon=True`, AdamW on the others; one learning rate serves both."""

    def __init__(self, network: nn.Module, learning_rate: float, weight_decay: float) -> None:
        hidden: list[Tensor] = []
        rest: list[Tensor] = []
        for parameter in network.parameters():
            side = min(parameter.shape[0], parameter[0].numel()) if parameter.ndim >= 2 else 0
            (hidden if SMALLEST <= side <= LARGEST else rest).append(parameter)
        defaults = {"lr": learning_rate, "weight_decay": weight_decay}
        groups = [{"params": hidden, "muon": True}, {"params": rest, "muon": False}]
        super().__init__([group for group in groups if group["params"]], defaults)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Apply one update from the gradients now in the parameters."""
        if closure is not None:
            raise TypeError("Muon takes no closure.")
        for group in self.param_groups:
            given = [parameter for parameter in group["params"] if parameter.grad is not None]
            if group["muon"]:
                self._muon(given, group)
            else:
                for parameter in given:
                    self._adam(parameter, group)

    def _muon(self, parameters: list[Tensor], group: dict[str, Any]) -> None:
        directions = [self._direction(parameter) for parameter in parameters]
        for parameter, update in zip(parameters, orthogonalised_by_all(directions), strict=True):
            parameter.mul_(1 - group["lr"] * group["weight_decay"])
            size = 0.2 * max(update.shape) ** 0.5
            parameter.add_(update.view_as(parameter), alpha=-group["lr"] * size)

    def _direction(self, parameter: Tensor) -> Tensor:
        """Gradient with Nesterov momentum, as a matrix."""
        state = self.state[parameter]
        if not state:
            state["momentum"] = torch.zeros_like(parameter)
        gradient = parameter.grad
        assert gradient is not None
        momentum = state["momentum"].lerp_(gradient, 0.05)
        return gradient.lerp(momentum, 0.95).flatten(1)

    def _adam(self, parameter: Tensor, group: dict[str, Any]) -> None:
        state = self.state[parameter]
        if not state:
            state["step"] = 0
            state["first"] = torch.zeros_like(parameter)
            state["second"] = torch.zeros_like(parameter)
        state["step"] += 1
        gradient = parameter.grad
        assert gradient is not None
        first = state["first"].lerp_(gradient, 0.1)
        second = state["second"].lerp_(gradient.square(), 0.01)
        unbiased = first / (1 - 0.9 ** state["step"])
        scale = (second / (1 - 0.99 ** state["step"])).sqrt_().add_(1e-8)
        parameter.addcdiv_(unbiased, scale, value=-group["lr"])
