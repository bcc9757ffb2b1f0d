"""What a message of ours shows, by its buttons, and taking it off again."""

import re

import discord

from bot.faces.discord.addresses import is_gone
from bot.faces.discord.face import Interaction
from bot.studio.contract import ImageView


def named_in(components: object, custom_id: re.Pattern[str]) -> str | None:
    """What the first button of a kind names, by the one group of its custom_id."""
    for component in components if isinstance(components, list | tuple) else ():
        match = custom_id.fullmatch(str(getattr(component, "custom_id", "") or ""))
        found = match[1] if match else named_in(getattr(component, "children", ()), custom_id)
        if found:
            return found
    return None


def is_secret_message(interaction: Interaction) -> bool:
    """What was pressed on is seen by this member alone."""
    return interaction.message is not None and interaction.message.flags.ephemeral


def shows_alone(message: discord.Message | None, image_id: str) -> bool:
    """The message shows this one picture, with its buttons; a menu of several has no Info."""
    return message is not None and _has_button(message, f"info:{image_id}")


def shows_strength(message: discord.Message | None, job_id: str) -> bool:
    """The message has the menu by which another strength of a job's images is chosen."""
    return message is not None and _has_button(message, f"strength:{job_id}")


def public_id(interaction: Interaction) -> int | None:
    """The message that was pressed on, where others see it too."""
    message = interaction.message
    if message is None or interaction.guild_id is None or message.flags.ephemeral:
        return None
    return message.id


def lasting_id(interaction: Interaction) -> int | None:
    """The message that was pressed on, where the bot may change it at any time."""
    message = interaction.message
    if message is None or message.flags.ephemeral or interaction.context.private_channel:
        return None
    return message.id


def is_secret_here(interaction: Interaction, image: ImageView) -> bool:
    """Others see the message that was pressed on, and shall not see the image."""
    is_shown = image.shown_in is not None and image.shown_in == interaction.channel_id
    return image.is_private and not is_shown and public_id(interaction) is not None


async def take_down(
    interaction: Interaction, message_id: int, custom_id: str, view: discord.ui.LayoutView
) -> bool:
    """Exchange a message of this channel; False where the bot can't, or it lacks that button."""
    if interaction.channel_id is None:
        return False
    place = interaction.client.get_partial_messageable(
        interaction.channel_id, guild_id=interaction.guild_id
    )
    try:
        message = await place.fetch_message(message_id)
        if not _has_button(message, custom_id):
            return False
        await message.edit(view=view, attachments=[])
    except discord.HTTPException as error:
        if not is_gone(error) and not isinstance(error, discord.Forbidden):
            raise
        return False
    return True


def _has_button(message: discord.Message, custom_id: str) -> bool:
    return named_in(message.components, re.compile(f"({re.escape(custom_id)})")) is not None
