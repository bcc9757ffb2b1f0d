"""Controls that survive any restart: what they do is in the custom_id, who may is asked anew."""

import re
from typing import Any, ClassVar, Self

import discord

from bot.faces.discord.answers import guarded
from bot.faces.discord.face import Interaction

_NEVER = r"(?!)"


class LastingButton(discord.ui.DynamicItem[discord.ui.Button[Any]], template=_NEVER):
    """A button of any age; a subclass states its template, `restored` and `pressed`."""

    @classmethod
    async def from_custom_id(
        cls,
        interaction: discord.Interaction[Any],  # noqa: ARG003
        item: discord.ui.Item[Any],
        match: re.Match[str],
    ) -> Self:
        """The button of an earlier message."""
        return cls.restored(match, getattr(item, "label", None) or "")

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        """Do what it is for; discord.py itself would only log what a dynamic item raises."""
        async with guarded(interaction):
            await self.pressed(interaction)

    @classmethod
    def restored(cls, match: re.Match[str], label: str) -> Self:
        """The button that a custom_id describes."""
        raise NotImplementedError

    async def pressed(self, interaction: Interaction) -> None:
        """Do what the button is for."""
        raise NotImplementedError


class SubjectButton(LastingButton, template=_NEVER):
    """A button about one image, job or style, which its custom_id names: `delete:ab12cd34`.

    A subclass states the verb, how a subject is written (one group), and how the button looks.
    """

    _verb: ClassVar[str]
    _emoji: ClassVar[str | None]
    _look: ClassVar[discord.ButtonStyle]

    def __init_subclass__(
        cls,
        *,
        verb: str,
        subject: str,
        emoji: str | None = None,
        look: discord.ButtonStyle = discord.ButtonStyle.secondary,
    ) -> None:
        super().__init_subclass__(template=f"{verb}:{subject}")
        cls._verb, cls._emoji, cls._look = verb, emoji, look

    def __init__(self, subject: str, label: str | None = None) -> None:
        button = discord.ui.Button[Any](
            label=label,
            emoji=self._emoji,
            style=self._look,
            custom_id=f"{self._verb}:{subject}",
        )
        super().__init__(button)
        self.subject = subject

    @classmethod
    def restored(cls, match: re.Match[str], label: str) -> Self:
        """The button of an earlier message."""
        return cls(match[1], label)


class LastingMenu(discord.ui.DynamicItem[discord.ui.Select[Any]], template=_NEVER):
    """A menu of any age; a subclass states its template, `restored` and `chosen`."""

    @classmethod
    async def from_custom_id(
        cls,
        interaction: discord.Interaction[Any],  # noqa: ARG003
        item: discord.ui.Item[Any],
        match: re.Match[str],
    ) -> Self:
        """The menu of an earlier message, with its options."""
        options = list(getattr(item, "options", ()))
        return cls.restored(match, options)

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        """Pass on what was chosen."""
        async with guarded(interaction):
            await self.chosen(interaction, self.item.values[0])

    @classmethod
    def restored(cls, match: re.Match[str], options: list[discord.SelectOption]) -> Self:
        """The menu that a custom_id describes."""
        raise NotImplementedError

    async def chosen(self, interaction: Interaction, value: str) -> None:
        """Do what the chosen option is for."""
        raise NotImplementedError
