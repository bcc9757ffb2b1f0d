"""The buttons that tell everything about a job or an image."""

from bot.faces.discord.cards import shortened
from bot.faces.discord.components.identifiers import IMAGE, JOB
from bot.faces.discord.components.lasting import SubjectButton
from bot.faces.discord.face import Interaction, caller_of
from bot.faces.discord.localisation import Words
from bot.studio.contract import ImageView, JobView
from engine.api import GenerationParameters

PARAMETERS_SHOWN = 1200  # characters
TAGS_SHOWN = 300  # characters


class InfoButton(SubjectButton, verb="info", subject=IMAGE, emoji="ℹ️"):
    """Shows an image's parameters and where it came from."""

    async def pressed(self, interaction: Interaction) -> None:
        """Answer to this member alone."""
        await interaction.response.defer(thinking=True, ephemeral=True)
        image = await interaction.client.studio.image(caller_of(interaction), self.subject)
        text = image_details(Words(interaction.locale.value), image)
        await interaction.edit_original_response(content=text)


class JobInfoButton(SubjectButton, verb="details", subject=JOB, emoji="ℹ️"):
    """Shows a job's images with their ids and seeds, and the parameters."""

    async def pressed(self, interaction: Interaction) -> None:
        """Answer to this member alone."""
        await interaction.response.defer(thinking=True, ephemeral=True)
        job = await interaction.client.studio.job(caller_of(interaction), self.subject)
        text = job_details(Words(interaction.locale.value), job)
        await interaction.edit_original_response(content=text)


def image_details(words: Words, image: ImageView) -> str:
    """All about one image, within Discord's 2000 characters."""
    lines = [
        words("info.image", id=image.id),
        words("info.made", operation=words(f"operations.{image.operation.value}")),
        words("info.size", width=image.width, height=image.height, seed=image.seed),
        words("info.owner", owner=f"<@{image.owner_id}>"),
    ]
    if image.parent_id:
        lines.append(words("info.parent", id=image.parent_id))
    if image.tags:
        lines.append(words("info.tags", tags=shortened(", ".join(image.tags), TAGS_SHOWN)))
    return "\n".join([*lines, _block(image.parameters)])


def job_details(words: Words, job: JobView) -> str:
    """All about one job, within Discord's 2000 characters."""
    lines = [
        words("info.job", id=job.id),
        words("info.made", operation=words(f"operations.{job.operation.value}")),
        words("info.owner", owner=f"<@{job.owner_id}>"),
    ]
    lines += [
        words("info.of_job", number=image.index + 1, id=image.id, seed=image.seed)
        for image in job.images
    ]
    parameters = job.images[0].parameters if job.images else job.prompt
    return "\n".join([*lines, _block(parameters)])


def parameters_details(words: Words, parameters: GenerationParameters) -> str:
    """What a picture itself says, within Discord's 2000 characters."""
    return f"{words('info.told')}\n{_block(parameters.to_text())}"


def _block(text: str) -> str:
    harmless = shortened(text, PARAMETERS_SHOWN).replace("```", "ˋˋˋ")
    return f"```\n{harmless}\n```"
