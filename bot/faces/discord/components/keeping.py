"""The buttons about keeping pictures: favourite, delete, restore."""

import re
from collections.abc import Sequence
from typing import Any, Self

import discord

from bot.faces.discord.cards import card
from bot.faces.discord.components.identifiers import IMAGE, JOB
from bot.faces.discord.components.lasting import LastingButton, SubjectButton
from bot.faces.discord.face import Interaction, caller_of
from bot.faces.discord.localisation import Words
from bot.studio.contract import ImageView


class FavouriteButton(SubjectButton, verb="favourite", subject=IMAGE, emoji="❤️"):
    """Marks an image for whoever presses, or takes the mark away."""

    async def pressed(self, interaction: Interaction) -> None:
        """Toggle the mark and say so."""
        await interaction.response.defer(thinking=True, ephemeral=True)
        await interaction.edit_original_response(
            content=await _toggle_favourite(interaction, self.subject)
        )


class PickButton(
    LastingButton,
    template=f"pick:(?P<purpose>favourite|delete):{JOB}",
):
    """Asks which of a job's images is meant."""

    def __init__(self, purpose: str, job_id: str, label: str) -> None:
        emoji = "❤️" if purpose == "favourite" else "🗑️"
        super().__init__(
            discord.ui.Button(label=label, emoji=emoji, custom_id=f"pick:{purpose}:{job_id}")
        )
        self.purpose = purpose
        self.job_id = job_id

    @classmethod
    def restored(cls, match: re.Match[str], label: str) -> Self:
        """The button of an earlier message."""
        return cls(match["purpose"], match["job"], label)

    async def pressed(self, interaction: Interaction) -> None:
        """Show a button for each image, to this member alone."""
        words = Words(interaction.locale.value)
        await interaction.response.defer(thinking=True, ephemeral=True)
        job = await interaction.client.studio.job(caller_of(interaction), self.job_id)
        view = card(words(f"pick.{self.purpose}"), rows=_in_rows(self._choices(job.images)))
        await interaction.edit_original_response(view=view)

    def _choices(self, images: Sequence[ImageView]) -> list[discord.ui.Item[Any]]:
        if self.purpose == "favourite":
            return [FavouriteButton(image.id, str(image.index + 1)) for image in images]
        return [DeleteButton(image.id, str(image.index + 1)) for image in images]


class DeleteButton(SubjectButton, verb="delete", subject=IMAGE, emoji="🗑️"):
    """Deletes an image; the studio allows it to its owner and to admins."""

    async def pressed(self, interaction: Interaction) -> None:
        """Delete, and offer to undo it."""
        words = Words(interaction.locale.value)
        await interaction.response.defer(thinking=True, ephemeral=True)
        await interaction.client.studio.delete(caller_of(interaction), self.subject)
        undo = RestoreButton(self.subject, words("buttons.restore"))
        view = card(words("delete.done", id=self.subject), rows=[[undo]])
        await interaction.edit_original_response(view=view)


class RestoreButton(SubjectButton, verb="restore", subject=IMAGE, emoji="↩️"):
    """Brings a deleted image back, within 24 hours."""

    async def pressed(self, interaction: Interaction) -> None:
        """Restore and say so."""
        words = Words(interaction.locale.value)
        await interaction.response.defer(thinking=True, ephemeral=True)
        image = await interaction.client.studio.restore(caller_of(interaction), self.subject)
        await interaction.edit_original_response(content=words("restore.done", id=image.id))


async def _toggle_favourite(interaction: Interaction, image_id: str) -> str:
    words = Words(interaction.locale.value)
    studio, caller = interaction.client.studio, caller_of(interaction)
    image = await studio.image(caller, image_id)
    marked = await studio.favourite(caller, image_id, on=not image.is_favourite)
    return words("favourite.on" if marked.is_favourite else "favourite.off", id=image_id)


def _in_rows(items: Sequence[discord.ui.Item[Any]]) -> list[Sequence[discord.ui.Item[Any]]]:
    return [items[start : start + 5] for start in range(0, len(items), 5)]
