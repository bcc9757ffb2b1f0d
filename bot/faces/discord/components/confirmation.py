"""Imagining, with the question that comes before many jobs at once.

The question holds all it asks about: the prompt as a numbered text, uploads as attachments.
"""

import io
import re
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Any, Self

import discord

from bot.errors import AskedBefore, ConfirmationNeeded, NotAllowed, UserError
from bot.faces.discord.cards import BLUE, GREY, PROMPT_TEXT_ID, card, text_of
from bot.faces.discord.components.identifiers import IMAGE
from bot.faces.discord.components.lasting import LastingButton
from bot.faces.discord.face import Interaction
from bot.faces.discord.localisation import Words
from bot.faces.discord.places import check_place
from bot.faces.discord.submission import Answer, resolved_privacy, stated_privacy
from bot.faces.discord.uploads import check_fits, fetch_picture, pictures_of
from bot.prompts import PromptError, count_expansions, expand, parse
from bot.studio.contract import Caller, Destination, JobView

_FENCE = "```\n", "\n```"
_DRAWN = re.compile(r"\||\$\$|__")  # something of the prompt is drawn when it is submitted
_MULTIPLYING = re.compile(r"\{[^{}|]*,[^{}|]*\}|(?:--|[–—])r(?:epeat)?\b", re.IGNORECASE)
_PRIVACY = {"p": True, "o": False, "u": None}  # private, open, unsaid


@dataclass(frozen=True, slots=True)
class Picture:
    """An upload on its way to the studio."""

    data: bytes
    filename: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Wish:
    """What a member wants imagined."""

    text: str
    source: Picture | None = None
    source_id: str = ""  # of the gallery, in place of an upload
    style: Picture | None = None
    is_private: bool | None = None  # None: flags and preferences decide


async def imagine_in(answer: Answer, wish: Wish, *, question_id: int | None = None) -> None:
    """Submit a wish and show its progress; ask first where it makes many jobs.

    `question_id` is the message of the question, once its answer is yes; a second yes is ignored.
    """
    key = f"question:{question_id}" if question_id else ""
    interaction = answer.interaction
    said = stated_privacy(wish.text)
    is_hidden = await resolved_privacy(interaction, wish.is_private if said is None else said)
    if is_hidden:
        await answer.hide()
    await answer.hide_like(*filter(None, [wish.source_id]))
    await answer.hide_like_looks_of(wish.text)

    async def submit(caller: Caller, destination: Destination) -> tuple[JobView, ...]:
        return await interaction.client.studio.imagine(
            caller,
            wish.text,
            replace(destination, key=key),
            source=wish.source.data if wish.source else wish.source_id or None,
            style=wish.style.data if wish.style else None,
            is_private=True if is_hidden else wish.is_private,
            confirmed=question_id is not None,
        )

    try:
        await answer.run(submit, has_several=may_make_several(wish.text))
    except AskedBefore:  # the button was pressed twice, and the first one shows the progress
        return
    except ConfirmationNeeded as question:
        if question.is_private:
            await answer.hide()
        await _ask(answer, wish, question.count)


def may_make_several(text: str) -> bool:
    """Whether a prompt may make more than one job, whatever is drawn for it."""
    draws = _DRAWN.search(text) and _MULTIPLYING.search(text)
    return bool(draws) or expected_jobs(text) > 1


def expected_jobs(text: str) -> int:
    """How many jobs a prompt makes; 1 where it can't be read, which the studio will say."""
    try:
        count = count_expansions(text, seed=0)
        flags = parse(next(iter(expand(text, seed=0, limit=max(count, 1)))), seed=0).flags
    except (PromptError, StopIteration):
        return 1
    return count * (flags.repeat or 1)


async def _ask(answer: Answer, wish: Wish, count: int) -> None:
    interaction = answer.interaction
    words = Words(interaction.locale.value)
    uploads = [p for p in (wish.source, wish.style) if p is not None]
    check_fits(interaction, {p.filename: p.data for p in uploads})
    buttons = [
        ConfirmButton(
            interaction.user.id,
            wish.is_private,
            words("buttons.confirm", count=count),
            wish.source_id,
        ),
        DismissButton(interaction.user.id, words("buttons.dismiss")),
    ]
    view = discord.ui.LayoutView(timeout=None)
    parts: list[discord.ui.Item[Any]] = [
        discord.ui.TextDisplay(words("confirm.question", count=count)),
        discord.ui.TextDisplay(wish.text.join(_FENCE), id=PROMPT_TEXT_ID),
    ]
    if uploads:
        items = [discord.MediaGalleryItem(f"attachment://{p.filename}") for p in uploads]
        parts.append(discord.ui.MediaGallery(*items))
    parts.append(discord.ui.ActionRow(*buttons))
    view.add_item(discord.ui.Container(*parts, accent_colour=BLUE))
    files = [discord.File(io.BytesIO(p.data), p.filename) for p in uploads]
    await answer.show(view, files)


async def _wish_of(interaction: Interaction, *, is_private: bool | None, source_id: str) -> Wish:
    """The wish that a question's message and button hold."""
    message = interaction.message
    text = text_of(message, PROMPT_TEXT_ID) if message else ""
    if message is None or not text:
        raise UserError(Words(interaction.locale.value)("confirm.lost"))
    return Wish(
        text=text.removeprefix(_FENCE[0]).removesuffix(_FENCE[1]),
        source=await _kept_upload(interaction, message, "source"),
        source_id=source_id,
        style=await _kept_upload(interaction, message, "style"),
        is_private=is_private,
    )


async def _kept_upload(
    interaction: Interaction, message: discord.Message, stem: str
) -> Picture | None:
    for picture in pictures_of(message):
        if PurePosixPath(picture.filename).stem == stem:
            return Picture(await fetch_picture(interaction, picture), picture.filename)
    return None


def require_asker(interaction: Interaction, owner_id: int) -> None:
    """Refuse whoever was not asked.

    Raises:
        NotAllowed: it is somebody else's question.
    """
    if interaction.user.id != owner_id:
        raise NotAllowed(Words(interaction.locale.value)("confirm.not_yours"))


class ConfirmButton(
    LastingButton,
    template=rf"confirm:(?P<owner>\d{{1,20}}):(?P<privacy>[pou])(?::{IMAGE})?",
):
    """Starts all jobs of a question; for the one who was asked."""

    def __init__(
        self,
        owner_id: int,
        is_private: bool | None,  # noqa: FBT001
        label: str,
        source_id: str = "",
    ) -> None:
        letter = next(key for key, value in _PRIVACY.items() if value is is_private)
        custom_id = f"confirm:{owner_id}:{letter}"
        if source_id:
            custom_id += f":{source_id}"
        super().__init__(
            discord.ui.Button(label=label, custom_id=custom_id, style=discord.ButtonStyle.success)
        )
        self.owner_id = owner_id
        self.is_private = is_private
        self.source_id = source_id

    @classmethod
    def restored(cls, match: re.Match[str], label: str) -> Self:
        """The button of an earlier message."""
        privacy = _PRIVACY[match["privacy"]]
        return cls(int(match["owner"]), privacy, label, match["image"] or "")

    async def pressed(self, interaction: Interaction) -> None:
        """Submit what the message holds, and turn the question into progress."""
        require_asker(interaction, self.owner_id)
        check_place(interaction)
        await interaction.response.defer()  # first: to fetch the uploads takes its time
        wish = await _wish_of(interaction, is_private=self.is_private, source_id=self.source_id)
        message = interaction.message
        if message is not None:
            answer = Answer(interaction, message.id, message.flags.ephemeral)
            await imagine_in(answer, wish, question_id=message.id)


class DismissButton(LastingButton, template=r"dismiss:(?P<owner>\d{1,20})"):
    """Answers a question with no; for the one who was asked."""

    def __init__(self, owner_id: int, label: str) -> None:
        super().__init__(discord.ui.Button(label=label, custom_id=f"dismiss:{owner_id}"))
        self.owner_id = owner_id

    @classmethod
    def restored(cls, match: re.Match[str], label: str) -> Self:
        """The button of an earlier message."""
        return cls(int(match["owner"]), label)

    async def pressed(self, interaction: Interaction) -> None:
        """Close the question."""
        words = Words(interaction.locale.value)
        require_asker(interaction, self.owner_id)
        view = card(words("confirm.dismissed"), colour=GREY)
        await interaction.response.edit_message(view=view, attachments=[])
