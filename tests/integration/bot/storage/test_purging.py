"""What was deleted is forgotten after a day, and its files with it."""

from datetime import timedelta
from pathlib import Path

import pytest

from bot.errors import NotFound
from bot.storage.database import Database
from bot.storage.files import ImageFolder, content_key, thumbnail_key
from bot.storage.images import ImageFilter, Images, Viewer
from bot.storage.jobs import Jobs, NewJob, Outcome
from bot.storage.purging import Purging
from bot.storage.styles import StyleRow, Styles
from bot.studio.janitor import Janitor
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
        await images.delete(row.id, NOON)


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


async def test_the_janitor_removes_picture_and_thumbnail(
    database: Database, jobs: Jobs, images: Images, tmp_path: Path
) -> None:
    files = ImageFolder(tmp_path / "images")
    key = content_key(b"picture")
    for name in (key, thumbnail_key(key)):
        await files.put(name, b"picture")
    await deleted_images(jobs, images, key)
    assert await Janitor(Purging(database), files, lambda: NOON).clear() == 0
    assert await files.read(key) == b"picture"
    assert await Janitor(Purging(database), files, lambda: NEXT_DAY).clear() == 1
    for name in (key, thumbnail_key(key)):
        with pytest.raises(NotFound):
            await files.read(name)
