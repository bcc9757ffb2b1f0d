"""The pictures and looks that come with what members ask for: uploads, links, the gallery's."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TypeAlias
from urllib.parse import urlsplit

from bot.errors import LimitReached, NotAllowed, NotFound, UnusablePicture
from bot.storage.files import ImageFiles
from bot.storage.images import ImageRow, SeenImage
from bot.storage.jobs import Jobs
from bot.studio import restyling
from bot.studio.asking import Sources, Wish, request_of, valid
from bot.studio.cells import read_cells
from bot.studio.codec import UnreadableRequest, decode_request, file_keys
from bot.studio.contract import Caller, Operation, Restyling, StyleChoice
from bot.studio.gallery import Gallery
from bot.studio.house import House
from bot.studio.pictures import shown_words
from bot.studio.restyling import Content, Look, checked_weight
from engine.api import (
    Catalogue,
    InvalidRequest,
    Request,
    StyleMethod,
    StyleReference,
    Stylize,
    Upload,
    UploadDecoder,
    cells_mask,
    image_of,
)

FetchPicture: TypeAlias = Callable[[str, str], Awaitable[bytes]]  # of a link, for a locale

LINK_HOSTS = frozenset({"cdn.discordapp.com", "media.discordapp.net"})


@dataclass(frozen=True, slots=True)
class Found:
    """A picture that came along, was named, or is the newest."""

    content: Content
    seen: SeenImage | None = None  # the image it is, if it is one of the gallery
    restyled: SeenImage | None = None  # what was made of it, by which it was found
    is_first_frame: bool = False  # of what moves


class Ingredients:
    """Cleans, fetches and finds them."""

    def __init__(
        self,
        *,
        jobs: Jobs,
        files: ImageFiles,
        gallery: Gallery,
        house: House,
        catalogue: Catalogue,
        decoder: UploadDecoder,
        link_hosts: frozenset[str] = LINK_HOSTS,
    ) -> None:
        self._jobs = jobs
        self._files = files
        self._gallery = gallery
        self._house = house
        self._catalogue = catalogue
        self._decoder = decoder
        self._link_hosts = link_hosts
        self.fetch_picture: FetchPicture | None = None

    async def clean(
        self, data: bytes, name: str = "the picture", *, all_frames: bool = False
    ) -> Upload:
        """Decode an upload apart from this process.

        Raises:
            UnusablePicture: says why.
        """
        try:
            return await self._decoder.decode(data, field=name, all_frames=all_frames)
        except InvalidRequest as error:
            raise UnusablePicture(error.text) from error

    async def attached(
        self, caller: Caller, source: bytes | str | None, style: bytes | str | None
    ) -> tuple[Sources, list[Found]]:
        """What came along with a prompt, uploads or ids."""
        sources, found = Sources(), []
        if source is not None:
            found.append(await self.still(caller, source))
            sources = _beginning(sources, found[-1].content)
        if style is not None:
            found.append(await self.still(caller, style, "the style"))
            sources = replace(sources, styles=(StyleReference(image=found[-1].content.png),))
        return sources, found

    async def request(self, caller: Caller, wish: Wish, came: Sources) -> Request:
        """The request of a prompt, with the pictures that it names and that came along."""
        links = wish.parsed.image_prompts
        if len(links) + bool(came.source) > 1:
            raise NotAllowed("one picture can be the beginning of an image; leave the others out")
        if links:
            linked = await self.clean(
                await self._fetched(links[0], caller.locale), "the linked picture"
            )
            came = _beginning(came, linked)
        named = [
            await self._style(caller, ref.ref, ref.weight) for ref in wish.parsed.style_references
        ]
        sources = replace(came, styles=tuple(dict.fromkeys((*named, *came.styles))))
        return valid(lambda: request_of(wish, sources, self._catalogue))

    async def images_named(self, caller: Caller, names: Iterable[str]) -> list[ImageRow]:
        """The images of the gallery among the names of styles, as far as the caller may see them.

        What is drawn or restyled in their look is made from them.
        """
        rows = []
        for name in dict.fromkeys(names):
            with suppress(NotFound):  # a style that is saved or ships, or a link
                rows.append((await self._gallery.seen(caller, name)).row)
        return rows

    async def _style(self, caller: Caller, ref: str, weight: float) -> StyleReference:
        if "://" in ref:
            upload = await self.clean(await self._fetched(ref, caller.locale), "the linked style")
            return StyleReference(image=upload.png, weight=weight)
        return replace((await self._named(caller, ref)).reference, weight=weight)

    async def content(
        self, caller: Caller, content: bytes | str | None, method: StyleMethod
    ) -> Found:
        """What is restyled; only the fast method restyles what moves.

        Raises:
            LimitReached: another method was asked for that.
        """
        if isinstance(content, bytes):
            return Found(await self._uploaded(content, method, restyling.A_PICTURE))
        if content is None:
            return await self._newest(caller, method)
        return await self._stored(await self._gallery.seen(caller, content), method)

    async def _newest(self, caller: Caller, method: StyleMethod) -> Found:
        """The caller's newest picture; of a restyle what it was before, where that is kept."""
        newest = await self._gallery.newest(caller)
        if newest.row.operation in (Operation.STYLIZE, Operation.COMPARE):
            with suppress(UnreadableRequest, NotFound):
                return await self._before(caller, newest, method)
        return await self._stored(newest, method)

    async def _before(self, caller: Caller, restyled: SeenImage, method: StyleMethod) -> Found:
        """What an own restyle began with.

        Raises:
            UnreadableRequest: its job is of another version.
            NotFound: the picture is gone.
        """
        row = restyled.row
        job = await self._jobs.by_id(row.job_id)
        files = {key: await self._files.read(key) for key in set(file_keys(job.request))}
        request = decode_request(job.request, files)
        assert isinstance(request, Stylize)
        if request.frames:
            _require_moving(method)
        width, height = (await asyncio.to_thread(image_of, request.content)).size
        content = Content(
            request.content,
            width,
            height,
            _words_of(row),
            request.frames,
            request.durations_ms,
        )
        seen = None
        if row.parent_id is not None:
            with suppress(NotFound):  # deleted since, or hidden by its owner
                seen = await self._gallery.seen(caller, row.parent_id)
        return Found(content, seen, restyled)

    async def _stored(self, seen: SeenImage, method: StyleMethod) -> Found:
        row = seen.row
        words = _words_of(row)
        if row.animation_key:
            moving = await self._files.read(row.animation_key)
            return Found(await self._uploaded(moving, method, words), seen)
        png = await self._files.read(row.file_key)
        return Found(Content(png, row.width, row.height, words), seen)

    async def still(self, caller: Caller, picture: bytes | str, name: str = "the picture") -> Found:
        """An upload, or an image of the gallery; of what moves the first frame."""
        if isinstance(picture, bytes):
            upload = await self.clean(picture, name)
            content = Content(upload.png, upload.width, upload.height)
            return Found(content, is_first_frame=upload.is_animated)
        seen = await self._gallery.seen(caller, picture)
        row = seen.row
        words = " ".join(shown_words(row.prompt).split()) or restyling.A_PICTURE
        content = Content(await self._files.read(row.file_key), row.width, row.height, words)
        return Found(content, seen, is_first_frame=row.animation_key is not None)

    async def _uploaded(self, data: bytes, method: StyleMethod, words: str) -> Content:
        """A picture or animation from outside; only the fast method restyles what moves."""
        is_fast = method is StyleMethod.FAST
        upload = await self.clean(data, "the picture", all_frames=is_fast)
        if upload.is_animated:
            _require_moving(method)
        return restyling.content_of(upload, words)

    async def mask(self, content: Content, asked: Restyling) -> bytes:
        """Where a picture is restyled, as PNG; empty: everywhere."""
        if asked.mask and asked.cells:
            raise LimitReached("a mask and cells were given; leave one of them out")
        if asked.mask:
            return (await self.clean(asked.mask, "the mask")).png
        if not asked.cells.strip():
            return b""
        cells = read_cells(asked.cells)
        return await asyncio.to_thread(cells_mask, cells, content.width, content.height)

    async def look(self, caller: Caller, choice: StyleChoice) -> Look:
        """A style by upload or name."""
        weight = checked_weight(choice.weight)
        if choice.upload:
            upload = await self.clean(choice.upload, "the style")
            return Look(StyleReference(image=upload.png, weight=weight), "another picture")
        found = await self._named(caller, choice.name)
        return replace(found, reference=replace(found.reference, weight=weight))

    async def _named(self, caller: Caller, name: str) -> Look:
        """A saved style or one that ships; else the look of an image of the gallery."""
        try:
            return await self._house.look(caller, name)
        except NotFound as unknown:
            try:
                seen = await self._gallery.seen(caller, name)
            except NotFound:
                raise unknown from None
        png = await self._files.read(seen.row.file_key)
        return Look(StyleReference(image=png), f"the image {seen.row.id}")

    async def _fetched(self, link: str, locale: str) -> bytes:
        parts = urlsplit(link)
        if self.fetch_picture is None or parts.scheme != "https":
            raise NotAllowed("pictures can't be fetched from links here; attach the file instead")
        if parts.hostname not in self._link_hosts:
            raise NotAllowed(
                "only links to pictures in Discord are fetched; attach the file instead"
            )
        return await self.fetch_picture(link, locale)


def _require_moving(method: StyleMethod) -> None:
    """Refuse methods that restyle still pictures alone.

    Raises:
        LimitReached: it is one.
    """
    if method is not StyleMethod.FAST:
        raise LimitReached(
            "an animation is restyled by the fast method; choose it, or send a still picture"
        )


def _words_of(row: ImageRow) -> str:
    """What an image shows, without the styles that it was given."""
    return restyling.without_style(" ".join(shown_words(row.prompt).split()))


def _beginning(sources: Sources, picture: Content | Upload) -> Sources:
    return replace(sources, source=picture.png, source_size=(picture.width, picture.height))
