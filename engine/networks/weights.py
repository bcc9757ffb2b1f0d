"""Our networks as safetensors files that describe themselves.

A file holds half floats, tables as bytes with one scale per row (`NAME` and `NAME.scale`), and its
network's configuration as JSON in the metadata. A network too large for one file of 16 MB is cut
into `NAME-1.safetensors`, `NAME-2.safetensors`...
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load, save, save_file
from torch import Tensor, nn

FILE_BYTES = 15_500_000  # most of one file
READABLE = 0o644  # safetensors itself lets nobody but the maker read a file


class BrokenWeights(Exception):
    """A weights file is missing, damaged or of another network."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(path, reason)
        self.path = path
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}"


def save_network(
    folder: Path, name: str, network: nn.Module, *, tables: tuple[str, ...] = ()
) -> list[Path]:
    """Write a network that has `configuration()`; weights named in `tables` become bytes."""
    tensors: dict[str, Tensor] = {}
    for key, value in network.state_dict().items():
        if key in tables:
            tensors[key], tensors[f"{key}.scale"] = quantised(value)
        else:
            tensors[key] = value.detach().cpu().half().contiguous()
    configuration = network.configuration()  # type: ignore[operator]
    return _save(folder, name, tensors, configuration)


def encode_network(name: str, network: nn.Module) -> bytes:
    """A network that has `configuration()` as the bytes of one file."""
    halves = {key: value.cpu().half().contiguous() for key, value in network.state_dict().items()}
    configuration = network.configuration()  # type: ignore[operator]
    data: bytes = save(halves, {"network": name, "configuration": json.dumps(configuration)})
    return data


def decode_network(data: bytes, name: str) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Configuration and fp32 weights of what `encode_network` made.

    Raises:
        BrokenWeights: the bytes are damaged or hold another network.
    """
    try:
        tensors = load(data)
        metadata = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])["__metadata__"]
        configuration = json.loads(metadata["configuration"])
    except (SafetensorError, ValueError, KeyError) as error:
        raise BrokenWeights(name, f"it can't be read ({error})") from error
    if metadata.get("network") != name:
        raise BrokenWeights(name, f"it does not hold a {name}")
    return configuration, _widened(tensors)


def save_changes(folder: Path, name: str, changes: Mapping[str, Tensor]) -> list[Path]:
    """Write low-rank changes of a network, as `lora_of` gives them."""
    halves = {key: value.cpu().half() for key, value in changes.items()}
    return _save(folder, name, halves, {})


def _save(
    folder: Path, name: str, tensors: Mapping[str, Tensor], configuration: Mapping[str, Any]
) -> list[Path]:
    """Write tensors as they are, in as many files as needed, in place of older ones."""
    for old in (*folder.glob(f"{name}.safetensors"), *folder.glob(f"{name}-[0-9].safetensors")):
        old.unlink()
    metadata = {"network": name, "configuration": json.dumps(configuration)}
    parts = _parts(tensors)
    paths = []
    for number, part in enumerate(parts, 1):
        suffix = f"-{number}" if len(parts) > 1 else ""
        paths.append(folder / f"{name}{suffix}.safetensors")
        save_file(part, paths[-1], metadata)
        paths[-1].chmod(READABLE)
    return paths


def _parts(tensors: Mapping[str, Tensor]) -> list[dict[str, Tensor]]:
    parts: list[dict[str, Tensor]] = [{}]
    filled = 0
    for key, value in tensors.items():
        if filled + value.nbytes > FILE_BYTES:
            parts.append({})
            filled = 0
        parts[-1][key] = value
        filled += value.nbytes
    return parts


def quantised(table: Tensor) -> tuple[Tensor, Tensor]:
    """A table (N, D) as signed bytes and one scale (N, 1) per row."""
    scale = table.detach().abs().amax(dim=1, keepdim=True).clamp_min(1e-8) / 127
    return (table / scale).round().to(torch.int8), scale.half()


def network_files(folder: Path, name: str) -> list[Path]:
    """The files of a network, in order; empty when it is not there."""
    single = folder / f"{name}.safetensors"
    return [single] if single.exists() else sorted(folder.glob(f"{name}-[0-9].safetensors"))


def read_network(folder: Path, name: str) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Configuration and fp32 weights of a network.

    Raises:
        BrokenWeights: a file is missing, damaged or holds another network.
    """
    files = network_files(folder, name)
    if not files:
        raise BrokenWeights(str(folder / f"{name}.safetensors"), "the file is missing")
    tensors: dict[str, Tensor] = {}
    configuration: dict[str, Any] = {}
    for path in files:
        try:
            with safe_open(path, framework="pt") as file:
                metadata = file.metadata() or {}
                tensors |= {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        except (SafetensorError, OSError) as error:
            raise BrokenWeights(str(path), f"it can't be read ({error})") from error
        if metadata.get("network") != name:
            raise BrokenWeights(str(path), f"it does not hold a {name}")
        configuration = json.loads(metadata["configuration"])
    return configuration, _widened(tensors)


def _widened(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    out = {}
    for key, value in tensors.items():
        if key.endswith(".scale") and key.removesuffix(".scale") in tensors:
            continue
        scale = tensors.get(f"{key}.scale")
        out[key] = value.float() if scale is None else value.float() * scale.float()
    return out
