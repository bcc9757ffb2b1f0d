"""Bodies of requests: JSON with data URLs or multipart forms, read and checked."""

import logging
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Annotated, Any, Self, TypeVar

from aiohttp import BodyPartReader, web
from pydantic import BaseModel, BeforeValidator, Field, model_validator

from bot.errors import UserError
from bot.faces.web.context import CONFIG
from bot.faces.web.mixtures import Blend, Dream, Enlarge, Factor, Mixture, Morph
from bot.faces.web.shapes import Body, Picture, Text, parsed_json
from bot.studio.contract import Detail
from bot.studio.restyling import MAX_VARIATIONS
from bot.studio.stops import MOST_WEIGHT
from bot.wording import Said
from engine.api import MAX_SEED, MAX_STYLES, KeepColour, StyleLoss, StyleMethod, StyleStart

log = logging.getLogger(__name__)

B = TypeVar("B", bound=BaseModel)
Strength = Annotated[float, Field(ge=0, le=1)]

# Pictures that stand beside a wish; the other wishes hold theirs.
_BESIDE: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "text": frozenset({"source", "source_image", "style", "style_image"}),
        "stylize": frozenset({"content", "style", "mask"}),
    }
)
_UNUSED = (
    "{field} is not used here: source and style belong to text, content, style and mask to stylize"
)


class Look(Body):
    """One style of a restyle: a name, an image's id, or a picture."""

    name: Annotated[str, Field(max_length=100)] = ""
    picture: Picture | None = None
    weight: Annotated[float, Field(gt=0, le=MOST_WEIGHT)] = 1.0

    @model_validator(mode="after")
    def _is_something(self) -> Self:
        if bool(self.name.strip()) == bool(self.picture):
            msg = "a style is a name or a picture"
            raise ValueError(msg)
        return self


class Restyle(Body):
    """What `stylize` of `POST /api/jobs` holds, and the body of `.../restyle`."""

    content: Picture | None = None
    image: str | None = None  # of the gallery, in place of `content`
    styles: Annotated[tuple[Look, ...], Field(max_length=MAX_STYLES)] = ()
    strength: Strength = 1.0
    strengths: Annotated[tuple[Strength, ...], Field(max_length=MAX_VARIATIONS)] = ()
    method: StyleMethod = StyleMethod.FAST
    detail: Detail = Detail.NORMAL
    loss: StyleLoss = StyleLoss.GRAM
    start: StyleStart = StyleStart.CONTENT
    keep_colour: KeepColour = KeepColour.NO
    size: Annotated[int, Field(ge=0, le=4096)] = 0
    seed: Annotated[int, Field(ge=0, le=MAX_SEED)] | None = None
    variations: Annotated[int, Field(ge=1, le=MAX_VARIATIONS)] = 1
    model: str | None = None
    mask: Picture | None = None
    cells: Annotated[str, Field(max_length=100)] = ""  # in place of a mask, such as "A1-B2"
    blend: Annotated[float, Field(ge=0, le=1)] | None = None  # share of the second of two styles
    private: bool | None = None

    @model_validator(mode="after")
    def _has_pair_to_blend(self) -> Self:
        if self.blend is not None and len(self.styles) != 2:
            msg = "a blend is between two styles"
            raise ValueError(msg)
        return self


class Lesson(Body):
    """`POST /api/styles/train`; without a picture the one that is kept under the name is learnt."""

    name: Annotated[str, Field(min_length=1, max_length=40)]
    picture: Picture | None = None
    image: Annotated[str, Field(min_length=1)] | None = None  # of the gallery, in its place
    replace: bool = False  # lose what was learnt from another picture of that name

    @model_validator(mode="after")
    def _has_one_picture_at_most(self) -> Self:
        if None not in (self.picture, self.image):
            msg = "a picture is an upload or the id of an image"
            raise ValueError(msg)
        return self

    @property
    def look(self) -> bytes | str | None:
        """The picture as the studio takes it."""
        return self.picture or self.image


class NamedStyle(Lesson):
    """`POST /api/styles`."""

    @model_validator(mode="after")
    def _has_a_picture(self) -> Self:
        if self.look is None:
            msg = "a picture is an upload or the id of an image"
            raise ValueError(msg)
        return self


class NewName(Body):
    """`POST /api/styles/{name}/rename`."""

    name: Annotated[str, Field(min_length=1, max_length=40)]


class Imagine(Body):
    """`POST /api/jobs`: `text`, or one of `stylize`, `blend`, `dream`, `morph` and `upscale`.

    A multipart form sends the latter as JSON; for `stylize` the files `content`, `style` (which
    joins the styles) and `mask` may be beside it.
    """

    text: Text | None = None
    stylize: Annotated[Restyle | None, BeforeValidator(parsed_json)] = None
    blend: Annotated[Blend | None, BeforeValidator(parsed_json)] = None
    dream: Annotated[Dream | None, BeforeValidator(parsed_json)] = None
    morph: Annotated[Morph | None, BeforeValidator(parsed_json)] = None
    upscale: Annotated[Enlarge | None, BeforeValidator(parsed_json)] = None
    content: Picture | None = None
    mask: Picture | None = None
    source: Picture | None = None
    source_image: str | None = None  # of the gallery, in place of `source`
    style: Picture | None = None
    style_image: str | None = None  # of the gallery, in place of `style`
    private: bool | None = None  # None: flags and preferences decide
    confirmed: bool = False

    @model_validator(mode="after")
    def _asks_for_one_thing(self) -> Self:
        wishes = ("text", "stylize", "blend", "dream", "morph", "upscale")
        given = [wish for wish in wishes if getattr(self, wish) is not None]
        if len(given) > 1:
            raise ValueError(Said("send one of these alone: {wishes}", wishes=", ".join(given)))
        if not given:
            msg = "text is needed, or in its place stylize, blend, dream, morph or upscale"
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _has_each_picture_once(self) -> Self:
        pairs = ((self.source, self.source_image), (self.style, self.style_image))
        if any(None not in pair for pair in pairs):
            msg = "a picture is an upload or the id of an image"
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _uses_each_picture(self) -> Self:
        used = set().union(*(_BESIDE[wish] for wish in _BESIDE if getattr(self, wish) is not None))
        for name in frozenset().union(*_BESIDE.values()) - used:
            if getattr(self, name) is not None:
                raise ValueError(Said(_UNUSED, field=name))
        return self

    @property
    def mixture(self) -> Mixture | None:
        """What is asked for beside words and looks."""
        return self.blend or self.dream or self.morph or self.upscale

    def restyle(self) -> Restyle | None:
        """What is to be restyled, with the files of a form in their places."""
        if self.stylize is None:
            return None
        files = {"content": self.content, "mask": self.mask}
        given: dict[str, Any] = {name: data for name, data in files.items() if data}
        if self.style:
            given["styles"] = (*self.stylize.styles, Look(picture=self.style))
        return Restyle.model_validate(dict(self.stylize) | given)


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

    factor: Factor = 2
    detail: Annotated[float, Field(ge=0, le=1)] = 0.5


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
        UserError: a field of a form is sent more than once.
        HTTPBadRequest: this is no JSON object, or did not come whole.
        HTTPUnsupportedMediaType: neither JSON nor a multipart form.
        HTTPRequestEntityTooLarge: body or picture are over the limit.
    """
    if not request.body_exists:
        return shape.model_validate({})
    try:
        fields = await _fields(request)
    except (ConnectionError, web.RequestPayloadError) as error:  # as a page that is closed ends it
        log.info("a body can't be read: %s", type(error).__name__)
        raise web.HTTPBadRequest(text="the body broke off, or can't be unpacked") from None
    body = shape.model_validate(fields)
    _check_sizes(body, request.app[CONFIG].upload_max_bytes)
    return body


def query_of(request: web.Request, shape: type[B]) -> B:
    """The query in the shape of `shape`; `language`, which any address takes, is left out.

    Raises:
        ValidationError: a field is missing, unknown or wrong.
    """
    given = {name: value for name, value in request.query.items() if name != "language"}
    return shape.model_validate(given)


async def _fields(request: web.Request) -> dict[str, Any]:
    match request.content_type:
        case "application/json":
            return await _json(request)
        case "multipart/form-data":
            return await _form(request)
        case _:
            raise web.HTTPUnsupportedMediaType(text="send application/json or multipart/form-data")


async def _json(request: web.Request) -> dict[str, Any]:
    try:
        fields = await request.json()
    except (ValueError, RecursionError, LookupError):  # the last: of a charset nobody knows
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
                if part.name in fields:
                    raise UserError(Said("{field} is sent more than once", field=part.name))
                data = await _part(part, left)
                left -= len(data)
                fields[part.name] = data if part.filename else data.decode("utf-8")
    except (ValueError, AssertionError) as error:  # what aiohttp raises for broken boundaries
        log.info("a form can't be read: %s", error)
        raise web.HTTPBadRequest(text="the form can't be read") from None
    return fields


async def _part(part: BodyPartReader, limit_bytes: int) -> bytes:
    data = bytearray()
    while chunk := await part.read_chunk(2**16):
        data += chunk
        if len(data) > limit_bytes:
            raise web.HTTPRequestEntityTooLarge(limit_bytes, len(data))
    return bytes(data)


def _check_sizes(body: BaseModel, limit_bytes: int) -> None:
    for size in _picture_sizes(body):
        if size > limit_bytes:
            raise web.HTTPRequestEntityTooLarge(limit_bytes, size)


def _picture_sizes(value: object) -> Iterator[int]:
    """The size in bytes of each picture in a body, however deep."""
    match value:
        case bytes():
            yield len(value)
        case BaseModel():
            for _, inner in value:
                yield from _picture_sizes(inner)
        case tuple():
            for inner in value:
                yield from _picture_sizes(inner)
