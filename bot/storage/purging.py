"""Forgets what was deleted, is old or shall be erased, and tells which files nothing needs now."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, exists, select
from sqlalchemy.ext.asyncio import AsyncSession

from bot.storage.database import Database
from bot.storage.files import picture_key
from bot.storage.generators import GeneratorRow
from bot.storage.images import RESTORABLE, FavouriteRow, ImageRow
from bot.storage.jobs import JobFileRow, JobRow
from bot.storage.members import MemberRow
from bot.storage.styles import StyleRow

_FILES = (ImageRow.file_key, ImageRow.animation_key, ImageRow.video_key)
_STYLE_FILES = (StyleRow.file_key, StyleRow.learnt_key)
_GENERATOR_FILES = (GeneratorRow.weights_key, GeneratorRow.sheet_key)
AT_ONCE = 500  # images, jobs or files of one transaction or query


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What is gone with some jobs."""

    jobs: int
    images: int
    keys: list[str]  # of files that nothing needs now


class Purging:
    """Removes rows for good."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def forget_deleted(self, now: datetime) -> list[str]:
        """Forget some images that can't be restored any more; returns file keys now unused."""
        old = (
            select(ImageRow.number, *_FILES)
            .where(ImageRow.deleted_at <= now - RESTORABLE)
            .limit(AT_ONCE)
        )
        async with self._database.writing() as session:
            rows = (await session.execute(old)).all()
            numbers = [row.number for row in rows]
            await session.execute(delete(ImageRow).where(ImageRow.number.in_(numbers)))
            keys = {key for _, *files in rows for key in files if key is not None}
            return sorted(keys - await _in_use(session, keys))

    async def forget_ended(self, before: datetime) -> Forgotten:
        """Forget some jobs that ended before a moment and of which no picture is left."""
        has_images = exists().where(ImageRow.job_id == JobRow.id)
        ended = select(JobRow.id).where(JobRow.ended_at < before, ~has_images).limit(AT_ONCE)
        async with self._database.reading() as session:  # an ended job never gets a picture
            ids = list(await session.scalars(ended))
        async with self._database.writing() as session:
            return await _forget(session, ids)

    async def forget_jobs_of(self, owner_id: int) -> Forgotten:
        """Forget some jobs of an owner, with all their pictures and what others marked there."""
        own = select(JobRow.id).where(JobRow.owner_id == owner_id).limit(AT_ONCE)
        async with self._database.writing() as session:
            return await _forget(session, list(await session.scalars(own)))

    async def forget_belongings(self, owner_id: int) -> list[str]:
        """Forget an owner's styles, generators, marks and defaults; returns keys now unused."""
        styles = select(*_STYLE_FILES).where(StyleRow.owner_id == owner_id)
        generators = select(*_GENERATOR_FILES).where(GeneratorRow.owner_id == owner_id)
        async with self._database.writing() as session:
            rows = [*await session.execute(styles), *await session.execute(generators)]
            keys = {key for row in rows for key in row if key is not None}
            for kind in (StyleRow, GeneratorRow, FavouriteRow, MemberRow):
                await session.execute(delete(kind).where(kind.owner_id == owner_id))
            return sorted(keys - await _in_use(session, keys))

    async def unused(self, keys: Sequence[str]) -> list[str]:
        """Which of some files, thumbnails included, belong to nothing."""
        found = []
        async with self._database.reading() as session:
            for start in range(0, len(keys), AT_ONCE):
                some = keys[start : start + AT_ONCE]
                in_use = await _in_use(session, {picture_key(key) for key in some})
                found += [key for key in some if picture_key(key) not in in_use]
        return found


async def _forget(session: AsyncSession, job_ids: Sequence[str]) -> Forgotten:
    """Forget jobs with what hangs on them."""
    images = (await session.execute(select(*_FILES).where(ImageRow.job_id.in_(job_ids)))).all()
    uploads = select(JobFileRow.file_key).where(JobFileRow.job_id.in_(job_ids))
    keys = {key for row in images for key in row if key is not None}
    keys |= set(await session.scalars(uploads))
    await session.execute(delete(JobRow).where(JobRow.id.in_(job_ids)))
    return Forgotten(len(job_ids), len(images), sorted(keys - await _in_use(session, keys)))


async def _in_use(session: AsyncSession, keys: Collection[str]) -> set[str]:
    """Which of some files an image, a request of a job, a style or a generator still needs."""
    in_use: set[str] = set()
    asked = list(keys)
    for start in range(0, len(asked), AT_ONCE):  # databases take so many values, and no more
        some = asked[start : start + AT_ONCE]
        for column in (*_FILES, JobFileRow.file_key, *_STYLE_FILES, *_GENERATOR_FILES):
            in_use |= set(await session.scalars(select(column).where(column.in_(some))))
    return in_use
