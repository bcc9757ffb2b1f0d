"""`python -m migrations.check`: up, compare with the tables in the code, down, up again.

On a fresh SQLite database, and on the empty one that ATELIER_CHECK_DATABASE_URL names, if any.
"""

import asyncio
import os
import sys
import tempfile
from pathlib import Path

from bot.storage import migration
from bot.storage.database import open_database


async def check(url: str) -> None:
    async with open_database(url) as database:
        await migration.upgrade(database)
        await migration.check(database)
        await migration.downgrade(database)
        await migration.upgrade(database)
        await migration.check(database)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(check(f"sqlite+aiosqlite:///{Path(folder) / 'check.db'}"))
    print("SQLite: up, check, down, up, check: good")  # noqa: T201
    if url := os.environ.get("ATELIER_CHECK_DATABASE_URL"):
        asyncio.run(check(url))
        print("PostgreSQL: up, check, down, up, check: good")  # noqa: T201
    else:
        print("PostgreSQL: checked by the tests that are marked postgres", file=sys.stderr)  # noqa: T201


if __name__ == "__main__":
    main()
