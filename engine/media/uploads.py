"""Untrusted pictures in: decoded under limits by a disposable process, never in this one."""

import asyncio
import contextlib
import json
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from engine.errors import UnreadableImage
from engine.wording import Said

DECODER = Path(__file__).with_name("decoder.py")
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_HEADER_BYTES = 65_536  # of the decoder's answer


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """What an upload may cost."""

    max_bytes: int = 25 * 1024 * 1024  # of the file
    max_pixels: int = 64_000_000  # of one frame
    max_side: int = 16_384  # pixels
    max_frames: int = 120
    max_animation_pixels: int = 64_000_000  # of all frames together
    output_side: int = 4096  # pixels; larger pictures are made to fit
    time_s: float = 20.0  # also where other processes take the cores
    memory_bytes: int = 2 * 1024**3  # address space of the decoder

    @property
    def max_answer_bytes(self) -> int:
        """The most that an honest decoder writes: every pixel uncompressed."""
        frame = min(self.max_pixels, self.output_side**2)
        return 4 * max(frame, self.max_animation_pixels) + 2**20  # and what PNG adds


@dataclass(frozen=True, kw_only=True, slots=True)
class Frame:
    """One clean picture: PNG in RGB or RGBA, upright, without metadata."""

    png: bytes
    width: int  # pixels
    height: int  # pixels
    has_alpha: bool
    duration_ms: int = 0  # of an animation's frame


@dataclass(frozen=True, kw_only=True, slots=True)
class Upload:
    """What an upload holds once it is safe to handle."""

    frames: tuple[Frame, ...]  # the first alone unless all were asked for
    format: str  # PNG, JPEG, WEBP, GIF or AVIF
    is_animated: bool
    had_credentials: bool  # signed content credentials that the clean copy has no more

    @property
    def png(self) -> bytes:
        """The picture, or the first frame of the animation."""
        return self.frames[0].png

    @property
    def width(self) -> int:
        """Width in pixels."""
        return self.frames[0].width

    @property
    def height(self) -> int:
        """Height in pixels."""
        return self.frames[0].height


class UploadDecoder:
    """Decodes uploads, a few at a time; one event loop's."""

    def __init__(self, limits: Limits | None = None, *, processes: int = 2) -> None:
        """Take the limits and how many decoders may run at once."""
        self._limits = limits or Limits()
        self._free = asyncio.Semaphore(processes)

    async def decode(
        self, data: bytes, *, field: str = "picture", all_frames: bool = False
    ) -> Upload:
        """Decode as `decode_upload` does, waiting for a free process first."""
        async with self._free:
            return await decode_upload(data, self._limits, field=field, all_frames=all_frames)


async def decode_upload(
    data: bytes,
    limits: Limits,
    *,
    field: str = "picture",
    all_frames: bool = False,
    program: Path = DECODER,
) -> Upload:
    """Decode an upload in a process of its own, which is killed when time is over.

    `field` names the upload in errors. `all_frames` asks for every frame of an animation.
    `program` is what decodes: another one lets tests see hanging and dying decoders.
    Raises: UnreadableImage with what to change.
    """
    if len(data) > limits.max_bytes:
        megabytes = limits.max_bytes / 1024**2
        reason = Said("is too large; send a file of at most {most:g} MiB", most=megabytes)
        raise UnreadableImage(field, reason)
    if not _has_known_signature(data):
        raise UnreadableImage(field, "is no PNG, JPEG, WebP, GIF or AVIF; convert it to one")
    order = {**asdict(limits), "all_frames": all_frames}
    answer = await _ask(program, json.dumps(order).encode() + b"\n" + data, limits, field)
    return _upload(answer, data, limits, field)


def _has_known_signature(data: bytes) -> bool:
    return (
        data.startswith((_PNG_SIGNATURE, b"\xff\xd8\xff", b"GIF87a", b"GIF89a"))
        or (data[:4] == b"RIFF" and data[8:12] == b"WEBP")
        or (data[4:8] == b"ftyp" and data[8:12] in (b"avif", b"avis", b"mif1"))
    )


async def _ask(program: Path, question: bytes, limits: Limits, field: str) -> bytes:
    # -I: neither environment nor working folder lead it to other code.
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-I", str(program), stdin=PIPE, stdout=PIPE, stderr=DEVNULL, env=_bare_env()
    )
    try:
        async with asyncio.timeout(limits.time_s):
            return await _converse(process, question, limits.max_answer_bytes, field)
    except TimeoutError:
        reason = "takes too long to decode; send a smaller or simpler one"
        raise UnreadableImage(field, reason) from None
    finally:
        await asyncio.shield(_end(process))


def _bare_env() -> dict[str, str]:
    """Nothing of ours; few arenas, as threads reserve 64 MiB of address space for each."""
    kept = {
        name: os.environ[name] for name in ("SYSTEMROOT", "LD_LIBRARY_PATH") if name in os.environ
    }
    return {**kept, "MALLOC_ARENA_MAX": "2"}


async def _converse(process: Process, question: bytes, most: int, field: str) -> bytes:
    assert process.stdin is not None
    assert process.stdout is not None
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it died: the answer tells
        process.stdin.write(question)
        await process.stdin.drain()
        process.stdin.close()
    answer = bytearray()
    while chunk := await process.stdout.read(2**20):
        answer += chunk
        if len(answer) > most:
            raise UnreadableImage(field, "decodes to more than it may; send another one")
    return bytes(answer)


async def _end(process: Process) -> None:
    """Make sure the process is gone and its pipes are closed."""
    assert process.stdin is not None
    assert process.stdout is not None
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    process.stdin.close()
    while await process.stdout.read(2**20):
        pass
    await process.wait()


def _upload(answer: bytes, data: bytes, limits: Limits, field: str) -> Upload:
    """Check the decoder's answer as closely as the upload itself: it may be in other hands."""
    line, _, files = answer.partition(b"\n")
    try:
        header = json.loads(line[:_HEADER_BYTES])
        refused = header.get("refused")
        if refused is None:
            frames = _frames_of(header["frames"], files)
            return Upload(
                frames=frames,
                format=str(header["format"]),
                is_animated=bool(header["is_animated"]),
                had_credentials=b"jumb" in data and b"c2pa" in data,
            )
    except (ValueError, KeyError, TypeError, AttributeError):
        refused = "broken"
    raise UnreadableImage(field, _reason(str(refused), limits))


def _frames_of(headers: list[Mapping[str, Any]], files: bytes) -> tuple[Frame, ...]:
    frames = []
    start = 0
    for header in headers:
        png = files[start : start + int(header["bytes"])]
        start += len(png)
        if not png.startswith(_PNG_SIGNATURE) or len(png) != header["bytes"]:
            raise ValueError("the decoder's answer is cut off")
        frames.append(
            Frame(
                png=png,
                width=int(header["width"]),
                height=int(header["height"]),
                has_alpha=bool(header["has_alpha"]),
                duration_ms=int(header["duration_ms"]),
            )
        )
    if not frames:
        raise ValueError("the decoder's answer has no picture")
    return tuple(frames)


def _reason(refused: str, limits: Limits) -> str:
    match refused:
        case "side":
            return Said(
                "is too long; send one of at most {most} pixels a side", most=limits.max_side
            )
        case "pixels":
            most = limits.max_pixels / 1e6
            return Said("is too large; send one of at most {most:g} megapixels", most=most)
        case "frames":
            most = limits.max_frames
            return Said("has too many frames; send at most {most}, or smaller ones", most=most)
        case "memory":
            return Said("takes too much memory to decode; send a smaller one")
        case _:
            return Said(
                "is damaged, cut off or of an unusual kind; save it as PNG and send it again"
            )
