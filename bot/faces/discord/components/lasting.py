"""Controls that survive any restart: what they do is in the custom_id, who may is asked anew."""

import re
from typing import Any, Self

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
