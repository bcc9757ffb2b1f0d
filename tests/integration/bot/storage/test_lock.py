"""One scheduler at a time."""

import asyncio
import errno
import os
from collections.abc import AsyncIterator

import asyncpg
import pytest

from bot.errors import StorageUnavailable
from bot.storage.database import Database, open_database
from bot.storage.lock import AdvisoryLock, scheduler_lock


async def test_a_second_process_gets_the_lock_when_the_first_lets_go(
    database: Database, database_url: str
) -> None:
    async with open_database(database_url) as other:
        first, second = scheduler_lock(database), scheduler_lock(other)
        assert await first.acquire()
        assert await first.acquire(), "it is still held"
        assert not await second.acquire()
        await first.release()
        assert await second.acquire()
        assert not await first.acquire()
        await second.release()


async def test_where_files_cannot_be_locked_it_is_said_instead_of_waiting_for_nobody(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr("fcntl.flock", refused)
    async with open_database(sqlite_url) as database:
        with pytest.raises(StorageUnavailable, match=r"scheduler can't be locked: No locks"):
            await scheduler_lock(database).acquire()


@pytest.mark.postgres
async def test_a_lock_whose_connection_was_cut_is_known_to_be_lost(postgres_url: str) -> None:
    async with open_database(postgres_url) as database:
        lock = AdvisoryLock(database, 7)
        assert await lock.acquire()
        await _cut_connections(postgres_url)
        with pytest.raises(StorageUnavailable):
            await lock.acquire()
        assert await lock.acquire()
        await lock.release()


async def _cut_connections(url: str) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE pid <> pg_backend_pid() AND datname = current_database()"
    )
    await connection.close()


@pytest.fixture
async def silent_server() -> AsyncIterator[tuple[str, asyncio.Event]]:
    """The address of a server that takes connections and never says a word, and who has come."""
    has_come = asyncio.Event()

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        has_come.set()
        while await reader.read(1000):
            pass
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(take, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        yield f"postgresql://someone@127.0.0.1:{port}/atelier", has_come


async def test_a_server_that_hangs_while_others_wait_for_it_too_is_unavailable(
    silent_server: tuple[str, asyncio.Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    address, has_come = silent_server
    async with open_database(address, pool_size=1) as database:
        monkeypatch.setattr(database.engine.pool, "_timeout", 0.1)
        other = asyncio.create_task(database.check())
        await has_come.wait()
        with pytest.raises(StorageUnavailable):
            await AdvisoryLock(database, 7).acquire()
        other.cancel()
        await asyncio.wait([other])
