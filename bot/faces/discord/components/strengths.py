"""The button that shows a restyled picture in several strengths."""

from bot.faces.discord.components.identifiers import IMAGE
from bot.faces.discord.components.lasting import SubjectButton
from bot.faces.discord.face import Interaction
from bot.faces.discord.submission import submit_one


class StrengthsButton(SubjectButton, verb="strengths", subject=IMAGE, emoji="🎚️"):
    """Makes four strengths to choose from; the new job belongs to whoever presses."""

    async def pressed(self, interaction: Interaction) -> None:
        """Submit the job."""
        studio = interaction.client.studio
        await submit_one(
            interaction,
            lambda caller, destination: studio.compare_strengths(caller, self.subject, destination),
        )
