import io
import zipfile

from bot.studio.archives import LEFT_OUT, write_archive, write_archives


async def files(*entries):
    for entry in entries:
        yield entry


async def test_a_zip_written_in_pieces_reads_as_a_whole():
    pieces = [piece async for piece in write_archive(files(("a.png", b"A" * 500), ("ü.png", b"B")))]
    archive = zipfile.ZipFile(io.BytesIO(b"".join(pieces)))
    assert archive.testzip() is None
    assert archive.read("a.png") == b"A" * 500
    assert archive.read("ü.png") == b"B"
    assert len(pieces) == 3


async def test_no_files_are_an_empty_zip():
    pieces = [piece async for piece in write_archive(files())]
    assert zipfile.ZipFile(io.BytesIO(b"".join(pieces))).namelist() == []


async def test_an_archive_that_would_be_too_large_becomes_several_whole_ones():
    most = 100_000
    given = {f"{number:02}-ü.png": bytes([number]) * 30_000 for number in range(10)}
    archives = [one async for one in write_archives(files(*given.items()), most)]
    assert [len(one) <= most for one in archives] == [True] * 5
    read = {}
    for one in archives:
        archive = zipfile.ZipFile(io.BytesIO(one))
        read |= {name: archive.read(name) for name in archive.namelist()}
    assert read == given


async def test_a_file_larger_than_an_archive_may_be_is_named_in_the_last_one():
    given = (("large.png", b"A" * 200_000), ("small.png", b"B"))
    [one] = [one async for one in write_archives(files(*given), 100_000)]
    archive = zipfile.ZipFile(io.BytesIO(one))
    assert archive.namelist() == ["small.png", LEFT_OUT]
    assert b"large.png" in archive.read(LEFT_OUT)
    assert [one async for one in write_archives(files(), 100_000)] == []
