"""The API as programs are told of it: nothing is missing, nothing is made up."""

import ast
import inspect
import re
import textwrap
from pathlib import Path

import pytest

from bot.faces.web.app import make_app
from bot.faces.web.config import WebConfig
from bot.faces.web.openapi import BODIES, QUERIES, routes_of

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
