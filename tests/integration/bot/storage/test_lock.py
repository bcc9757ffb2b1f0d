"""One scheduler at a time."""

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


@pytest.mark.postgres
async def test_a_lock_whose_connection_was_cut_is_known_to_be_lost(postgres_url: str) -> None:
    async with open_database(postgres_url) as database:
        lock = AdvisoryLock(database)
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
