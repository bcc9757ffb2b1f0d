"""The API described for programs, as OpenAPI 3.1: the routes, and the shapes they take."""

import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from importlib.metadata import version
from types import MappingProxyType
from typing import Any

from aiohttp import web
from pydantic import BaseModel, TypeAdapter

from bot.faces.web import (
    answers,
    events,
    generators,
    images,
    jobs,
    observation,
    privacy,
    restyles,
    submissions,
    words,
)

BODIES: Mapping[Callable[..., Any], type[BaseModel]] = MappingProxyType(
    {
        jobs.start: submissions.Imagine,
        jobs.reroll: submissions.Nothing,
        jobs.remix: submissions.Remix,
        jobs.make_again: submissions.Upload,
        images.vary: submissions.Vary,
        images.compare_strengths: submissions.Nothing,
        images.upscale: submissions.Upscale,
        images.restyle: submissions.Restyle,
        images.reroll: submissions.Nothing,
        images.remix: submissions.Remix,
        images.make_again: submissions.Nothing,
        images.favourite: submissions.Favourite,
        images.publish: submissions.Publish,
        images.tag: submissions.Tags,
        images.delete: submissions.Nothing,
        images.restore: submissions.Nothing,
        restyles.save_style: submissions.NamedStyle,
        restyles.train_style: submissions.Lesson,
        restyles.rename_style: submissions.NewName,
        generators.train_generator: generators.Teach,
        privacy.erase: privacy.Erase,
        words.check: submissions.Typed,
        words.parameters: submissions.Upload,
    }
)
QUERIES: Mapping[Callable[..., Any], type[BaseModel]] = MappingProxyType(
    {
        jobs.history: jobs.HistoryQuery,
        images.page: images.PageQuery,
        images.archive: images.ArchiveQuery,
    }
)
# What each handler answers when all is well: a shape in JSON, or a file of a kind.
ANSWERS: Mapping[Callable[..., Any], Any] = MappingProxyType(
    {
        **dict.fromkeys(
            (
                *(jobs.start, jobs.reroll, jobs.remix, jobs.make_again),
                *(images.vary, images.compare_strengths, images.upscale, images.restyle),
                *(images.reroll, images.remix, images.make_again),
                *(restyles.train_style, generators.train_generator),
            ),
            answers.Jobs,
        ),
        **dict.fromkeys((jobs.show, jobs.cancel), answers.Job),
        **dict.fromkeys(
            (images.show, images.favourite, images.publish, images.tag, images.restore),
            answers.Image,
        ),
        **dict.fromkeys(
            (restyles.list_styles, restyles.rename_style, restyles.delete_style), answers.Styles
        ),
        **dict.fromkeys(
            (generators.list_generators, generators.delete_generator), answers.Generators
        ),
        jobs.history: answers.History,
        images.page: answers.Page,
        images.delete: answers.Deleted,
        restyles.save_style: answers.SavedStyle,
        privacy.erase: answers.Erased,
        words.models: answers.Models,
        words.presets: answers.Presets,
        words.flags: answers.Flags,
        words.check: answers.Checked,
        words.parameters: answers.Parameters,
        observation.status: answers.Status,
        observation.health: answers.Health,
    }
)
FILES: Mapping[Callable[..., Any], str] = MappingProxyType(
    {
        **dict.fromkeys((images.png, restyles.style_png, generators.generator_png), "image/png"),
        **dict.fromkeys(
            (images.thumbnail, images.animation, restyles.style_thumbnail), "image/webp"
        ),
        images.video: "video/mp4",
        **dict.fromkeys((images.archive, privacy.export), "application/zip"),
        **dict.fromkeys((events.job_events, events.all_events), "text/event-stream"),
        observation.metrics: "text/plain",
    }
)
_DESCRIBED = ("/api/", "/healthz", "/metrics")
_TOLD = (answers.Refusal, answers.Update)  # by any address, and by the streams of events


async def describe(request: web.Request) -> web.Response:
    """`GET /api/openapi.json`: this description."""
    paths: dict[str, dict[str, Any]] = {}
    for method, path, handler in routes_of(request.app):
        paths.setdefault(path, {})[method.lower()] = _operation(path, handler)
    return web.json_response(
        {
            "openapi": "3.1.0",
            "info": {"title": "Atelier", "version": version("atelier")},
            "paths": paths,
            "components": {
                "schemas": components(),
                "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            },
            "security": [{"token": []}],
        }
    )


def routes_of(app: web.Application) -> Iterator[tuple[str, str, Callable[..., Any]]]:
    """Method, path and handler of each route for programs."""
    for route in app.router.routes():
        path = route.resource.canonical if route.resource else ""
        if route.method != "HEAD" and path.startswith(_DESCRIBED):
            yield route.method, path, route.handler


def _operation(path: str, handler: Callable[..., Any]) -> dict[str, Any]:
    _, _, summary = (inspect.getdoc(handler) or "").partition(": ")
    told: dict[str, Any] = {
        "summary": " ".join(summary.split()),
        "parameters": [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
            for name in re.findall(r"{(\w+)}", path)
        ],
        "responses": _responses(handler),
    }
    if query := QUERIES.get(handler):
        told["parameters"] += _parameters(query)
    if body := BODIES.get(handler):
        schema = reference(body)
        told["requestBody"] = {"content": {"application/json": {"schema": schema}}}
    return told


def _responses(handler: Callable[..., Any]) -> dict[str, Any]:
    shape = ANSWERS.get(handler)
    refused = _answer("It is refused; `error` says what to change.", reference(answers.Refusal))
    told = {"4XX": refused, "5XX": refused}
    if shape is answers.Jobs:
        return told | {"202": _answer("They are kept and will end.", reference(shape))}
    if shape is answers.Health:
        told["503"] = _answer("Something is missing.", reference(shape))
    if shape is not None:
        return told | {"200": _answer("It is done.", reference(shape))}
    kind = FILES.get(handler, "application/json")
    return told | {"200": {"description": "It is here.", "content": {kind: {}}}}


def _answer(description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def components() -> dict[str, Any]:
    """The shapes of bodies, queries and answers by their names."""
    return _schemas()[1]


def reference(shape: Any) -> dict[str, Any]:
    """How a shape is referred to."""
    told: dict[str, Any] = _schemas()[0][shape]
    return told


def _parameters(query: type[BaseModel]) -> Iterator[dict[str, Any]]:
    shape = components()[query.__name__]
    for name, schema in shape["properties"].items():
        is_needed = name in shape.get("required", ())
        # A list is written with commas.
        told = {"name": name, "in": "query", "required": is_needed, "explode": False}
        yield told | {"schema": schema}


@cache
def _schemas() -> tuple[dict[Any, dict[str, Any]], dict[str, Any]]:
    """How each shape is referred to, and all of them by name."""
    shapes = dict.fromkeys((*BODIES.values(), *QUERIES.values(), *ANSWERS.values(), *_TOLD))
    references, told = TypeAdapter.json_schemas(
        [(shape, "validation", TypeAdapter(shape)) for shape in shapes],
        ref_template="#/components/schemas/{model}",
    )
    return {shape: dict(schema) for (shape, _), schema in references.items()}, told["$defs"]
