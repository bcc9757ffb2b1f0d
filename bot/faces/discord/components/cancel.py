"""The button that cancels a job."""

import discord

from bot.faces.discord.components.identifiers import JOB
from bot.faces.discord.components.lasting import SubjectButton
from bot.faces.discord.components.showing import is_secret_message
from bot.faces.discord.face import Interaction, caller_of
from bot.faces.discord.localisation import Words
from bot.studio.contract import JobState, JobView


class CancelButton(SubjectButton, verb="cancel", subject=JOB, look=discord.ButtonStyle.danger):
    """Cancels a waiting or running job; the studio allows it to its owner and to admins."""

    async def pressed(self, interaction: Interaction) -> None:
        """Cancel; the message itself changes when the ending is delivered."""
        await interaction.response.defer()
        job = await interaction.client.studio.cancel(caller_of(interaction), self.subject)
        is_shown_there = job.state is JobState.CANCELLED and not is_secret_message(interaction)
        if not is_shown_there:
            text = cancelled_line(Words(interaction.locale.value), job)
            await interaction.followup.send(text, ephemeral=True)


def cancelled_line(words: Words, job: JobView) -> str:
    """What became of a job that somebody wanted to end."""
    if not job.state.is_final:  # a training, which goes on until it has made its result
        return words("cancel.early")
    return words("cancel.done", state=words(f"states.{job.state.value}"))
