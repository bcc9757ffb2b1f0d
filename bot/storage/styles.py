"""Style references that members keep under a name."""

from datetime import datetime

from sqlalchemy import ColumnElement, CursorResult, Index, String, delete, or_, select, update
from sqlalchemy.orm import Mapped, mapped_column

from bot.errors import NotFound
from bot.storage.database import Database
from bot.storage.tables import Base, Number, UtcDateTime
from bot.wording import Said


class StyleRow(Base):
    """A picture whose look is taken, by name."""

    __tablename__ = "styles"
    __table_args__ = (
        Index("ix_styles_guild", "guild_id"),
        Index("ix_styles_file", "file_key"),
        Index("ix_styles_learnt", "learnt_key"),
    )

    owner_id: Mapped[int] = mapped_column(Number, primary_key=True, autoincrement=False)
    name: Mapped[str] = mapped_column(String(40), primary_key=True)
    guild_id: Mapped[int | None] = mapped_column(Number)  # shared with this guild
    file_key: Mapped[str] = mapped_column(String(80))
    learnt_key: Mapped[str | None] = mapped_column(String(80))  # of what a training made of it
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class Styles:
    """Reads and changes style references."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def save(self, row: StyleRow) -> None:
        """Keep a style, in place of an older one of the same owner and name."""
        async with self._database.writing() as session:
            await session.merge(row)

    async def named(self, owner_id: int, guild_id: int | None, name: str) -> StyleRow:
        """The member's own style of that name, else one shared with the guild.

        Raises:
            NotFound: there is neither.
        """
        query = (
            select(StyleRow)
            .where(StyleRow.name == name, _usable_by(owner_id, guild_id))
            .order_by((StyleRow.owner_id == owner_id).desc(), StyleRow.created_at)
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

    async def share(self, owner_id: int, name: str, guild_id: int | None) -> None:
        """Let a guild use a member's own style; None: nobody else.

        Raises:
            NotFound: the member keeps none of that name.
        """
        own = update(StyleRow).where(StyleRow.owner_id == owner_id, StyleRow.name == name)
        async with self._database.writing() as session:
            result = await session.execute(own.values(guild_id=guild_id))
            assert isinstance(result, CursorResult)
            if not result.rowcount:
                raise NotFound(Said("you keep no style called {name}", name=name))

    async def remove(self, owner_id: int, name: str) -> None:
        """Forget a member's own style; an unknown one is no error."""
        own = delete(StyleRow).where(StyleRow.owner_id == owner_id, StyleRow.name == name)
        async with self._database.writing() as session:
            await session.execute(own)


def _usable_by(owner_id: int, guild_id: int | None) -> ColumnElement[bool]:
    own = StyleRow.owner_id == owner_id
    return own if guild_id is None else or_(own, StyleRow.guild_id == guild_id)
