"""What requests are made of: texts, pictures as data URLs, JSON within forms, pages, moments."""

import base64
import binascii
import json
import re
from datetime import datetime
from typing import Annotated

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    WithJsonSchema,
)

TEXT_MAX = 20_000  # characters of a prompt; the grammar has its own, smaller limits

_OLDER = "older-"  # before the studio's cursors: else any word would be one
_CURSOR = re.compile(rf"{_OLDER}([0-9a-z]{{1,13}})")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def told_cursor(cursor: str | None) -> str | None:
    """The studio's cursor of the next page as it is told to programs."""
    return cursor and _OLDER + cursor


def _own_cursor(told: str) -> str:
    match = _CURSOR.fullmatch(told)
    if match is None:
        msg = "there is no such page; begin at the first one"
        raise ValueError(msg)
    return match[1]


def _with_day(value: object) -> object:
    """A moment that begins with its day; a bare number would be taken for seconds since 1970."""
    if isinstance(value, str) and not _DAY.match(value):
        msg = "must be a date such as 2026-01-31"
        raise ValueError(msg)
    return value


def picture_bytes(value: object) -> object:
    """Read a data URL; what is bytes already (a multipart upload) is left alone."""
    if not isinstance(value, str):
        return value
    head, comma, body = value.partition(",")
    if not (head.startswith("data:") and head.endswith(";base64") and comma):
        msg = "must be a data URL such as data:image/png;base64,..."
        raise ValueError(msg)
    try:
        return base64.b64decode(body, validate=True)
    except binascii.Error:
        msg = "is not valid base64"
        raise ValueError(msg) from None


def parsed_json(value: object) -> object:
    """Read a field of a multipart form that holds JSON; other values are left alone."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        msg = "is not valid JSON"
        raise ValueError(msg) from None


Text = Annotated[str, Field(max_length=TEXT_MAX)]
Picture = Annotated[
    bytes,
    BeforeValidator(picture_bytes),
    Field(min_length=1),
    WithJsonSchema({"type": "string", "description": "a data URL: data:image/png;base64,..."}),
]
Cursor = Annotated[str, AfterValidator(_own_cursor)]
Moment = Annotated[datetime, BeforeValidator(_with_day)]


class Body(BaseModel):
    """Any body; a name nobody knows is an error, not a silent nothing."""

    model_config = ConfigDict(extra="forbid", frozen=True)
