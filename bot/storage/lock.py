"""One scheduler at a time, one migration: locks that end with their process or connection."""

import asyncio
import logging
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.errors import StorageUnavailable
from bot.storage.database import NO_ANSWER, Database

if sys.platform != "win32":
    import fcntl

logger = logging.getLogger(__name__)

# Any numbers will do, if only all processes use the same.
_SCHEDULER_KEY, _MIGRATION_KEY = 0x4A7E11E6, 0x4A7E11E7
_PING_TIMEOUT_S = 10


class DatabaseLock(Protocol):
    """Held by at most one process."""

    async def acquire(self) -> bool:
        """Take the lock if it is free, or confirm that it is still held; never waits for it.

        Raises:
            StorageUnavailable: whether it is held is not known now.
        """
        ...

    async def release(self) -> None:
        """Let another process have it."""
        ...


def scheduler_lock(database: Database) -> DatabaseLock:
    """Held by the process that gives a database's jobs to the engine."""
    return _lock(database, "scheduler", _SCHEDULER_KEY)


def migration_lock(database: Database) -> DatabaseLock:
    """Held by the process that migrates a database."""
    return _lock(database, "migration", _MIGRATION_KEY)


def _lock(database: Database, name: str, key: int) -> DatabaseLock:
    file = database.file
    if file is not None:
        return FileLock(file.with_name(f"{file.name}.{name}"))
    return AdvisoryLock(database, key)


class FileLock:
    """A locked file beside the database; the kernel unlocks it when the process ends."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._handle: int | None = None

    async def acquire(self) -> bool:
        """Try to lock the file."""
        if self._handle is None:
            self._handle = await asyncio.to_thread(_locked, self._path)
        return self._handle is not None

    async def release(self) -> None:
        """Close the file, which unlocks it."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None


def _locked(path: Path) -> int | None:
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StorageUnavailable(f"{path} can't be opened: {error.strerror}") from error
    if sys.platform == "win32":
        return handle  # nothing shares the database there: one bot is all there is
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:  # another process has it
        os.close(handle)
        return None
    except OSError as error:  # some file systems know no locks
        os.close(handle)
        raise StorageUnavailable(f"{path} can't be locked: {error.strerror}") from error
    return handle


class AdvisoryLock:
    """A lock of the PostgreSQL server, held as long as one connection lives."""

    def __init__(self, database: Database, key: int) -> None:
        self._database = database
        self._key = key
        self._connection: AsyncConnection | None = None

    async def acquire(self) -> bool:
        """Try to lock, or ask the connection that holds the lock for a sign of life."""
        if self._connection is not None:
            await self._confirm(self._connection)
            return True
        try:
            connection = await self._database.connect_alone()
        except NO_ANSWER as error:
            raise StorageUnavailable("the database does not answer now") from error
        try:
            taken = await connection.scalar(select(func.pg_try_advisory_lock(self._key)))
        except NO_ANSWER as error:
            await self._drop(connection)
            raise StorageUnavailable("the database does not answer now") from error
        if not taken:
            await connection.close()
            return False
        self._connection = connection
        return True

    async def release(self) -> None:
        """Close the connection, which unlocks."""
        if self._connection is not None:
            await self._drop(self._connection)
            self._connection = None

    async def _confirm(self, connection: AsyncConnection) -> None:
        try:
            async with asyncio.timeout(_PING_TIMEOUT_S):
                await connection.execute(text("SELECT 1"))
        except NO_ANSWER as error:
            logger.warning("a lock of the database is lost: %s", getattr(error, "orig", error))
            self._connection = None
            await self._drop(connection)
            raise StorageUnavailable("the database does not answer now") from error

    async def _drop(self, connection: AsyncConnection) -> None:
        with suppress(*NO_ANSWER):
            await connection.invalidate()
        with suppress(*NO_ANSWER):
            await connection.close()
