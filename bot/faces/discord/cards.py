"""What messages look like: layouts of text, pictures and rows of controls, within the limits.

All of them are Components V2: a message once sent so can't go back, and an upload shows only where
a gallery names it.
"""

import io
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import discord

from bot.faces.discord.localisation import Words, duration
from bot.studio.contract import ImageView, JobState, JobUpdate, JobView, Operation
from bot.wording import translated

Row: TypeAlias = Sequence[discord.ui.Item[Any]]
PROMPT_SHOWN = 900  # characters of a prompt in a message
ALT_TEXT_MAX = 1024  # characters
TEXT_MAX = 4000  # characters of all texts of a message
REASON_SHOWN = 1000  # characters of a reason or remark, which may name what a file says
BAR_CELLS = 12
PROMPT_TEXT_ID = 9001  # of the text that holds what a question asks about

BLUE = discord.Colour(0x5B8DEF)
GREEN = discord.Colour(0x3FA66A)
GREY = discord.Colour(0x80848E)
RED = discord.Colour(0xD8504D)

_ENDINGS = {
    JobState.FAILED: "ending.failed",
    JobState.CANCELLED: "ending.cancelled",
    JobState.FINISHED: "delete.all",  # before they could be shown
}


@dataclass(frozen=True, slots=True)
class Shown:
    """A picture of a message: the attachment and what it shows."""

    data: bytes
    filename: str
    alt_text: str

    def file(self) -> discord.File:
        """The attachment; a new one for each attempt, since sending uses it up."""
        return discord.File(
            io.BytesIO(self.data), self.filename, description=self.alt_text[:ALT_TEXT_MAX]
        )


def card(
    *texts: str,
    pictures: Iterable[Shown] = (),
    rows: Iterable[Row] = (),
    colour: discord.Colour | None = None,
) -> discord.ui.LayoutView:
    """A message of one box: texts, then pictures, then controls."""
    parts: list[discord.ui.Item[Any]] = [discord.ui.TextDisplay(text) for text in texts if text]
    gallery = list(pictures)
    if gallery:
        parts.append(gallery_of(gallery))
    parts.extend(discord.ui.ActionRow(*row) for row in rows if row)
    view = discord.ui.LayoutView(timeout=None)
    view.add_item(discord.ui.Container(*parts, accent_colour=colour))
    return view


def gallery_of(pictures: Iterable[Shown]) -> discord.ui.MediaGallery[Any]:
    """The pictures as a gallery that names each attachment."""
    return discord.ui.MediaGallery(
        *(
            discord.MediaGalleryItem(
                f"attachment://{shown.filename}", description=shown.alt_text[:ALT_TEXT_MAX]
            )
            for shown in pictures
        )
    )


def progress_card(
    words: Words, update: JobUpdate, rows: Iterable[Row], preview: Shown | None
) -> discord.ui.LayoutView:
    """One job on its way."""
    job = update.job
    pictures = [preview] if preview else []
    remark = reason_of(words, job)
    lines = (prompt_line(job.prompt), f"-# {progress_line(words, job)}", remark)
    return card(*lines, pictures=pictures, rows=rows, colour=BLUE)


def progress_line(words: Words, job: JobView) -> str:
    """How far a job is: place in the queue or percentage, and the estimate."""
    if job.state is JobState.QUEUED:
        text = words("progress.queued", position=job.position or 1)
    elif job.state is JobState.RUNNING:
        text = f"{_bar(job.progress)} {round(job.progress * 100)} %"
    else:
        return words(f"states.{job.state.value}")
    if job.estimate_s is not None:
        text += " · " + words("progress.estimate", time=duration(words, job.estimate_s))
    return text


def board_card(
    words: Words, updates: Sequence[JobUpdate], rows: Iterable[Row]
) -> discord.ui.LayoutView:
    """Several jobs of one prompt; their results come in messages of their own."""
    lines = [f"-# `{update.job.id}` {progress_line(words, update.job)}" for update in updates[:25]]
    done = sum(update.job.state.is_final for update in updates)
    title = words("progress.board", done=done, count=len(updates))
    colour = GREEN if done == len(updates) else BLUE
    return card(title, "\n".join(lines), rows=rows, colour=colour)


def result_card(
    words: Words, job: JobView, pictures: Iterable[Shown], rows: Iterable[Row], *, note: str = ""
) -> discord.ui.LayoutView:
    """A finished job with its picture, grid or animations."""
    first = job.images[0]
    facts = [
        words(f"operations.{job.operation.value}"),
        f"`{job.model}`",
        f"{first.width}×{first.height}",
        *_seed_fact(words, job.operation, job.seed),
        words("result.by", owner=f"<@{job.owner_id}>"),
    ]
    remark = reason_of(words, job)
    texts = (prompt_line(job.prompt), f"-# {' · '.join(facts)}", remark, note)
    return card(*texts, pictures=pictures, rows=rows, colour=GREEN)


def ending_card(
    words: Words, job: JobView, rows: Iterable[Row], pictures: Iterable[Shown] = ()
) -> discord.ui.LayoutView:
    """A job that shows no results; `pictures` show how far it had come."""
    is_failed = job.state is JobState.FAILED
    reason = reason_of(words, job) if is_failed else ""
    head = words(_ENDINGS[job.state])
    texts = (prompt_line(job.prompt), f"{head} {reason}".strip())
    return card(*texts, pictures=pictures, rows=rows, colour=RED if is_failed else GREY)


def secret_card(words: Words) -> discord.ui.LayoutView:
    """What others see in place of a private result."""
    return card(words("progress.secret"), colour=GREY)


def image_card(
    words: Words, image: ImageView, shown: Shown, rows: Iterable[Row], *, note: str = ""
) -> discord.ui.LayoutView:
    """One picture of the gallery."""
    facts = [
        f"`{image.id}`",
        f"`{image.model}`",
        f"{image.width}×{image.height}",
        *_seed_fact(words, image.operation, image.seed),
        words("result.by", owner=f"<@{image.owner_id}>"),
        discord.utils.format_dt(image.created_at, "R"),
    ]
    if image.is_favourite:
        facts.insert(0, "❤️")
    if image.is_private:
        facts.append("🔒")
    texts = (prompt_line(image.prompt), f"-# {' · '.join(facts)}", note)
    return card(*texts, pictures=[shown], rows=rows, colour=GREEN)


def _seed_fact(words: Words, operation: Operation, seed: int) -> list[str]:
    """An upscaled picture has no seed of its own."""
    return [] if operation is Operation.UPSCALE else [words("result.seed", seed=seed)]


def image_alt_text(words: Words, image: ImageView) -> str:
    """What one picture shows, for who can't see it."""
    return translated(image.alt_text, words.language)


def alt_text_of(words: Words, job: JobView) -> str:
    """What the one picture of a result shows, for who can't see it."""
    alt_text = image_alt_text(words, job.images[0])
    if len(job.images) > 1:
        alt_text = words("result.grid_alt", count=len(job.images), text=alt_text)
    return alt_text[:ALT_TEXT_MAX]


def reason_of(words: Words, job: JobView) -> str:
    """Why a job failed, or what is to be said of its result, not too long."""
    return shortened(translated(job.reason, words.language), REASON_SHOWN)


def prompt_line(prompt: str) -> str:
    """A prompt in bold, not too long."""
    return f"**{harmless(prompt, PROMPT_SHOWN) or '-'}**"


def harmless(prompt: str, length: int) -> str:
    """A prompt on one line without Markdown, cut where it is longer."""
    return discord.utils.escape_markdown(shortened(" ".join(prompt.split()), length))


def shortened(text: str, length: int) -> str:
    """The text, cut with an ellipsis where it is longer."""
    return text if len(text) <= length else text[: length - 1].rstrip() + "…"


def lines_within(lines: Sequence[str], length: int, more: Callable[[int], str]) -> str:
    """The lines, the last of them only counted, by `more`, where all would be too long."""
    text, kept = "\n".join(lines), len(lines)
    while kept and len(text) > length:
        kept -= 1
        text = "\n".join([*lines[:kept], more(len(lines) - kept)])
    return text


def text_of(message: discord.Message, text_id: int) -> str:
    """The content of a numbered text of one of our messages; empty where there is none."""
    for component in _walk(message.components):
        if isinstance(component, discord.TextDisplay) and component.id == text_id:
            return component.content
    return ""


def _walk(components: Iterable[Any]) -> Iterable[Any]:
    for component in components:
        yield component
        yield from _walk(getattr(component, "children", ()))


def _bar(progress: float) -> str:
    filled = round(max(0.0, min(1.0, progress)) * BAR_CELLS)
    return "▰" * filled + "▱" * (BAR_CELLS - filled)
