"""What bodies of requests are made of: texts, pictures as data URLs, JSON within forms."""

import base64
import binascii
import json
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

TEXT_MAX = 20_000  # characters of a prompt; the grammar has its own, smaller limits


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
Picture = Annotated[bytes, BeforeValidator(picture_bytes), Field(min_length=1)]


class Body(BaseModel):
    """Any body; a name nobody knows is an error, not a silent nothing."""

    model_config = ConfigDict(extra="forbid", frozen=True)
