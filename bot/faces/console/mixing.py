"""`atelier blend`, `dream`, `morph` and `upscale`: what is typed, as the studio takes it."""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TypeAlias

from rich.console import Console

from bot.faces.console.drawing import NOWHERE, OPERATOR, Out, submit
from bot.faces.console.restyling import PICTURES, is_file, read_content
from bot.studio.contract import Blending, Dreaming, JobView, Morphing, MorphStop, Studio
from bot.studio.stops import stop_of

Opening: TypeAlias = AbstractAsyncContextManager[Studio]


def read_stop(text: str) -> bytes | str:
    """A file's picture; what is no file is a seed, an image's id or words, as it was typed.

    Raises:
        UserError: the file can't be read, or what is typed like a picture's name is none.
    """
    is_meant = " " not in text and Path(text).suffix.lower() in PICTURES
    return read_content(text) if is_meant or is_file(text) else text


async def blend(
    opening: Opening, pictures: Sequence[bytes | str], asked: Blending, out: Out, console: Console
) -> list[Path]:
    """Mix pictures and write the results; return their paths."""
    return await _made(
        opening, lambda studio: studio.blend(OPERATOR, pictures, NOWHERE, asked), out, console
    )


async def dream(opening: Opening, asked: Dreaming, out: Out, console: Console) -> list[Path]:
    """Dream and write the results; return their paths."""
    return await _made(opening, lambda studio: studio.dream(OPERATOR, NOWHERE, asked), out, console)


async def morph(
    opening: Opening, stops: Sequence[bytes | str], asked: Morphing, out: Out, console: Console
) -> list[Path]:
    """Animate the way between files, images, seeds and words; return the path of the WebP."""

    async def ordered(studio: Studio) -> JobView:
        passed = [
            MorphStop(upload=stop)
            if isinstance(stop, bytes)
            else await stop_of(studio, OPERATOR, stop)
            for stop in stops
        ]
        return await studio.morph(OPERATOR, passed, NOWHERE, asked)

    return await _made(opening, ordered, out, console)


async def upscale(
    opening: Opening, picture: bytes | str, factor: int, detail: float, out: Out, console: Console
) -> list[Path]:
    """Enlarge a picture and write it; return its path."""
    return await _made(
        opening,
        lambda studio: studio.upscale(OPERATOR, picture, NOWHERE, factor=factor, detail=detail),
        out,
        console,
    )


async def _made(
    opening: Opening,
    order: Callable[[Studio], Awaitable[JobView]],
    out: Out,
    console: Console,
) -> list[Path]:
    async def ordered(studio: Studio) -> Sequence[JobView]:
        return (await order(studio),)

    return await submit(opening, ordered, out, console)
