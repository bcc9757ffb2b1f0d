"""Runs the migrations on the database of `bot.storage.migration`, or of ATELIER_DATABASE_URL."""

import asyncio
import os
from typing import Any

from alembic import context
from sqlalchemy import Connection

from bot.storage.database import open_database
from bot.storage.schema import METADATA

DEFAULT_URL = "sqlite:///data/atelier.db"


def is_in_metadata(_object: Any, name: str | None, kind: str, reflected: bool, _to: Any) -> bool:  # noqa: FBT001
    """Leave out the word indices: each database has its own kind, made by hand."""
    if not reflected or name is None:
        return True
    if kind == "table":
        return not name.startswith(("image_words", "sqlite_"))
    return not (kind in ("column", "index") and name in ("search", "ix_images_search"))


def migrate(connection: Connection) -> None:
    """Run inside the caller's connection."""
    context.configure(
        connection=connection,
        target_metadata=METADATA,
        include_object=is_in_metadata,
        render_as_batch=connection.dialect.name == "sqlite",
        compare_type=True,
        transaction_per_migration=True,
    )
    with context.begin_transaction():
        context.run_migrations()


async def migrate_from_command_line() -> None:
    """Connect to the configured database first."""
    url = context.config.get_main_option("sqlalchemy.url")
    address = url or os.environ.get("ATELIER_DATABASE_URL") or DEFAULT_URL
    async with open_database(address) as database, database.engine.connect() as connection:
        await connection.run_sync(migrate)
        await connection.commit()


given = context.config.attributes.get("connection")
if given is not None:
    migrate(given)
else:
    asyncio.run(migrate_from_command_line())
