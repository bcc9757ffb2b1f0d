"""Doing something again until database or disk answer."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from bot.errors import StorageUnavailable, UserError

logger = logging.getLogger(__name__)

FILE_PAUSES_S = (0.5, 1.0, 2.0, 4.0, 8.0)  # a full disk has so long to be emptied
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.25, 10.0  # while the database is gone

T = TypeVar("T")


class FilesFailed(UserError):
    """Files could not be read or written for longer than it makes sense to wait."""


async def insistently(write: Callable[[], Awaitable[T]]) -> T:
    """Repeat a write until the database takes it."""
    pause_s = FIRST_PAUSE_S
    while True:
        try:
            return await write()
        except StorageUnavailable:
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)


async def patiently(access: Callable[[], Awaitable[T]]) -> T:
    """Repeat an access to files some times, with growing pauses.

    Raises:
        FilesFailed: it never worked.
    """
    for pause_s in FILE_PAUSES_S:
        try:
            return await access()
        except StorageUnavailable as error:
            logger.warning("%s; again in %.1f s", error, pause_s)
            await asyncio.sleep(pause_s)
    try:
        return await access()
    except StorageUnavailable as error:
        raise FilesFailed(error.text) from error
