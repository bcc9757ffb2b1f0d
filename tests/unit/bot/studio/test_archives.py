import io
import zipfile

from bot.studio.archives import write_archive


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
