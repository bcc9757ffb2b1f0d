"""`atelier gallery`: the newest images as a table."""

import asyncio
from contextlib import AbstractAsyncContextManager
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bot.faces.console.drawing import OPERATOR
from bot.studio.contract import GalleryPage, GalleryQuery, Studio


async def show(
    opening: AbstractAsyncContextManager[Studio],
    query: GalleryQuery,
    save: Path | None,
    console: Console,
) -> None:
    """Print the images of a query; with `save` also copy their PNG files there."""
    async with opening as studio:
        page = await studio.gallery(OPERATOR, query)
        console.print(_table(page))
        if save:
            for image in page.images:
                png = await studio.image_png(OPERATOR, image.id)
                await asyncio.to_thread(_write, save / f"{image.id}.png", png)
            console.print(f"{len(page.images)} files written to {save}")


def _table(page: GalleryPage) -> Table:
    table = Table("id", "made", "size", "seed", "model", "prompt", box=None, header_style="bold")
    for image in page.images:
        table.add_row(
            ("★ " if image.is_favourite else "") + image.id,
            image.created_at.strftime("%Y-%m-%d %H:%M"),
            f"{image.width}x{image.height}",
            str(image.seed),
            image.model,
            image.prompt[:80],
        )
    table.caption = f"{len(page.images)} of {page.total}{'+' if page.is_capped else ''}"
    return table


def _write(path: Path, png: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(png)
