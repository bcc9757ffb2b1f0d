"""Generators over HTTP: what was trained here, and jobs that train one on the gallery."""

from typing import Annotated, Literal

from aiohttp import web
from pydantic import Field

from bot.faces.web.answers import Generator, Generators
from bot.faces.web.context import caller_of, destination_of, locale_of, studio_of
from bot.faces.web.shapes import Body
from bot.faces.web.submissions import body_of
from bot.faces.web.views import jobs_json
from bot.studio.contract import GalleryScope, GeneratorView, Teaching
from bot.wording import translated


class Teach(Body):
    """`POST /api/generators`."""

    name: Annotated[str, Field(min_length=1, max_length=40)]
    scope: Literal["mine", "guild"] = "mine"
    words: Annotated[str, Field(max_length=200)] = ""
    favourites: bool = False
    minutes: Annotated[float, Field(gt=0)] | None = None


async def list_generators(request: web.Request) -> web.Response:
    """`GET /api/generators`: those that may be the model of a dream, with what is said of them."""
    found = await studio_of(request).generators(caller_of(request))
    locale = locale_of(request)
    told: Generators = {"generators": [_generator_json(one, locale) for one in found]}
    return web.json_response(told)


async def train_generator(request: web.Request) -> web.Response:
    """`POST /api/generators`: a job after which a generator knows what pictures have in common."""
    body = await body_of(request, Teach)
    teaching = Teaching(
        name=body.name,
        scope=GalleryScope(body.scope),
        words=body.words,
        favourites_only=body.favourites,
        minutes=body.minutes,
    )
    job = await studio_of(request).train_gan(caller_of(request), teaching, destination_of(request))
    return web.json_response(jobs_json((job,), locale_of(request)), status=202)


async def generator_png(request: web.Request) -> web.Response:
    """`GET /api/generators/{name}.png`: a sheet of what it dreams."""
    name = request.match_info["name"]
    png = await studio_of(request).generator_png(caller_of(request), name)
    return web.Response(body=png, content_type="image/png")


async def delete_generator(request: web.Request) -> web.Response:
    """`DELETE /api/generators/{name}`: forget it."""
    await studio_of(request).delete_generator(caller_of(request), request.match_info["name"])
    return await list_generators(request)


def _generator_json(generator: GeneratorView, locale: str) -> Generator:
    return {
        "name": generator.name,
        "pictures": generator.pictures,
        "verdict": translated(generator.verdict, locale),
        "job": generator.job_id,
        "created_at": generator.created_at.isoformat(),
        "sheet": f"/api/generators/{generator.name}.png",
    }
