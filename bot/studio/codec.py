"""Engine requests as rows keep them: JSON, with pictures as references to files.

    {"kind": "ImageToImage", "fields": {"source": {"file": "<key>"}, "prompt": [...], ...}}

Fields that a newer version added get their defaults; those it dropped are left out.
"""

import dataclasses
import logging
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from pydantic import TypeAdapter, ValidationError

from bot.errors import UserError
from bot.storage.files import content_key
from bot.wording import Said
from engine.api import (
    Blend,
    Dream,
    ImageToImage,
    InvalidRequest,
    Morph,
    Request,
    Stylize,
    TextToImage,
    TrainGan,
    TrainStyle,
    Upscale,
)

logger = logging.getLogger(__name__)

_KINDS: Mapping[str, type[Request]] = {
    kind.__name__: kind
    for kind in (
        TextToImage,
        ImageToImage,
        Upscale,
        Stylize,
        TrainStyle,
        TrainGan,
        Blend,
        Dream,
        Morph,
    )
}


class UnreadableRequest(UserError):
    """A stored request is of no kind this version knows."""


def encode_request(request: Request) -> tuple[dict[str, Any], dict[str, bytes]]:
    """The JSON value of a request, and its pictures by file key."""
    files: dict[str, bytes] = {}
    fields = _without_bytes(dataclasses.asdict(request), files)
    return {"kind": type(request).__name__, "fields": fields}, files


def decode_request(stored: Mapping[str, Any], files: Mapping[str, bytes]) -> Request:
    """The request that was stored; `files` holds at least its `file_keys`.

    Raises:
        UnreadableRequest: its kind or a field is unknown to this version.
    """
    kind = _KINDS.get(str(stored.get("kind")))
    if kind is None:
        kind = stored.get("kind")
        raise UnreadableRequest(Said("a request of kind {kind} is not known here", kind=kind))
    try:
        return _adapters()[kind].validate_python(_with_bytes(stored["fields"], files))
    except (ValidationError, InvalidRequest, KeyError) as error:
        logger.error("a stored %s can't be read: %s", kind.__name__, _without_values(error))
        raise UnreadableRequest(
            "this job is stored in a way that can't be read here; ask for it again"
        ) from error


def file_keys(stored: Any) -> Iterator[str]:
    """The keys of all files that a stored request refers to."""
    if isinstance(stored, Mapping):
        if _is_reference(stored):
            yield stored["file"]
        else:
            for value in stored.values():
                yield from file_keys(value)
    elif isinstance(stored, list | tuple):
        for value in stored:
            yield from file_keys(value)


@cache
def _adapters() -> Mapping[type[Request], TypeAdapter[Request]]:
    return {kind: TypeAdapter(kind) for kind in _KINDS.values()}


def _without_values(error: ValidationError | InvalidRequest | KeyError) -> str:
    """What is wrong, for the log; the values may be somebody's prompt."""
    if not isinstance(error, ValidationError):
        return str(error)
    found = error.errors(include_url=False, include_context=False, include_input=False)
    return "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in found)


def _is_reference(value: Mapping[str, Any]) -> bool:
    return value.keys() == {"file"}


def _without_bytes(value: Any, files: dict[str, bytes]) -> Any:
    match value:
        case bytes():
            if not value:
                return ""
            key = content_key(value)
            files[key] = value
            return {"file": key}
        case dict():
            return {name: _without_bytes(inner, files) for name, inner in value.items()}
        case list() | tuple():
            return [_without_bytes(inner, files) for inner in value]
        case _:
            return value


def _with_bytes(value: Any, files: Mapping[str, bytes]) -> Any:
    match value:
        case dict() if _is_reference(value):
            return files[value["file"]]
        case dict():
            return {name: _with_bytes(inner, files) for name, inner in value.items()}
        case list():
            return [_with_bytes(inner, files) for inner in value]
        case _:
            return value
