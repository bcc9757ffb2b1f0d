"""The API described for programs, as OpenAPI 3.1: the routes, and the shapes they take."""

import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from importlib.metadata import version
from types import MappingProxyType
from typing import Any

from aiohttp import web
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from bot.faces.web import generators, images, jobs, privacy, restyles, submissions, words

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
_DESCRIBED = ("/api/", "/healthz", "/metrics")
_TEXTS, _NUMBERS = (
    ("error", "kind", "field", "reason", "suggestion"),
    ("position", "length", "count"),
)
_REFUSED = {
    "description": "It is refused; `error` says what to change.",
    "content": {
        "application/json": {
            "schema": {
                "type": "object",
                "required": ["error", "kind"],
                "properties": {name: {"type": "string"} for name in _TEXTS}
                | {name: {"type": "integer"} for name in _NUMBERS},
            }
        }
    },
}


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
                "schemas": _schemas()[1],
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
        "responses": {"2XX": {"description": "It is done."}, "4XX": _REFUSED, "5XX": _REFUSED},
    }
    if query := QUERIES.get(handler):
        told["parameters"] += _parameters(query)
    if body := BODIES.get(handler):
        schema = _schemas()[0][body, "validation"]
        told["requestBody"] = {"content": {"application/json": {"schema": schema}}}
    return told


def _parameters(query: type[BaseModel]) -> Iterator[dict[str, Any]]:
    shape = _schemas()[1][query.__name__]
    for name, schema in shape["properties"].items():
        is_needed = name in shape.get("required", ())
        # A list is written with commas.
        told = {"name": name, "in": "query", "required": is_needed, "explode": False}
        yield told | {"schema": schema}


@cache
def _schemas() -> tuple[dict[Any, Any], dict[str, Any]]:
    """How each shape is referred to, and all of them by name."""
    shapes = dict.fromkeys((*BODIES.values(), *QUERIES.values()))
    references, told = models_json_schema(
        [(shape, "validation") for shape in shapes], ref_template="#/components/schemas/{model}"
    )
    return dict(references), told["$defs"]
