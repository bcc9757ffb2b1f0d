"""Generators that were trained here, for `/dream`."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, Index, String, and_, delete, select
from sqlalchemy.orm import Mapped, mapped_column

from bot.errors import NotFound
from bot.storage.database import Database
from bot.storage.files import LetGo, leave
from bot.storage.tables import Base, Number, UtcDateTime
from bot.wording import Said


class GeneratorRow(Base):
    """What a training has learnt; of a guild, else of its owner alone."""

    __tablename__ = "generators"
    __table_args__ = (
        Index("ix_generators_guild", "guild_id", "name"),
        Index("ix_generators_owner", "owner_id", "name"),
        Index("ix_generators_weights", "weights_key"),
        Index("ix_generators_sheet", "sheet_key"),
    )

    id: Mapped[str] = mapped_column(String(12), primary_key=True)
    name: Mapped[str] = mapped_column(String(40))
    owner_id: Mapped[int] = mapped_column(Number)  # who had it trained
    guild_id: Mapped[int | None] = mapped_column(Number)  # whose members may use it
    job_id: Mapped[str] = mapped_column(String(12))  # of its training
    weights_key: Mapped[str] = mapped_column(String(80))
    sheet_key: Mapped[str] = mapped_column(String(80))  # of a picture with samples
    pictures: Mapped[int]  # that it learnt from
    verdict: Mapped[str] = mapped_column(String(120))  # of the monitors: names, separated by commas
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class Generators:
    """Reads and changes generators. A place is a guild, or else a member outside of any."""

    def __init__(self, database: Database, let_go: LetGo = leave) -> None:
        """`let_go` is told of files that a generator needs no more, though others may."""
        self._database = database
        self._let_go = let_go

    async def usable(self, owner_id: int, guild_id: int | None) -> Sequence[GeneratorRow]:
        """All generators of a place, by name."""
        query = select(GeneratorRow).where(_of_place(owner_id, guild_id))
        async with self._database.reading() as session:
            return list(await session.scalars(query.order_by(GeneratorRow.name)))

    async def named(self, owner_id: int, guild_id: int | None, name: str) -> GeneratorRow:
        """The generator of that name in a place.

        Raises:
            NotFound: there is none.
        """
        for row in await self.usable(owner_id, guild_id):
            if row.name == name:
                return row
        raise NotFound(Said("there is no generator called {name} here", name=name))

    async def remove(self, generator_id: str) -> None:
        """Forget a generator; an unknown one is no error."""
        one = delete(GeneratorRow).where(GeneratorRow.id == generator_id)
        files = one.returning(GeneratorRow.weights_key, GeneratorRow.sheet_key)
        async with self._database.writing() as session:
            keys = {key for row in await session.execute(files) for key in row}
        await self._let_go(keys)


def _of_place(owner_id: int, guild_id: int | None) -> ColumnElement[bool]:
    if guild_id is not None:
        return GeneratorRow.guild_id == guild_id
    return and_(GeneratorRow.guild_id.is_(None), GeneratorRow.owner_id == owner_id)
