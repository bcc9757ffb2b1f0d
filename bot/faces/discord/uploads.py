"""Members' attachments: checked before they are fetched, fetched at once, passed on as bytes."""

from collections.abc import Iterable
from urllib.parse import urlsplit

import discord

from bot.errors import NotFound, UnusablePicture
from bot.faces.discord.face import Interaction
from bot.faces.discord.localisation import Words


async def fetch_upload(interaction: Interaction, attachment: discord.Attachment) -> bytes:
    """The original bytes of an attachment; its preview would lack the metadata.

    Raises:
        UnusablePicture: too large, not a picture, not on Discord's own servers, or gone.
    """
    words = Words(interaction.locale.value)
    options = interaction.client.options
    if urlsplit(attachment.url).hostname not in options.media_hosts:
        raise UnusablePicture(words("upload.foreign"))
    if attachment.size > options.upload_max_bytes:
        limit = options.upload_max_bytes // 2**20
        raise UnusablePicture(words("upload.large", name=attachment.filename, limit=limit))
    if not is_picture(attachment):
        raise UnusablePicture(words("upload.kind", name=attachment.filename))
    try:
        return await attachment.read()
    except discord.HTTPException as error:
        raise UnusablePicture(words("upload.gone", name=attachment.filename)) from error


def is_picture(attachment: discord.Attachment) -> bool:
    """It may be a picture; the studio looks inside."""
    return attachment.content_type is None or attachment.content_type.startswith("image/")


def first_picture(interaction: Interaction, message: discord.Message) -> discord.Attachment:
    """The first picture of a message.

    Raises:
        NotFound: there is none.
    """
    attachments: Iterable[discord.Attachment] = message.attachments
    found = next((a for a in attachments if is_picture(a)), None)
    if found is None:
        raise NotFound(Words(interaction.locale.value)("upload.none"))
    return found
