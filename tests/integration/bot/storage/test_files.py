"""Pictures in a folder."""

import os
import resource
import signal
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bot.errors import NotFound, StorageUnavailable
from bot.storage.files import ImageFolder, content_key


async def test_what_is_put_can_be_read_until_it_is_removed(tmp_path: Path) -> None:
    files = ImageFolder(tmp_path)
    key = content_key(b"picture")
    await files.put(key, b"picture")
    await files.put(key, b"picture")
    assert await files.read(key) == b"picture"
    assert (tmp_path / key[:2] / key[2:4] / key).exists()
    await files.remove(key)
    await files.remove(key)
    with pytest.raises(NotFound):
        await files.read(key)


async def test_a_picture_that_does_not_fit_leaves_nothing_behind(tmp_path: Path) -> None:
    files = ImageFolder(tmp_path)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(StorageUnavailable, match="can't be kept"):
            await files.put("large.png", b"x" * 5000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


async def test_a_file_that_cannot_be_removed_is_named_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "ab" / "cd" / "abcd.png").mkdir(parents=True)
    with pytest.raises(StorageUnavailable, match="can't be removed"):
        await ImageFolder(tmp_path).remove("abcd.png")
    assert "abcd.png" in caplog.text


async def test_what_a_broken_write_left_is_no_obstacle_though_it_cannot_be_removed(
    tmp_path: Path,
) -> None:
    files = ImageFolder(tmp_path)
    await files.put("abcd.png", b"picture")
    (tmp_path / "ab" / "cd" / ".new-abc").mkdir()
    soon = datetime.now(UTC) + timedelta(minutes=1)
    assert await files.keys(written_before=soon) == ["abcd.png"]


async def test_a_folder_that_cannot_be_listed_is_unavailable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await ImageFolder(tmp_path).put("abcd.png", b"picture")
    stat = os.stat

    def broken(path, *rest, **values):
        if str(path).endswith("abcd.png"):
            raise OSError(5, "Input/output error", str(path))
        return stat(path, *rest, **values)

    monkeypatch.setattr(os, "stat", broken)
    with pytest.raises(StorageUnavailable, match="can't be listed"):
        await ImageFolder(tmp_path).keys(written_before=datetime.now(UTC))


@pytest.mark.parametrize("key", ["", "../up", "a/b", ".hidden", "a\\b"])
async def test_a_key_never_leads_out_of_the_folder(tmp_path: Path, key: str) -> None:
    with pytest.raises(ValueError, match="no key"):
        await ImageFolder(tmp_path).read(key)
