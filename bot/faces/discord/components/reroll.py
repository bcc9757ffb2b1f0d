"""The buttons that run a job again: reroll as it was, remix with an edited prompt."""

import re

import discord

from bot.errors import LimitReached
from bot.faces.discord.components.identifiers import JOB
from bot.faces.discord.components.lasting import SubjectButton
from bot.faces.discord.face import Interaction, caller_of
from bot.faces.discord.forms import Fields, FormAnswer, show_form, text_field
from bot.faces.discord.localisation import Words
from bot.faces.discord.submission import submit_one

PROMPT_MAX = 3000  # characters of a prompt as typed in a command, whose options follow as flags
REMIXED_MAX = 4000  # characters of a form's box: a prompt with the flags that came of options


class RerollButton(
    SubjectButton, verb="reroll", subject=JOB, emoji="🔄", look=discord.ButtonStyle.primary
):
    """Runs the same job with a new seed; it belongs to whoever presses."""

    async def pressed(self, interaction: Interaction) -> None:
        """Submit the job."""
        studio = interaction.client.studio
        await submit_one(
            interaction,
            lambda caller, destination: studio.reroll(caller, self.subject, destination),
        )


class RemixButton(SubjectButton, verb="remix", subject=JOB, emoji="✏️"):
    """Opens a form with the prompt filled in."""

    async def pressed(self, interaction: Interaction) -> None:
        """Show the form; a form can't follow a deferral."""
        words = Words(interaction.locale.value)
        job = await interaction.client.studio.job(caller_of(interaction), self.subject)
        if len(job.prompt) > REMIXED_MAX:
            raise LimitReached(words("remix.long", limit=REMIXED_MAX))
        box = text_field(
            "prompt",
            words("remix.prompt"),
            value=job.prompt,
            max_length=REMIXED_MAX,
            is_long=True,
        )
        await show_form(
            interaction,
            title=words("remix.title"),
            custom_id=f"remix:{self.subject}",
            fields=[box],
        )


async def _remixed(interaction: Interaction, match: re.Match[str], fields: Fields) -> None:
    studio, text = interaction.client.studio, fields["prompt"]
    await submit_one(
        interaction,
        lambda caller, destination: studio.reroll(caller, match["job"], destination, text=text),
        text=text,
    )


REMIX_FORM = FormAnswer(re.compile(f"remix:{JOB}"), _remixed)
