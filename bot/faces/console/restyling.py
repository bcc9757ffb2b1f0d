"""`atelier stylize` and `atelier style`: what is typed, as the studio takes it."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bot.errors import UserError
from bot.faces.console.drawing import (
    NOWHERE,
    OPERATOR,
    Out,
    read_file,
    require_forgettable,
    save_picture,
    submit,
)
from bot.studio.contract import JobView, Restyling, Studio, StyleChoice
from bot.studio.house import as_style_name
from bot.studio.restyling import read_weighted

PICTURES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".gif", ".avif"})


@dataclass(frozen=True, slots=True)
class Ask:
    """What the command line asks for."""

    content: bytes | str  # a picture, or the id of an image in the gallery
    styles: tuple[StyleChoice, ...]
    restyling: Restyling
    blend: float | None = None  # the share of the second style in the middle of five steps


def read_style(text: str) -> StyleChoice:
    """A style as typed: a file, a name or an image's id, each with `:WEIGHT` after it or not.

    Raises:
        UserError: the file can't be read, or there is no name.
    """
    name, weight = (text, 1.0) if is_file(text) else read_weighted(text)
    if not name:
        raise UserError("this style has no name; write NAME or NAME:0.4")
    picture = _picture(name)
    return StyleChoice(name="" if picture else name, upload=picture, weight=weight)


def is_file(text: str) -> bool:
    """Whether a file has that name; words may be longer than any name can be."""
    with suppress(OSError):
        return Path(text).is_file()
    return False


def read_content(text: str) -> bytes | str:
    """A file's picture, or the id of an image as it was typed.

    Raises:
        UserError: the file can't be read.
    """
    return _picture(text) or text


async def restyle(
    opening: AbstractAsyncContextManager[Studio], ask: Ask, out: Out, console: Console
) -> list[Path]:
    """Restyle a picture and write the results; return their paths.

    Raises:
        UserError: a picture or style can't be used, or the job failed.
    """

    async def ordered(studio: Studio) -> Sequence[JobView]:
        if ask.blend is None:
            return (
                await studio.stylize(OPERATOR, ask.content, ask.styles, NOWHERE, ask.restyling),
            )
        if len(ask.styles) != 2:
            raise UserError("a blend is between two styles: give --style and --style2")
        first, second = ask.styles
        job = await studio.blend_styles(
            OPERATOR, ask.content, (first, second), NOWHERE, ask.restyling, share=ask.blend
        )
        return (job,)

    return await submit(opening, ordered, out, console)


async def list_styles(opening: AbstractAsyncContextManager[Studio], console: Console) -> None:
    """Print the styles that may be named."""
    async with opening as studio:
        table = Table("name", "what it is", box=None, header_style="bold")
        for style in await studio.styles(OPERATOR):
            saved = "saved, learned" if style.is_trained else "saved"
            if style.is_outdated:
                saved += " for an older network: train it again"
            table.add_row(style.name, style.title if style.is_preset else saved)
        console.print(table)


async def save_style(
    opening: AbstractAsyncContextManager[Studio],
    name: str,
    picture: bytes | str,
    console: Console,
    *,
    replacing: bool,
) -> None:
    """Keep a picture's look under a name, and tell what is lost by it."""
    async with opening as studio:
        lost = await studio.save_style(OPERATOR, name, picture, replacing=replacing)
        if lost:
            console.print(lost, markup=False, highlight=False)


async def train_style(
    opening: AbstractAsyncContextManager[Studio],
    name: str,
    picture: bytes | str | None,
    out: Out,
    console: Console,
    *,
    replacing: bool,
) -> list[Path]:
    """Let the fast network learn a look, and write the picture that shows what it did.

    Raises:
        UserError: name or picture can't be used, or the job failed.
    """

    async def ordered(studio: Studio) -> Sequence[JobView]:
        job = await studio.train_style(OPERATOR, name, picture, NOWHERE, replacing=replacing)
        return (job,)

    return await submit(opening, ordered, out, console)


async def show_style(
    opening: AbstractAsyncContextManager[Studio], name: str, out: Out
) -> list[Path]:
    """Write the picture of a style that may be named; return its path."""
    return await save_picture(opening, lambda studio: studio.style_png(OPERATOR, name), out)


async def rename_style(
    opening: AbstractAsyncContextManager[Studio], name: str, new_name: str
) -> None:
    """Call a style otherwise."""
    async with opening as studio:
        await studio.rename_style(OPERATOR, name, new_name)


async def delete_style(
    opening: AbstractAsyncContextManager[Studio], name: str, console: Console, *, confirmed: bool
) -> None:
    """Forget a style; where something was learnt from it, ask first."""
    async with opening as studio:
        wanted = as_style_name(name)
        trained = {style.name for style in await studio.styles(OPERATOR) if style.is_trained}
        if wanted in trained and not confirmed:
            await require_forgettable(wanted, console)
        await studio.delete_style(OPERATOR, name)


def _picture(text: str) -> bytes:
    """The file's bytes, `-` being standard input; none where the text is a name, not a file."""
    name = "/dev/stdin" if text == "-" else text
    if is_file(name) or Path(name).suffix or "/" in name:  # styles and ids have neither
        return read_file(Path(name))
    return b""
