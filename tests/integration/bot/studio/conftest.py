"""A studio with an engine that only draws patterns."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from bot.studio.contract import Caller, Destination, JobView
from bot.studio.opening import open_studio
from bot.studio.studio import Atelier
from engine.testing import FakeEngine

Open: TypeAlias = Callable[..., AbstractAsyncContextManager[Atelier]]

MEMBER = Caller(owner_id=1, guild_id=9, channel_id=70)
OTHER = Caller(owner_id=2, guild_id=9, channel_id=70)
ADMIN = Caller(owner_id=3, guild_id=9, channel_id=70, is_admin=True)
WEB = Destination(face="web")
QUICK = " --size 64x64 --steps 3 --images 2"


@pytest.fixture
def engine() -> FakeEngine:
    """An engine whose behaviour a test may change."""
    return FakeEngine()


@pytest.fixture
def open_here(engine: FakeEngine, sqlite_url: str, tmp_path: Path) -> Open:
    """Opens studios on the same files and database, as processes do one after the other."""
    return partial(open_studio, engine, database_url=sqlite_url, images_dir=tmp_path / "images")


@pytest.fixture
async def studio(open_here: Open) -> AsyncIterator[Atelier]:
    """An open studio."""
    async with open_here() as opened:
        yield opened


async def ended(studio: Atelier, job: JobView, caller: Caller = MEMBER) -> JobView:
    """The job once nothing changes any more."""
    async for update in studio.watch(caller, job.id):
        job = update.job
    return job


async def made(
    studio: Atelier, text: str = "a fox", caller: Caller = MEMBER, **values: Any
) -> JobView:
    """A job of one quick prompt, ended."""
    [job] = await studio.imagine(caller, text + QUICK, WEB, **values)
    return await ended(studio, job, caller)
