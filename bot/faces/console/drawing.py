"""`atelier imagine`, and how any job of the command line is followed by a progress bar."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from bot.errors import UserError
from bot.studio.contract import (
    LOCAL_OWNER,
    Caller,
    Destination,
    JobState,
    JobUpdate,
    JobView,
    Studio,
)

OPERATOR = Caller(owner_id=LOCAL_OWNER, name="operator", is_admin=True)
NOWHERE = Destination(face="console")  # the command itself fetches the result


@dataclass(frozen=True, slots=True)
class Ask:
    """What the command line asks for."""

    prompt: str
    source: bytes | None = None
    style: bytes | None = None
    confirmed: bool = False


def default_path(prompt: str) -> Path:
    """A file name from the first words of the prompt."""
    words = re.findall(r"\w+", prompt.split("--", maxsplit=1)[0])[:6]
    return Path("-".join(words).lower()[:60] or "picture").with_suffix(".png")


async def draw(
    opening: AbstractAsyncContextManager[Studio], ask: Ask, out: Path, console: Console
) -> list[Path]:
    """Draw and write the pictures; return their paths.

    Raises:
        UserError: the prompt or a picture can't be used, or a job failed.
    """
    return await submit(
        opening,
        lambda studio: studio.imagine(
            OPERATOR,
            ask.prompt,
            NOWHERE,
            source=ask.source,
            style=ask.style,
            confirmed=ask.confirmed,
        ),
        out,
        console,
    )


async def submit(
    opening: AbstractAsyncContextManager[Studio],
    ordered: Callable[[Studio], Awaitable[Sequence[JobView]]],
    out: Path,
    console: Console,
) -> list[Path]:
    """Order jobs of an opened studio, wait for them and write their pictures.

    Raises:
        UserError: what is asked can't be done, or a job failed.
    """
    async with opening as studio:
        jobs = await ordered(studio)
        with _bars(console) as bars:
            ended = await asyncio.gather(*(_follow(studio, job, bars) for job in jobs))
        pngs = [png for job in ended for png in await _fetch(studio, job)]
    return await asyncio.to_thread(_write, pngs, out)


def read_file(path: Path) -> bytes:
    """The bytes of a file that was named.

    Raises:
        UserError: it can't be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        msg = f"{path} can't be read: {error.strerror}"
        raise UserError(msg) from None


def _bars(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f}%"),
        TimeElapsedColumn(), console=console,
    )  # fmt: skip


async def _follow(studio: Studio, job: JobView, bars: Progress) -> JobView:
    bar = bars.add_task(job.id, total=1.0)
    try:
        async for update in studio.watch(OPERATOR, job.id):
            _show(bars, bar, update)
            job = update.job
    except asyncio.CancelledError:
        await studio.cancel(OPERATOR, job.id)
        raise
    if job.state is not JobState.FINISHED:
        msg = job.reason or f"the job was {job.state}"
        raise UserError(msg)
    return job


def _show(bars: Progress, bar: TaskID, update: JobUpdate) -> None:
    job = update.job
    waiting = f" (number {job.position} in the queue)" if job.position else ""
    bars.update(bar, completed=job.progress, description=f"{job.id} {job.state}{waiting}")


async def _fetch(studio: Studio, job: JobView) -> list[bytes]:
    return [await studio.image_file(OPERATOR, image.id) for image in job.images]


def _write(pngs: list[bytes], out: Path) -> list[Path]:
    out.parent.mkdir(parents=True, exist_ok=True)
    if len(pngs) == 1:
        paths = [out]
    else:
        paths = [out.with_stem(f"{out.stem}-{i}") for i in range(1, len(pngs) + 1)]
    for path, png in zip(paths, pngs, strict=True):
        path.write_bytes(png)
    return paths
