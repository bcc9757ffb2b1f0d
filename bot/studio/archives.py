"""Many files in one zip, written piece by piece so that none is held twice."""

import io
import zipfile
from collections.abc import AsyncIterable, AsyncIterator


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
