"""Members' pictures: checked before they are fetched, fetched at once, passed on as bytes.

A picture that a component shows is not among its message's attachments: Discord names it in the
component alone, without its size.
"""

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import discord

from bot.errors import LimitReached, NotFound, UnusablePicture
from bot.faces.discord.addresses import file_limit
from bot.faces.discord.face import Interaction
from bot.faces.discord.localisation import ENGLISH, Words

ID_MAX = 40  # characters of an image's id as typed

FETCH_TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True)
class ShownPicture:
    """A picture that a component of a message shows."""

    url: str
    content_type: str | None

    @property
    def filename(self) -> str:
        """The name it was uploaded with."""
        return PurePosixPath(urlsplit(self.url).path).name


async def fetch_picture(
    interaction: Interaction, picture: discord.Attachment | ShownPicture
) -> bytes:
    """The original bytes of a message's picture.

    Raises:
        UnusablePicture: too large, not a picture, not on Discord's own servers, or gone.
    """
    if isinstance(picture, discord.Attachment):
        return await fetch_upload(interaction, picture)
    locale, options = interaction.locale.value, interaction.client.options
    if urlsplit(picture.url).hostname not in options.media_hosts:
        raise UnusablePicture(Words(locale)("upload.foreign"))
    return await fetch_link(picture.url, options.upload_max_bytes, locale)


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
        async with asyncio.timeout(FETCH_TIMEOUT_S):
            return await attachment.read()
    except (discord.HTTPException, aiohttp.ClientError, TimeoutError) as error:
        raise UnusablePicture(words("upload.gone", name=attachment.filename)) from error


def check_fits(interaction: Interaction, files: Mapping[str, bytes]) -> None:
    """Refuse uploads, by their names, that one message of ours could not hold.

    Raises:
        UnusablePicture: they are too large together for this place.
    """
    limit = file_limit(interaction)
    if sum(map(len, files.values())) > limit:
        name = max(files, key=lambda name: len(files[name]))
        words = Words(interaction.locale.value)
        raise UnusablePicture(words("upload.large", name=name, limit=limit // 2**20))


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


def require_one_of(interaction: Interaction, **given: object) -> None:
    """Refuse two options that mean the same thing, where one would be dropped.

    Raises:
        LimitReached: both are given.
    """
    if all(value is not None for value in given.values()):
        first, second = given
        raise LimitReached(
            Words(interaction.locale.value)("upload.both", first=first, second=second)
        )


async def picture_of(
    interaction: Interaction, attachment: discord.Attachment | None, image_id: str | None
) -> bytes | str:
    """What one of two options means: the bytes of an attachment, else the id of an image.

    Raises:
        NotFound: neither is given.
        UnusablePicture: the attachment can't be used.
    """
    if attachment is not None:
        return await fetch_upload(interaction, attachment)
    if image_id is None:
        raise NotFound(Words(interaction.locale.value)("upload.missing"))
    return typed_id(image_id)


def typed_id(text: str) -> str:
    """The id of an image, perhaps copied as a message shows it."""
    return text.strip().strip("`")


def is_picture(file: discord.Attachment | ShownPicture) -> bool:
    """It may be a picture; the studio looks inside."""
    return file.content_type is None or file.content_type.startswith("image/")


def pictures_of(message: discord.Message) -> Iterator[discord.Attachment | ShownPicture]:
    """All pictures of a message, attached, shown or forwarded."""
    parts: list[discord.Message | discord.MessageSnapshot] = [message, *message.message_snapshots]
    for part in parts:
        yield from filter(is_picture, part.attachments)
        yield from filter(is_picture, _shown(part.components))


def _shown(components: Iterable[Any]) -> Iterator[ShownPicture]:
    for component in components:
        if isinstance(component, discord.MediaGalleryComponent):
            media = [item.media for item in component.items]
            yield from (ShownPicture(item.url, item.content_type) for item in media)
        yield from _shown(getattr(component, "children", ()))


def first_picture(
    interaction: Interaction, message: discord.Message
) -> discord.Attachment | ShownPicture:
    """The first picture of a message.

    Raises:
        NotFound: there is none.
    """
    found = next(pictures_of(message), None)
    if found is None:
        raise NotFound(Words(interaction.locale.value)("upload.none"))
    return found
