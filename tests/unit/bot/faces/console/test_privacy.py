"""An archive of what is kept is whole or not there."""

import io
import os
import sys
import zipfile
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from bot.errors import StorageUnavailable, UserError
from bot.faces.console import privacy


class Whole:
    """A studio that keeps one file of a member."""

    async def export(self, _caller):
        yield "atelier.json", b"{}"


class Failing:
    """A studio whose storage is lost after one file."""

    async def export(self, _caller):
        yield "atelier.json", b"{}"
        raise StorageUnavailable


@asynccontextmanager
async def opening(studio):
    yield studio


async def test_an_export_that_breaks_off_leaves_the_archive_of_before(tmp_path):
    path = tmp_path / "all.zip"
    path.write_bytes(b"before")
    with pytest.raises(StorageUnavailable):
        await privacy.export(opening(Failing()), 7, path)
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]


async def test_an_export_goes_through_a_pipe_and_replaces_no_device(tmp_path, capfdbinary):
    await privacy.export(opening(Whole()), 7, Path("-"))
    sys.stdout.flush()
    with zipfile.ZipFile(io.BytesIO(capfdbinary.readouterr().out)) as archive:
        assert archive.read("atelier.json") == b"{}"
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(UserError, match="is no file; name one"):
        await privacy.export(opening(Whole()), 7, pipe)
    assert pipe.is_fifo()


async def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="can't be written: Is a directory"):
        await privacy.export(opening(Whole()), 7, tmp_path)
    with pytest.raises(UserError, match=r"file/all\.zip can't be written"):
        await privacy.export(opening(Whole()), 7, tmp_path / "file" / "all.zip")
