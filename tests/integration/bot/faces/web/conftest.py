"""A web studio over the real studio on SQLite, with an engine that draws patterns."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import CookieJar
from aiohttp.test_utils import TestClient, TestServer

from bot.faces.web.app import make_app
from bot.faces.web.config import WebConfig
from bot.prompts import Wildcards
from bot.studio.contract import Studio
from bot.studio.opening import open_studio
from engine.config import EngineConfig
from engine.models.catalogue import open_catalogue
from engine.testing import FakeEngine
from tests.integration.bot.faces.web.described import Judge
from tests.tiny_gan import write_gan_entry

Finish = Callable[[str], Awaitable[dict[str, Any]]]


WILDCARDS = Wildcards({"animals": ("fox", "owl")})


@pytest.fixture
def engine(tmp_path: Path) -> FakeEngine:
    """One that offers a model for dreams, beside the shipped ones."""
    page = write_gan_entry(tmp_path)
    return FakeEngine(catalogue=open_catalogue(EngineConfig(catalogue_files=(page,))))


@pytest.fixture
async def studio(engine: FakeEngine, tmp_path: Path) -> AsyncIterator[Studio]:
    url = f"sqlite+aiosqlite:///{tmp_path / 'atelier.db'}"
    async with open_studio(
        engine, database_url=url, images_dir=tmp_path / "images", wildcards=WILDCARDS
    ) as opened:
        yield opened


@pytest.fixture
def config() -> WebConfig:
    """What a test module may override."""
    return WebConfig(heartbeat_s=0.05)


@pytest.fixture
async def client(studio: Studio, config: WebConfig) -> AsyncIterator[TestClient[Any, Any]]:
    """Its answers are judged by their description."""
    app, judge = make_app(studio, config), Judge()
    app.on_response_prepare.append(judge.look_at)
    async with TestClient(TestServer(app), cookie_jar=CookieJar(unsafe=True)) as opened:
        yield opened
    assert judge.problems == []


@pytest.fixture
def finish(client: TestClient[Any, Any]) -> Finish:
    """Wait until a job has ended; gives its last state."""

    async def waited(job_id: str) -> dict[str, Any]:
        async with asyncio.timeout(20):
            while True:
                job: dict[str, Any] = await (await client.get(f"/api/jobs/{job_id}")).json()
                if job["status"] in ("finished", "failed", "cancelled"):
                    return job
                await asyncio.sleep(0.02)

    return waited


@pytest.fixture
def imagine(client: TestClient[Any, Any], finish: Finish) -> Finish:
    """Make a prompt's first job and wait for it."""

    async def made(text: str) -> dict[str, Any]:
        answer = await client.post("/api/jobs", json={"text": text})
        assert answer.status == 202, await answer.text()
        return await finish((await answer.json())["id"])

    return made
