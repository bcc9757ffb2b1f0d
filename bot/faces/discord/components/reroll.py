"""The buttons that run a job again: reroll as it was, remix with an edited prompt."""

import re
from typing import Self

import discord

from bot.faces.discord.components.identifiers import JOB
from bot.faces.discord.components.lasting import LastingButton
from bot.faces.discord.face import Interaction, caller_of
from bot.faces.discord.forms import Fields, FormAnswer, show_form, text_field
from bot.faces.discord.localisation import Words
from bot.faces.discord.submission import submit_one

PROMPT_MAX = 3000  # characters of a prompt; a form's box would take 4000


class RerollButton(LastingButton, template=f"reroll:{JOB}"):
    """Runs the same job with a new seed; it belongs to whoever presses."""

    def __init__(self, job_id: str, label: str) -> None:
        super().__init__(
            discord.ui.Button(
                label=label,
                emoji="🔄",
                custom_id=f"reroll:{job_id}",
                style=discord.ButtonStyle.primary,
            )
        )
        self.job_id = job_id

    @classmethod
    def restored(cls, match: re.Match[str], label: str) -> Self:
        """The button of an earlier message."""
        return cls(match["job"], label)

    async def pressed(self, interaction: Interaction) -> None:
        """Submit the job."""
        studio = interaction.client.studio
        await submit_one(
            interaction,
            lambda caller, destination: studio.reroll(caller, self.job_id, destination),
        )


class RemixButton(LastingButton, template=f"remix:{JOB}"):
    """Opens a form with the prompt filled in."""

    def __init__(self, job_id: str, label: str) -> None:
        super().__init__(discord.ui.Button(label=label, emoji="✏️", custom_id=f"remix:{job_id}"))
        self.job_id = job_id

    @classmethod
    def restored(cls, match: re.Match[str], label: str) -> Self:
        """The button of an earlier message."""
        return cls(match["job"], label)

    async def pressed(self, interaction: Interaction) -> None:
        """Show the form; a form can't follow a deferral."""
        words = Words(interaction.locale.value)
        job = await interaction.client.studio.job(caller_of(interaction), self.job_id)
        box = text_field(
            "prompt",
            words("remix.prompt"),
            value=job.prompt,
            max_length=PROMPT_MAX,
            is_long=True,
        )
        await show_form(
            interaction,
            title=words("remix.title"),
            custom_id=f"remix:{self.job_id}",
            fields=[box],
        )


async def _remixed(interaction: Interaction, match: re.Match[str], fields: Fields) -> None:
    studio = interaction.client.studio
    await submit_one(
        interaction,
        lambda caller, destination: studio.reroll(
            caller, match["job"], destination, text=fields["prompt"]
        ),
    )


REMIX_FORM = FormAnswer(re.compile(f"remix:{JOB}"), _remixed)
