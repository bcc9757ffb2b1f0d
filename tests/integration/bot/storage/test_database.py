"""Connections: what is said where one breaks off, or can't be made."""

from pathlib import Path

import pytest
from sqlalchemy import text

from bot.errors import BadConfiguration, StorageUnavailable
from bot.storage.database import open_database

SECRET = "a fox that nobody else may read of"


async def test_where_a_query_breaks_off_the_log_names_the_reason_and_no_prompt(
    sqlite_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_database(sqlite_url) as database:
        with pytest.raises(StorageUnavailable, match="nothing was lost"):
            async with database.writing() as session:
                await session.execute(text("SELECT :words FROM nowhere"), {"words": SECRET})
    assert "no such table: nowhere" in caplog.text
    assert SECRET not in caplog.text


async def test_no_error_shows_the_values_of_its_query(postgres_url: str) -> None:
    async with open_database(postgres_url) as database:
        with pytest.raises(Exception, match="nowhere") as broken:
            async with database.writing() as session:
                await session.execute(text("SELECT :words FROM nowhere"), {"words": SECRET})
    assert SECRET not in str(broken.value)


async def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(BadConfiguration, match="file can't be made: File exists"):
        async with open_database(f"sqlite:///{tmp_path}/file/atelier.db"):
            pass
