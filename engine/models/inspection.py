"""What is wrong with a model's files, found without loading them; no torch here."""

import zipfile
from pathlib import Path

from engine.config import EngineConfig
from engine.errors import ModelUnavailable
from engine.models.catalogue import Family, LoraInfo, ModelInfo, Source
from engine.models.files import (
    adapter_files,
    check_vocabulary,
    component_weights,
    read_header,
    read_lora_header,
    weight_files,
)
from engine.models.hub import localised
from engine.models.original_layout import check_family
from engine.networks import vgg_layers

_PICKLE = b"\x80"  # with which a state dict of the older kind begins


def problems(info: ModelInfo, config: EngineConfig) -> list[str]:
    """Say what an operator must mend before the model can be used; nothing if all is well."""
    if info.source is Source.HUB and config.allow_downloads:
        return []  # it comes when it is needed
    try:
        _check(localised(info, config))
    except ModelUnavailable as error:
        return [error.reason]
    return []


def lora_problems(info: LoraInfo) -> list[str]:
    """Say what an operator must mend before the LoRA can be used; nothing if all is well."""
    try:
        read_lora_header(Path(info.where))
    except ModelUnavailable as error:
        return [error.reason]
    return []


def vgg19_problems(config: EngineConfig) -> list[str]:
    """Say what an operator must mend in the weights of VGG-19; nothing where none are configured.

    Of a state dict, which only torch reads, no more is said than that it seems to be whole.
    """
    file = config.vgg19_file
    if file is None:
        return []
    if file.suffix != ".safetensors":
        return _problems_of_state_dict(file)
    try:
        header = read_header("vgg19", file)
    except ModelUnavailable as error:
        return [error.reason]
    problem = vgg_layers.problem_of(file, {key: tuple(header[key].shape) for key in header})
    return [problem] if problem else []


def _problems_of_state_dict(file: Path) -> list[str]:
    if not file.is_file():
        return [f"there is no file {file}"]
    try:
        with file.open("rb") as stream:
            start = stream.read(2)
        is_whole = zipfile.is_zipfile(file) if start == b"PK" else start[:1] == _PICKLE
    except OSError as error:
        return [f"{file}: {error.strerror or error}"]
    return [] if is_whole else [f"{file} is no state dict, or is cut short"]


def _check(info: ModelInfo) -> None:
    path = Path(info.where)
    files = weight_files(info.name, path, info.family)
    headers = {file: read_header(info.name, file) for file in files}
    if info.source is Source.FILE and info.family is not Family.GAN:
        check_family(info, path, headers[path])
        check_vocabulary(info.name, Path(info.tokenizer))
    for file in adapter_files(info):
        read_header(info.name, file)
    if info.tiny_vae:
        for file in component_weights(info.name, Path(info.tiny_vae)):
            read_header(info.name, file)
