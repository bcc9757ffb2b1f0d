"""The API as programs are told of it: nothing is missing, nothing is made up."""

import ast
import inspect
import re
import textwrap
from pathlib import Path
from types import SimpleNamespace

import pytest
from aiohttp.web import json_response

from bot.faces.web.answers import Deleted
from bot.faces.web.app import make_app
from bot.faces.web.config import WebConfig
from bot.faces.web.images import delete
from bot.faces.web.openapi import ANSWERS, BODIES, FILES, QUERIES, describe, routes_of
from tests.integration.bot.faces.web.described import Judge, problems_of

REFERENCE = Path(__file__).parents[5] / "docs" / "api.md"


@pytest.fixture
def routes(studio):
    return list(routes_of(make_app(studio, WebConfig())))


async def test_every_address_is_described_and_refers_to_what_is_there(client, routes):
    told = await (await client.get("/api/openapi.json")).json()
    described = {(way.upper(), path) for path, ways in told["paths"].items() for way in ways}
    assert described == {(method, path) for method, path, _ in routes}
    assert len(described) > 40
    assert all(way["summary"] for ways in told["paths"].values() for way in ways.values())
    references = set(re.findall(r"#/components/schemas/(\w+)", str(told)))
    assert references <= told["components"]["schemas"].keys()
    asked = told["paths"]["/api/jobs"]["post"]["requestBody"]["content"]["application/json"]
    assert asked == {"schema": {"$ref": "#/components/schemas/Imagine"}}
    [ids] = told["paths"]["/api/images.zip"]["get"]["parameters"]
    assert (ids["in"], ids["schema"]["maxItems"]) == ("query", 200)


def test_bodies_and_queries_are_those_that_are_read(routes):
    described = {
        handler: {table[handler].__name__ for table in (BODIES, QUERIES) if handler in table}
        for _, _, handler in routes
    }
    assert described == {handler: set(read_by(handler)) for handler in described}


def test_of_every_address_it_is_told_what_it_answers(routes):
    told = [*ANSWERS, *FILES, describe]
    assert sorted(map(str, told)) == sorted(str(handler) for _, _, handler in routes)


async def test_answers_of_the_described_shape_alone_pass():
    image = {"id": "k3x9", "deleted": True}
    assert problems_of(image, Deleted) == []
    assert problems_of(image | {"more": 1}, Deleted)
    assert problems_of({"id": "k3x9"}, Deleted)
    assert problems_of({"id": 3, "deleted": True}, Deleted)


async def test_an_answer_of_another_shape_is_noted_and_one_of_its_own_is_not():
    judge = Judge()
    match = SimpleNamespace(handler=delete)
    request = SimpleNamespace(match_info=match, method="POST", path="/api/images/k3x9/delete")
    await judge.look_at(request, json_response({"id": "k3x9", "deleted": True}))
    await judge.look_at(request, json_response({"error": "no", "kind": "NotFound"}, status=404))
    assert judge.problems == []
    await judge.look_at(request, json_response({"id": "k3x9"}))
    await judge.look_at(request, json_response({"error": "no"}, status=404))
    assert len(judge.problems) == 2


async def test_refusals_are_described_at_every_address(client):
    told = await (await client.get("/api/openapi.json")).json()
    for ways in told["paths"].values():
        for way in ways.values():
            for status in ("4XX", "5XX"):
                schema = way["responses"][status]["content"]["application/json"]["schema"]
                assert schema == {"$ref": "#/components/schemas/Refusal"}
    started = told["paths"]["/api/jobs"]["post"]["responses"]["202"]["content"]
    assert started["application/json"]["schema"] == {"$ref": "#/components/schemas/Jobs"}
    shown = told["paths"]["/api/images/{id}.png"]["get"]["responses"]["200"]["content"]
    assert list(shown) == ["image/png"]


def read_by(handler):
    """The names of the shapes that a handler reads its body or query in."""
    for node in ast.walk(ast.parse(textwrap.dedent(inspect.getsource(handler)))):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("body_of", "query_of"):
            yield ast.unparse(node.args[1])


def test_the_reference_tells_of_every_address_and_of_no_other(routes):
    told = set(re.findall(r"`(GET|POST|DELETE) (/[^`?]*)", REFERENCE.read_text()))
    known = {(method, path) for method, path, _ in routes}
    assert known - told == set()
    assert {(way, path) for way, path in told - known if path.startswith("/api")} == set()


def test_the_reference_names_every_field_that_may_be_sent():
    text = REFERENCE.read_text()
    for shape in (*BODIES.values(), *QUERIES.values()):
        for name in shape.model_fields:
            assert re.search(rf'[`"]{name}[`"=]', text), (shape.__name__, name)
