"""Members' attachments: checked before they are fetched, fetched at once, passed on as bytes."""

from collections.abc import Iterable
from urllib.parse import urlsplit

import aiohttp
import discord

from bot.errors import NotFound, UnusablePicture
from bot.faces.discord.face import Interaction
from bot.faces.discord.localisation import ENGLISH, Words

FETCH_TIMEOUT_S = 30.0


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


async def fetch_link(link: str, max_bytes: int, language: str = ENGLISH) -> bytes:
    """The bytes behind a link of a prompt; the studio lets links to Discord's hosts through alone.

    Raises:
        UnusablePicture: it can't be fetched, or is too large.
    """
    words = Words(language)
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=FETCH_TIMEOUT_S)) as session,
            session.get(link, allow_redirects=False) as response,
        ):
            if response.status != 200:
                raise UnusablePicture(words("upload.gone", name=link))
            data = await response.content.read(max_bytes + 1)
            while len(data) <= max_bytes and (more := await response.content.read(max_bytes)):
                data += more
    except (aiohttp.ClientError, TimeoutError) as error:
        raise UnusablePicture(words("upload.gone", name=link)) from error
    if len(data) > max_bytes:
        raise UnusablePicture(words("upload.large", name=link, limit=max_bytes // 2**20))
    return data


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
