"""LoRA: low-rank changes of a network's weights, trained beside them and stored in a small file.

Hu et al. 2021, https://arxiv.org/abs/2106.09685. The weight W of a layer becomes W + up @ down.
"""

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from engine.networks.low_rank import product


class LowRank(nn.Module):
    """Adds up (out, rank) @ down (rank, rest) to a weight; adds nothing at first."""

    def __init__(self, weight: Tensor, rank: int) -> None:
        super().__init__()
        rest = weight[0].numel()
        self.up = nn.Parameter(torch.zeros(len(weight), rank))
        self.down = nn.Parameter(torch.randn(rank, rest) / rest**0.5)

    def forward(self, weight: Tensor) -> Tensor:
        """The changed weight, shaped as before."""
        return weight + product(self.up, self.down, weight)


def add_lora(network: nn.Module, rank: int) -> None:
    """Freeze a network and give its convolutions and linear layers a trainable change.

    Layers with fewer than `2 * rank` inputs or outputs stay as they are.
    """
    network.requires_grad_(requires_grad=False)
    for _, layer in list(_layers(network)):
        weight = layer.weight
        if min(len(weight), weight[0].numel()) >= 2 * rank:
            parametrize.register_parametrization(layer, "weight", LowRank(weight, rank))


def lora_of(network: nn.Module) -> dict[str, Tensor]:
    """`LAYER.up` and `LAYER.down` of every layer that `add_lora` has changed."""
    found = {}
    for name, module in network.named_modules():
        if isinstance(module, LowRank):
            layer = name.removesuffix(".parametrizations.weight.0")
            found[f"{layer}.up"] = module.up.detach()
            found[f"{layer}.down"] = module.down.detach()
    return found


@torch.no_grad()
def load_lora(network: nn.Module, lora: Mapping[str, Tensor]) -> None:
    """Give the layers that `add_lora` has changed the changes that `lora_of` stored of them.

    Raises:
        KeyError: a change belongs to a layer that has none.
        RuntimeError: a change is of another shape.
    """
    parts = lora_of(network)
    for name, stored in lora.items():
        parts[name].copy_(stored)


@torch.no_grad()
def merge_lora(network: nn.Module, lora: Mapping[str, Tensor]) -> None:
    """Add stored changes to the weights of a plain network.

    Raises:
        KeyError: a change belongs to a layer that the network does not have.
        RuntimeError: a change is of another shape than its layer.
    """
    layers = dict(_layers(network))
    for name in {key.rpartition(".")[0] for key in lora}:
        weight = layers[name].weight
        weight += product(lora[f"{name}.up"], lora[f"{name}.down"], weight)


def _layers(network: nn.Module) -> Iterator[tuple[str, nn.Conv2d | nn.Linear]]:
    for name, module in network.named_modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            yield name, module
