"""Clears away what was deleted and can't be restored any more."""

import asyncio
import logging

from bot.errors import StorageUnavailable
from bot.storage.files import ImageFiles, thumbnail_key
from bot.storage.purging import Purging
from bot.studio.clock import Clock

logger = logging.getLogger(__name__)

PAUSE_S = 1800.0


class Janitor:
    """Looks now and then for images to forget, and removes the files that nothing needs."""

    def __init__(self, purging: Purging, files: ImageFiles, now: Clock) -> None:
        self._purging = purging
        self._files = files
        self._now = now

    async def run(self) -> None:
        """Clear away until cancelled."""
        while True:
            try:
                await self.clear()
            except StorageUnavailable:
                logger.warning("clearing away deleted images waits for the storage")
            await asyncio.sleep(PAUSE_S)

    async def clear(self) -> int:
        """Forget all that is due; returns how many files were removed.

        Raises:
            StorageUnavailable: the rest is forgotten at another time.
        """
        removed = 0
        while keys := await self._purging.forget_deleted(self._now()):
            for key in keys:
                await self._files.remove(key)
                await self._files.remove(thumbnail_key(key))
            removed += len(keys)
        return removed
