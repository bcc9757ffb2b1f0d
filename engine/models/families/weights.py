"""Networks of published classes, built empty and filled from safetensors.

A network is made on the meta device (shapes without memory), then each weight is put in place, so
that nothing is initialised in vain and no weight is forgotten.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from engine.errors import ModelUnavailable
from engine.models.families import OnLoad
from engine.models.files import read_header
from engine.models.original_layout import Change, Origin

M = TypeVar("M", bound=nn.Module)

# Files of old saved these; transformers makes them itself.
_IGNORED = ("position_ids", "logit_scale")


class Meter:
    """Turns bytes read into the fraction that `OnLoad` hears."""

    def __init__(self, total_bytes: int, on_progress: OnLoad) -> None:
        self._total = max(total_bytes, 1)
        self._read = 0
        self._told = 0.0
        self._on_progress = on_progress

    def add(self, size_bytes: int) -> None:
        """Count what was read; tells at most a hundred times."""
        self._read += size_bytes
        fraction = min(self._read / self._total, 1.0)
        if fraction - self._told >= 0.01:
            self._told = fraction
            self._on_progress(fraction)


@dataclass(frozen=True, slots=True)
class Weights:
    """Where the weights of one model are read to."""

    name: str  # of the model, for errors
    device: torch.device
    meter: Meter

    def read(self, files: Iterable[Path], dtype: torch.dtype) -> dict[str, Tensor]:
        """All tensors of some files."""
        tensors: dict[str, Tensor] = {}
        for file in files:
            keys = {key: Origin(key) for key in read_header(self.name, file)}
            tensors |= self.pick(file, keys, dtype)
        return tensors

    def pick(
        self, file: Path, origins: Mapping[str, Origin], dtype: torch.dtype
    ) -> dict[str, Tensor]:
        """Those tensors of a file that `origins` names, under our names.

        Raises:
            ModelUnavailable: one is not there, or the file is broken.
        """
        try:
            with safe_open(str(file), framework="pt") as opened:
                return {
                    key: self._place(opened.get_tensor(origin.key), origin.change, dtype)
                    for key, origin in origins.items()
                }
        except (SafetensorError, OSError) as error:
            raise ModelUnavailable(self.name, f"{file.name}: {error}") from error

    def _place(self, tensor: Tensor, change: Change, dtype: torch.dtype) -> Tensor:
        self.meter.add(tensor.nbytes)
        changed = _changed(tensor, change)
        if not changed.is_floating_point():
            return changed.to(self.device)
        # A copy in any case: what is read lies in the file's own pages.
        return changed.to(self.device, dtype, copy=True).contiguous()


def _changed(tensor: Tensor, change: Change) -> Tensor:
    match change:
        case Change.NONE:
            return tensor
        case Change.TRANSPOSE:
            return tensor.T
        case Change.FLATTEN:
            return tensor.flatten(1)
        case Change.FIRST_THIRD:
            return tensor.chunk(3)[0]
        case Change.SECOND_THIRD:
            return tensor.chunk(3)[1]
        case Change.LAST_THIRD:
            return tensor.chunk(3)[2]


def build(name: str, what: str, make: Callable[[], M]) -> M:
    """An empty network on the meta device.

    Raises:
        ModelUnavailable: `make` refuses the configuration.
    """
    try:
        with torch.device("meta"):
            module = make()
    except (ValueError, TypeError, KeyError, AttributeError, IndexError, ImportError) as error:
        raise ModelUnavailable(
            name, f"the configuration of its {what} is wrong: {error}"
        ) from error
    return module.eval().requires_grad_(requires_grad=False)


def fill(name: str, what: str, module: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Put every weight of a network in its place.

    Raises:
        ModelUnavailable: weights are missing, have another shape, or don't belong.
    """
    wanted = module.state_dict()
    given = {key: value for key, value in tensors.items() if not key.endswith(_IGNORED)}
    wrong = _misfit(wanted, given)
    if wrong:
        raise ModelUnavailable(name, f"its {what} does not fit: {wrong}")
    module.load_state_dict(given, assign=True)
    _fill_buffers(module, next(iter(given.values())).device)


def _misfit(wanted: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> str:
    if missing := wanted.keys() - given.keys():
        return f"{len(missing)} weights are missing, such as {min(missing)}"
    if strange := given.keys() - wanted.keys():
        return f"{len(strange)} weights don't belong, such as {min(strange)}"
    for key, tensor in wanted.items():
        if tensor.shape != given[key].shape:
            shapes = f"{list(given[key].shape)}, not {list(tensor.shape)}"
            return f"{key} has the shape {shapes}"
    return ""


def _fill_buffers(module: nn.Module, device: torch.device) -> None:
    """Make the buffers that no file holds: CLIP's position numbers."""
    for owner in module.modules():
        for key, buffer in owner.named_buffers(recurse=False):
            if buffer.is_meta:
                positions = torch.arange(buffer.shape[-1], device=device)
                setattr(owner, key, positions.expand(buffer.shape))


def bytes_of(modules: Iterable[nn.Module]) -> int:
    """Memory that the weights of some networks take."""
    return sum(tensor.nbytes for module in modules for tensor in module.state_dict().values())


def with_text_names(tensors: Mapping[str, Tensor], module: nn.Module) -> dict[str, Tensor]:
    """The tensors under the names a text encoder has in the installed transformers.

    Most files call its parts `text_model.…`; some releases read and write without that level.
    """
    level = "text_model."
    bare = {key.removeprefix(level): value for key, value in tensors.items()}
    if not any(key.startswith(level) for key in module.state_dict()):
        return bare
    return {key if key in _BESIDE else level + key: value for key, value in bare.items()}


_BESIDE = ("text_projection.weight",)  # not a part of the text model itself
_OLD_ATTENTION = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}


def with_new_attention_names(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of a VAE under today's names; early diffusers folders say `query`, `key`..."""
    renamed: dict[str, Tensor] = {}
    for key, value in tensors.items():
        head, separator, tail = key.partition(".attentions.0.")
        part, _, kind = tail.partition(".")
        new = _OLD_ATTENTION.get(part)
        renamed[f"{head}{separator}{new}.{kind}" if new else key] = value
    return renamed
