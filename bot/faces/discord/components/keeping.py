"""The buttons about keeping pictures: favourite, delete, restore."""

import contextlib
import re
from collections.abc import Sequence
from typing import Any, Self

import discord

from bot.errors import NotFound
from bot.faces.discord.cards import GREY, card
from bot.faces.discord.components.identifiers import IMAGE, JOB
from bot.faces.discord.components.lasting import LastingButton, SubjectButton
from bot.faces.discord.components.showing import (
    is_secret_here,
    lasting_id,
    shows_alone,
    shows_strength,
    take_down,
)
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
        if not job.images:
            raise NotFound(words("pick.none"))
        message_id = lasting_id(interaction)
        rows = _in_rows(self._choices(job.images, message_id))
        if self.purpose == "delete" and len(job.images) > 1:
            rows.append([DeleteAllButton(self.job_id, words("buttons.delete_all"), message_id)])
        view = card(words(f"pick.{self.purpose}"), rows=rows)
        await interaction.edit_original_response(view=view)

    def _choices(
        self, images: Sequence[ImageView], message_id: int | None
    ) -> list[discord.ui.Item[Any]]:
        if self.purpose == "favourite":
            return [FavouriteButton(image.id, str(image.index + 1)) for image in images]
        return [DeleteButton(image.id, str(image.index + 1), message_id) for image in images]


class DeleteButton(LastingButton, template=rf"delete:{IMAGE}(?::(?P<message>\d{{1,20}}))?"):
    """Deletes an image; the studio allows it to its owner and to admins.

    Where it is one of a grid's, the custom_id names the message that shows the grid.
    """

    def __init__(self, image_id: str, label: str, grid_message_id: int | None = None) -> None:
        custom_id = f"delete:{image_id}"
        if grid_message_id is not None:
            custom_id += f":{grid_message_id}"
        super().__init__(discord.ui.Button(label=label, emoji="🗑️", custom_id=custom_id))
        self.image_id = image_id
        self.grid_message_id = grid_message_id

    @classmethod
    def restored(cls, match: re.Match[str], label: str) -> Self:
        """The button of an earlier message."""
        grid_message = match["message"]
        return cls(match["image"], label, int(grid_message) if grid_message else None)

    async def pressed(self, interaction: Interaction) -> None:
        """Delete, take the picture off the message where it is alone, and offer to undo it.

        Of several strengths, the message shows the others then.
        """
        words, caller = Words(interaction.locale.value), caller_of(interaction)
        studio = interaction.client.studio
        is_here = shows_alone(interaction.message, self.image_id)
        if is_here:
            await interaction.response.defer()  # the answer takes the picture's place
        else:
            await interaction.response.defer(thinking=True, ephemeral=True)
        image = await studio.image(caller, self.image_id)
        await studio.delete(caller, image.id)
        note = await self._note(interaction, words, image)
        has_others = is_here and shows_strength(interaction.message, image.job_id)
        if has_others and await interaction.client.show_strengths(interaction, image.job_id):
            undo = RestoreButton(image.id, words("buttons.restore"), is_here=False)
            view = card(words("delete.done", id=image.id), note, rows=[[undo]])
            await interaction.followup.send(view=view, ephemeral=True)
            return
        undo = RestoreButton(image.id, words("buttons.restore"), is_here=is_here)
        view = card(words("delete.done", id=image.id), note, rows=[[undo]])
        await interaction.edit_original_response(view=view, attachments=[])

    async def _note(self, interaction: Interaction, words: Words, image: ImageView) -> str:
        """Where the deleted picture still is to be seen, and what to do about it."""
        if self.grid_message_id is not None:
            return await self._note_of_grid(interaction, words, image, self.grid_message_id)
        message = interaction.message
        is_viewer = message is not None and message.flags.ephemeral and not image.is_private
        return words("delete.elsewhere") if is_viewer else ""

    async def _note_of_grid(
        self, interaction: Interaction, words: Words, image: ImageView, message_id: int
    ) -> str:
        """The grid stays until the last of its pictures is deleted, and goes then."""
        left = 0
        with contextlib.suppress(NotFound):  # no picture of somebody else's job is left
            job = await interaction.client.studio.job(caller_of(interaction), image.job_id)
            left = len(job.images)
        if left:
            return words("delete.grid", count=left)
        view = card(words("delete.all"), colour=GREY)
        is_gone = await take_down(interaction, message_id, f"details:{image.job_id}", view)
        return "" if is_gone else words("delete.stays")


class DeleteAllButton(LastingButton, template=rf"delete-all:{JOB}(?::(?P<message>\d{{1,20}}))?"):
    """Deletes all images of a job; the studio allows it to its owner and to admins.

    The custom_id names the message that shows them, where it can be emptied.
    """

    def __init__(self, job_id: str, label: str, message_id: int | None) -> None:
        custom_id = f"delete-all:{job_id}"
        if message_id is not None:
            custom_id += f":{message_id}"
        look = discord.ButtonStyle.danger
        super().__init__(discord.ui.Button(label=label, emoji="🗑️", style=look, custom_id=custom_id))
        self.job_id = job_id
        self.message_id = message_id

    @classmethod
    def restored(cls, match: re.Match[str], label: str) -> Self:
        """The button of an earlier message."""
        message = match["message"]
        return cls(match["job"], label, int(message) if message else None)

    async def pressed(self, interaction: Interaction) -> None:
        """Delete them, empty the message that shows them, and offer to undo it."""
        words, caller = Words(interaction.locale.value), caller_of(interaction)
        studio = interaction.client.studio
        await interaction.response.defer()
        images = (await studio.job(caller, self.job_id)).images
        if not images:
            raise NotFound(words("pick.none"))
        for image in images:
            await studio.delete(caller, image.id)
        note = ""
        if self.message_id is not None:
            view = card(words("delete.all"), colour=GREY)
            custom_id = f"details:{self.job_id}"
            is_gone = await take_down(interaction, self.message_id, custom_id, view)
            note = "" if is_gone else words("delete.stays")
        undo = RestoreAllButton([image.id for image in images], words("buttons.restore"))
        view = card(words("delete.all_done", count=len(images)), note, rows=[[undo]])
        await interaction.edit_original_response(view=view)


class RestoreAllButton(
    LastingButton, template=r"undo:(?P<images>[0-9a-z]{8,12}(?:\.[0-9a-z]{8,12})*)"
):
    """Brings the images back that were deleted together, within 24 hours."""

    def __init__(self, image_ids: Sequence[str], label: str) -> None:
        custom_id = f"undo:{'.'.join(image_ids)}"  # at most 8 of 10 characters, of 100 in all
        super().__init__(discord.ui.Button(label=label, emoji="↩️", custom_id=custom_id))
        self.image_ids = image_ids

    @classmethod
    def restored(cls, match: re.Match[str], label: str) -> Self:
        """The button of an earlier message."""
        return cls(match["images"].split("."), label)

    async def pressed(self, interaction: Interaction) -> None:
        """Restore them, and say that they are back, in place of the offer."""
        words, caller = Words(interaction.locale.value), caller_of(interaction)
        await interaction.response.defer()
        for image_id in self.image_ids:
            await interaction.client.studio.restore(caller, image_id)
        view = card(words("restore.all_done", count=len(self.image_ids)))
        await interaction.edit_original_response(view=view)


class RestoreButton(LastingButton, template=rf"restore:{IMAGE}(?P<here>:here)?"):
    """Brings a deleted image back, within 24 hours; into the message it stood in, if that is this.

    The custom_id says so.
    """

    def __init__(self, image_id: str, label: str, *, is_here: bool) -> None:
        custom_id = f"restore:{image_id}{':here' if is_here else ''}"
        super().__init__(discord.ui.Button(label=label, emoji="↩️", custom_id=custom_id))
        self.image_id = image_id
        self.is_here = is_here

    @classmethod
    def restored(cls, match: re.Match[str], label: str) -> Self:
        """The button of an earlier message."""
        return cls(match["image"], label, is_here=match["here"] is not None)

    async def pressed(self, interaction: Interaction) -> None:
        """Restore, and show the picture again or say that it is back, in place of the offer."""
        words = Words(interaction.locale.value)
        await interaction.response.defer()
        image = await interaction.client.studio.restore(caller_of(interaction), self.image_id)
        if self.is_here and not is_secret_here(interaction, image):
            with contextlib.suppress(NotFound):  # it would be too large
                await interaction.client.show_image(interaction, image.id)
                return
        view = card(words("restore.done", id=image.id))
        await interaction.edit_original_response(view=view)


async def _toggle_favourite(interaction: Interaction, image_id: str) -> str:
    words = Words(interaction.locale.value)
    studio, caller = interaction.client.studio, caller_of(interaction)
    image = await studio.image(caller, image_id)
    marked = await studio.favourite(caller, image_id, on=not image.is_favourite)
    return words("favourite.on" if marked.is_favourite else "favourite.off", id=image_id)


def _in_rows(items: Sequence[discord.ui.Item[Any]]) -> list[Sequence[discord.ui.Item[Any]]]:
    return [items[start : start + 5] for start in range(0, len(items), 5)]
