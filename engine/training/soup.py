"""Weights on the way from those that a run went on from to those it came to.

Networks that were trained on from one lie in one basin, and a mean of them is often better than
any: Wortsman et al. 2022, "Model soups", https://arxiv.org/abs/2203.05482.
"""

from collections.abc import Callable, Mapping
from typing import TypeAlias, TypeVar

import torch
from torch import Tensor, nn

WAYS = (0.4, 0.6, 0.8, 1.0)  # that are tried

N = TypeVar("N", bound=nn.Module)
Weights: TypeAlias = Mapping[str, Tensor]


def between(start: Weights, end: Weights, way: float) -> dict[str, Tensor]:
    """Weights at a share of the way between two of the same names and sizes."""
    return {name: torch.lerp(start[name], value, way) for name, value in end.items()}


@torch.no_grad()
def brought_to_the_best(
    network: N,
    start: Weights,
    end: Weights,
    loss: Callable[[N], float],
) -> float:
    """Give a network the weights of least `loss` on the way from `start` to `end`.

    Returns the share of the way. `end` itself is among those tried, `start` is not.
    """
    found: dict[float, float] = {}
    for way in WAYS:
        network.load_state_dict(between(start, end, way))
        found[way] = loss(network)
    best = min(found, key=found.__getitem__)
    network.load_state_dict(between(start, end, best))
    return best
