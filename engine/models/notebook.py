"""What workers write down: statistics of styles, and how far a training is.

Nothing here is the only copy of anything: what is lost or damaged is computed again. The oldest
notes make room for new ones.
"""

import hashlib
import logging
import os
import tempfile
from contextlib import suppress
from pathlib import Path

log = logging.getLogger(__name__)

MOST_BYTES = 200 * 2**20  # of all notes together


class Notebook:
    """Small files of one machine; several workers may share them."""

    def __init__(self, folder: Path | None) -> None:
        """Write into the folder; without one nothing is kept."""
        self._folder = folder

    def read(self, key: str) -> bytes:
        """What was written under the key; empty if nothing was."""
        if self._folder is None:
            return b""
        path = self._path(self._folder, key)
        try:
            data = path.read_bytes()
            os.utime(path)  # what is used stays
        except OSError:
            return b""
        return data

    def write(self, key: str, data: bytes) -> None:
        """Keep data under the key, in place of older ones; empty data: forget the key."""
        if self._folder is None:
            return
        path = self._path(self._folder, key)
        try:
            if not data:
                path.unlink(missing_ok=True)
                return
            self._folder.mkdir(parents=True, exist_ok=True)
            _replace(path, data)
            self._make_room(self._folder)
        except OSError as error:
            log.warning("a note could not be kept: %s", error)

    def _path(self, folder: Path, key: str) -> Path:
        return folder / f"{hashlib.sha256(key.encode()).hexdigest()}.note"

    def _make_room(self, folder: Path) -> None:
        found = []
        for path in folder.glob("*.note"):
            with suppress(OSError):  # another worker took it away
                stat = path.stat()
                found.append((stat.st_mtime, stat.st_size, path))
        total = sum(size for _, size, _ in found)
        for _, size, path in sorted(found):
            if total <= MOST_BYTES:
                return
            path.unlink(missing_ok=True)
            total -= size


def _replace(path: Path, data: bytes) -> None:
    """Write beside it and rename, so that no reader sees half of it."""
    handle, name = tempfile.mkstemp(dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
