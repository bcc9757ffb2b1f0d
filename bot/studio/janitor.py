"""Clears away what was deleted or ended long ago, and files that a crash left without a row."""

import asyncio
import logging
from collections.abc import Collection, Sequence
from contextlib import suppress
from datetime import datetime, timedelta

from bot.errors import StorageUnavailable
from bot.storage.files import ImageFiles, thumbnail_key
from bot.storage.purging import Purging
from bot.studio.clock import Clock

logger = logging.getLogger(__name__)

PAUSE_S = 1800.0
SWEEP_EVERY = timedelta(days=1)
GRACE = timedelta(hours=24)  # a file may be so much older than its row, while the database is gone


class Janitor:
    """Looks now and then for images and jobs to forget, and removes files that nothing needs."""

    def __init__(
        self,
        purging: Purging,
        files: ImageFiles,
        now: Clock,
        *,
        jobs_kept: timedelta | None = None,
    ) -> None:
        """Jobs that ended are kept for `jobs_kept` (None: for ever) once no picture is left."""
        self._purging = purging
        self._files = files
        self._now = now
        self._jobs_kept = jobs_kept

    async def run(self) -> None:
        """Clear away until cancelled, and sweep each day."""
        due = self._now()
        while True:
            try:
                if (now := self._now()) >= due:
                    await self.sweep()
                    due = now + SWEEP_EVERY
                await self.clear()
            except StorageUnavailable:
                logger.warning("clearing away files waits for the storage")
            await asyncio.sleep(PAUSE_S)

    async def sweep(self) -> int:
        """Remove old files that belong to nothing; returns how many.

        A crash between a file and its row leaves such files. Where more files are unknown than
        known, the database is probably not the one they belong to: then all are left. One that
        can't be removed is left to the next sweep.

        Raises:
            StorageUnavailable: which they are is not known now; none are removed.
        """
        begun = self._now() - GRACE
        keys = await self._files.keys(written_before=begun)
        unused = await self._purging.unused(keys)
        if 2 * len(unused) > len(keys):
            logger.warning("%d of %d files are in no row; all are left", len(unused), len(keys))
            return 0
        return sum([await self._remove(key, written_before=begun) for key in unused])

    async def clear(self) -> int:
        """Forget all that is due; returns how many pictures were removed.

        One that can't be removed is swept later.

        Raises:
            StorageUnavailable: the rest is forgotten at another time.
        """
        removed, begun = 0, self._now()
        while keys := await self._purging.forget_deleted(begun):
            removed += await self.free(keys, written_before=begun)
        while self._jobs_kept:
            forgotten = await self._purging.forget_ended(begun - self._jobs_kept)
            removed += await self.free(forgotten.keys, written_before=begun)
            if not forgotten.jobs:
                break
        return removed

    async def free(self, keys: Sequence[str], *, written_before: datetime) -> int:
        """Remove files that nothing needs, but for those put again since; returns how many.

        One that can't be removed is swept later.
        """
        removed = sum([await self._remove(key, written_before=written_before) for key in keys])
        for key in keys:
            await self._remove(thumbnail_key(key))
        return removed

    async def let_go(self, keys: Collection[str]) -> None:
        """Remove those of some files that nothing needs any more; a `bot.storage.files.LetGo`.

        Where the storage is away they are swept later.
        """
        begun = self._now()
        with suppress(StorageUnavailable):
            unused = await self._purging.unused(list(keys))
            await self.free(unused, written_before=begun)

    async def _remove(self, key: str, *, written_before: datetime | None = None) -> bool:
        """Remove a file; False where it can't be, which must not keep the others."""
        try:
            await self._files.remove(key, written_before=written_before)
        except StorageUnavailable:
            return False
        return True
