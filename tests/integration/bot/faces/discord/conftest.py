"""Fixtures for flows in an in-memory Discord."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.faces.discord.options import MEDIA_HOSTS, DiscordOptions
from engine.testing import FakeEngine
from tests.integration.bot.faces.discord.stage import SIMULATED_HOST, Stage, open_stage


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine()


@pytest.fixture
def options(tmp_path: Path) -> DiscordOptions:
    return DiscordOptions(
        token="none",
        state_dir=tmp_path,
        media_hosts=MEDIA_HOSTS | {SIMULATED_HOST},
        edit_interval_s=0.02,
    )


@pytest.fixture
async def stage(
    engine: FakeEngine, options: DiscordOptions, tmp_path: Path, sqlite_template: Path
) -> AsyncIterator[Stage]:
    async with open_stage(engine, options, tmp_path, sqlite_template) as built:
        yield built
