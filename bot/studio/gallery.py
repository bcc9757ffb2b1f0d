"""The gallery's use-cases: find images, show them, mark, hide, remove and restore them.

What is typed into a search:

    red fox            words of the prompt, in any order, by their beginnings
    model:NAME  seed:N  by:MEMBER  tag:WORD  op:upscale  op:vary  is:favourite  is:private
    after:2026-05-01   of that day and later; before:2026-05-01 of the days before it, in UTC
    chaos:100          any other name: a field of the parameters that made the image
"""

import re
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime

from bot.errors import NotAllowed, NotFound
from bot.storage.images import COUNT_CAP, ImageFilter, Images, SeenImage
from bot.storage.jobs import JobRow
from bot.studio import policy
from bot.studio.clock import Clock
from bot.studio.contract import (
    Caller,
    GalleryPage,
    GalleryQuery,
    GalleryScope,
    ImageView,
    Operation,
)
from bot.studio.pictures import Pictures
from bot.studio.views import image_view
from bot.wording import Said

MAX_PAGE = 100
MAX_TAGS = 20
MAX_FIELDS = 30  # of one search that count; databases take so many conditions, and no more
_FIELD = re.compile(r"""(?<!\S)(\w+):(?:"([^"]*)"|(\S+))""")
_BY_PLACE = re.compile(r"(?P<job>[0-9a-z]{8,12}):(?P<place>\d{1,3})")
_TAG = re.compile(r"[\w-]{1,40}")
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


class Gallery:
    """Images as the one who asks may see them."""

    def __init__(self, images: Images, pictures: Pictures, now: Clock) -> None:
        self._images = images
        self._pictures = pictures
        self._now = now

    async def page(self, caller: Caller, query: GalleryQuery) -> GalleryPage:
        """Some images, newest first.

        Raises:
            NotFound: the cursor or a field of the search can't be read.
        """
        viewer = policy.viewer(caller)
        wanted = read_query(caller, query)
        limit = min(max(query.limit, 1), MAX_PAGE)
        below = None if query.cursor is None else read_cursor(query.cursor)
        found = await self._images.page(viewer, wanted, below=below, limit=limit + 1)
        shown = found.images[:limit]
        following = cursor_after(shown[-1].row.number) if len(found.images) > limit else None
        images = tuple(map(image_view, shown))
        is_capped = found.total >= COUNT_CAP
        return GalleryPage(images, following, found.total, is_capped=is_capped)

    async def seen(self, caller: Caller, image_id: str) -> SeenImage:
        """One image by its id or `job:2`, as far as the caller may see it.

        Raises:
            NotFound: there is none for them.
        """
        viewer = policy.viewer(caller)
        typed = image_id.strip().lower()
        if place := _BY_PLACE.fullmatch(typed):
            return await self._images.by_place(viewer, place["job"], int(place["place"]))
        return await self._images.by_id(viewer, typed)

    async def newest(self, caller: Caller) -> SeenImage:
        """The caller's newest image but for sheets of trainings.

        Raises:
            NotFound: there is none.
        """
        pictures = tuple(one.value for one in Operation if not one.is_training)
        wanted = ImageFilter(owner_id=caller.owner_id, operations=pictures)
        found = await self._images.page(policy.viewer(caller), wanted, below=None, limit=1)
        if not found.images:
            raise NotFound("there is no picture of yours yet; attach one")
        return found.images[0]

    async def of_job(self, job: JobRow) -> list[SeenImage]:
        """All images of a job, whoever asks."""
        return (await self._images.of_jobs(policy.owner_of(job), [job.id]))[job.id]

    async def shown_of(self, caller: Caller, job: JobRow) -> list[SeenImage]:
        """The images of a job that the caller may see."""
        return (await self._images.of_jobs(policy.viewer(caller), [job.id]))[job.id]

    async def png(self, caller: Caller, image_id: str) -> bytes:
        """The original."""
        return await self._pictures.png((await self.seen(caller, image_id)).row.file_key)

    async def file(self, caller: Caller, image_id: str) -> bytes:
        """The original, or the animation of an image that moves."""
        row = (await self.seen(caller, image_id)).row
        return await self._pictures.file(row)

    async def animation(self, caller: Caller, image_id: str) -> bytes:
        """The animated WebP of an image that moves.

        Raises:
            NotFound: it does not move.
        """
        row = (await self.seen(caller, image_id)).row
        if row.animation_key is None:
            raise NotFound("this picture does not move")
        return await self._pictures.png(row.animation_key)

    async def thumbnail(self, caller: Caller, image_id: str) -> bytes:
        """A small WebP."""
        return await self._pictures.thumbnail((await self.seen(caller, image_id)).row.file_key)

    async def favourite(self, caller: Caller, image_id: str, *, on: bool) -> ImageView:
        """Mark or unmark, for the caller."""
        seen = await self.seen(caller, image_id)
        await self._images.favourite(caller.owner_id, seen.row.id, on=on)
        return image_view(replace(seen, is_favourite=on))

    async def tag(self, caller: Caller, image_id: str, tags: Iterable[str]) -> ImageView:
        """Replace the tags of an own image.

        Raises:
            NotAllowed: it is somebody else's, or these can't be tags.
        """
        seen = await self._own(caller, image_id)
        words = tuple(dict.fromkeys(tag.strip().casefold().lstrip("#") for tag in tags))
        if len(words) > MAX_TAGS or not all(_TAG.fullmatch(word) for word in words):
            raise NotAllowed(
                Said("tags are up to {most} words of letters, digits and hyphens", most=MAX_TAGS)
            )
        await self._images.set_tags(seen.row.id, words)
        return await self.view(caller, seen.row.id)

    async def publish(self, caller: Caller, image_id: str, *, is_private: bool) -> ImageView:
        """Change who may see an own image."""
        seen = await self._own(caller, image_id)
        await self._images.publish(seen.row.id, is_private=is_private)
        return await self.view(caller, seen.row.id)

    async def delete(self, caller: Caller, image_id: str) -> None:
        """Take an image out of the gallery.

        Raises:
            NotAllowed: it is somebody else's and the caller no admin of its guild.
        """
        row = (await self.seen(caller, image_id)).row
        if not policy.may_remove_image(caller, row.owner_id, row.guild_id):
            raise NotAllowed("only its owner or an admin of this server may delete an image")
        await self._images.delete(row.id, self._now(), by=caller.owner_id)

    async def restore(self, caller: Caller, image_id: str) -> ImageView:
        """Undo a deletion within 24 hours.

        Raises:
            NotAllowed: an admin deleted it, and the caller is none.
            NotFound: there is nothing that the caller could restore.
        """
        row = await self._images.deleted(image_id.strip().lower(), self._now())
        is_secret = row.is_private and row.owner_id != caller.owner_id
        if is_secret or not policy.may_remove_image(caller, row.owner_id, row.guild_id):
            raise NotFound(
                Said("there is no deleted image {id} that could be restored", id=image_id)
            )
        if not policy.may_undo_deletion(caller, row):
            raise NotAllowed("an admin deleted this image; only an admin may bring it back")
        await self._images.restore(row.id)
        return await self.view(caller, row.id)

    async def view(self, caller: Caller, image_id: str) -> ImageView:
        """One image."""
        return image_view(await self.seen(caller, image_id))

    async def _own(self, caller: Caller, image_id: str) -> SeenImage:
        seen = await self.seen(caller, image_id)
        if seen.row.owner_id != caller.owner_id:
            raise NotAllowed("only its owner may change an image")
        return seen


def read_query(caller: Caller, query: GalleryQuery) -> ImageFilter:
    """What a query asks for.

    Raises:
        NotFound: a field of its text can't be read, or the scope needs a guild.
    """
    wanted = ImageFilter(
        model=query.model.strip().casefold(),
        favourites_only=query.favourites_only,
        after=_in_utc("after", query.after),
        before=_in_utc("before", query.before),
    )
    match query.scope:
        case GalleryScope.MINE:
            wanted = replace(wanted, owner_id=caller.owner_id)
        case GalleryScope.MEMBER:
            wanted = replace(wanted, owner_id=query.member_id or caller.owner_id)
        case GalleryScope.GUILD:
            if caller.guild_id is None:
                raise NotFound("this is no server; ask for your own images")
            wanted = replace(wanted, guild_id=caller.guild_id)
        case GalleryScope.ALL:
            pass
    for name, quoted, plain in _FIELD.findall(query.text)[:MAX_FIELDS]:
        wanted = _with_field(wanted, name.lower(), quoted or plain)
    return replace(wanted, words=_FIELD.sub(" ", query.text))


def cursor_after(number: int) -> str:
    """The cursor of the page that begins below an image's number."""
    text = ""
    while number:
        number, digit = divmod(number, 36)
        text = _DIGITS[digit] + text
    return text or "0"


def read_cursor(cursor: str) -> int:
    """The number that a cursor stands for.

    Raises:
        NotFound: it is none.
    """
    try:
        number = int(cursor, 36)
    except ValueError as error:
        raise NotFound("there is no such page; begin at the first one") from error
    return min(max(number, 0), 2**63 - 1)


def _with_field(wanted: ImageFilter, name: str, value: str) -> ImageFilter:
    match name:
        case "model":
            return replace(wanted, model=value.casefold())
        case "seed":
            return replace(wanted, seed=_number("seed", value, 2**32 - 1))
        case "by":
            return replace(wanted, owner_id=_number("by", value.strip("<@!>"), 2**63 - 1))
        case "tag":
            return replace(wanted, tags=(*wanted.tags, value.casefold().lstrip("#")))
        case "op":
            return replace(wanted, operations=_operations(value.lower()))
        case "after":
            return replace(wanted, after=_day(name, value))
        case "before":
            return replace(wanted, before=_day(name, value))
        case "is" if value.lower() in ("favourite", "favorite"):
            return replace(wanted, favourites_only=True)
        case "is" if value.lower() == "private":
            return replace(wanted, private_only=True)
        case "is":
            raise NotFound("is: knows favourite and private")
        case _:
            return replace(wanted, parameters=(*wanted.parameters, f"{name}: {value}"))


def _operations(name: str) -> tuple[str, ...]:
    """The operation of a name; `vary` stands for each way to vary."""
    known = [operation.value for operation in Operation]
    found = tuple(one for one in known if one == name or one.startswith(f"{name}-"))
    if not found:
        names = ", ".join(known)
        raise NotFound(Said("op: knows {names}, not {value}", names=names, value=name[:30]))
    return found


def _day(field: str, value: str) -> datetime:
    """The beginning of a day that is typed as 2026-05-01, in UTC."""
    try:
        return datetime.strptime(value, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError as error:
        raise _no_moment(field, value) from error


def _in_utc(field: str, moment: datetime | None) -> datetime | None:
    """A moment as it is stored; without a time zone it is taken as UTC."""
    if moment is None:
        return None
    if moment.tzinfo is None:
        return moment.replace(tzinfo=UTC)
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:  # the first and last hours of the calendar
        raise _no_moment(field, moment.isoformat()) from error


def _no_moment(field: str, value: str) -> NotFound:
    reason = "{field}: needs a day such as 2026-05-01, not {value}"
    return NotFound(Said(reason, field=field, value=value[:30]))


def _number(field: str, value: str, highest: int) -> int:
    digits = value.lstrip("0")[:20] or "0"
    if not value.isascii() or not value.isdigit() or int(digits) > highest:
        raise NotFound(
            Said(
                "{field}: needs a number up to {most}, not {value}",
                field=field,
                most=highest,
                value=value[:30],
            )
        )
    return int(digits)
