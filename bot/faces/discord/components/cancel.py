"""The button that cancels a job."""

import discord

from bot.faces.discord.components.identifiers import JOB
from bot.faces.discord.components.lasting import SubjectButton
from bot.faces.discord.components.showing import is_secret_message
from bot.faces.discord.face import Interaction, caller_of
from bot.faces.discord.localisation import Words
from bot.studio.contract import JobState


class CancelButton(SubjectButton, verb="cancel", subject=JOB, look=discord.ButtonStyle.danger):
    """Cancels a waiting or running job; the studio allows it to its owner and to admins."""

    async def pressed(self, interaction: Interaction) -> None:
        """Cancel; the message itself changes when the ending is delivered."""
        await interaction.response.defer()
        job = await interaction.client.studio.cancel(caller_of(interaction), self.subject)
        has_ended = job.state in {JobState.FINISHED, JobState.FAILED}  # nothing there will change
        if has_ended or is_secret_message(interaction):
            words = Words(interaction.locale.value)
            text = words("cancel.done", state=words(f"states.{job.state.value}"))
            await interaction.followup.send(text, ephemeral=True)
