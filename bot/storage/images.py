"""Images in the gallery: what made them, who may see them, who likes them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar

from sqlalchemy import (
    ColumnElement,
    ForeignKey,
    Index,
    Select,
    String,
    and_,
    bindparam,
    delete,
    exists,
    false,
    func,
    literal,
    literal_column,
    or_,
    select,
    text,
    true,
    update,
)
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.sql import column, table

from bot.errors import NotFound
from bot.storage.database import Database
from bot.storage.search import postgres_match, search_symbols, search_terms, sqlite_match
from bot.storage.tables import Base, Number, UtcDateTime
from bot.wording import Said

RESTORABLE = timedelta(hours=24)  # after a deletion
COUNT_CAP = 2_000  # counting more would take most of the time of a page
NEAR = 20_000  # images back from the newest among which common words are looked for first
_NO_IMAGE = "there is no such image, or it is not yours to see"

Query = TypeVar("Query", bound=Select[*tuple[Any, ...]])

# Made by the first migration, each on its own kind of database.
_words = table("image_words", column("rowid", Number), column("words", String))
_search_vector: ColumnElement[str] = literal_column("images.search")


class ImageRow(Base):
    """One finished image; never shared between jobs, though its file may be."""

    __tablename__ = "images"
    __table_args__ = (
        Index("ix_images_owner", "owner_id", "number"),
        Index("ix_images_guild", "guild_id", "number"),
        Index("ix_images_job", "job_id", "place", unique=True),
        Index("ix_images_model", "model", "number"),
        Index(
            "ix_images_public",
            "number",
            sqlite_where=text("is_private = 0 AND deleted_at IS NULL"),
            postgresql_where=text("NOT is_private AND deleted_at IS NULL"),
        ),
        Index("ix_images_file", "file_key"),
        Index(
            "ix_images_animation",
            "animation_key",
            sqlite_where=text("animation_key IS NOT NULL"),
            postgresql_where=text("animation_key IS NOT NULL"),
        ),
        Index(
            "ix_images_video",
            "video_key",
            sqlite_where=text("video_key IS NOT NULL"),
            postgresql_where=text("video_key IS NOT NULL"),
        ),
        Index(
            "ix_images_deleted",
            "deleted_at",
            sqlite_where=text("deleted_at IS NOT NULL"),
            postgresql_where=text("deleted_at IS NOT NULL"),
        ),
        {"sqlite_autoincrement": True},
    )

    number: Mapped[int] = mapped_column(Number, primary_key=True)  # newest is largest
    id: Mapped[str] = mapped_column(String(12), unique=True)
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"))
    place: Mapped[int]  # in its job, from 0
    owner_id: Mapped[int] = mapped_column(Number)
    guild_id: Mapped[int | None] = mapped_column(Number)
    seed: Mapped[int] = mapped_column(Number)
    width: Mapped[int]  # pixels
    height: Mapped[int]  # pixels
    prompt: Mapped[str]
    words: Mapped[str]  # of the prompt, see bot.storage.search
    model: Mapped[str] = mapped_column(String(120))
    parameters: Mapped[str]
    operation: Mapped[str] = mapped_column(String(24))
    parent_id: Mapped[str | None] = mapped_column(String(12))
    is_private: Mapped[bool]
    shown_in: Mapped[int | None] = mapped_column(Number)  # a channel that sees what is private
    alt_text: Mapped[str] = mapped_column(String(1024))
    file_key: Mapped[str] = mapped_column(String(80))
    animation_key: Mapped[str | None] = mapped_column(String(80))  # of one that moves
    video_key: Mapped[str | None] = mapped_column(String(80))  # the same as MP4
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    deleted_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    deleted_by: Mapped[int | None] = mapped_column(Number)  # unknown of what was deleted long ago


class FavouriteRow(Base):
    """A member marked an image."""

    __tablename__ = "favourites"
    __table_args__ = (Index("ix_favourites_image", "image_id"),)

    owner_id: Mapped[int] = mapped_column(Number, primary_key=True, autoincrement=False)
    image_id: Mapped[str] = mapped_column(
        ForeignKey("images.id", ondelete="CASCADE"), primary_key=True
    )


class TagRow(Base):
    """A word that the owner put on an image."""

    __tablename__ = "tags"
    __table_args__ = (Index("ix_tags_tag", "tag"),)

    image_id: Mapped[str] = mapped_column(
        ForeignKey("images.id", ondelete="CASCADE"), primary_key=True
    )
    tag: Mapped[str] = mapped_column(String(40), primary_key=True)


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who looks: sees what is their own, and in a guild what is public there."""

    owner_id: int
    guild_id: int | None
    sees_all_guilds: bool = False  # the operator; private images stay private even so
    channel_id: int | None = None  # one that is not for everybody of the guild


@dataclass(frozen=True, slots=True)
class SeenImage:
    """An image and what the viewer did with it."""

    row: ImageRow
    is_favourite: bool
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ImagePage:
    """Some of the images that were asked for."""

    images: list[SeenImage]  # newest first
    total: int  # of all that were asked for; at most COUNT_CAP


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageFilter:
    """Which images of those the viewer may see; all conditions must hold."""

    owner_id: int | None = None
    guild_id: int | None = None
    model: str = ""
    seed: int | None = None
    operations: tuple[str, ...] = ()  # one of them; none: any
    tags: tuple[str, ...] = ()
    words: str = ""  # of the prompt, in any order
    parameters: tuple[str, ...] = ()  # whole pairs of the parameters chunk, "Steps: 20"
    favourites_only: bool = False
    private_only: bool = False
    after: datetime | None = None
    before: datetime | None = None


class Images:
    """Reads and changes images."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def by_id(self, viewer: Viewer, image_id: str) -> SeenImage:
        """One image.

        Raises:
            NotFound: there is none, it is deleted, or the viewer may not see it.
        """
        return await self._one(viewer, ImageRow.id == image_id)

    async def by_place(self, viewer: Viewer, job_id: str, place: int) -> SeenImage:
        """One image by its place in a job, from 0.

        Raises:
            NotFound: there is none, it is deleted, or the viewer may not see it.
        """
        return await self._one(viewer, and_(ImageRow.job_id == job_id, ImageRow.place == place))

    async def of_jobs(self, viewer: Viewer, job_ids: Iterable[str]) -> dict[str, list[SeenImage]]:
        """The images of some jobs that the viewer may see, in their order."""
        found: dict[str, list[SeenImage]] = {job_id: [] for job_id in job_ids}
        query = (
            _seen_by(viewer.owner_id)
            .where(ImageRow.job_id.in_(found), is_shown_to(viewer))
            .order_by(ImageRow.number)
        )
        for seen in await self._seen(query):
            found[seen.row.job_id].append(seen)
        return found

    async def page(
        self, viewer: Viewer, wanted: ImageFilter, *, below: int | None, limit: int
    ) -> ImagePage:
        """The newest `limit` images with numbers under `below` (None: from the start)."""
        is_search = bool(search_terms(wanted.words))
        if is_search and not self._database.is_sqlite:
            return await self._searched(viewer, wanted, below, limit)
        query = self._filtered(_seen_by(viewer.owner_id), viewer, wanted)
        # The words' index yields numbers in order, but only under its own name for them.
        number = _words.c.rowid if is_search else ImageRow.number.expression
        if below is not None:
            query = query.where(number < below)
        found = await self._seen(query.order_by(number.desc()).limit(limit))
        if below is None and len(found) < limit:
            return ImagePage(found, len(found))
        return ImagePage(found, await self._count(viewer, wanted))

    async def _searched(
        self, viewer: Viewer, wanted: ImageFilter, below: int | None, limit: int
    ) -> ImagePage:
        """A page of a search in PostgreSQL.

        The planner misjudges how many match, and would look at every image from the newest on. So
        those that match come first, as many as are counted; where there are more, the newest of
        them are dense enough to be met soon on the way back from the newest image of all.
        """
        found = self._filtered(select(ImageRow.number), viewer, wanted)
        matching = found.limit(COUNT_CAP).cte("matching").prefix_with("MATERIALIZED")
        total = select(func.count()).select_from(matching).scalar_subquery()
        number = _under(below, matching.c.number)
        newest = select(matching.c.number, total).where(number).order_by(matching.c.number.desc())
        async with self._database.reading() as session:
            rows = (await session.execute(newest.limit(limit))).all()
            counted = rows[0][1] if rows else await session.scalar(select(total)) or 0
            numbers = [row[0] for row in rows]
            if counted >= COUNT_CAP:
                numbers = await _newest(session, found, below, limit)
        query = _seen_by(viewer.owner_id).where(ImageRow.number.in_(numbers))
        return ImagePage(await self._seen(query.order_by(ImageRow.number.desc())), counted)

    async def _count(self, viewer: Viewer, wanted: ImageFilter) -> int:
        """How many there are, at most COUNT_CAP."""
        found = self._filtered(select(literal(1)).select_from(ImageRow), viewer, wanted)
        async with self._database.reading() as session:
            counted = select(func.count()).select_from(found.limit(COUNT_CAP).subquery())
            return await session.scalar(counted) or 0

    async def favourite(self, owner_id: int, image_id: str, *, on: bool) -> None:
        """Mark or unmark an image; doing it twice changes nothing.

        Raises:
            NotFound: the image is gone.
        """
        mark = and_(FavouriteRow.owner_id == owner_id, FavouriteRow.image_id == image_id)
        async with self._database.writing() as session:
            await _take_turn(session, image_id)
            await session.execute(delete(FavouriteRow).where(mark))
            if on:
                session.add(FavouriteRow(owner_id=owner_id, image_id=image_id))

    async def set_tags(self, image_id: str, tags: Sequence[str]) -> None:
        """Replace the tags of an image.

        Raises:
            NotFound: the image is gone.
        """
        async with self._database.writing() as session:
            await _take_turn(session, image_id)
            await session.execute(delete(TagRow).where(TagRow.image_id == image_id))
            session.add_all(TagRow(image_id=image_id, tag=tag) for tag in dict.fromkeys(tags))

    async def publish(self, image_id: str, *, is_private: bool) -> None:
        """Change who may see an image; of the channel it was made in nothing is left."""
        await self._set(image_id, is_private=is_private, shown_in=None)

    async def delete(self, image_id: str, now: datetime, *, by: int) -> None:
        """Take an image out of the gallery; `restore` undoes it for 24 hours."""
        await self._set(image_id, deleted_at=now, deleted_by=by)

    async def deleted(self, image_id: str, now: datetime) -> ImageRow:
        """A deleted image that can still be restored.

        Raises:
            NotFound: it is not deleted, or for too long.
        """
        query = select(ImageRow).where(
            ImageRow.id == image_id, ImageRow.deleted_at > now - RESTORABLE
        )
        async with self._database.reading() as session:
            row = await session.scalar(query)
        if row is None:
            raise NotFound(
                Said("there is no deleted image {id} that could be restored", id=image_id)
            )
        return row

    async def restore(self, image_id: str) -> None:
        """Undo a deletion."""
        await self._set(image_id, deleted_at=None, deleted_by=None)

    async def _one(self, viewer: Viewer, condition: ColumnElement[bool]) -> SeenImage:
        found = await self._seen(_seen_by(viewer.owner_id).where(condition, is_shown_to(viewer)))
        if not found:
            raise NotFound(_NO_IMAGE)
        return found[0]

    async def _seen(self, query: Select[ImageRow, bool]) -> list[SeenImage]:
        async with self._database.reading() as session:
            rows = (await session.execute(query)).all()
            tags = await session.execute(
                select(TagRow.image_id, TagRow.tag)
                .where(TagRow.image_id.in_([row.id for row, _ in rows]))
                .order_by(TagRow.tag)
            )
        of_image: dict[str, list[str]] = {}
        for image_id, tag in tags:
            of_image.setdefault(image_id, []).append(tag)
        return [SeenImage(row, marked, tuple(of_image.get(row.id, ()))) for row, marked in rows]

    async def _set(self, image_id: str, **values: Any) -> None:
        async with self._database.writing() as session:
            await session.execute(update(ImageRow).where(ImageRow.id == image_id).values(**values))

    def _filtered(self, query: Query, viewer: Viewer, wanted: ImageFilter) -> Query:
        conditions = [ImageRow.deleted_at.is_(None), *_conditions(viewer, wanted)]
        terms = search_terms(wanted.words)
        if not terms:
            return query.where(*conditions)
        if self._database.is_sqlite:
            query = query.join(_words, _words.c.rowid == ImageRow.number)
            match = text("image_words MATCH :terms").bindparams(
                bindparam("terms", sqlite_match(terms))
            )
            if wanted.owner_id is not None:
                # One list of the owner's images is quicker than a look at each image that matches;
                # the sum keeps the words' index from searching once for each of them.
                own = select(ImageRow.number).where(ImageRow.owner_id == wanted.owner_id)
                conditions.append((_words.c.rowid + 0).in_(own))
            return query.where(match, *conditions)
        tsquery = func.to_tsquery(text("'simple'::regconfig"), postgres_match(terms))
        return query.where(_search_vector.bool_op("@@")(tsquery), *conditions)


async def _take_turn(session: AsyncSession, image_id: str) -> None:
    """Let what belongs to an image be replaced by one after the other; SQLite does so anyway."""
    image = select(ImageRow.number).where(ImageRow.id == image_id)
    if await session.scalar(image.with_for_update(key_share=True)) is None:
        raise NotFound(_NO_IMAGE)


async def _newest(
    session: AsyncSession, found: Select[int], below: int | None, limit: int
) -> list[int]:
    """The largest of many numbers of images: looked for near the newest, then everywhere."""
    newest = select(func.max(ImageRow.number)).scalar_subquery()
    top = newest if below is None else literal(below)
    near = found.where(_under(below, ImageRow.number.expression), ImageRow.number >= top - NEAR)
    numbers = list(await session.scalars(near.order_by(ImageRow.number.desc()).limit(limit)))
    if len(numbers) == limit:
        return numbers
    matching = found.cte("matching").prefix_with("MATERIALIZED")
    everywhere = select(matching.c.number).where(_under(below, matching.c.number))
    return list(await session.scalars(everywhere.order_by(matching.c.number.desc()).limit(limit)))


def _under(below: int | None, number: ColumnElement[int]) -> ColumnElement[bool]:
    return true() if below is None else number < below


def _seen_by(viewer_id: int) -> Select[ImageRow, bool]:
    marked = exists().where(
        FavouriteRow.owner_id == viewer_id, FavouriteRow.image_id == ImageRow.id
    )
    return select(ImageRow, marked)


def is_shown_to(viewer: Viewer) -> ColumnElement[bool]:
    """An image is not deleted, and the viewer may see it."""
    return and_(ImageRow.deleted_at.is_(None), _visible_to(viewer))


def is_open_to(
    viewer: Viewer,
    guild_id: ColumnElement[int | None],
    is_private: ColumnElement[bool],
    shown_in: ColumnElement[int | None],
) -> ColumnElement[bool]:
    """What somebody else made may be seen where the viewer is; outside of guilds nothing may."""
    if viewer.sees_all_guilds:
        return is_private == false()
    if viewer.guild_id is None:
        return false()
    is_shown = is_private == false()
    if viewer.channel_id is not None:
        is_shown = or_(is_shown, shown_in == viewer.channel_id)
    return and_(is_shown, guild_id == viewer.guild_id)


def _visible_to(viewer: Viewer) -> ColumnElement[bool]:
    own = ImageRow.owner_id == viewer.owner_id
    is_open = is_open_to(
        viewer,
        ImageRow.guild_id.expression,
        ImageRow.is_private.expression,
        ImageRow.shown_in.expression,
    )
    return or_(own, is_open)


def _conditions(viewer: Viewer, wanted: ImageFilter) -> Iterable[ColumnElement[bool]]:
    if wanted.owner_id is not None:
        yield ImageRow.owner_id == wanted.owner_id
    if wanted.guild_id is not None:
        yield ImageRow.guild_id == wanted.guild_id
    if wanted.owner_id != viewer.owner_id:
        yield _visible_to(viewer)
    if wanted.model:
        yield ImageRow.model == wanted.model
    if wanted.seed is not None:
        yield ImageRow.seed == wanted.seed
    if wanted.operations:
        yield ImageRow.operation.in_(wanted.operations)
    if wanted.private_only:
        yield ImageRow.is_private.is_(True)
    if wanted.after is not None:
        yield ImageRow.created_at >= wanted.after
    if wanted.before is not None:
        yield ImageRow.created_at < wanted.before
    for symbol in search_symbols(wanted.words):
        yield ImageRow.prompt.contains(symbol)
    yield from _related_conditions(viewer, wanted)


def _related_conditions(viewer: Viewer, wanted: ImageFilter) -> Iterable[ColumnElement[bool]]:
    if wanted.favourites_only:
        yield ImageRow.id.in_(
            select(FavouriteRow.image_id).where(FavouriteRow.owner_id == viewer.owner_id)
        )
    for tag in wanted.tags:
        yield ImageRow.id.in_(select(TagRow.image_id).where(TagRow.tag == tag))
    for pair in wanted.parameters:
        yield _says(pair) if pair else false()


def _says(pair: str) -> ColumnElement[bool]:
    parameters = ImageRow.parameters
    return or_(
        parameters.icontains(f"{pair},", autoescape=True),
        parameters.iendswith(pair, autoescape=True),
    )
