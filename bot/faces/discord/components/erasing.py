"""The button that has all of a member forgotten."""

import re
from typing import Self

import discord

from bot.faces.discord.cards import GREY, card
from bot.faces.discord.components.confirmation import require_asker
from bot.faces.discord.components.lasting import LastingButton
from bot.faces.discord.face import Interaction, caller_of
from bot.faces.discord.localisation import Words


class EraseButton(LastingButton, template=r"erase:(?P<owner>\d{1,20})"):
    """Erases whoever was asked, and nobody else."""

    def __init__(self, owner_id: int, label: str) -> None:
        super().__init__(
            discord.ui.Button(
                label=label, custom_id=f"erase:{owner_id}", style=discord.ButtonStyle.danger
            )
        )
        self.owner_id = owner_id

    @classmethod
    def restored(cls, match: re.Match[str], label: str) -> Self:
        """The button of an earlier message."""
        return cls(int(match["owner"]), label)

    async def pressed(self, interaction: Interaction) -> None:
        """Erase, and turn the question into what was done."""
        require_asker(interaction, self.owner_id)
        await interaction.response.defer()
        words = Words(interaction.locale.value)
        erased = await interaction.client.studio.erase(caller_of(interaction))
        text = words("privacy.erased", jobs=erased.jobs, images=erased.images)
        await interaction.edit_original_response(view=card(text, colour=GREY))
