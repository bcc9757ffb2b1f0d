"""Many files in one zip, written piece by piece so that none is held twice; or in several."""

import io
import zipfile
from collections.abc import AsyncIterable, AsyncIterator, Sequence

LEFT_OUT = "TOO-LARGE.txt"  # what is larger than an archive may be
_ENTRY_BYTES = (
    200  # most of what an archive says of one file, but for its name, which it says twice
)
_END_BYTES = 2**14  # of an archive's end, and of the list of what is left out


class _Outbox(io.RawIOBase):
    """A file that can only be written to; what was written is taken away in pieces."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: bytes | bytearray | memoryview) -> int:  # type: ignore[override]
        self._pieces.append(bytes(data))
        return len(data)

    def take(self) -> bytes:
        """Everything written since the last time."""
        pieces, self._pieces = self._pieces, []
        return b"".join(pieces)


async def write_archive(files: AsyncIterable[tuple[str, bytes]]) -> AsyncIterator[bytes]:
    """The bytes of a zip of named files; uncompressed, as pictures already are."""
    outbox = _Outbox()
    with zipfile.ZipFile(outbox, "w", zipfile.ZIP_STORED) as archive:
        async for name, content in files:
            archive.writestr(name, content)
            yield outbox.take()
    yield outbox.take()


async def write_archives(
    files: AsyncIterable[tuple[str, bytes]], most_bytes: int
) -> AsyncIterator[bytes]:
    """As many whole zips as it takes for none to be larger than `most_bytes`.

    A file that is larger itself is left out, and named in the last one.
    """
    room = most_bytes - _END_BYTES
    part: list[tuple[str, bytes]] = []
    size, left_out = 0, []
    async for name, content in files:
        needed = len(content) + 2 * len(name.encode()) + _ENTRY_BYTES
        if needed > room:
            left_out.append(name)
            continue
        if size + needed > room:
            yield _zipped(part)
            part, size = [], 0
        part.append((name, content))
        size += needed
    if left_out:
        told = "\n".join(["These files are too large for an archive here:", *left_out, ""])
        part.append((LEFT_OUT, told.encode()))
    if part:
        yield _zipped(part)


def _zipped(files: Sequence[tuple[str, bytes]]) -> bytes:
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_STORED) as archive:
        for name, content in files:
            archive.writestr(name, content)
    return whole.getvalue()
