"""The button that cancels a job."""

import re
from typing import Self

import discord

from bot.faces.discord.components.identifiers import JOB
from bot.faces.discord.components.lasting import LastingButton
from bot.faces.discord.face import Interaction, caller_of
from bot.faces.discord.localisation import Words


class CancelButton(LastingButton, template=f"cancel:{JOB}"):
    """Cancels a waiting or running job; the studio allows it to its owner and to admins."""

    def __init__(self, job_id: str, label: str) -> None:
        super().__init__(
            discord.ui.Button(
                label=label, custom_id=f"cancel:{job_id}", style=discord.ButtonStyle.danger
            )
        )
        self.job_id = job_id

    @classmethod
    def restored(cls, match: re.Match[str], label: str) -> Self:
        """The button of an earlier message."""
        return cls(match["job"], label)

    async def pressed(self, interaction: Interaction) -> None:
        """Cancel; the message itself changes when the ending is delivered."""
        await interaction.response.defer()
        job = await interaction.client.studio.cancel(caller_of(interaction), self.job_id)
        if interaction.message is not None and interaction.message.flags.ephemeral:
            words = Words(interaction.locale.value)
            text = words("cancel.done", state=words(f"states.{job.state.value}"))
            await interaction.followup.send(text, ephemeral=True)
