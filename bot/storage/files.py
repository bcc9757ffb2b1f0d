"""Pictures as files, named by their content.

A key is `<sha256>.<suffix>`; a thumbnail's key is its picture's with `.thumb.webp` added. Keys are
flat so that a bucket fits as well as a folder; the folder spreads them over two levels:

    root/ab/cd/abcd...ef.png
    root/ab/cd/abcd...ef.png.thumb.webp
"""

import asyncio
import errno
import hashlib
import logging
import os
import tempfile
from collections.abc import Awaitable, Callable, Collection, Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Protocol, TypeAlias

from bot.errors import NotFound, StorageUnavailable

logger = logging.getLogger(__name__)

THUMBNAIL_SUFFIX = ".thumb.webp"
_UNFINISHED = ".new-"

LetGo: TypeAlias = Callable[[Collection[str]], Awaitable[None]]


class DiskFull(StorageUnavailable):
    """There is no room for another picture."""


class ImageFiles(Protocol):
    """Keeps pictures under their keys; a folder here, a bucket elsewhere."""

    async def put(self, key: str, data: bytes) -> None:
        """Keep `data`; all of it or nothing, also when the machine stops.

        What is known already is left as it is, but counts as written now.

        Raises:
            DiskFull: there is no room.
            StorageUnavailable: it can't be written for another reason.
        """
        ...

    async def read(self, key: str) -> bytes:
        """Return what was put.

        Raises:
            NotFound: nothing has this key.
            StorageUnavailable: it can't be read now.
        """
        ...

    async def remove(self, key: str, *, written_before: datetime | None = None) -> None:
        """Forget a key, if it was not written since; an unknown one is no error.

        Raises:
            StorageUnavailable: it can't be removed now.
        """
        ...

    async def keys(self, *, written_before: datetime) -> list[str]:
        """All keys that were not written since, in no order.

        Raises:
            StorageUnavailable: they can't be listed now.
        """
        ...


async def leave(_keys: Collection[str]) -> None:
    """A `LetGo` that removes nothing: what is unused is swept some day."""


def content_key(data: bytes, suffix: str = "png") -> str:
    """The key of some bytes."""
    return f"{hashlib.sha256(data).hexdigest()}.{suffix}"


def thumbnail_key(key: str) -> str:
    """The key of a picture's thumbnail."""
    return key + THUMBNAIL_SUFFIX


def picture_key(key: str) -> str:
    """The key of the picture that a key belongs to, as itself or as its thumbnail."""
    return key.removesuffix(THUMBNAIL_SUFFIX)


class ImageFolder:
    """An `ImageFiles` in a folder of this machine."""

    def __init__(self, root: Path) -> None:
        self._root = root

    async def put(self, key: str, data: bytes) -> None:
        """Write to a file beside, flush it to the disk, rename it."""
        await asyncio.to_thread(_write, self._path(key), data)

    async def read(self, key: str) -> bytes:
        """Read the file of `key`."""
        return await asyncio.to_thread(_read, self._path(key))

    async def remove(self, key: str, *, written_before: datetime | None = None) -> None:
        """Delete the file of `key`."""
        await asyncio.to_thread(_remove, self._path(key), written_before)

    async def keys(self, *, written_before: datetime) -> list[str]:
        """Look through the folder; what writes that broke off have left there is removed."""
        return await asyncio.to_thread(_listed, self._root, written_before)

    def _path(self, key: str) -> Path:
        if not key or "/" in key or "\\" in key or key.startswith("."):
            msg = f"{key!r} is no key of a picture"
            raise ValueError(msg)
        return self._root / key[:2] / key[2:4] / key


def _write(path: Path, data: bytes) -> None:
    try:
        if _is_renewed(path):
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        _write_atomically(path, data)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFull("the disk for pictures is full; the operator must make room") from error
        logger.error("a picture can't be kept: %s", error)
        raise StorageUnavailable(
            "the picture can't be kept now; the operator's log says why"
        ) from error


def _write_atomically(path: Path, data: bytes) -> None:
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=_UNFINISHED)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    _flush_folder(path.parent)


def _flush_folder(folder: Path) -> None:
    """Make the rename itself durable."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _is_renewed(path: Path) -> bool:
    """Make a file that is there as if it were written now; False where it is not there."""
    try:
        os.utime(path)
    except FileNotFoundError:
        return False
    return True


def _remove(path: Path, written_before: datetime | None) -> None:
    try:
        if written_before is None or _is_older(path, written_before):
            path.unlink(missing_ok=True)
    except OSError as error:
        logger.error("a picture can't be removed: %s", error)
        raise StorageUnavailable(
            "the picture can't be removed now; the operator's log says why"
        ) from error


def _listed(root: Path, written_before: datetime) -> list[str]:
    try:
        return list(_keys(root, written_before))
    except OSError as error:
        logger.error("the pictures can't be listed: %s", error)
        raise StorageUnavailable(
            "the pictures can't be listed now; the operator's log says why"
        ) from error


def _keys(root: Path, written_before: datetime) -> Iterator[str]:
    for path in root.glob("??/??/*"):
        if not _is_older(path, written_before):
            continue
        if path.name.startswith(_UNFINISHED):
            with suppress(StorageUnavailable):  # it is no picture, and others are
                _remove(path, None)
        else:
            yield path.name


def _is_older(path: Path, moment: datetime) -> bool:
    try:
        return path.stat().st_mtime < moment.timestamp()
    except FileNotFoundError:
        return False


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise NotFound("the file of this picture is gone") from error
    except OSError as error:
        logger.error("a picture can't be read: %s", error)
        raise StorageUnavailable(
            "the picture can't be read now; the operator's log says why"
        ) from error
