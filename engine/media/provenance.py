"""What made a picture, in PNG, WebP and MP4 alike.

A WebP says it in the user comment of its EXIF, where AUTOMATIC1111's studio writes it too; an MP4
in its comment.
"""

import io
import struct
from collections.abc import Iterator

from PIL import Image

from engine.media import mp4, png
from engine.media.png import GenerationParameters

_EXIF_IFD, _USER_COMMENT = 0x8769, 0x9286
_EXIF_FLAG, _ALPHA_FLAG = 0x08, 0x10  # of a VP8X chunk
_BARE = (b"VP8 ", b"VP8L")  # chunks of a picture that says nothing but its pixels
_UNICODE = b"UNICODE\0"
_MAX_EXIF_BYTES = 400_000
_MAX_CHUNKS = 20_000


def with_parameters(picture: bytes, parameters: GenerationParameters) -> bytes:
    """Put parameters into a PNG, WebP or MP4 of our own, in place of those it has.

    Raises: ValueError for anything else.
    """
    if mp4.is_video(picture):
        return mp4.with_comment(picture, parameters.to_text())
    if not _is_webp(picture):
        return png.with_parameters(picture, parameters)
    chunks = [(kind, body) for kind, body in _chunks(picture) if kind != b"EXIF"]
    if chunks and chunks[0][0] in _BARE:
        chunks = [(b"VP8X", _head_of(picture)), *chunks]
    if not chunks or chunks[0][0] != b"VP8X":
        raise ValueError("a WebP that can hold no parameters")
    head = bytes([chunks[0][1][0] | _EXIF_FLAG]) + chunks[0][1][1:]
    chunks = [(b"VP8X", head), *chunks[1:], (b"EXIF", _exif_of(parameters.to_text()))]
    body = b"".join(_chunk(kind, body) for kind, body in chunks)
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WEBP" + body


def read_parameters(data: bytes) -> GenerationParameters | None:
    """Read what made a picture from a PNG, WebP or MP4; None where it does not say.

    Decodes no pixels, so that it is safe for untrusted bytes, whatever they are.
    """
    if mp4.is_video(data):
        comment = mp4.read_comment(data)
        return GenerationParameters.from_text(comment) if comment else None
    if not _is_webp(data):
        return png.read_parameters(data)
    for kind, body in _chunks(data):
        if kind == b"EXIF" and len(body) <= _MAX_EXIF_BYTES:
            text = _text_of(body)
            return GenerationParameters.from_text(text) if text else None
    return None


def _is_webp(data: bytes) -> bool:
    return data[:4] == b"RIFF" and data[8:12] == b"WEBP"


def _chunks(webp: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Kind and body of each chunk, as far as they go."""
    position = 12
    for _ in range(_MAX_CHUNKS):
        if position + 8 > len(webp):
            return
        (length,) = struct.unpack_from("<I", webp, position + 4)
        end = position + 8 + length
        if end > len(webp):
            return
        yield webp[position : position + 4], webp[position + 8 : end]
        position = end + length % 2


def _chunk(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)


def _head_of(webp: bytes) -> bytes:
    """What a VP8X chunk says of a picture without one: so are frames encoded that are all alike."""
    with Image.open(io.BytesIO(webp), formats=("WEBP",)) as image:
        flags = _ALPHA_FLAG if image.has_transparency_data else 0
        sides = b"".join((side - 1).to_bytes(3, "little") for side in image.size)
    return bytes([flags, 0, 0, 0]) + sides


def _exif_of(text: str) -> bytes:
    exif = Image.Exif()
    exif.get_ifd(_EXIF_IFD)[_USER_COMMENT] = _UNICODE + text.encode("utf-16-be", "replace")
    return exif.tobytes().removeprefix(b"Exif\0\0")


def _text_of(tiff: bytes) -> str:
    """The user comment; empty for what is broken or of another encoding."""
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(tiff[:4])
    if order is None:
        return ""
    try:
        (first,) = struct.unpack_from(order + "I", tiff, 4)
        (inner,) = struct.unpack(order + "I", _entry(tiff, order, first, _EXIF_IFD)[1])
        length, place = _entry(tiff, order, inner, _USER_COMMENT)
    except (struct.error, KeyError):
        return ""
    (start,) = struct.unpack(order + "I", place)
    comment = tiff[start : start + length]
    if not comment.startswith(_UNICODE):
        return ""
    return comment.removeprefix(_UNICODE).decode("utf-16-be", "replace")


def _entry(tiff: bytes, order: str, directory: int, tag: int) -> tuple[int, bytes]:
    """Count and value (or place of the value) of a tag; KeyError where there is none."""
    (count,) = struct.unpack_from(order + "H", tiff, directory)
    for index in range(count):
        found, _, length, value = struct.unpack_from(
            order + "HHI4s", tiff, directory + 2 + 12 * index
        )
        if found == tag:
            return length, value
    raise KeyError(tag)
