"""Whatever is sent to whatever address: an answer in JSON, in the language asked for, never 500."""

import asyncio
import base64
import io
import json
import re
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import FormData
from aiohttp.test_utils import TestClient, TestServer
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel
from yarl import URL

from bot.faces.web.app import make_app
from bot.faces.web.config import WebConfig
from bot.faces.web.generators import Teach
from bot.faces.web.mixtures import Blend, Dream, Enlarge, Morph, Stop, Subject
from bot.faces.web.submissions import (
    Favourite,
    Imagine,
    Look,
    NamedStyle,
    Publish,
    Remix,
    Restyle,
    Tags,
    Typed,
    Upload,
    Upscale,
    Vary,
)
from bot.studio.opening import open_studio
from engine.testing import FakeEngine
from tests.integration.bot.faces.discord.stage import png_bytes

pytestmark = [
    pytest.mark.timeout(300),  # a machine may have much else to do
    # aiohttp's own, of a form's header that it leaves out; who sends one is answered all the same
    pytest.mark.filterwarnings("ignore::aiohttp.BadContentDispositionHeader"),
    pytest.mark.filterwarnings("ignore::aiohttp.BadContentDispositionParam"),
]

PNG = png_bytes(32)
PICTURE = "data:image/png;base64," + base64.b64encode(PNG).decode()
JOB_DEEDS = ("", "/events", "/reroll", "/remix")
IMAGE_DEEDS = (
    *("", ".png", ".webp", "/animation.webp", "/video.mp4", "/vary", "/strengths", "/upscale"),
    *("/restyle", "/reroll", "/remix", "/again", "/favourite", "/publish", "/tags", "/restore"),
)
PLACES = (
    *("jobs", "images", "images.zip", "again", "styles", "styles/train", "generators", "models"),
    *("presets", "flags", "check", "parameters", "status", "openapi.json", "nothing"),
)
# Names of fields and of parameters of queries.
NAMES = (
    *(
        "text",
        "stylize",
        "blend",
        "dream",
        "morph",
        "upscale",
        "content",
        "mask",
        "source",
        "source_image",
        "style",
        "style_image",
    ),
    *(
        "private",
        "confirmed",
        "styles",
        "image",
        "picture",
        "pictures",
        "weights",
        "weight",
        "name",
    ),
    *(
        "strength",
        "strengths",
        "method",
        "size",
        "seed",
        "variations",
        "cells",
        "frames",
        "seconds",
    ),
    *("stops", "prompt", "loop", "count", "factor", "detail", "on", "tags", "strong", "minutes"),
    *("q", "cursor", "limit", "after", "before", "scope", "ids", "model", "favourite", "language"),
)
PLAUSIBLE = st.sampled_from(
    [
        *(
            "",
            "a fox --steps 1 --size 64x64",
            "a {b|c} fox",
            "--seed 5",
            "mine",
            "fast",
            "zzzzzzzzzz",
        ),
        *(PICTURE, "data:image/png;base64,AAAA", "data:;base64,", "\x00", "\ud800", "2026-01-31"),
        *("9999-12-31T23:59:59+14:00", "0001-01-01T00:00:00+14:00", "seed:99999999999999999999"),
        *("starry-night", "A1-B2", "zik0zj", "-" * 3000, "nan", "1e999"),
        *(0, 1, 2, -1, 0.5, 10**30, 1e308, float("nan"), float("inf"), True, False, None),
    ]
)
JSON = st.recursive(
    PLAUSIBLE | st.text(max_size=20) | st.floats() | st.integers(),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=4)
    ),
    max_leaves=12,
)
RIGHT: dict[str, Any] = {
    **dict.fromkeys(("content", "mask", "source", "style", "picture"), PICTURE),
    **dict.fromkeys(("private", "confirmed", "loop", "video", "on", "strong"), True),
    **dict.fromkeys(("seed", "count", "factor", "variations", "frames", "seconds", "size"), 2),
    **dict.fromkeys(("strength", "detail", "weight", "blend", "distance", "truncation"), 0.5),
    **dict.fromkeys(("text", "prompt"), "a fox --steps 1 --size 64x64"),
    **{name: [0.5, 1] for name in ("strengths", "weights")},
    "image": "{image}",
    "cells": "A1-B2",
    "tags": ["a"],
    "method": "fast",
    "model": "pack",
    "scope": "mine",
    "minutes": 1,
    "words": "fox",
    "favourites": False,
    "look": "avatar",
}
WITHIN: dict[str, type[BaseModel]] = {
    "styles": Look,
    "pictures": Subject,
    "stops": Stop,
    "like": Subject,
    "stylize": Restyle,
    "dream": Dream,
    "morph": Morph,
    "upscale": Enlarge,
}


def nearly(shape: type[BaseModel]) -> st.SearchStrategy[dict[str, Any]]:
    """Objects of a shape whose values are mostly right."""
    return st.fixed_dictionaries({}, optional={name: _value(name) for name in shape.model_fields})


def _value(name: str) -> st.SearchStrategy[Any]:
    if name in WITHIN:
        inner = st.deferred(lambda: nearly(WITHIN[name]))
        return inner if name not in ("styles", "pictures", "stops") else st.lists(inner, max_size=3)
    return st.one_of(*[st.just(RIGHT.get(name, "x"))] * 9, PLAUSIBLE)


WISHES = ("text", "stylize", "blend", "dream", "morph", "upscale")
ASKED: dict[str, st.SearchStrategy[Any]] = {
    "jobs": st.one_of(
        st.fixed_dictionaries({"blend": nearly(Blend)}),
        *[st.fixed_dictionaries({name: _value(name)}) for name in WISHES if name != "blend"],
        nearly(Imagine),
    ),
    "again": nearly(Upload),
    "styles": nearly(NamedStyle),
    "styles/train": nearly(NamedStyle),
    "generators": nearly(Teach),
    "check": nearly(Typed),
    "parameters": nearly(Upload),
    "images/{image}/vary": nearly(Vary),
    "images/{image}/upscale": nearly(Upscale),
    "images/{image}/restyle": nearly(Restyle),
    "images/{image}/remix": nearly(Remix),
    "images/{image}/favourite": nearly(Favourite),
    "images/{image}/publish": nearly(Publish),
    "images/{image}/tags": nearly(Tags),
    "images/{image}/again": JSON,
    "jobs/{job}/reroll": JSON,
    "jobs/{job}/remix": nearly(Remix),
}
QUESTIONS = st.sampled_from(list(ASKED)).flatmap(
    lambda path: st.tuples(st.just(path), st.one_of(ASKED[path], ASKED[path], JSON))
)
SEGMENTS = st.sampled_from(["zzzzzzzzzz", "zzzzzzzzzz:1", "0", ":1", "%00", "%FF", "..", "a" * 300])
KNOWN = st.sampled_from(["{job}", "{image}", "{job}:0", "{job}:99999999999999999999"])
PATHS = st.one_of(
    st.sampled_from(PLACES),
    st.builds("jobs/{}{}".format, SEGMENTS | KNOWN, st.sampled_from(JOB_DEEDS)),
    st.builds("images/{}{}".format, SEGMENTS | KNOWN, st.sampled_from(IMAGE_DEEDS)),
    st.builds("styles/{}{}".format, SEGMENTS, st.sampled_from(["", ".png", ".webp"])),
    st.builds("generators/{}{}".format, SEGMENTS, st.sampled_from(["", ".png"])),
)
METHODS = st.sampled_from(["GET", "POST", "POST", "POST", "DELETE", "PUT"])
QUERIES = st.dictionaries(
    st.sampled_from(NAMES), (PLAUSIBLE | st.text(max_size=20)).map(str), max_size=3
)
# Bytes of an address: aiohttp itself refuses more than 8,190, before the application hears of it
# (tests/integration/bot/faces/web/test_jobs.py).
ADDRESS_MAX = 8000
KINDS = st.sampled_from(
    [
        *("application/json", "application/json; charset=nonsense", "text/plain", "", "a/b; =;"),
        *("multipart/form-data", "multipart/form-data; boundary=x", "application/x-gzip"),
    ]
)
TORN = st.sampled_from(
    [
        *(b"", b"{", b"[" * 100_000, b"\xff\xfe", b"null", b'{"text": ' + b"9" * 5000 + b"}"),
        b'--x\r\nContent-Disposition: form-data; name="text"\r\n\r\n\xff\r\n--x--\r\n',
        b"--x\r\nContent-Disposition: form-data; name=\r\n\r\n",
        b"--x\r\nContent-Type: multipart/mixed; boundary=y\r\n\r\n--y\r\n",
    ]
)
EXAMPLES = settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


class Sender:
    """A client of a studio that holds one finished job."""

    def __init__(self, runner: asyncio.Runner, client: TestClient[Any, Any]) -> None:
        self._runner = runner
        self._client = client
        self.known: dict[str, str] = {}

    async def prepare(self) -> None:
        """Make a picture to speak of."""
        text = "a fox --steps 1 --size 64x64"
        answer = await self._client.post("/api/jobs", json={"text": text})
        job = (await answer.json())["id"]
        images: list[dict[str, Any]] = []
        while not images:
            await asyncio.sleep(0.02)
            images = (await (await self._client.get(f"/api/jobs/{job}")).json())["images"]
        self.known = {"job": job, "image": images[0]["id"]}

    def send(self, method: str, path: str, **given: Any) -> None:
        """Send, and look at the answer."""
        for name, value in self.known.items():
            path = path.replace(f"{{{name}}}", value)
            if "json" in given:
                text = json.dumps(given["json"]).replace(f"{{{name}}}", value)
                given["json"] = json.loads(text)
        self._runner.run(self._send(method, URL(f"/api/{path}", encoded=True), **given))

    async def _send(self, method: str, url: URL, **given: Any) -> None:
        headers = given.pop("headers", {}) | {"Accept-Language": "zh-CN"}
        async with self._client.request(method, url, headers=headers, **given) as answer:
            assert answer.status < 500, await answer.text()
            if answer.status < 400:
                return
            told = json.loads(await answer.text())
        assert told["kind"]
        assert re.search("[\u4e00-\u9fff]", told["error"]), told
        if "field" in told:
            assert told["reason"] in told["error"]


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[TestClient[Any, Any]]:
    url = f"sqlite:///{folder}/atelier.db"
    async with (
        open_studio(FakeEngine(), database_url=url, images_dir=folder / "images") as studio,
        TestClient(TestServer(make_app(studio, WebConfig(upload_max_bytes=100_000)))) as client,
    ):
        yield client


@pytest.fixture(scope="module")
def sender() -> Iterator[Sender]:
    with tempfile.TemporaryDirectory() as folder, asyncio.Runner() as runner:
        context = opened(Path(folder))
        one = Sender(runner, runner.run(context.__aenter__()))
        runner.run(one.prepare())
        yield one
        runner.run(context.__aexit__(None, None, None))


@EXAMPLES
@given(asked=QUESTIONS)
@example(asked=("jobs", {"text": "a fox", "colour": "red"}))
@example(asked=("jobs", {"morph": {"stops": [{"seed": 1}, {}]}}))
def test_wishes_that_are_nearly_right_are_answered(sender: Sender, asked: tuple[str, Any]) -> None:
    path, body = asked
    sender.send("POST", path, json=body)


@EXAMPLES
@given(method=METHODS, path=PATHS, body=JSON)
def test_any_json_to_any_address_is_answered(
    sender: Sender, method: str, path: str, body: Any
) -> None:
    sender.send(method, path, json=body)


@EXAMPLES
@given(path=PATHS, query=QUERIES)
@example(path="images", query={"after": "9999-12-31T23:59:59-14:00"})
@example(path="images", query={"cursor": "z" * 5000})
def test_any_query_to_any_address_is_answered(
    sender: Sender, path: str, query: dict[str, str]
) -> None:
    plain = {name: text.encode("utf-8", "replace").decode() for name, text in query.items()}
    assume(len(str(URL(f"/api/{path}", encoded=True).with_query(plain))) < ADDRESS_MAX)
    if not path.endswith("/events"):
        sender.send("GET", path, params=plain)


@EXAMPLES
@given(path=PATHS, kind=KINDS, body=TORN | st.binary(max_size=60))
@example(
    path="jobs",
    kind="multipart/form-data; boundary=x",
    body=b"--x\r\nContent-Disposition: form-data; name=\r\n\r\n",
)
def test_any_bytes_of_any_kind_are_answered(
    sender: Sender, path: str, kind: str, body: bytes
) -> None:
    sender.send("POST", path, data=body, headers={"Content-Type": kind} if kind else {})


@EXAMPLES
@given(path=PATHS, fields=st.dictionaries(st.sampled_from(NAMES), PLAUSIBLE | JSON, max_size=3))
def test_any_form_is_answered(sender: Sender, path: str, fields: dict[str, Any]) -> None:
    form = FormData(default_to_multipart=True)
    for name, value in fields.items():
        text = value if isinstance(value, str) else json.dumps(value)
        data = io.BytesIO(text.encode("utf-8", "replace"))
        form.add_field(name, data, filename="x.png" if name in ("picture", "source") else None)
    form.add_field("empty", "")
    sender.send("POST", path, data=form)
