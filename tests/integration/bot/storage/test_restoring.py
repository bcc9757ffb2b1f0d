"""The commands by which the readmes restore a backup, as far as they run without Docker."""

import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from sqlalchemy import text

from bot.storage import migration
from bot.storage.database import open_database
from tests.conftest import skip_aloud

ROOT = Path(__file__).parents[4]


def told(readme: str, program: str, url: str) -> list[str]:
    """The words of a command in the container of the database, for another database and user."""
    [line] = re.findall(
        rf"^docker compose exec -T database ({program} .*) [<>] backup\.dump$",
        (ROOT / readme).read_text(encoding="utf-8"),
        flags=re.MULTILINE,
    )
    place = urlsplit(url)
    words = shlex.split(line.replace("-U atelier", f"-U {place.username}"))
    return [place.path.lstrip("/") if word == "atelier" else word for word in words]


def run(words: list[str], url: str, given: bytes = b"") -> bytes:
    if not shutil.which(words[0]):
        skip_aloud(f"{words[0]} is missing")
    place = urlsplit(url)
    environment = {
        **os.environ,
        "PGHOST": str(place.hostname),
        "PGPORT": str(place.port or 5432),
        "PGPASSWORD": place.password or "",
    }
    done = subprocess.run(
        words, check=False, input=given, capture_output=True, env=environment, timeout=50
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


@pytest.mark.postgres
@pytest.mark.parametrize("readme", ["README.md", "README.zh-CN.md"])
async def test_a_backup_of_an_older_version_takes_the_place_of_a_newer_database(
    postgres_url: str, readme: str
) -> None:
    async with open_database(postgres_url) as database:
        await migration.downgrade(database, "0009")  # the next makes a table that refers to others
        async with database.writing() as session:
            await session.execute(
                text(
                    "INSERT INTO styles (owner_id, name, guild_id, file_key, created_at)"
                    " VALUES (1, 'wave', 9, 'a', '2026-01-01 12:00:00')"
                )
            )
    backup = run(told(readme, "pg_dump", postgres_url), postgres_url)
    async with open_database(postgres_url) as database:
        await migration.upgrade(database)
    run(told(readme, "pg_restore", postgres_url), postgres_url, backup)
    async with open_database(postgres_url) as database:
        async with database.reading() as session:
            assert list(await session.scalars(text("SELECT guild_id FROM styles"))) == [9]
        await migration.upgrade(database)
        await migration.check(database)
