"""What is waited for at start, and what is not."""

import asyncio
import sqlite3
from pathlib import Path

import pytest

from bot.errors import BadConfiguration, StorageUnavailable
from bot.storage.database import open_database
from bot.storage.waiting import refusals_named, wait_for


def no_database(path: Path) -> None:
    path.write_text("a fox " * 999)


@pytest.mark.parametrize(
    ("make", "words"),
    [(no_database, "file is not a database"), (Path.mkdir, "unable to open database file")],
)
async def test_a_file_that_can_not_be_used_is_named_in_the_words_of_the_driver(
    tmp_path: Path, make, words: str
) -> None:
    make(tmp_path / "some.db")
    async with open_database(f"sqlite:///{tmp_path}/some.db") as database:
        with pytest.raises(BadConfiguration, match=f"some.db can't be used: {words}"):
            await wait_for(database)


async def test_a_file_that_another_process_has_may_be_asked_for_again(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.storage.database.BUSY_TIMEOUT_MS", 10)
    other = await asyncio.to_thread(
        sqlite3.connect, sqlite_url.removeprefix("sqlite:///"), check_same_thread=False
    )
    other.execute("BEGIN EXCLUSIVE")
    try:
        async with open_database(sqlite_url) as database:
            with pytest.raises(StorageUnavailable), refusals_named(database.engine.url):
                async with database.connecting() as connection:
                    await connection.exec_driver_sql("SELECT 1")
    finally:
        other.close()
