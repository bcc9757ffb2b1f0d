"""Everything of one member is forgotten, and old jobs of which nothing is left to see."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select, text

from bot.errors import NotFound
from bot.storage.belongings import belongings_of
from bot.storage.database import Database
from bot.storage.files import ImageFolder, content_key, thumbnail_key
from bot.storage.generators import GeneratorRow, Generators
from bot.storage.images import FavouriteRow, ImageFilter, ImageRow, Images, TagRow, Viewer
from bot.storage.jobs import JobFileRow, JobRow, Jobs, NewJob, Outcome
from bot.storage.members import MemberRow, Members
from bot.storage.purging import AT_ONCE, Purging
from bot.storage.styles import StyleRow, Styles
from bot.studio.janitor import Janitor
from tests.rows import NOON, image_row, job_row

ALICE, BOB = 1, 2
ROWS = (JobRow, JobFileRow, ImageRow, TagRow, FavouriteRow, StyleRow, GeneratorRow, MemberRow)


async def finished(jobs: Jobs, owner_id: int, *uploads: str, **image: str) -> ImageRow:
    """A job that began with some files, and its picture."""
    job = NewJob(job_row(owner_id=owner_id), uploads)
    await jobs.add([job])
    await jobs.claim(job.row.id, now=NOON, lease_until=NOON)
    made = image_row(job.row.id, owner_id=owner_id, **image)
    await jobs.finish(job.row.id, 1, Outcome(images=[made], device_s=1), now=NOON)
    return made


async def counted(database: Database) -> dict[str, int]:
    async with database.reading() as session:
        return {
            kind.__tablename__: await session.scalar(select(func.count()).select_from(kind)) or 0
            for kind in ROWS
        }


async def furnish(database: Database, owner_id: int, mark: str) -> None:
    """Something of every kind."""
    await Members(database).set_preferences(owner_id, {"preset": "oil"}, NOON)
    await Styles(database).save(
        StyleRow(owner_id=owner_id, name="w", file_key=f"{mark}style", created_at=NOON)
    )
    generator = GeneratorRow(
        id=f"generator{owner_id}",
        name="foxes",
        owner_id=owner_id,
        guild_id=9,
        job_id="gone",
        weights_key=f"{mark}weights",
        sheet_key=f"{mark}sheet",
        pictures=16,
        verdict="",
        created_at=NOON,
    )
    async with database.writing() as session:
        session.add(generator)


async def test_an_erased_member_leaves_nothing_and_takes_nothing_of_others(
    database: Database, jobs: Jobs, images: Images
) -> None:
    own = await finished(jobs, ALICE, "face", "lent", file_key="own")
    theirs = await finished(jobs, BOB, "lent", file_key="theirs")
    await jobs.add([NewJob(job_row(owner_id=ALICE), ("face",))])
    for owner_id, mark in ((ALICE, "a"), (BOB, "b")):
        await furnish(database, owner_id, mark)
        await images.favourite(owner_id, own.id, on=True)
        await images.favourite(owner_id, theirs.id, on=True)
    await images.set_tags(own.id, ["red"])
    purging = Purging(database)
    gone = await purging.forget_jobs_of(ALICE)
    assert (gone.jobs, gone.images, gone.keys) == (2, 1, ["face", "own"])
    assert (await purging.forget_jobs_of(ALICE)).jobs == 0
    assert await purging.forget_belongings(ALICE) == ["asheet", "astyle", "aweights"]
    assert await counted(database) == dict.fromkeys((kind.__tablename__ for kind in ROWS), 1) | {
        "tags": 0
    }
    seen = await images.page(Viewer(BOB, None), ImageFilter(words="fox"), below=None, limit=9)
    assert [one.row.id for one in seen.images] == [theirs.id]
    assert (await belongings_of(database, BOB)).favourites == [theirs.id]
    if database.is_sqlite:
        async with database.reading() as session:
            found = text("SELECT count(*) FROM image_words WHERE image_words MATCH 'fox'")
            assert await session.scalar(found) == 1


async def test_a_member_with_many_jobs_and_files_is_forgotten_in_several_goes(
    database: Database, jobs: Jobs
) -> None:
    many = tuple(f"frame{number}" for number in range(2 * AT_ONCE))
    await jobs.add([NewJob(job_row(), many), *(NewJob(job_row(), ()) for _ in range(AT_ONCE))])
    purging, keys = Purging(database), []
    while (gone := await purging.forget_jobs_of(ALICE)).jobs:
        assert gone.jobs <= AT_ONCE
        keys += gone.keys
    assert sorted(keys) == sorted(many)
    assert (await counted(database))["jobs"] == 0


async def test_old_jobs_are_forgotten_once_no_picture_is_left(
    database: Database, jobs: Jobs, images: Images
) -> None:
    kept = await finished(jobs, ALICE, "face", file_key="kept")
    deleted = await finished(jobs, ALICE, "photo", file_key="own")
    failed = job_row()
    await jobs.add([NewJob(failed, ("photo", "other")), NewJob(job_row(), ("waiting",))])
    await jobs.claim(failed.id, now=NOON, lease_until=NOON)
    await jobs.fail(failed.id, 1, "no", now=NOON + timedelta(days=20))
    await images.delete(deleted.id, NOON, by=ALICE)
    purging, late = Purging(database), NOON + timedelta(days=10)
    assert (await purging.forget_ended(late)).jobs == 0, "it could be restored yet"
    assert await purging.forget_deleted(late) == ["own"]
    gone = await purging.forget_ended(late)
    assert (gone.jobs, gone.images, gone.keys) == (1, 0, []), "the photo is somebody else's too"
    assert (await purging.forget_ended(NOON + timedelta(days=21))).keys == ["other", "photo"]
    assert (await counted(database))["jobs"] == 2
    assert (await images.by_id(Viewer(ALICE, None), kept.id)).row.file_key == "kept"


async def test_the_janitor_forgets_old_jobs_with_their_uploads_where_it_is_told_to(
    database: Database, jobs: Jobs, tmp_path: Path
) -> None:
    files = ImageFolder(tmp_path)
    key, used = content_key(b"face"), content_key(b"owl")
    for name in (key, thumbnail_key(key), used):
        await files.put(name, b"picture")
    failed = job_row()
    await jobs.add([NewJob(failed, (key, used)), NewJob(job_row(), (used,))])
    await jobs.cancel(failed.id, now=NOON)
    later = datetime.now(UTC) + timedelta(minutes=1)
    assert await Janitor(Purging(database), files, lambda: later).clear() == 0
    patient = Janitor(Purging(database), files, lambda: later, jobs_kept=timedelta(days=36_500))
    assert await patient.clear() == 0
    strict = Janitor(Purging(database), files, lambda: later, jobs_kept=timedelta(days=30))
    assert await strict.clear() == 1
    assert await strict.clear() == 0
    assert await files.read(used) == b"picture"
    for name in (key, thumbnail_key(key)):
        with pytest.raises(NotFound):
            await files.read(name)


async def test_files_of_a_deleted_style_or_generator_go_with_it_unless_somebody_needs_them(
    database: Database, jobs: Jobs, tmp_path: Path
) -> None:
    files = ImageFolder(tmp_path)
    keys = ("astyle", "aweights", "asheet", "bstyle", "bother", "blesson")
    for key in keys:
        await files.put(key, b"picture")
    later = datetime.now(UTC) + timedelta(minutes=1)
    let_go = Janitor(Purging(database), files, lambda: later).let_go
    styles, generators = Styles(database, let_go), Generators(database, let_go)
    for owner_id, mark in ((ALICE, "a"), (BOB, "b")):
        await furnish(database, owner_id, mark)
    await jobs.add([NewJob(job_row(), ("asheet",))])
    await styles.remove(ALICE, "w")
    await generators.remove(f"generator{ALICE}")

    async def save(file_key: str, learnt_key: str | None = None) -> None:
        values = {"owner_id": BOB, "name": "w", "created_at": NOON}
        await styles.save(StyleRow(file_key=file_key, learnt_key=learnt_key, **values))

    await save("bstyle", "blesson")
    assert await _left(files, keys) == ["asheet", "bstyle", "bother", "blesson"]
    await save("bother")
    assert await _left(files, keys) == ["asheet", "bother"]


async def _left(files: ImageFolder, keys: tuple[str, ...]) -> list[str]:
    """Those of some keys under which there is a file."""
    there = await files.keys(written_before=datetime.now(UTC) + timedelta(minutes=1))
    return [key for key in keys if key in there]


async def test_a_file_that_is_put_again_while_it_is_freed_stays(
    database: Database, tmp_path: Path
) -> None:
    files = ImageFolder(tmp_path)
    begun = datetime.now(UTC) - timedelta(minutes=1)
    await files.put("abcd.png", b"picture")
    await Janitor(Purging(database), files, lambda: begun).free(["abcd.png"], written_before=begun)
    assert await files.read("abcd.png") == b"picture"
