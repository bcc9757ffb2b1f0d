"""The button that cancels a job."""

import discord

from bot.faces.discord.components.identifiers import JOB
from bot.faces.discord.components.lasting import SubjectButton
from bot.faces.discord.face import Interaction, caller_of
from bot.faces.discord.localisation import Words


class CancelButton(SubjectButton, verb="cancel", subject=JOB, look=discord.ButtonStyle.danger):
    """Cancels a waiting or running job; the studio allows it to its owner and to admins."""

    async def pressed(self, interaction: Interaction) -> None:
        """Cancel; the message itself changes when the ending is delivered."""
        await interaction.response.defer()
        job = await interaction.client.studio.cancel(caller_of(interaction), self.subject)
        if interaction.message is not None and interaction.message.flags.ephemeral:
            words = Words(interaction.locale.value)
            text = words("cancel.done", state=words(f"states.{job.state.value}"))
            await interaction.followup.send(text, ephemeral=True)
