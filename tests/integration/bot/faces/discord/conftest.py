"""Fixtures for flows in an in-memory Discord."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.faces.discord.options import MEDIA_HOSTS, DiscordOptions
from engine.config import EngineConfig
from engine.models.catalogue import open_catalogue
from engine.testing import FakeEngine
from tests.integration.bot.faces.discord.stage import SIMULATED_HOST, Stage, open_stage
from tests.tiny_gan import write_gan_entry


@pytest.fixture
def engine(tmp_path: Path) -> FakeEngine:
    """One that offers a model for dreams, beside the shipped ones."""
    page = write_gan_entry(tmp_path)
    return FakeEngine(catalogue=open_catalogue(EngineConfig(catalogue_files=(page,))))


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
