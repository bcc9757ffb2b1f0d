"""Low-rank adaptations, merged into the weights they change.

A LoRA holds, for some layers, two thin matrices; the layer's weight becomes
W + weight * (alpha / rank) * up @ down (Hu et al. 2021, https://arxiv.org/abs/2106.09685).
What is changed is first put aside, and every change starts from what was put aside: taking the
LoRAs away restores each weight bit by bit, however often they were switched.

Two layouts are read. Trainers of the kohya kind write a layer's path with underscores,
`lora_unet_down_blocks_0_..._to_q.lora_down.weight`, by diffusers' names or the original ones;
diffusers and peft write `unet.down_blocks.0...to_q.lora_A.weight`, of a denoiser alone without
`unet.`.
"""

import json
import logging
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers import UNet2DConditionModel
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from engine.errors import ModelUnavailable
from engine.models import original_layout as original
from engine.models.files import read_lora_header
from engine.networks.low_rank import product

log = logging.getLogger(__name__)

_KOHYA = {
    "unet": ("lora_unet_",),
    "text_encoder": ("lora_te_", "lora_te1_"),
    "text_encoder_2": ("lora_te2_",),
}
# How the two matrices of a layer are called: down, up.
_PAIRS = (
    (".lora_down.weight", ".lora_up.weight"),
    (".lora_A.weight", ".lora_B.weight"),
    (".lora_A.default.weight", ".lora_B.default.weight"),
    (".lora.down.weight", ".lora.up.weight"),
    (".lora_linear_layer.down.weight", ".lora_linear_layer.up.weight"),
)
_PROCESSOR = re.compile(r"\.processor\.(to_[qkv]|to_out)_lora\.")  # of early diffusers


@dataclass(frozen=True, slots=True)
class Delta:
    """What a LoRA adds to one weight: scale * up @ down."""

    up: Tensor  # (out, rank), or that as a convolution of one pixel
    down: Tensor  # (rank, in), or (rank, in, k, k)
    scale: float

    def of(self, weight: Tensor) -> Tensor:
        """The addition in fp32, shaped like `weight`."""
        up, down = (part.to(weight.device, torch.float32) for part in (self.up, self.down))
        return product(up, down, weight) * self.scale

    def fits(self, weight: Tensor) -> bool:
        """Whether the product has as many rows and columns as `weight`."""
        return (
            len(self.up) == len(weight)
            and self.up[0].numel() == len(self.down)
            and self.down[0].numel() == weight[0].numel()
        )


class Merger:
    """Applies LoRAs to the networks of one model."""

    def __init__(self, networks: Mapping[str, nn.Module]) -> None:
        self._weights = _weights(networks)
        self._aliases = dict(_aliases(networks))
        self._pristine: dict[str, Tensor] = {}
        self.applied: tuple[tuple[Path, float], ...] = ()

    @property
    def bytes_kept(self) -> int:
        """Device memory of the weights put aside; CUDA's are put aside in main memory."""
        return sum(
            copy.nbytes
            for layer, copy in self._pristine.items()
            if copy.device == self._weights[layer].device
        )

    def apply(self, loras: tuple[tuple[Path, float], ...]) -> None:
        """Make the weights those of the checkpoint plus these LoRAs and no others.

        Raises:
            ModelUnavailable: a file is broken or fits another family; what was applied stays then.
        """
        additions: dict[str, list[tuple[float, Delta]]] = defaultdict(list)
        for file, weight in loras:
            for layer, delta in self._read(file).items():
                additions[layer].append((weight, delta))
        self._restore()
        try:
            for layer, deltas in additions.items():
                self._merge(layer, deltas)
        except BaseException:
            self._restore()
            raise
        self.applied = loras

    def _merge(self, layer: str, deltas: Sequence[tuple[float, Delta]]) -> None:
        weight = self._weights[layer]
        self._pristine[layer] = weight.detach().to("cpu", copy=True)
        merged = weight.detach().to(torch.float32, copy=True)
        for factor, delta in deltas:
            merged += factor * delta.of(weight)
        weight.data.copy_(merged)

    def _restore(self) -> None:
        for layer, copy in self._pristine.items():
            self._weights[layer].data.copy_(copy)
        self._pristine.clear()
        self.applied = ()

    def _read(self, file: Path) -> dict[str, Delta]:
        deltas: dict[str, Delta] = {}
        unknown: list[str] = []
        for name, delta in read_lora(file):
            layer = self._aliases.get(name)
            if layer is None:
                unknown.append(name)
            elif delta.fits(self._weights[layer]):
                deltas[layer] = delta
            else:
                raise ModelUnavailable(
                    file.stem, f"the LoRA is for another family: {name} has another size"
                )
        if not deltas:
            raise ModelUnavailable(file.stem, "the LoRA is for another family: no layer matches")
        if unknown:
            log.warning("%s: %d layers unknown, such as %s", file.name, len(unknown), unknown[0])
        return deltas


def read_lora(file: Path) -> Iterator[tuple[str, Delta]]:
    """Each layer of a LoRA file under the name the file gives it.

    Raises:
        UnsafeCheckpoint: it is a pickle.
        ModelUnavailable: it is broken, or of a kind that is not read (LoHa, LoKr, DoRA...).
    """
    header = read_lora_header(file)
    try:
        with safe_open(str(file), framework="pt") as opened:
            tensors = {_modern(key): opened.get_tensor(key) for key in header}
            alphas = _adapter_alphas(opened.metadata() or {})
    except (SafetensorError, OSError) as error:
        raise ModelUnavailable(file.stem, f"{file.name}: {error}") from error
    return _pairs(file, tensors, alphas)


def _pairs(
    file: Path, tensors: Mapping[str, Tensor], alphas: Mapping[str, float]
) -> Iterator[tuple[str, Delta]]:
    for key, down in tensors.items():
        for down_end, up_end in _PAIRS:
            if not key.endswith(down_end):
                continue
            layer = key.removesuffix(down_end)
            up = tensors.get(layer + up_end)
            if up is None:
                raise ModelUnavailable(file.stem, f"the LoRA lacks {layer}{up_end}")
            alpha = tensors.get(layer + ".alpha")
            one = alpha is None or alpha.numel() == 1
            if not one or min(up.dim(), down.dim()) < 2 or not down.numel():
                raise ModelUnavailable(file.stem, f"the LoRA is damaged: {layer} has odd shapes")
            rank = len(down)
            default = alphas.get(layer.split(".", 1)[0], float(rank))
            yield layer, Delta(up, down, (default if alpha is None else alpha.item()) / rank)


def _modern(key: str) -> str:
    """One spelling for what early and late diffusers and peft write."""
    key = _PROCESSOR.sub(r".\1.lora.", key.removeprefix("base_model.model."))
    return key.replace(".to_out.lora", ".to_out.0.lora")


def _adapter_alphas(metadata: Mapping[str, str]) -> dict[str, float]:
    """Alpha per network, where diffusers wrote the adapter's configuration beside the weights."""
    end = ".lora_alpha"
    try:
        settings: dict[str, Any] = json.loads(metadata.get("lora_adapter_metadata", "{}"))
        given = [(key, value) for key, value in settings.items() if key.endswith(end)]
        return {key.removesuffix(end): float(alpha) for key, alpha in given}
    except (ValueError, TypeError, AttributeError):  # others write there what they like
        return {}


def _layers(networks: Mapping[str, nn.Module]) -> Iterator[tuple[str, str, Tensor]]:
    """The network, path and weight of each layer that a LoRA may change."""
    for name in _KOHYA.keys() & networks.keys():
        for path, module in networks[name].named_modules():
            if isinstance(module, nn.Linear | nn.Conv2d):
                yield name, path, module.weight


def _weights(networks: Mapping[str, nn.Module]) -> dict[str, Tensor]:
    return {f"{name}.{path}": weight for name, path, weight in _layers(networks)}


def _aliases(networks: Mapping[str, nn.Module]) -> Iterator[tuple[str, str]]:
    """Every name a LoRA file may give a layer, and the layer."""
    for name, path, _ in _layers(networks):
        layer = f"{name}.{path}"
        for spelling in _spellings(networks[name], path):
            yield f"{name}.{spelling}", layer
            if name == "unet":  # that of a denoiser alone is written without its name
                yield spelling, layer
            for prefix in _KOHYA[name]:
                yield prefix + spelling.replace(".", "_"), layer


def _spellings(network: nn.Module, path: str) -> tuple[str, ...]:
    if isinstance(network, UNet2DConditionModel):
        config = network.config
        attention = ["CrossAttn" in kind for kind in config.up_block_types]
        return path, original.unet_key(path, int(config.layers_per_block), attention)
    bare = path.removeprefix("text_model.")
    return bare, f"text_model.{bare}"
