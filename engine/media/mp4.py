"""What an MP4 says of itself: the comment of its movie box, as players and exiftool read it.

    ftyp | moov ( mvhd trak... udta ( meta ( hdlr ilst ( ©cmt ( data ))))) | mdat

ISO/IEC 14496-12: a box is its length in four bytes, its kind in four, and what it holds.
"""

import struct
from collections.abc import Iterator

SUFFIX = "mp4"
_ABOVE_OFFSETS = frozenset({b"trak", b"mdia", b"minf", b"stbl"})
_OFFSETS = {b"stco": "I", b"co64": "Q"}  # places of the pictures' bytes in the file
_COMMENT = b"\xa9cmt"
_HANDLER = struct.pack(">8x4s4s9x", b"mdir", b"appl")
_UTF8 = struct.pack(">II", 1, 0)  # type and locale of a text
_MAX_BOXES = 20_000  # of one level
_MAX_BYTES = 400_000  # of a comment


def is_video(data: bytes) -> bool:
    """Whether these bytes begin as an MP4 does."""
    return data[4:8] == b"ftyp"


def with_comment(mp4: bytes, text: str) -> bytes:
    """Put a comment into an MP4 of our own, in place of all it says; pictures stay untouched.

    Raises: ValueError where the file holds no movie box.
    """
    boxes = [(kind, mp4[start:stop]) for kind, start, stop in _boxes(memoryview(mp4))]
    kinds = [kind for kind, _ in boxes]
    if b"moov" not in kinds:
        raise ValueError("no MP4 that can hold a comment")
    place = kinds.index(b"moov")
    movie = boxes[place][1]
    is_in_front = b"mdat" in kinds[place:]
    shift = len(_with_udta(movie, text, 0)) - len(movie) if is_in_front else 0
    boxes[place] = (b"moov", _with_udta(movie, text, shift))
    return b"".join(_box(kind, body) for kind, body in boxes)


def read_comment(data: bytes) -> str:
    """The comment of an MP4; empty where there is none. Safe for bytes from anywhere."""
    body = memoryview(data)
    for kind in (b"moov", b"udta", b"meta", b"ilst", _COMMENT, b"data"):
        if kind == b"ilst":
            body = body[4:]  # a version and flags come before what `meta` holds
        found = next((box for box in _boxes(body) if box[0] == kind), None)
        if found is None:
            return ""
        body = body[found[1] : found[2]]
    return "" if len(body) > _MAX_BYTES else bytes(body[8:]).decode("utf-8", "replace")


def _with_udta(movie: bytes, text: str, shift: int) -> bytes:
    """A movie box's body that says `text`, and whose pictures lie `shift` bytes further on."""
    view = memoryview(movie)
    kept = [(kind, movie[start:stop]) for kind, start, stop in _boxes(view) if kind != b"udta"]
    data = _box(b"data", _UTF8 + text.encode("utf-8", "replace"))
    items = _box(b"hdlr", _HANDLER) + _box(b"ilst", _box(_COMMENT, data))
    said = _box(b"udta", _box(b"meta", bytes(4) + items))
    return b"".join(_box(kind, _moved(kind, body, shift)) for kind, body in kept) + said


def _moved(kind: bytes, body: bytes, shift: int) -> bytes:
    """A box's body whose offsets, however deep, are larger by `shift`."""
    if kind in _ABOVE_OFFSETS:
        inner = [(one, body[start:stop]) for one, start, stop in _boxes(memoryview(body))]
        return b"".join(_box(one, _moved(one, held, shift)) for one, held in inner)
    if kind not in _OFFSETS:
        return body
    head, width = body[:8], _OFFSETS[kind]
    offsets = [place + shift for (place,) in struct.iter_unpack(f">{width}", body[8:])]
    return head + struct.pack(f">{len(offsets)}{width}", *offsets)


def _boxes(data: memoryview) -> Iterator[tuple[bytes, int, int]]:
    """Kind, start and end of what each box holds, as far as they go."""
    place = 0
    for _ in range(_MAX_BOXES):
        if place + 8 > len(data):
            return
        length, kind = struct.unpack_from(">I4s", data, place)
        if length < 8 or place + length > len(data):
            return
        yield kind, place + 8, place + length
        place += length


def _box(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(body), kind) + body
