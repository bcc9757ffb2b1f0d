"""The button under /help that shows every flag."""

import re
from typing import Self

import discord

from bot.faces.discord.cards import BLUE, TEXT_MAX, card, lines_within
from bot.faces.discord.components.lasting import LastingButton
from bot.faces.discord.face import Interaction
from bot.faces.discord.localisation import CHINESE, Words
from bot.prompts import FLAGS


class AllFlagsButton(LastingButton, template="all-flags"):
    """Lists all flags with their ranges."""

    def __init__(self, label: str) -> None:
        super().__init__(discord.ui.Button(label=label, emoji="🚩", custom_id="all-flags"))

    @classmethod
    def restored(cls, match: re.Match[str], label: str) -> Self:  # noqa: ARG003
        """The button of an earlier message."""
        return cls(label)

    async def pressed(self, interaction: Interaction) -> None:
        """Answer this member alone."""
        view = flags_card(Words(interaction.locale.value))
        await interaction.response.send_message(view=view, ephemeral=True)


def flags_card(words: Words) -> discord.ui.LayoutView:
    """All flags, each with an example, its range and its meaning."""
    title, is_chinese = words("help.flags"), words.language == CHINESE
    lines = []
    for flag in FLAGS:
        meaning = flag.help_text(chinese=is_chinese).removeprefix(flag.usage)
        lines.append(f"`{flag.usage}`{meaning}")
    left = TEXT_MAX - len(title)
    return card(title, lines_within(lines, left, lambda count: f"… +{count}"), colour=BLUE)
