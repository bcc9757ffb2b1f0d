"""What was deleted is forgotten after a day, and its files with it."""

import asyncio
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bot.errors import NotFound
from bot.storage.database import Database
from bot.storage.files import ImageFolder, content_key, thumbnail_key
from bot.storage.images import ImageFilter, Images, Viewer
from bot.storage.jobs import Jobs, NewJob, Outcome
from bot.storage.purging import Purging
from bot.storage.styles import StyleRow, Styles
from bot.studio.janitor import GRACE, Janitor
from tests.rows import NOON, image_row, job_row, new_job

NEXT_DAY = NOON + timedelta(hours=25)


async def deleted_images(jobs: Jobs, images: Images, *keys: str) -> None:
    """One deleted image for each file, and one that is kept and shares the first."""
    job = new_job()
    await jobs.add([job])
    await jobs.claim(job.row.id, now=NOON, lease_until=NOON)
    made = [image_row(job.row.id, place, file_key=key) for place, key in enumerate(keys)]
    await jobs.finish(job.row.id, 1, Outcome(images=made, device_s=1), now=NOON)
    for row in made:
        await images.delete(row.id, NOON, by=row.owner_id)


async def keep(jobs: Jobs, file_key: str) -> None:
    job = new_job()
    await jobs.add([job])
    await jobs.claim(job.row.id, now=NOON, lease_until=NOON)
    made = [image_row(job.row.id, file_key=file_key)]
    await jobs.finish(job.row.id, 1, Outcome(images=made, device_s=1), now=NOON)


def age(root: Path) -> None:
    """Let all files be as old as the rows."""
    for path in root.rglob("*.*"):
        os.utime(path, (NOON.timestamp(), NOON.timestamp()))


async def test_files_are_named_once_nothing_needs_them(
    database: Database, jobs: Jobs, images: Images
) -> None:
    await deleted_images(jobs, images, "shared", "source", "style", "own")
    kept = new_job()
    await jobs.add([kept, NewJob(job_row(), ("source",))])
    await jobs.claim(kept.row.id, now=NOON, lease_until=NOON)
    same = image_row(kept.row.id, file_key="shared")
    await jobs.finish(kept.row.id, 1, Outcome(images=[same], device_s=1), now=NOON)
    style = StyleRow(owner_id=1, name="wave", file_key="style", created_at=NOON)
    await Styles(database).save(style)
    purging = Purging(database)
    assert await purging.forget_deleted(NOON + timedelta(hours=23)) == []
    assert await purging.forget_deleted(NEXT_DAY) == ["own"]
    seen = await images.page(Viewer(1, None), ImageFilter(words="fox"), below=None, limit=9)
    assert [one.row.id for one in seen.images] == [same.id]


async def test_files_without_rows_are_swept_once_they_are_old(
    database: Database, jobs: Jobs, images: Images, tmp_path: Path
) -> None:
    root = tmp_path / "images"
    files = ImageFolder(root)
    shown, asked, style, lost = (content_key(name) for name in (b"1", b"2", b"3", b"4"))
    for key in (shown, asked, style, lost):
        await files.put(key, b"picture")
        await files.put(thumbnail_key(key), b"small")
    await keep(jobs, shown)
    await jobs.add([NewJob(job_row(), (asked,))])
    await Styles(database).save(StyleRow(owner_id=1, name="w", file_key=style, created_at=NOON))
    (root / lost[:2] / lost[2:4] / ".new-abc").write_bytes(b"pict")
    now = datetime.now(UTC)
    assert await Janitor(Purging(database), files, lambda: now).sweep() == 0, "nothing is old"
    later = now + GRACE + timedelta(minutes=1)
    assert await Janitor(Purging(database), files, lambda: later).sweep() == 2
    left = sorted(path.name for path in root.rglob("*") if path.is_file())
    assert left == sorted(
        name for key in (shown, asked, style) for name in (key, thumbnail_key(key))
    )


async def test_an_old_file_that_is_put_again_is_not_swept(
    database: Database, tmp_path: Path
) -> None:
    files = ImageFolder(tmp_path)
    await files.put("abcd.png", b"picture")
    os.utime(tmp_path / "ab" / "cd" / "abcd.png", (0, 0))
    old = await files.keys(written_before=NOON)
    await files.put("abcd.png", b"picture")
    await files.remove("abcd.png", written_before=NOON)
    assert (old, await files.read("abcd.png")) == (["abcd.png"], b"picture")


async def test_all_files_are_left_where_the_database_knows_few_of_them(
    database: Database, jobs: Jobs, tmp_path: Path
) -> None:
    files = ImageFolder(tmp_path)
    keys = [content_key(name) for name in (b"1", b"2", b"3")]
    for key in keys:
        await files.put(key, b"picture")
    await keep(jobs, keys[0])
    later = datetime.now(UTC) + GRACE + timedelta(minutes=1)
    assert await Janitor(Purging(database), files, lambda: later).sweep() == 0
    assert await files.read(keys[2]) == b"picture"


async def test_files_are_swept_each_day_and_not_at_the_start_alone(
    database: Database, jobs: Jobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.studio.janitor.PAUSE_S", 0.01)
    files, now = ImageFolder(tmp_path), datetime.now(UTC)
    kept, lost = content_key(b"1"), content_key(b"2")
    for key in (kept, lost):
        await files.put(key, b"picture")
    await keep(jobs, kept)
    days = iter((0, 0, 0.5, 0.5, 0.9, 0.9))
    janitor = Janitor(Purging(database), files, lambda: now + timedelta(days=next(days, 1.1)))
    running = asyncio.create_task(janitor.run())
    while lost in await files.keys(written_before=now + GRACE):
        await asyncio.sleep(0.01)
    running.cancel()
    await asyncio.wait([running])  # it may be in the middle of a question to the database
    assert await files.read(kept) == b"picture"


async def test_the_janitor_removes_picture_and_thumbnail(
    database: Database, jobs: Jobs, images: Images, tmp_path: Path
) -> None:
    files = ImageFolder(tmp_path / "images")
    key = content_key(b"picture")
    for name in (key, thumbnail_key(key)):
        await files.put(name, b"picture")
    age(tmp_path)
    await deleted_images(jobs, images, key)
    assert await Janitor(Purging(database), files, lambda: NOON).clear() == 0
    assert await files.read(key) == b"picture"
    assert await Janitor(Purging(database), files, lambda: NEXT_DAY).clear() == 1
    for name in (key, thumbnail_key(key)):
        with pytest.raises(NotFound):
            await files.read(name)


async def test_a_deleted_picture_that_somebody_sends_in_again_meanwhile_stays(
    database: Database, jobs: Jobs, images: Images, tmp_path: Path
) -> None:
    files, key = ImageFolder(tmp_path), content_key(b"picture")
    await files.put(key, b"picture")
    age(tmp_path)
    await deleted_images(jobs, images, key)
    await files.put(key, b"picture")  # its job has no row yet
    await Janitor(Purging(database), files, lambda: NEXT_DAY).clear()
    assert await files.read(key) == b"picture"


async def test_a_file_that_cannot_be_removed_does_not_keep_the_others(
    database: Database, jobs: Jobs, images: Images, tmp_path: Path
) -> None:
    root = tmp_path / "images"
    files = ImageFolder(root)
    kept = [content_key(name) for name in (b"1", b"2")]
    first, last = sorted(content_key(name) for name in (b"3", b"4"))
    for key in (*kept, last):
        await files.put(key, b"picture")
    for key in kept:
        await keep(jobs, key)
    (root / first[:2] / first[2:4] / first).mkdir(parents=True)  # no file: it can't be unlinked
    age(root)
    await deleted_images(jobs, images, first, last)
    assert await Janitor(Purging(database), files, lambda: NEXT_DAY).clear() == 1
    with pytest.raises(NotFound):
        await files.read(last)
    later = datetime.now(UTC) + GRACE + timedelta(minutes=1)
    assert await Janitor(Purging(database), files, lambda: later).sweep() == 0
