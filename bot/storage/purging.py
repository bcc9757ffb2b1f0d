"""Forgets images that were deleted long enough ago, and tells which files nothing needs now."""

from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from bot.storage.database import Database
from bot.storage.files import picture_key
from bot.storage.generators import GeneratorRow
from bot.storage.images import RESTORABLE, ImageRow
from bot.storage.jobs import JobFileRow
from bot.storage.styles import StyleRow

_FILES = (ImageRow.file_key, ImageRow.animation_key, ImageRow.video_key)
AT_ONCE = 500  # images of one transaction


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

    async def unused(self, keys: Sequence[str]) -> list[str]:
        """Which of some files, thumbnails included, belong to nothing."""
        found = []
        async with self._database.reading() as session:
            for start in range(0, len(keys), AT_ONCE):
                some = keys[start : start + AT_ONCE]
                in_use = await _in_use(session, {picture_key(key) for key in some})
                found += [key for key in some if picture_key(key) not in in_use]
        return found


async def _in_use(session: AsyncSession, keys: Collection[str]) -> set[str]:
    """Which of some files an image, a request of a job, a style or a generator still needs."""
    in_use: set[str] = set()
    styles = (StyleRow.file_key, StyleRow.learnt_key)
    generators = (GeneratorRow.weights_key, GeneratorRow.sheet_key)
    for column in (*_FILES, JobFileRow.file_key, *styles, *generators):
        in_use |= set(await session.scalars(select(column).where(column.in_(keys))))
    return in_use
