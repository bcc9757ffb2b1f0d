"""Bodies of requests: JSON with data URLs or multipart forms, read and checked."""

import base64
import binascii
import json
from typing import Annotated, Any, TypeVar

from aiohttp import BodyPartReader, web
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from bot.faces.web.context import CONFIG

TEXT_MAX = 20_000  # characters of a prompt; the grammar has its own, smaller limits

B = TypeVar("B", bound=BaseModel)


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


Text = Annotated[str, Field(max_length=TEXT_MAX)]
Picture = Annotated[bytes, BeforeValidator(picture_bytes), Field(min_length=1)]


class Body(BaseModel):
    """Any body; a name nobody knows is an error, not a silent nothing."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Imagine(Body):
    """`POST /api/jobs`."""

    text: Text
    source: Picture | None = None
    style: Picture | None = None
    private: bool | None = None  # None: flags and preferences decide
    confirmed: bool = False


class Typed(Body):
    """`POST /api/check`."""

    text: Text


class Upload(Body):
    """`POST /api/parameters` and `POST /api/again`."""

    picture: Picture


class Vary(Body):
    """`POST /api/images/{id}/vary`."""

    strong: bool = False


class Upscale(Body):
    """`POST /api/images/{id}/upscale`."""

    factor: Annotated[int, Field(ge=2, le=4)] = 2


class Remix(Body):
    """`POST /api/images/{id}/remix`: the same job, new seed, new words."""

    text: Text


class Favourite(Body):
    """`POST /api/images/{id}/favourite`."""

    on: bool = True


class Publish(Body):
    """`POST /api/images/{id}/publish`."""

    private: bool


class Tags(Body):
    """`POST /api/images/{id}/tags`."""

    tags: tuple[Annotated[str, Field(max_length=100)], ...]


class Nothing(Body):
    """An operation that needs no more words."""


async def body_of(request: web.Request, shape: type[B]) -> B:
    """The body in the shape of `shape`; none at all counts as an empty object.

    Raises:
        ValidationError: a field is missing, unknown or wrong.
        HTTPBadRequest: this is no JSON object.
        HTTPUnsupportedMediaType: neither JSON nor a multipart form.
        HTTPRequestEntityTooLarge: body or picture are over the limit.
    """
    if not request.body_exists:
        return shape.model_validate({})
    match request.content_type:
        case "application/json":
            fields = await _json(request)
        case "multipart/form-data":
            fields = await _form(request)
        case _:
            raise web.HTTPUnsupportedMediaType(text="send application/json or multipart/form-data")
    body = shape.model_validate(fields)
    _check_sizes(body, request.app[CONFIG].upload_max_bytes)
    return body


async def _json(request: web.Request) -> dict[str, Any]:
    try:
        fields = await request.json()
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError):
        raise web.HTTPBadRequest(text="the body is not valid JSON") from None
    if not isinstance(fields, dict):
        raise web.HTTPBadRequest(text="the body must be a JSON object")
    return fields


async def _form(request: web.Request) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    left = request.app[CONFIG].body_max_bytes
    try:
        async for part in await request.multipart():
            if isinstance(part, BodyPartReader) and part.name:
                data = await _part(part, left)
                left -= len(data)
                fields[part.name] = data if part.filename else data.decode("utf-8")
    except (ValueError, AssertionError) as error:  # what aiohttp raises for broken boundaries
        raise web.HTTPBadRequest(text=f"the form can't be read: {error}") from None
    return fields


async def _part(part: BodyPartReader, limit_bytes: int) -> bytes:
    data = bytearray()
    while chunk := await part.read_chunk(2**16):
        data += chunk
        if len(data) > limit_bytes:
            raise web.HTTPRequestEntityTooLarge(limit_bytes, len(data))
    return bytes(data)


def _check_sizes(body: BaseModel, limit_bytes: int) -> None:
    for _, value in body:
        if isinstance(value, bytes) and len(value) > limit_bytes:
            raise web.HTTPRequestEntityTooLarge(limit_bytes, len(value))
