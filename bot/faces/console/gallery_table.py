"""`atelier gallery`: the newest images as a table."""

import asyncio
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from bot.errors import NotFound, UserError
from bot.faces.console.drawing import OPERATOR
from bot.studio.contract import GalleryPage, GalleryQuery, ImageView, Studio
from bot.studio.gallery import MAX_PAGE


async def show(
    opening: AbstractAsyncContextManager[Studio],
    query: GalleryQuery,
    most: int,
    save: Path | None,
    console: Console,
) -> None:
    """Print the newest `most` images of a query; with `save` also copy their files there.

    Raises:
        UserError: they can't be written there.
    """
    async with opening as studio:
        images, last = await _found(studio, query, most)
        console.print(_table(images, last))
        if save:
            lost = [image.id for image in images if not await _is_copied(studio, image, save)]
            console.print(f"{len(images) - len(lost)} files written to {save}", markup=False)
            if lost:
                console.print(f"The files of these are gone: {', '.join(lost)}")


async def _found(
    studio: Studio, query: GalleryQuery, most: int
) -> tuple[list[ImageView], GalleryPage]:
    """The images of all pages that it takes, and the last of these pages."""
    images: list[ImageView] = []
    while True:
        limit = min(most - len(images), MAX_PAGE)
        page = await studio.gallery(OPERATOR, replace(query, limit=limit))
        images += page.images
        if len(images) == most or page.next_cursor is None:
            return images, page
        query = replace(query, cursor=page.next_cursor)


async def _is_copied(studio: Studio, image: ImageView, folder: Path) -> bool:
    """Copy what an image is, moving or not; False where its file is gone."""
    try:
        data = await studio.image_file(OPERATOR, image.id)
    except NotFound:
        return False
    await asyncio.to_thread(_write, folder / f"{image.id}.{image.suffix}", data)
    return True


def _table(images: Sequence[ImageView], last: GalleryPage) -> Table:
    table = Table("id", "made", "size", "seed", "model", "prompt", box=None, header_style="bold")
    for image in images:
        table.add_row(
            ("★ " if image.is_favourite else "") + image.id,
            image.created_at.strftime("%Y-%m-%d %H:%M"),
            f"{image.width}x{image.height}",
            str(image.seed),
            Text(image.model),
            # On one line, and not read as markup, which a prompt may look like.
            Text(" ".join(image.prompt.split())[:80]),
        )
    table.caption = f"{len(images)} of {last.total}{'+' if last.is_capped else ''}"
    return table


def _write(path: Path, data: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    except OSError as error:
        msg = f"{path} can't be written: {error.strerror}; name another folder with --save"
        raise UserError(msg) from None
