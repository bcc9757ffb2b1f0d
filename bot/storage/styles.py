"""Style references that members keep under a name."""

from datetime import datetime
from itertools import count

from sqlalchemy import (
    ColumnElement,
    ForeignKeyConstraint,
    Index,
    String,
    and_,
    delete,
    exists,
    or_,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from bot.errors import NameTaken, NotFound
from bot.storage.database import Database, take_turn
from bot.storage.files import LetGo, leave
from bot.storage.tables import Base, Number, UtcDateTime
from bot.wording import Said


class StyleRow(Base):
    """A picture whose look is taken, by name."""

    __tablename__ = "styles"
    __table_args__ = (
        Index("ix_styles_file", "file_key"),
        Index("ix_styles_learnt", "learnt_key"),
    )

    owner_id: Mapped[int] = mapped_column(Number, primary_key=True, autoincrement=False)
    name: Mapped[str] = mapped_column(String(40), primary_key=True)
    file_key: Mapped[str] = mapped_column(String(80))
    learnt_key: Mapped[str | None] = mapped_column(String(80))  # of what a training made of it
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class StyleShareRow(Base):
    """A guild whose members may use a style; there its name means this one."""

    __tablename__ = "style_shares"
    __table_args__ = (
        ForeignKeyConstraint(
            ["owner_id", "name"],
            ["styles.owner_id", "styles.name"],
            onupdate="CASCADE",
            ondelete="CASCADE",
        ),
        Index("ix_style_shares_style", "owner_id", "name"),
    )

    guild_id: Mapped[int] = mapped_column(Number, primary_key=True, autoincrement=False)
    name: Mapped[str] = mapped_column(String(40), primary_key=True)
    owner_id: Mapped[int] = mapped_column(Number)


class Styles:
    """Reads and changes style references."""

    def __init__(self, database: Database, let_go: LetGo = leave) -> None:
        """`let_go` is told of files that a style needs no more, though others may."""
        self._database = database
        self._let_go = let_go

    async def save(self, row: StyleRow) -> None:
        """Keep a style, in place of an older one of the same owner and name."""
        async with self._database.writing() as session:
            keys = await keep_style(session, row)
        await self._let_go(keys)

    async def named(self, owner_id: int, guild_id: int | None, name: str) -> StyleRow:
        """The member's own style of that name, else one shared with the guild.

        Raises:
            NotFound: there is neither.
        """
        query = (
            select(StyleRow)
            .where(StyleRow.name == name, _usable_by(owner_id, guild_id))
            .order_by((StyleRow.owner_id == owner_id).desc())
            .limit(1)
        )
        async with self._database.reading() as session:
            row = await session.scalar(query)
        if row is None:
            raise NotFound(
                Said(
                    "there is no style called {name}; save one first, or name a picture", name=name
                )
            )
        return row

    async def usable(self, owner_id: int, guild_id: int | None) -> list[StyleRow]:
        """All styles a member may use, by name."""
        query = select(StyleRow).where(_usable_by(owner_id, guild_id)).order_by(StyleRow.name)
        async with self._database.reading() as session:
            return list(await session.scalars(query))

    async def own(self, owner_id: int, name: str) -> StyleRow:
        """A member's own style.

        Raises:
            NotFound: the member keeps none of that name.
        """
        async with self._database.reading() as session:
            return await _own(session, owner_id, name)

    async def shared(self, guild_id: int | None) -> dict[str, int]:
        """The names of styles that a guild may use, and whose each is."""
        query = select(StyleShareRow).where(StyleShareRow.guild_id == guild_id)
        async with self._database.reading() as session:
            return {row.name: row.owner_id for row in await session.scalars(query)}

    async def guilds_of(self, owner_id: int, name: str) -> list[int]:
        """The guilds that may use a member's style."""
        query = select(StyleShareRow.guild_id).where(
            StyleShareRow.owner_id == owner_id, StyleShareRow.name == name
        )
        async with self._database.reading() as session:
            return list(await session.scalars(query))

    async def share(self, owner_id: int, name: str, guild_id: int) -> None:
        """Let a guild, too, use a member's own style.

        Raises:
            NotFound: the member keeps none of that name.
            NameTaken: somebody else's style of that name is shared there.
        """
        async with self._database.writing() as session:
            await take_turn(session, owner_id, guild_id)
            await _own(session, owner_id, name, is_held=True)
            there = await session.get(StyleShareRow, (guild_id, name))
            if there is None:
                session.add(StyleShareRow(guild_id=guild_id, name=name, owner_id=owner_id))
            elif there.owner_id != owner_id:
                raise NameTaken(
                    Said(
                        "somebody else shares a style called {name} with this server; "
                        "rename yours first",
                        name=name,
                    )
                )

    async def take_back(self, guild_id: int, name: str) -> None:
        """Let a guild use a style no more; one that it does not use is no error."""
        there = delete(StyleShareRow).where(
            StyleShareRow.guild_id == guild_id, StyleShareRow.name == name
        )
        async with self._database.writing() as session:
            await session.execute(there)

    async def rename(self, owner_id: int, name: str, new_name: str) -> None:
        """Call a member's own style otherwise, wherever it is shared.

        Raises:
            NotFound: the member keeps none of the old name.
            NameTaken: the new one means another style, of the member or where it is shared.
        """
        own = and_(StyleRow.owner_id == owner_id, StyleRow.name == name)
        shares = select(StyleShareRow.guild_id).where(
            StyleShareRow.owner_id == owner_id, StyleShareRow.name == name
        )
        there = select(StyleShareRow).where(
            StyleShareRow.name == new_name, StyleShareRow.guild_id.in_(shares)
        )
        async with self._database.writing() as session:
            await take_turn(session, owner_id)
            await _own(session, owner_id, name, is_held=True)
            await take_turn(session, *sorted(await session.scalars(shares)))
            if await session.get(StyleRow, (owner_id, new_name)) is not None:
                raise NameTaken(
                    Said("you keep a style called {name}; choose another name", name=new_name)
                )
            if await session.scalar(there.limit(1)) is not None:
                raise NameTaken(
                    Said(
                        "somebody else shares a style called {name} where yours is shared; "
                        "choose another name",
                        name=new_name,
                    )
                )
            await session.execute(
                update(StyleRow).where(own).values(name=new_name),
                execution_options={"synchronize_session": False},
            )

    async def remove(self, owner_id: int, name: str) -> None:
        """Forget a member's own style; an unknown one is no error."""
        own = delete(StyleRow).where(StyleRow.owner_id == owner_id, StyleRow.name == name)
        async with self._database.writing() as session:
            gone = await session.execute(own.returning(StyleRow.file_key, StyleRow.learnt_key))
            keys = {key for row in gone for key in row if key is not None}
        await self._let_go(keys)


async def keep_style(session: AsyncSession, row: StyleRow) -> set[str]:
    """Keep a style, in place of an older one of the same owner and name.

    Another picture is shared with nobody, and nothing was learnt from it; with the same picture
    both stay. Returns the files that it needs no more.
    """
    await take_turn(session, row.owner_id)
    old = await session.get(StyleRow, (row.owner_id, row.name))
    if old is not None and old.file_key == row.file_key:
        row.learnt_key = row.learnt_key or old.learnt_key
    elif old is not None:
        shares = delete(StyleShareRow).where(
            StyleShareRow.owner_id == row.owner_id, StyleShareRow.name == row.name
        )
        await session.execute(shares)
    had = (old.file_key, old.learnt_key) if old is not None else ()
    await session.merge(row)
    return {key for key in had if key is not None} - {row.file_key, row.learnt_key}


async def free_name(session: AsyncSession, owner_id: int, name: str) -> str:
    """A name like another one that no style of an owner has: `wave-2` for `wave`."""
    names = set(await session.scalars(select(StyleRow.name).where(StyleRow.owner_id == owner_id)))
    return next(one for one in (f"{name[:36]}-{n}" for n in count(2)) if one not in names)


async def _own(
    session: AsyncSession, owner_id: int, name: str, *, is_held: bool = False
) -> StyleRow:
    """A member's own style; `is_held`: nobody removes it before the transaction ends."""
    row = await session.get(StyleRow, (owner_id, name), with_for_update=is_held or None)
    if row is None:
        raise NotFound(Said("you keep no style called {name}", name=name[:40]))
    return row


def _usable_by(owner_id: int, guild_id: int | None) -> ColumnElement[bool]:
    own = StyleRow.owner_id == owner_id
    if guild_id is None:
        return own
    of_row = and_(StyleShareRow.owner_id == StyleRow.owner_id, StyleShareRow.name == StyleRow.name)
    return or_(own, exists().where(of_row, StyleShareRow.guild_id == guild_id))
