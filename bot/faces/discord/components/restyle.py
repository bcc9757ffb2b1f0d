"""Restyling a picture: a button under results, and the menu of looks it opens.

The menu names the image in its custom_id; an uploaded picture it holds as its own attachment.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Self

import discord

from bot.errors import NotFound
from bot.faces.discord.cards import Shown, card, shortened
from bot.faces.discord.components.identifiers import IMAGE, JOB
from bot.faces.discord.components.lasting import LastingMenu, SubjectButton
from bot.faces.discord.components.showing import is_secret_message, shows_alone
from bot.faces.discord.face import Interaction, caller_of
from bot.faces.discord.localisation import Words
from bot.faces.discord.submission import Answer, acknowledge, resolved_privacy
from bot.faces.discord.uploads import fetch_picture, first_picture
from bot.studio.contract import (
    AS_USUAL,
    Caller,
    Destination,
    JobView,
    Restyling,
    StyleChoice,
    StyleView,
)

UPLOAD = "upload"  # in place of an image's id
OPTIONS_MAX = 25
LABEL_MAX = 100  # characters
_RANDOM = "random"


async def restyle_in(
    answer: Answer, content: bytes | str, styles: Sequence[StyleChoice], asked: Restyling
) -> None:
    """Submit a restyle and show its progress in the answer."""
    studio = answer.interaction.client.studio
    asked = await _hidden_where_private(answer, styles, asked)

    async def submit(caller: Caller, destination: Destination) -> tuple[JobView, ...]:
        return (await studio.stylize(caller, content, styles, destination, asked),)

    await answer.run(submit)


async def blend_in(
    answer: Answer,
    content: bytes | None,
    styles: tuple[StyleChoice, StyleChoice],
    asked: Restyling,
    share: float,
) -> None:
    """Submit the steps between two styles and show their progress in the answer."""
    interaction = answer.interaction
    studio = interaction.client.studio
    asked = await _hidden_where_private(answer, styles, asked)
    if content is None and interaction.guild_id is None:
        await answer.hide()  # the newest picture, which nobody named, may be a secret

    async def submit(caller: Caller, destination: Destination) -> tuple[JobView, ...]:
        job = await studio.blend_styles(caller, content, styles, destination, asked, share=share)
        return (job,)

    await answer.run(submit)


async def _hidden_where_private(
    answer: Answer, styles: Sequence[StyleChoice], asked: Restyling
) -> Restyling:
    """Hide the answer where the result is private; what is left unsaid follows the content."""
    interaction = answer.interaction
    await answer.hide_like(*(style.name for style in styles if style.name))
    if not await resolved_privacy(interaction, asked.is_private):
        return asked
    await answer.hide()
    return replace(asked, is_private=True)


class RestyleButton(SubjectButton, verb="restyle", subject=IMAGE, emoji="🎨"):
    """Asks which look an image shall take; the new job belongs to whoever chooses."""

    async def pressed(self, interaction: Interaction) -> None:
        """Show the menu of looks, to this member alone."""
        # The picker of a result's images is secret, whoever sees the result.
        is_secret = is_secret_message(interaction) and shows_alone(
            interaction.message, self.subject
        )
        await interaction.response.defer(thinking=True, ephemeral=True)
        await ask_look(interaction, self.subject, is_secret=is_secret)


class SecretRestyleButton(SubjectButton, verb="restyle-secret", subject=IMAGE, emoji="🎨"):
    """The same for an image of a result that only this member sees."""

    async def pressed(self, interaction: Interaction) -> None:
        """Show the menu of looks, to this member alone."""
        await interaction.response.defer(thinking=True, ephemeral=True)
        await ask_look(interaction, self.subject, is_secret=True)


class RestylePickButton(SubjectButton, verb="restyle-one", subject=JOB, emoji="🎨"):
    """Asks which of a job's images shall take another look."""

    async def pressed(self, interaction: Interaction) -> None:
        """Show a button for each image, to this member alone."""
        words = Words(interaction.locale.value)
        button = SecretRestyleButton if is_secret_message(interaction) else RestyleButton
        await interaction.response.defer(thinking=True, ephemeral=True)
        job = await interaction.client.studio.job(caller_of(interaction), self.subject)
        if not job.images:
            raise NotFound(words("pick.none"))
        buttons = [button(image.id, str(image.index + 1)) for image in job.images]
        rows = [buttons[start : start + 5] for start in range(0, len(buttons), 5)]
        await interaction.edit_original_response(view=card(words("restyle.which"), rows=rows))


class LookMenu(
    LastingMenu, template=rf"look:(?P<content>[0-9a-z]{{8,12}}|{UPLOAD})(?P<secret>:secret)?"
):
    """The looks a picture may take; the result is as visible as what the menu was opened from."""

    def __init__(
        self,
        content: str,
        options: list[discord.SelectOption],
        placeholder: str = "",
        *,
        is_secret: bool,
    ) -> None:
        super().__init__(
            discord.ui.Select(
                custom_id=f"look:{content}{':secret' if is_secret else ''}",
                options=options,
                placeholder=placeholder or None,
            )
        )
        self.content = content
        self.is_secret = is_secret

    @classmethod
    def restored(cls, match: re.Match[str], options: list[discord.SelectOption]) -> Self:
        """The menu of an earlier message."""
        return cls(match["content"], options, is_secret=match["secret"] is not None)

    async def chosen(self, interaction: Interaction, value: str) -> None:
        """Restyle the image, or the picture that the menu's message holds."""
        answer = await acknowledge(interaction, is_secret=self.is_secret)
        content = await self._content(interaction)
        await restyle_in(answer, content, [StyleChoice(name=value)], AS_USUAL)

    async def _content(self, interaction: Interaction) -> bytes | str:
        if self.content != UPLOAD:
            return self.content
        message = interaction.message
        if message is None:
            raise NotFound(Words(interaction.locale.value)("upload.none"))
        return await fetch_picture(interaction, first_picture(interaction, message))


async def ask_look(
    interaction: Interaction, content: str, shown: Shown | None = None, *, is_secret: bool
) -> None:
    """Turn the acknowledged answer into the menu of looks for an image or a shown upload.

    With `is_secret` what it makes is for this member alone, where others would see it.
    """
    words = Words(interaction.locale.value)
    styles = await interaction.client.studio.styles(caller_of(interaction))
    saved = saved_styles(styles, interaction.user.id)
    shipped = [style for style in styles if style.is_preset]
    fitting = saved[: OPTIONS_MAX - 1 - len(shipped)]  # beside the shipped ones and the random one
    options = [_option(style) for style in (*fitting, *shipped)]
    options.append(discord.SelectOption(label=words("restyle.random"), value=_RANDOM, emoji="🎲"))
    menu = LookMenu(content, options, words("restyle.choose"), is_secret=is_secret)
    rows: list[list[discord.ui.Item[Any]]] = [[menu]]
    left_out = len(saved) - len(fitting)
    note = words("restyle.more", count=left_out) if left_out else ""
    view = card(words("restyle.question"), note, pictures=[shown] if shown else [], rows=rows)
    files = [shown.file()] if shown else []
    await interaction.edit_original_response(view=view, attachments=files)


def saved_styles(styles: Sequence[StyleView], owner_id: int) -> list[StyleView]:
    """Those that do not ship: the member's own before shared ones, the newest first."""
    newest = sorted((s for s in styles if s.saved_at), key=_saved_at, reverse=True)
    return sorted(newest, key=lambda style: style.owner_id != owner_id)


def _saved_at(style: StyleView) -> datetime:
    return style.saved_at or datetime.min.replace(tzinfo=UTC)


def _option(style: StyleView) -> discord.SelectOption:
    return discord.SelectOption(label=shortened(style.title, LABEL_MAX), value=style.name)
