"""Blends, dreams, morphs and larger pictures over HTTP: what `POST /api/jobs` may ask for."""

from typing import Annotated, Literal, Self

from aiohttp import web
from pydantic import Field, model_validator

from bot.faces.web.context import caller_of, destination_of, studio_of
from bot.faces.web.shapes import Body, Picture, Text
from bot.studio.contract import Blending, Dreaming, JobView, Morphing, MorphStop
from bot.studio.mixing import BLEND_COUNT_MAX, DREAM_COUNT_MAX
from engine.api import MAX_BLENDED, MAX_SEED, MAX_STOPS

Seed = Annotated[int, Field(ge=0, le=MAX_SEED)]
Share = Annotated[float, Field(ge=0, le=1)]
Factor = Literal[2, 4]


class Subject(Body):
    """A picture: of the gallery by its id, or an upload."""

    image: str = ""
    picture: Picture | None = None

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if bool(self.image) == bool(self.picture):
            msg = "a picture is an upload or the id of an image"
            raise ValueError(msg)
        return self

    @property
    def value(self) -> bytes | str:
        """As the studio takes it."""
        return self.picture or self.image


class Blend(Body):
    """What `blend` holds."""

    pictures: Annotated[tuple[Subject, ...], Field(max_length=MAX_BLENDED)]
    weights: tuple[float, ...] = ()
    prompt: Text = ""
    strength: Share | None = None
    seed: Seed | None = None
    count: Annotated[int, Field(ge=1, le=BLEND_COUNT_MAX)] = 1
    model: str | None = None
    private: bool | None = None


class Dream(Body):
    """What `dream` holds."""

    look: Annotated[str, Field(max_length=60)] = ""
    seed: Seed | None = None
    truncation: Share = 0.7
    count: Annotated[int, Field(ge=1, le=DREAM_COUNT_MAX)] = DREAM_COUNT_MAX
    like: Subject | None = None
    distance: Share | None = None
    model: str | None = None
    private: bool | None = None


class Stop(Body):
    """A stop of a morph: one of these."""

    image: str = ""
    picture: Picture | None = None
    prompt: Text = ""
    seed: Seed | None = None


class Morph(Body):
    """What `morph` holds."""

    stops: Annotated[tuple[Stop, ...], Field(max_length=MAX_STOPS)]
    frames: int = 24
    seconds: float = 3.0
    loop: bool = True
    video: bool = False
    look: Annotated[str, Field(max_length=60)] = ""
    dreamer: Annotated[str, Field(max_length=60)] | None = None
    seed: Seed | None = None
    model: str | None = None
    private: bool | None = None


class Enlarge(Subject):
    """What `upscale` holds."""

    factor: Factor = 2
    detail: Share = 0.5
    private: bool | None = None


Mixture = Blend | Dream | Morph | Enlarge


async def mix(request: web.Request, asked: Mixture, *, is_private: bool | None) -> JobView:
    """Start the job that a body asks for.

    Raises:
        UserError: something can't be used; says what to change.
    """
    hidden = is_private if asked.private is None else asked.private
    match asked:
        case Blend():
            return await _blend(request, asked, hidden)
        case Dream():
            return await _dream(request, asked, hidden)
        case Morph():
            return await _morph(request, asked, hidden)
        case Enlarge():
            return await studio_of(request).upscale(
                caller_of(request),
                asked.value,
                destination_of(request),
                factor=asked.factor,
                detail=asked.detail,
                is_private=hidden,
            )


async def _blend(request: web.Request, asked: Blend, hidden: bool | None) -> JobView:  # noqa: FBT001
    blending = Blending(
        weights=asked.weights,
        prompt=asked.prompt,
        strength=asked.strength,
        seed=asked.seed,
        count=asked.count,
        model=asked.model,
        is_private=hidden,
    )
    pictures = [picture.value for picture in asked.pictures]
    return await studio_of(request).blend(
        caller_of(request), pictures, destination_of(request), blending
    )


async def _dream(request: web.Request, asked: Dream, hidden: bool | None) -> JobView:  # noqa: FBT001
    dreaming = Dreaming(
        look=asked.look,
        seed=asked.seed,
        truncation=asked.truncation,
        count=asked.count,
        like=asked.like.value if asked.like else b"",
        distance=asked.distance,
        model=asked.model,
        is_private=hidden,
    )
    return await studio_of(request).dream(caller_of(request), destination_of(request), dreaming)


async def _morph(request: web.Request, asked: Morph, hidden: bool | None) -> JobView:  # noqa: FBT001
    morphing = Morphing(
        frames=asked.frames,
        seconds=asked.seconds,
        loop=asked.loop,
        video=asked.video,
        look=asked.look,
        dreamer=asked.dreamer,
        seed=asked.seed,
        model=asked.model,
        is_private=hidden,
    )
    stops = [
        MorphStop(upload=stop.picture or b"", image=stop.image, prompt=stop.prompt, seed=stop.seed)
        for stop in asked.stops
    ]
    return await studio_of(request).morph(
        caller_of(request), stops, destination_of(request), morphing
    )
