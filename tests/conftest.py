"""What tests of several folders share: databases, skipping aloud."""

import asyncio
import itertools
import os
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NoReturn

import asyncpg
import pytest

from bot.storage import migration
from bot.storage.database import open_database
from tests.postgres_server import NoPostgres, running_postgres

# Tiny networks gain nothing from threads, and lose much where the cores are shared. Set before any
# test imports torch, and inherited by the worker processes that tests start.
os.environ.setdefault("OMP_NUM_THREADS", "1")

_TEMPLATE = "atelier_template"
_numbers = itertools.count(1)


def skip_aloud(reason: str) -> NoReturn:
    """Skip a test for a tool this machine lacks; ATELIER_NO_SKIP=1 makes that a failure."""
    if os.environ.get("ATELIER_NO_SKIP") == "1":
        pytest.fail(f"must not be skipped here: {reason}")
    pytest.skip(reason)


@pytest.fixture(scope="module")
def restored_gradients() -> Iterator[None]:
    """A worker turns gradients off for its whole thread, which in some tests is everybody's."""
    import torch  # most tests need none

    with torch.no_grad():
        yield


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite database, to be copied."""
    path = tmp_path_factory.mktemp("template") / "atelier.db"
    _apart(lambda: _migrated(f"sqlite:///{path}"))
    return path


@pytest.fixture(scope="session")
def postgres_address() -> Iterator[str]:
    """The address of a PostgreSQL server that holds a migrated template."""
    try:
        server = running_postgres()
        address = server.__enter__()
    except NoPostgres as missing:
        skip_aloud(f"PostgreSQL is missing: {missing}")
    try:
        _apart(lambda: _create(address, _TEMPLATE, "template1"))
        _apart(lambda: _migrated(f"{address}/{_TEMPLATE}"))
        yield address
    finally:
        server.__exit__(None, None, None)


@pytest.fixture
def sqlite_url(sqlite_template: Path, tmp_path: Path) -> str:
    """The address of a fresh, migrated SQLite database."""
    path = tmp_path / "atelier.db"
    shutil.copy(sqlite_template, path)
    return f"sqlite:///{path}"


@pytest.fixture
def postgres_url(postgres_address: str) -> str:
    """The address of a fresh, migrated PostgreSQL database."""
    name = f"atelier_{os.getpid()}_{next(_numbers)}"
    _apart(lambda: _create(postgres_address, name, _TEMPLATE))
    return f"{postgres_address}/{name}"


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def database_url(request: pytest.FixtureRequest) -> str:
    """The address of a fresh, migrated database, of each kind in turn."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


def _apart(work: Callable[[], object]) -> None:
    """Run something that brings its own event loop, away from the tests' loop."""
    with ThreadPoolExecutor(1) as thread:
        thread.submit(work).result()


def _migrated(url: str) -> None:
    async def migrate() -> None:
        async with open_database(url) as database:
            await migration.upgrade(database)

    asyncio.run(migrate())


def _create(address: str, name: str, template: str) -> None:
    async def create() -> None:
        connection = await asyncpg.connect(f"{address}/postgres")
        await connection.execute(f'DROP DATABASE IF EXISTS "{name}"')
        await connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        await connection.close()

    asyncio.run(create())
