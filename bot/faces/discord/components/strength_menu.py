"""The menu under a restyle in several strengths: the message shows one of them, or all again."""

import re
from collections.abc import Sequence
from typing import Self

import discord

from bot.errors import NotFound
from bot.faces.discord.addresses import file_limit
from bot.faces.discord.cards import (
    Row,
    Shown,
    alt_text_of,
    image_alt_text,
    image_card,
    result_card,
)
from bot.faces.discord.components.identifiers import JOB
from bot.faces.discord.components.lasting import LastingMenu
from bot.faces.discord.components.reroll import RemixButton
from bot.faces.discord.components.showing import is_secret_here, is_secret_message
from bot.faces.discord.face import Interaction, caller_of
from bot.faces.discord.image_controls import image_controls
from bot.faces.discord.localisation import Words
from bot.faces.discord.pictures import fitting_upload, grid_of
from bot.faces.discord.whole_controls import whole_controls
from bot.studio.contract import ImageView, JobView

_ALL = "all"


class StrengthMenu(LastingMenu, template=f"strength:{JOB}"):
    """The strengths of a job's images."""

    def __init__(
        self, job_id: str, options: list[discord.SelectOption], placeholder: str = ""
    ) -> None:
        super().__init__(
            discord.ui.Select(
                custom_id=f"strength:{job_id}", options=options, placeholder=placeholder or None
            )
        )
        self.job_id = job_id

    @classmethod
    def of(cls, words: Words, job: JobView, chosen: str = "") -> Self:
        """The menu of a job; `chosen` is the image that is shown alone."""
        options = [
            discord.SelectOption(
                label=words("strengths.percent", percent=round(100 * job.strengths[image.index])),
                value=image.id,
                default=image.id == chosen,
            )
            for image in job.images
        ]
        options.append(discord.SelectOption(label=words("strengths.all"), value=_ALL))
        return cls(job.id, options, words("strengths.choose"))

    @classmethod
    def restored(cls, match: re.Match[str], options: list[discord.SelectOption]) -> Self:
        """The menu of an earlier message."""
        return cls(match["job"], options)

    async def chosen(self, interaction: Interaction, value: str) -> None:
        """Show the image in the message; to others, or where it is secret, in one of their own."""
        await interaction.response.defer()  # first: whoever waits for the database still waits here
        studio, caller = interaction.client.studio, caller_of(interaction)
        job = await studio.job(caller, self.job_id)
        wanted = [image for image in job.images if value in {image.id, _ALL}]
        is_secret = any(is_secret_here(interaction, image) for image in wanted)
        view, shown = await _shown(interaction, job, wanted, value)
        is_theirs = job.owner_id == caller.owner_id or is_secret_message(interaction)
        if is_theirs and not is_secret:
            await interaction.edit_original_response(view=view, attachments=[shown.file()])
        else:
            await interaction.followup.send(view=view, files=[shown.file()], ephemeral=True)


def strengths_controls(words: Words, job: JobView) -> list[Row]:
    """Under all strengths side by side."""
    remix = RemixButton(job.id, words("buttons.remix"))
    return [[StrengthMenu.of(words, job)], *whole_controls(words, job, remix)]


async def show_strengths(interaction: Interaction, job_id: str) -> bool:
    """Turn the acknowledged message into all strengths that are left; False where it can't be."""
    try:
        job = await interaction.client.studio.job(caller_of(interaction), job_id)
        if any(is_secret_here(interaction, image) for image in job.images):
            return False
        view, shown = await _shown(interaction, job, job.images, _ALL)
    except NotFound:  # none is left, or all together are too large
        return False
    await interaction.edit_original_response(view=view, attachments=[shown.file()])
    return True


async def _shown(
    interaction: Interaction, job: JobView, wanted: Sequence[ImageView], value: str
) -> tuple[discord.ui.LayoutView, Shown]:
    words = Words(interaction.locale.value)
    studio, caller = interaction.client.studio, caller_of(interaction)
    if not wanted:
        raise NotFound(words("strengths.gone"))
    files = [await studio.image_png(caller, image.id) for image in wanted]
    upload = await fitting_upload(await grid_of(files), file_limit(interaction))
    if upload is None:
        raise NotFound(words("result.too_large"))
    name = f"{value}.{upload.suffix}"
    if value == _ALL:
        shown = Shown(upload.data, name, alt_text_of(words, job))
        return result_card(words, job, [shown], strengths_controls(words, job)), shown
    image = wanted[0]
    shown = Shown(upload.data, name, image_alt_text(words, image))
    menu: Row = [StrengthMenu.of(words, job, value)]
    return image_card(words, image, shown, [menu, *image_controls(words, image)]), shown
