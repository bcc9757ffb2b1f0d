"""Migrations, on both kinds of database."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import text

from bot.errors import BadConfiguration
from bot.storage import migration
from bot.storage.database import open_database
from bot.storage.images import ImageFilter, Images, Viewer
from bot.storage.jobs import Jobs, Outcome
from bot.storage.styles import Styles
from tests.rows import NOON, image_row, new_job

ROOT = Path(__file__).parents[4]
# Looks at the database before it is told to go on, so that both find it out of date.
UPGRADE = """
import asyncio, sys
from bot.storage import migration
from bot.storage.database import open_database

async def main():
    async with open_database(sys.argv[1]) as database:
        assert not await migration.is_current(database)
        print("ready", flush=True)
        sys.stdin.readline()
        await migration.upgrade(database)

asyncio.run(main())
"""


async def test_the_tables_in_the_code_are_those_of_the_migrations(database_url: str) -> None:
    async with open_database(database_url) as database:
        await migration.check(database)


async def test_all_migrations_can_be_undone_and_run_again(database_url: str) -> None:
    async with open_database(database_url) as database:
        assert await migration.is_current(database)
        await migration.downgrade(database)
        assert not await migration.is_current(database)
        await migration.upgrade(database)
        await migration.check(database)


async def test_what_was_shared_with_one_server_stays_shared_and_a_name_means_the_oldest(
    database_url: str,
) -> None:
    async with open_database(database_url) as database:
        await migration.downgrade(database, "0009")
        async with database.writing() as session:
            for owner_id, guild_id, day in ((1, 9, 2), (2, 9, 1), (3, None, 1), (4, 8, 3)):
                await session.execute(
                    text(
                        "INSERT INTO styles (owner_id, name, guild_id, file_key, created_at)"
                        f" VALUES ({owner_id}, 'wave', {guild_id or 'NULL'}, 'a',"
                        f" '2026-01-0{day} 12:00:00')"
                    )
                )
        await migration.upgrade(database)
        styles = Styles(database)
        assert (await styles.shared(9), await styles.shared(8)) == ({"wave": 2}, {"wave": 4})
        assert (await styles.own(1, "wave")).file_key == "a"
        await migration.downgrade(database, "0009")
        async with database.reading() as session:
            rows = await session.execute(text("SELECT owner_id, guild_id FROM styles"))
            assert {row.owner_id: row.guild_id for row in rows} == {1: None, 2: 9, 3: None, 4: 8}
        await migration.upgrade(database)


async def test_comparisons_of_strengths_are_told_from_restyles_that_were_asked_for(
    database_url: str,
) -> None:
    def restyle(style: str, *strengths: float) -> dict[str, object]:
        styles = [{"image": {"file": style}, "preset": "", "weight": 1.0}]
        fields = {"styles": styles, "image_strengths": list(strengths)}
        return {"kind": "Stylize", "fields": fields}

    began = new_job(operation="stylize", request=restyle("theirs"))
    made = {
        "compared": (began.row.id, restyle("theirs", 0.5, 1.0)),
        "own style": (began.row.id, restyle("own", 0.5, 1.0)),
        "one strength": (began.row.id, restyle("theirs")),
        "of an upload": (None, restyle("theirs", 0.5, 1.0)),
    }
    later = {
        name: new_job(operation="stylize", owner_id=2, parent_job_id=parent, request=request)
        for name, (parent, request) in made.items()
    }
    async with open_database(database_url) as database:
        jobs, images = Jobs(database), Images(database)
        for job in (began, *later.values()):
            await jobs.add([job])
            await jobs.claim(job.row.id, now=NOON, lease_until=NOON)
            image = image_row(job.row.id, owner_id=2, operation="stylize")
            await jobs.finish(job.row.id, 1, Outcome(images=[image], device_s=1.0), now=NOON)
        for _ in range(2):
            await migration.downgrade(database, "0012")
            await migration.upgrade(database)
        told = {name: await jobs.by_id(job.row.id) for name, job in later.items()}
        assert [name for name, row in told.items() if row.operation == "compare"] == ["compared"]
        compared = ImageFilter(operations=("compare",))
        page = await images.page(Viewer(2, None), compared, below=None, limit=9)
        assert [one.row.job_id for one in page.images] == [told["compared"].id]


async def test_a_database_that_is_up_to_date_is_left_alone(database_url: str) -> None:
    async with open_database(database_url) as database:
        await migration.upgrade(database)
        assert await migration.is_current(database)


async def test_of_two_processes_that_start_together_one_migrates_and_the_other_waits(
    database_url: str,
) -> None:
    async with open_database(database_url) as database:
        await migration.downgrade(database)
        await asyncio.to_thread(_migrate_twice_at_once, database_url)
        assert await migration.is_current(database)


def _migrate_twice_at_once(url: str) -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", UPGRADE, url],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in processes:
        _, errors = process.communicate(timeout=50)
        assert process.returncode == 0, errors


async def test_a_database_of_a_newer_version_is_left_alone_and_named(database_url: str) -> None:
    async with open_database(database_url) as database:
        async with database.writing() as session:
            await session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        for look in (migration.is_current, migration.upgrade):
            with pytest.raises(
                BadConfiguration, match=r"newer version of Atelier \(revision 9999\)"
            ):
                await look(database)


def test_alembic_itself_migrates_the_configured_database(tmp_path: Path) -> None:
    environment = {"ATELIER_DATABASE_URL": f"sqlite:///{tmp_path}/new.db", "PATH": ""}
    for words in (["upgrade", "head"], ["check"]):
        done = subprocess.run(
            [sys.executable, "-m", "alembic", *words],
            check=False,
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=50,
        )
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "new.db").exists()


async def test_migrating_an_unknown_kind_of_database_says_which_are_known() -> None:
    with pytest.raises(Exception, match="sqlite:// or postgresql://"):
        async with open_database("mysql://localhost/atelier"):
            pass
