"""Context menus of a message: Make again, Restyle, Use as style, Info."""

import hashlib
import re
from pathlib import PurePosixPath

import discord
from discord import app_commands

from bot.errors import UnusablePicture
from bot.faces.discord.cards import Shown, card
from bot.faces.discord.components.details import image_details, job_details, parameters_details
from bot.faces.discord.components.identifiers import IMAGE, JOB
from bot.faces.discord.components.restyle import UPLOAD, ask_look
from bot.faces.discord.components.showing import named_in
from bot.faces.discord.components.style import DrawInStyleButton
from bot.faces.discord.face import Interaction, caller_of
from bot.faces.discord.localisation import Words, phrase
from bot.faces.discord.submission import submit_one
from bot.faces.discord.uploads import check_fits, fetch_picture, first_picture
from bot.studio.contract import Caller, Destination, JobView
from engine.api import read_parameters

_OF_JOB = re.compile(rf"(?:reroll|remix|details):{JOB}")
_OF_IMAGE = re.compile(rf"(?:info|favourite):{IMAGE}")


@app_commands.context_menu(name=phrase("commands.make-again.name"))
@app_commands.allowed_installs(guilds=True, users=True)
@app_commands.allowed_contexts(guilds=True, dms=True, private_channels=True)
async def make_again(interaction: Interaction, message: discord.Message) -> None:
    """The same picture anew, from our record of it or from the parameters it carries."""
    studio = interaction.client.studio

    async def submit(caller: Caller, destination: Destination) -> JobView:
        picture = await picture_of(interaction, message)
        return await studio.make_again(caller, picture, destination)

    await submit_one(interaction, submit, is_secret=message.flags.ephemeral)


@app_commands.context_menu(name=phrase("commands.message-info.name"))
@app_commands.allowed_installs(guilds=True, users=True)
@app_commands.allowed_contexts(guilds=True, dms=True, private_channels=True)
async def message_info(interaction: Interaction, message: discord.Message) -> None:
    """What is known of the picture in a message."""
    await interaction.response.defer(thinking=True, ephemeral=True)
    words, caller = Words(interaction.locale.value), caller_of(interaction)
    studio = interaction.client.studio
    if image_id := named_here(interaction, message, _OF_IMAGE):
        text = image_details(words, await studio.image(caller, image_id))
    elif job_id := named_here(interaction, message, _OF_JOB):
        text = job_details(words, await studio.job(caller, job_id))
    else:
        picture = await fetch_picture(interaction, first_picture(interaction, message))
        text = _told_by(words, picture)
    await interaction.edit_original_response(content=text)


def _told_by(words: Words, picture: bytes) -> str:
    """What a picture says of itself; no word of it need be true.

    Raises:
        UnusablePicture: it says nothing.
    """
    parameters = read_parameters(picture)  # looks at text chunks alone, decodes nothing
    if parameters is None:
        raise UnusablePicture(words("upload.silent"))
    return parameters_details(words, parameters)


@app_commands.context_menu(name=phrase("commands.use-as-style.name"))
@app_commands.allowed_installs(guilds=True, users=True)
@app_commands.allowed_contexts(guilds=True, dms=True, private_channels=True)
async def use_as_style(interaction: Interaction, message: discord.Message) -> None:
    """Save the picture as a style of the member's, and offer to draw with it."""
    await interaction.response.defer(thinking=True, ephemeral=True)
    words = Words(interaction.locale.value)
    picture = await picture_of(interaction, message)
    name = f"style-{hashlib.sha256(picture).hexdigest()[:6]}"
    await interaction.client.studio.save_style(caller_of(interaction), name, picture)
    button = DrawInStyleButton(name, words("buttons.draw_in_style"))
    view = card(words("style.saved", name=name), rows=[[button]])
    await interaction.edit_original_response(view=view)


@app_commands.context_menu(name=phrase("commands.restyle.name"))
@app_commands.allowed_installs(guilds=True, users=True)
@app_commands.allowed_contexts(guilds=True, dms=True, private_channels=True)
async def restyle(interaction: Interaction, message: discord.Message) -> None:
    """Ask which look the picture shall take; the question holds a picture that is not ours."""
    await interaction.response.defer(thinking=True, ephemeral=True)
    image_id = await _image_in(interaction, message)
    if image_id is not None:
        await ask_look(interaction, image_id, is_secret=message.flags.ephemeral)
        return
    attachment = first_picture(interaction, message)
    picture = await fetch_picture(interaction, attachment)
    check_fits(interaction, {attachment.filename: picture})
    suffix = PurePosixPath(attachment.filename).suffix.lower() or ".png"
    shown = Shown(picture, f"content{suffix}", Words(interaction.locale.value)("restyle.alt"))
    await ask_look(interaction, UPLOAD, shown, is_secret=message.flags.ephemeral)


async def picture_of(interaction: Interaction, message: discord.Message) -> bytes:
    """The picture of a message: the gallery's original where it is ours, else the attachment."""
    image_id = await _image_in(interaction, message)
    if image_id is not None:
        return await interaction.client.studio.image_png(caller_of(interaction), image_id)
    return await fetch_picture(interaction, first_picture(interaction, message))


async def _image_in(interaction: Interaction, message: discord.Message) -> str | None:
    """The image of the gallery that a message shows first; None where it is not ours."""
    image_id = named_here(interaction, message, _OF_IMAGE)
    if image_id is None and (job_id := named_here(interaction, message, _OF_JOB)):
        job = await interaction.client.studio.job(caller_of(interaction), job_id)
        image_id = job.images[0].id if job.images else None
    return image_id


def named_here(
    interaction: Interaction, message: discord.Message, custom_id: re.Pattern[str]
) -> str | None:
    """The id that a button of one of our messages carries."""
    bot_user = interaction.client.user
    if bot_user is None or message.author.id != bot_user.id:
        return None
    return named_in(message.components, custom_id)
