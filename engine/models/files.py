"""Weights on disk, checked before anything is loaded; no torch here.

Only safetensors are read: a JSON header (8 bytes of length, then the JSON) and raw numbers, so
that a file can't run code. Pickles and repositories with code of their own are refused.

A diffusers folder is `model_index.json` and one folder a component, each with a configuration and
`*.safetensors`.
"""

import hashlib
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from engine.errors import ModelUnavailable, UnsafeCheckpoint
from engine.models.catalogue import Family, ModelInfo

PICKLES = frozenset({".ckpt", ".pt", ".pth", ".bin", ".pkl", ".pickle"})
PACK_NETWORKS = ("text_encoder", "denoiser", "vae", "upscaler")
_FOREIGN = re.compile(r"hada_|lokr_|dora_scale|magnitude_vector|lora_mid|oft_|boft_")
_MAX_HEADER_BYTES = 100_000_000  # as the safetensors format itself allows
_TO_SAFETENSORS = (
    "a pickle can run code when it is loaded; "
    "get the safetensors version, or convert it in a sandbox"
)
# Where the weights of a component may be, best first.
_WEIGHTS = ("diffusion_pytorch_model", "model")
_VARIANTS = ("", ".fp16", ".bf16")


@dataclass(frozen=True, slots=True)
class TensorEntry:
    """One tensor of a safetensors file."""

    dtype: str  # F32, F16, BF16...
    shape: tuple[int, ...]
    size_bytes: int

    @property
    def count(self) -> int:
        """How many numbers it holds."""
        return math.prod(self.shape)


Header = Mapping[str, TensorEntry]


def read_header(name: str, file: Path) -> Header:
    """List the tensors of a safetensors file, and see that the file is whole.

    Raises:
        UnsafeCheckpoint: it is a pickle.
        ModelUnavailable: it is missing, broken or cut short; `name` is whom the error is about.
    """
    if file.suffix in PICKLES:
        raise UnsafeCheckpoint(name, f"{file.name} is a pickle: {_TO_SAFETENSORS}")
    try:
        size = file.stat().st_size
        with file.open("rb") as stream:
            length = int.from_bytes(stream.read(8), "little")
            if not 2 <= length <= min(size - 8, _MAX_HEADER_BYTES):
                raise ModelUnavailable(name, f"{file} is no safetensors file, or is cut short")
            raw = json.loads(stream.read(length))
    except OSError as error:
        raise ModelUnavailable(name, f"{file}: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise ModelUnavailable(name, f"{file} is no safetensors file") from error
    return _checked_entries(name, file, raw, size - 8 - length)


def read_lora_header(file: Path) -> Header:
    """List the tensors of a low-rank adaptation, and see that it is of the plain kind.

    Raises:
        UnsafeCheckpoint: it is a pickle.
        ModelUnavailable: it is missing, broken, or of a kind not read (LoHa, LoKr, DoRA...).
    """
    header = read_header(file.stem, file)
    if foreign := next((key for key in header if _FOREIGN.search(key)), None):
        raise ModelUnavailable(
            file.stem, f"it is no plain LoRA ({foreign}); convert it, or use another"
        )
    return header


def _checked_entries(name: str, file: Path, raw: Any, data_bytes: int) -> Header:
    try:
        entries = {key: _entry(value) for key, value in raw.items() if key != "__metadata__"}
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError) as error:
        raise ModelUnavailable(name, f"{file} has a broken safetensors header") from error
    # The format knows neither gaps nor overlaps.
    end = sum(entry.size_bytes for entry in entries.values())
    if end != data_bytes:
        raise ModelUnavailable(
            name,
            f"{file} should hold {end:,} bytes of weights but holds {data_bytes:,}: fetch it again",
        )
    return entries


def _entry(value: Mapping[str, Any]) -> TensorEntry:
    start, end = value["data_offsets"]
    if not 0 <= start <= end:
        raise ValueError("offsets must rise")
    return TensorEntry(str(value["dtype"]), tuple(int(n) for n in value["shape"]), end - start)


def read_json(name: str, file: Path) -> dict[str, Any]:
    """Read a configuration.

    Raises:
        ModelUnavailable: it is missing or no JSON object.
    """
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ModelUnavailable(name, f"{file}: {error.strerror or error}") from error
    except ValueError as error:
        raise ModelUnavailable(name, f"{file} is no JSON: {error}") from error
    if not isinstance(content, dict):
        raise ModelUnavailable(name, f"{file} must hold a JSON object")
    return content


def fingerprint(files: Sequence[Path]) -> str:
    """Ten hexadecimal digits that tell weights apart: of one file, the first of its SHA-256.

    Other studios show the same digits as the model's hash.
    """
    digests = []
    for file in files:
        stat = file.stat()
        digests.append(_digest(file, stat.st_size, stat.st_mtime_ns))
    if len(digests) > 1:
        digests = [hashlib.sha256("".join(digests).encode()).hexdigest()]
    return digests[0][:10]


@lru_cache(maxsize=256)
def _digest(file: Path, _size: int, _mtime_ns: int) -> str:
    """Read the file once as long as it does not change: it may have gigabytes."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def component_weights(name: str, folder: Path) -> tuple[Path, ...]:
    """The safetensors files of one component, several if it is sharded.

    Raises:
        UnsafeCheckpoint: there are pickles only.
        ModelUnavailable: there is nothing.
    """
    for stem in _WEIGHTS:
        for variant in _VARIANTS:
            whole = folder / f"{stem}{variant}.safetensors"
            if whole.is_file():
                return (whole,)
            index = folder / f"{stem}.safetensors.index{variant}.json"
            if index.is_file():
                return _shards(name, index)
    pickles = [path.name for path in _files(folder) if path.suffix in PICKLES]
    if pickles:
        raise UnsafeCheckpoint(name, f"{folder} holds only {min(pickles)}: {_TO_SAFETENSORS}")
    raise ModelUnavailable(name, f"{folder} holds no *.safetensors")


def _shards(name: str, index: Path) -> tuple[Path, ...]:
    shards = read_json(name, index).get("weight_map", {})
    names = sorted({str(shard) for shard in shards.values()})
    if not names or any(Path(shard).name != shard for shard in names):
        raise ModelUnavailable(name, f"{index} names no usable shards")
    return tuple(index.parent / shard for shard in names)


def model_index(name: str, folder: Path, needed: Iterable[str]) -> dict[str, Any]:
    """Read what a diffusers folder is made of, and see that nothing in it would run code.

    Raises:
        UnsafeCheckpoint: it holds Python code or asks for classes outside diffusers.
        ModelUnavailable: it is no such folder, or a `needed` component is missing.
    """
    if not folder.is_dir():
        raise ModelUnavailable(name, f"there is no folder {folder}")
    refuse_code(name, folder)
    index = read_json(name, folder / "model_index.json")
    for component in needed:
        origin = index.get(component)
        if not isinstance(origin, list) or len(origin) != 2:
            raise ModelUnavailable(name, f"{folder} has no {component}: it is of another family")
        if origin[0] not in {"diffusers", "transformers"}:
            raise UnsafeCheckpoint(
                name,
                f"its {component} comes from {origin[0]!r}, code that is not part of "
                "diffusers; choose a repository of a standard pipeline",
            )
    return index


def refuse_code(name: str, folder: Path) -> None:
    """Refuse a folder that brings its own program.

    Raises:
        UnsafeCheckpoint: there is Python code in it.
    """
    code = next((path for path in _files(folder) if path.suffix in {".py", ".pyc", ".so"}), None)
    if code is not None:
        raise UnsafeCheckpoint(
            name,
            f"{code} is program code, which is never run from a model's folder; "
            "remove it if the model is of a standard family",
        )


def _files(folder: Path) -> Iterable[Path]:
    return (path for path in folder.rglob("*") if path.is_file())


def components_of(family: Family) -> tuple[str, ...]:
    """The folders a diffusers repository of a family must have, networks first."""
    second = family is Family.SDXL
    texts = ("text_encoder", "text_encoder_2") if second else ("text_encoder",)
    tokenizers = ("tokenizer", "tokenizer_2") if second else ("tokenizer",)
    return ("unet", "vae", *texts, *tokenizers, "scheduler")


def weight_files(name: str, path: Path, family: Family) -> tuple[Path, ...]:
    """All files that loading a model from `path` would read, a folder or a single file.

    Raises:
        UnsafeCheckpoint: there are pickles only.
        ModelUnavailable: it is no such folder, or a network has no weights.
    """
    if path.is_file():
        return (path,)
    if family is Family.GAN:
        return generator_files(name, path)
    if family is not Family.PACK:
        components = components_of(family)
        model_index(name, path, components)
        networks = [part for part in components if not part.startswith(("tokenizer", "scheduler"))]
        return tuple(file for part in networks for file in component_weights(name, path / part))
    return pack_files(name, path)


def pack_files(name: str, folder: Path) -> tuple[Path, ...]:
    """The weights of a pack that `engine.training` wrote, which has its words beside them.

    Raises:
        ModelUnavailable: something is not there.
    """
    for word_list in ("vocabulary.txt", "lexicon_zh.tsv"):
        if not (folder / word_list).is_file():
            raise ModelUnavailable(name, f"{folder} holds no {word_list}")
    for network in PACK_NETWORKS:
        if not any(folder.glob(f"{network}*.safetensors")):
            raise ModelUnavailable(name, f"{folder} holds no {network}.safetensors")
    return tuple(sorted(folder.glob("*.safetensors")))


def adapter_files(info: ModelInfo) -> tuple[Path, ...]:
    """The files by which a model sees style references; none where it does not.

    Raises:
        UnsafeCheckpoint: the image encoder is a pickle, or brings code.
        ModelUnavailable: it has no weights.
    """
    if not info.ip_adapter:
        return ()
    encoder = Path(info.image_encoder)
    refuse_code(info.name, encoder)
    return (Path(info.ip_adapter), *component_weights(info.name, encoder))


def generator_files(name: str, folder: Path) -> tuple[Path, ...]:
    """The file of a generator in a folder that may hold other networks.

    Raises:
        ModelUnavailable: it is not there.
    """
    file = folder / "gan.safetensors"
    if not file.is_file():
        raise ModelUnavailable(name, f"{folder} holds no gan.safetensors")
    return (file,)


def check_vocabulary(name: str, folder: Path) -> None:
    """See that a folder holds a CLIP vocabulary.

    Raises:
        ModelUnavailable: it does not.
    """
    if not any((folder / file).is_file() for file in ("vocab.json", "tokenizer.json")):
        raise ModelUnavailable(
            name, f"{folder} holds no CLIP vocabulary (vocab.json and merges.txt)"
        )


def parameter_count(headers: Iterable[Header]) -> int:
    """How many numbers the files hold together."""
    return sum(entry.count for header in headers for entry in header.values())
