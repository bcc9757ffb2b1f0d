"""`atelier imagine`, and how any job of the command line is followed by a progress bar."""

import asyncio
import itertools
import re
import sys
import tempfile
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from PIL import Image
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from bot.errors import ConfirmationNeeded, UserError
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
STDOUT = Path("-")


@dataclass(frozen=True, slots=True)
class Ask:
    """What the command line asks for."""

    prompt: str
    source: bytes | str | None = None  # a picture, or an image's id
    style: bytes | str | None = None
    confirmed: bool = False


@dataclass(frozen=True, slots=True)
class Out:
    """Where pictures go: what is there is replaced if that was asked for, else never."""

    path: Path
    is_asked: bool = True  # by --out

    def beside(self, name: str) -> "Out":
        """Where something of another name goes, that nobody asked for."""
        return Out(self.path.with_name(name), is_asked=False)


def out_of(asked: Path | None, usual: Path | str) -> Out:
    """The place that --out names, else the usual one."""
    if asked is None:
        return Out(Path(usual), is_asked=False)
    # Where it leads to a file, nothing may be put in the place of the device or beside it.
    return Out(STDOUT if asked == Path("/dev/stdout") else asked)


def default_path(prompt: str) -> Path:
    """A file name from the first words of the prompt."""
    words = re.findall(r"\w+", prompt.split("--", maxsplit=1)[0])[:6]
    return Path("-".join(words).lower()[:60] or "picture").with_suffix(".png")


async def draw(
    opening: AbstractAsyncContextManager[Studio], ask: Ask, out: Out, console: Console
) -> list[Path]:
    """Draw and write the pictures; return their paths.

    Raises:
        UserError: the prompt or a picture can't be used, or a job failed.
    """

    async def imagined(studio: Studio, *, confirmed: bool) -> Sequence[JobView]:
        return await studio.imagine(
            OPERATOR,
            ask.prompt,
            NOWHERE,
            source=ask.source,
            style=ask.style,
            confirmed=confirmed,
        )

    async def ordered(studio: Studio) -> Sequence[JobView]:
        try:
            return await imagined(studio, confirmed=ask.confirmed)
        except ConfirmationNeeded as question:
            await require_yes(
                f"this prompt makes {question.count} jobs",
                "--yes starts them all",
                "Start them all?",
                console,
            )
            return await imagined(studio, confirmed=True)

    return await submit(opening, ordered, out, console)


async def submit(
    opening: AbstractAsyncContextManager[Studio],
    ordered: Callable[[Studio], Awaitable[Sequence[JobView]]],
    out: Out,
    console: Console,
) -> list[Path]:
    """Order jobs of an opened studio, wait for them and write their pictures.

    Interrupted, it writes the last previews instead.

    Raises:
        UserError: what is asked can't be done, or a job failed; the others' pictures are written.
    """
    await asyncio.to_thread(_make_room, out.path)
    async with opening as studio:
        jobs = await ordered(studio)
        with _bars(console) as bars:
            ended = await asyncio.gather(*(_follow(studio, job, bars, out) for job in jobs))
        finished = [job for job in ended if job.state is JobState.FINISHED]
        pngs = [png for job in finished for png in await _fetch(studio, job)]
    paths = await asyncio.to_thread(write, pngs, out) if pngs else []
    if len(finished) < len(ended):
        for path in paths:
            console.print(path, markup=False, highlight=False, soft_wrap=True)
        raise UserError(_reason_of(ended))
    return paths


def _reason_of(ended: Sequence[JobView]) -> str:
    """Why the first of those that did not finish did not, and how many they are."""
    lost = [job for job in ended if job.state is not JobState.FINISHED]
    reason = lost[0].reason or f"the job was {lost[0].state}"
    return reason if len(ended) == 1 else f"{len(lost)} of {len(ended)} jobs: {reason}"


async def save_picture(
    opening: AbstractAsyncContextManager[Studio],
    fetch: Callable[[Studio], Awaitable[bytes]],
    out: Out,
) -> list[Path]:
    """Write one picture that the studio has; return its path."""
    async with opening as studio:
        png = await fetch(studio)
    return await asyncio.to_thread(write, [png], out)


def read_file(path: Path) -> bytes:
    """The bytes of a file that was named.

    Raises:
        UserError: it can't be read, or is empty.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        msg = f"{path} can't be read: {error.strerror}"
        raise UserError(msg) from None
    if not data:
        msg = f"{path} is empty"
        raise UserError(msg)
    return data


async def require_yes(fact: str, cure: str, question: str, console: Console) -> None:
    """Ask whether something is meant; `cure` is for those who can't be asked.

    Raises:
        UserError: it is not meant, or nobody is there to be asked.
    """
    is_there = sys.stdin is not None and sys.stdin.isatty()  # None: it was closed
    if not (is_there and console.is_terminal):
        msg = f"{fact}; {cure}"
        raise UserError(msg)
    told = f"{fact[0].upper()}{fact[1:]}. {question} (y/N)"
    console.print(told, end=" ", markup=False, highlight=False)
    if (await _typed_line()).strip().lower() not in ("y", "yes"):
        msg = "nothing was done"
        raise UserError(msg)


async def require_forgettable(name: str, console: Console) -> None:
    """Ask whether what was learnt shall be forgotten for good.

    Raises:
        UserError: it shall not, or nobody is there to be asked.
    """
    fact = f"what {name} has learned can't be brought back"
    await require_yes(fact, "--yes forgets it", "Forget it?", console)


async def _typed_line() -> str:
    """What is typed on the terminal next; not read in a thread, which Ctrl-C would not end."""
    loop, is_there = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(sys.stdin, is_there.set)
    try:
        await is_there.wait()
    finally:
        loop.remove_reader(sys.stdin)
    return sys.stdin.readline()


def _make_room(path: Path) -> None:
    """See that a file can be written there, before anything is drawn for it.

    Raises:
        UserError: it can't.
    """
    if path == STDOUT:
        return
    if path.is_dir():
        msg = f"{path} is a folder; name a file with --out"
        raise UserError(msg)
    if _is_device(path):
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        msg = f"nothing can be written to {path.parent}: {error.strerror}; name a place with --out"
        raise UserError(msg) from None


def _bars(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f}%"),
        TimeElapsedColumn(), console=console,
    )  # fmt: skip


async def _follow(studio: Studio, job: JobView, bars: Progress, out: Out) -> JobView:
    bar = bars.add_task(job.id, total=1.0)
    preview = None
    try:
        async for update in studio.watch(OPERATOR, job.id):
            _show(bars, bar, update)
            job = update.job
            preview = update.preview or preview
    except asyncio.CancelledError:
        try:
            if preview is not None:
                _keep_unfinished(preview, out, bars.console)
        finally:
            await _stop(studio, job, bars.console)
        raise
    return job


async def _stop(studio: Studio, job: JobView, console: Console) -> None:
    """Cancel a job; one that makes its result of what it has learnt is waited for."""
    stopped = await studio.cancel(OPERATOR, job.id)
    if stopped.state.is_final:
        return
    console.print("What it has learnt is being kept ...", markup=False, highlight=False)
    async for _ in studio.watch(OPERATOR, job.id):
        pass


def _keep_unfinished(preview: bytes, out: Out, console: Console) -> None:
    # Not in a thread: whoever interrupts twice shall still find it.
    name = "picture" if out.path == STDOUT else out.path.stem
    (path,) = write([preview], out.beside(f"{name}-unfinished.webp"))
    console.print(f"Unfinished, as last seen: {path}", markup=False, highlight=False)


def _show(bars: Progress, bar: TaskID, update: JobUpdate) -> None:
    job = update.job
    waiting = f" (number {job.position} in the queue)" if job.position else ""
    bars.update(bar, completed=job.progress, description=f"{job.id} {job.state}{waiting}")


async def _fetch(studio: Studio, job: JobView) -> list[bytes]:
    return [await studio.image_file(OPERATOR, image.id) for image in job.images]


def write(pictures: Sequence[bytes], out: Out) -> list[Path]:
    """Write pictures; several get numbers. Where nobody asked for the place, nothing is replaced.

    A single picture then becomes NAME-2 beside a NAME, several go on from the highest number.
    A file is named for what it is: what moves is no PNG, whatever was asked for. What goes to
    standard output has no path.

    Raises:
        UserError: they can't be written.
    """
    try:
        if out.path == STDOUT:
            return _piped(pictures)
        return _written(pictures, replace(out, path=_named_for(pictures, out.path)))
    except OSError as error:
        msg = f"{out.path} can't be written: {error.strerror}; the gallery has the pictures"
        raise UserError(msg) from None


def _named_for(pictures: Sequence[bytes], path: Path) -> Path:
    """The path, with the suffix of what the pictures are; a device keeps its name."""
    suffix = next((kind for kind in map(_suffix_of, pictures) if kind), "")
    if not suffix or path.suffix.lower() == suffix or _is_device(path):
        return path
    is_other_kind = path.suffix.lower() in Image.registered_extensions()
    return path.with_suffix(suffix) if is_other_kind else path.with_name(path.name + suffix)


def _suffix_of(picture: bytes) -> str:
    if picture.startswith(b"\x89PNG"):
        return ".png"
    if picture[8:12] == b"WEBP":
        return ".webp"
    return ".mp4" if picture[4:8] == b"ftyp" else ""


def _piped(pictures: Sequence[bytes]) -> list[Path]:
    if len(pictures) > 1:
        raise UserError(
            "several pictures don't go through one pipe; ask for one, or name a file with --out; "
            "the gallery has the pictures"
        )
    sys.stdout.buffer.write(b"".join(pictures))
    sys.stdout.buffer.flush()
    return []


def _is_device(path: Path) -> bool:
    return path.exists() and not path.is_file()


def _written(pictures: Sequence[bytes], out: Out) -> list[Path]:
    out.path.parent.mkdir(parents=True, exist_ok=True)
    if not out.is_asked:
        names = _unused(out.path, len(pictures))
        return [_write_new(picture, names) for picture in pictures]
    paths = [out.path] * len(pictures)
    if len(pictures) > 1 and not _is_device(out.path):
        paths = list(_numbered(out.path, 1, len(pictures)))
    for path, picture in zip(paths, pictures, strict=True):
        path.write_bytes(picture)
    return paths


def _unused(path: Path, count: int) -> Iterator[Path]:
    """Names to try, in this order."""
    if count == 1:
        return itertools.chain((path,), _numbered(path, 2))
    number = re.compile(rf"{re.escape(path.stem)}-(\d{{1,9}}){re.escape(path.suffix)}")
    found = (number.fullmatch(other.name) for other in path.parent.iterdir())
    return _numbered(path, 1 + max((int(match[1]) for match in found if match), default=0))


def _numbered(path: Path, first: int, count: int | None = None) -> Iterator[Path]:
    numbers = itertools.count(first) if count is None else range(first, first + count)
    return (path.with_stem(f"{path.stem}-{number}") for number in numbers)


def _write_new(picture: bytes, names: Iterator[Path]) -> Path:
    while True:
        path = next(names)
        with suppress(FileExistsError), path.open("xb") as file:
            file.write(picture)
            return path
