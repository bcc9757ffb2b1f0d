"""Storage on each kind of database."""

from collections.abc import AsyncIterator

import pytest

from bot.storage.database import Database, open_database
from bot.storage.images import Images
from bot.storage.jobs import Jobs


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """A fresh database of each kind in turn."""
    async with open_database(database_url) as opened:
        yield opened


@pytest.fixture
def jobs(database: Database) -> Jobs:
    """The jobs in it."""
    return Jobs(database)


@pytest.fixture
def images(database: Database) -> Images:
    """The images in it."""
    return Images(database)
