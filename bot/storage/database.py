"""Connections and transactions on SQLite and PostgreSQL.

SQLite runs in WAL mode and writes under one lock per process, so that a crowd of writers waits in
line here and not in the busy loop of the file. Whatever says "the database does not answer" leaves
as `StorageUnavailable`.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from pathlib import Path
from typing import Any

from asyncpg import ClientConfigurationError
from sqlalchemy import Connection, event, func, select, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import (
    ArgumentError,
    DataError,
    DBAPIError,
    IntegrityError,
    NoSuchModuleError,
    ProgrammingError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession, create_async_engine

from bot.errors import BadConfiguration, NotFound, StorageUnavailable

logger = logging.getLogger(__name__)

BUSY_TIMEOUT_MS = 10_000
CONNECT_TIMEOUT_S = 10
# What is raised by a database that does not answer; the pool raises an error of its own.
NO_ANSWER = (DBAPIError, PoolTimeout, OSError, TimeoutError)
_NO_PORT = "is no database address: its port is no number from 1 to 65535"
_UNSTORABLE = "there is a character in this that can't be stored or searched"
_DRIVERS = {
    "sqlite": "sqlite+aiosqlite",
    "postgresql": "postgresql+asyncpg",
    "postgres": "postgresql+asyncpg",
}
# Options of addresses, which hosting services name as libpq does:
# https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-PARAMKEYWORDS
_RENAMED = {"sslmode": "ssl"}
_OF_THE_SERVER = ("application_name", "options")  # settings of the session, which the server knows
# The driver can't bind TLS channels, and servers do without; how long we wait is ours to say.
_LEFT_OUT = ("channel_binding", "connect_timeout")
# Files that the driver takes from variables alone:
# https://magicstack.github.io/asyncpg/current/api/index.html#connection
_IN_VARIABLES = {
    name: f"PG{name.upper()}" for name in ("sslrootcert", "sslcert", "sslkey", "sslcrl")
}
_OF_THE_DRIVER = ("host", "port", "passfile", "prepared_statement_cache_size", "ssl",
                  "target_session_attrs")  # fmt: skip


def database_url(address: str) -> URL:
    """Read an address such as `sqlite:///data/atelier.db` or `postgresql://user@host/atelier`.

    Raises:
        BadConfiguration: it is no address, or of another kind of database, or has options that
            can't be followed.
    """
    try:
        url = make_url(address)
    except ArgumentError as error:
        raise BadConfiguration("database_url", f"is no database address: {error}") from error
    except ValueError:  # its words may be a part of the password
        raise BadConfiguration("database_url", _NO_PORT) from None
    kind = url.drivername.partition("+")[0]
    if kind not in _DRIVERS:
        reason = f"must begin with sqlite:// or postgresql://, not {kind}://"
        raise BadConfiguration("database_url", reason)
    if url.port is not None and not 0 < url.port < 2**16:
        raise BadConfiguration("database_url", _NO_PORT)
    url = url.set(drivername=_DRIVERS[kind])
    return url if kind == "sqlite" else _with_known_options(url)


def _with_known_options(url: URL) -> URL:
    query = {_RENAMED.get(name, name): value for name, value in url.query.items()}
    known = {*_OF_THE_SERVER, *_OF_THE_DRIVER}
    if unknown := query.keys() - known - set(_LEFT_OUT):
        option = min(unknown)
        variable = _IN_VARIABLES.get(option)
        cure = f"name the file in the variable {variable}" if variable else "leave it out"
        reason = f"has an option that can't be followed: {option}; {cure}"
        raise BadConfiguration("database_url", reason)
    return url.set(query={name: value for name, value in query.items() if name in known})


class Database:
    """Opens transactions; made by `open_database`."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.engine = engine
        self.is_sqlite = engine.dialect.name == "sqlite"
        self._writers = asyncio.Lock()

    @property
    def file(self) -> Path | None:
        """The file of an SQLite database."""
        name = self.engine.url.database
        return Path(name) if self.is_sqlite and name else None

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncSession]:
        """Open a transaction that only reads.

        Raises:
            StorageUnavailable: the database does not answer.
        """
        async with _translated(), AsyncSession(self.engine, expire_on_commit=False) as session:
            yield session

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncSession]:
        """Open a transaction that is committed on leaving, or rolled back by an exception.

        Raises:
            StorageUnavailable: the database does not answer; nothing was written.
        """
        turn: AbstractAsyncContextManager[Any] = self._writers if self.is_sqlite else nullcontext()
        async with (
            turn,
            _translated(),
            AsyncSession(self.engine, expire_on_commit=False) as session,
            session.begin(),
        ):
            await session.connection(execution_options={"writes": True})
            yield session

    @asynccontextmanager
    async def connecting(self) -> AsyncIterator[AsyncConnection]:
        """Open a bare connection that may write, for migrations and locks.

        Raises:
            StorageUnavailable: the database does not answer.
        """
        async with _translated(), self.engine.connect() as connection:
            await connection.execution_options(writes=True)
            yield connection

    async def connect_alone(self) -> AsyncConnection:
        """A connection outside of any transaction, for whoever closes it again."""
        connection = await self.engine.connect()
        return await connection.execution_options(isolation_level="AUTOCOMMIT")

    async def check(self) -> None:
        """Ask the database for a sign of life.

        Raises:
            StorageUnavailable: there is none.
        """
        async with self.reading() as session:
            await session.execute(text("SELECT 1"))


@asynccontextmanager
async def open_database(address: str | URL, *, pool_size: int = 8) -> AsyncIterator[Database]:
    """Connect lazily to the database at `address`; close all connections on leaving.

    Raises:
        BadConfiguration: the address can't be used.
    """
    url = database_url(address) if isinstance(address, str) else address
    try:
        engine = _new_engine(url, pool_size)
    except (NoSuchModuleError, ImportError) as error:
        raise BadConfiguration("database_url", f"its driver is missing: {error}") from error
    except (ArgumentError, ValueError) as error:
        raise BadConfiguration("database_url", f"has an option that can't work: {error}") from error
    try:
        yield Database(engine)
    finally:
        await engine.dispose()


def _new_engine(url: URL, pool_size: int) -> AsyncEngine:
    if url.get_backend_name() == "sqlite":
        if not url.database or url.database == ":memory:":
            raise BadConfiguration("database_url", "must name a file: sqlite:///data/atelier.db")
        folder = Path(url.database).parent
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            reason = f"its folder {folder} can't be made: {error.strerror}"
            raise BadConfiguration("database_url", reason) from error
        engine = create_async_engine(url, pool_size=pool_size, max_overflow=0, hide_parameters=True)
        event.listen(engine.sync_engine, "connect", _prepare_sqlite)
        event.listen(engine.sync_engine, "begin", _begin_sqlite)
        return engine
    session = {name: url.query[name] for name in _OF_THE_SERVER if name in url.query}
    return create_async_engine(
        url.difference_update_query(_OF_THE_SERVER),
        pool_size=pool_size,
        max_overflow=0,
        pool_pre_ping=True,
        hide_parameters=True,  # or members' prompts came into the log with an error
        connect_args={
            "timeout": CONNECT_TIMEOUT_S,
            "command_timeout": 60,
            "server_settings": session,
        },
    )


async def take_turn(session: AsyncSession, *whose: int | None) -> None:
    """Let transactions of one owner or guild go one after the other until they end.

    What is looked up and then written, or counted and then added, would else be written twice at
    once. An owner is named before a guild, or two would wait for each other.
    """
    if session.get_bind().dialect.name == "sqlite":
        return  # all writers take turns there
    for key in whose:
        if key is not None:
            await session.execute(select(func.pg_advisory_xact_lock(key)))


def _prepare_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # the driver's own BEGIN comes too late for IMMEDIATE
    cursor = connection.cursor()
    for pragma in (
        f"busy_timeout={BUSY_TIMEOUT_MS}",
        "journal_mode=WAL",
        "synchronous=FULL",  # a job that was promised survives a power cut
        "foreign_keys=ON",
        "cache_size=-8000",  # 8 MB for each connection; the system keeps the file in memory too
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    # A reader that turns writer gets SQLITE_BUSY at once, whatever the timeout: say it in advance.
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


@asynccontextmanager
async def _translated() -> AsyncIterator[None]:
    try:
        yield
    except (IntegrityError, ProgrammingError):
        raise
    except UnicodeEncodeError as error:
        raise NotFound(_UNSTORABLE) from error
    except NO_ANSWER as error:
        cause = getattr(getattr(error, "orig", None), "__cause__", None)
        if isinstance(cause, ClientConfigurationError):
            reason = f"has an option that can't work: {cause}"
            raise BadConfiguration("database_url", reason) from error
        if isinstance(error, DBAPIError) and _is_of_data(error):
            raise NotFound(_UNSTORABLE) from error
        logger.warning("the database does not answer: %s", getattr(error, "orig", error))
        raise StorageUnavailable(
            "the database does not answer now; nothing was lost, try again in a minute"
        ) from error


def _is_of_data(error: DBAPIError) -> bool:
    """The value is at fault, such as a NUL or half a surrogate pair, and not the database."""
    cause = getattr(error.orig, "__cause__", None)  # asyncpg's own
    state = str(getattr(cause, "sqlstate", None) or "")
    return isinstance(error, DataError) or isinstance(cause, ValueError) or state.startswith("22")
