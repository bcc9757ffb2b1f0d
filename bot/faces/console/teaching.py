"""`atelier generator`: generators that learn from the operator's own gallery."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bot.faces.console.drawing import (
    NOWHERE,
    OPERATOR,
    Out,
    require_forgettable,
    save_picture,
    submit,
)
from bot.studio.contract import JobView, Studio, Teaching
from bot.studio.house import as_style_name

Opening = AbstractAsyncContextManager[Studio]


async def train(opening: Opening, asked: Teaching, out: Out, console: Console) -> list[Path]:
    """Let a generator learn, and write what it dreams.

    Raises:
        UserError: it can't learn from that, or the job failed.
    """

    async def ordered(studio: Studio) -> Sequence[JobView]:
        return (await studio.train_gan(OPERATOR, asked, NOWHERE),)

    return await submit(opening, ordered, out, console)


async def list_generators(opening: Opening, console: Console) -> None:
    """Print the generators and what is said of them."""
    async with opening as studio:
        table = Table("name", "pictures", "verdict", box=None, header_style="bold")
        for one in await studio.generators(OPERATOR):
            table.add_row(one.name, str(one.pictures), str(one.verdict))
        console.print(table)


async def show(opening: Opening, name: str, out: Out) -> list[Path]:
    """Write a sheet of what a generator dreams."""
    return await save_picture(opening, lambda studio: studio.generator_png(OPERATOR, name), out)


async def delete(opening: Opening, name: str, console: Console, *, confirmed: bool) -> None:
    """Ask whether a generator shall be forgotten, and forget it."""
    async with opening as studio:
        wanted = as_style_name(name)
        known = {generator.name for generator in await studio.generators(OPERATOR)}
        if wanted in known and not confirmed:
            await require_forgettable(wanted, console)
        await studio.delete_generator(OPERATOR, name)
