"""What belongs to a member beside jobs, images and defaults, wherever it is used."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select

from bot.storage.database import Database
from bot.storage.generators import GeneratorRow
from bot.storage.images import FavouriteRow
from bot.storage.styles import StyleRow, StyleShareRow


@dataclass(frozen=True, slots=True)
class Belongings:
    """All of one member's."""

    styles: Sequence[StyleRow]  # by name
    shares: Sequence[StyleShareRow]  # of the styles
    generators: Sequence[GeneratorRow]  # oldest first
    favourites: Sequence[str]  # ids of the images that are marked


async def belongings_of(database: Database, owner_id: int) -> Belongings:
    """Everything of an owner, in all guilds."""
    styles = select(StyleRow).where(StyleRow.owner_id == owner_id).order_by(StyleRow.name)
    shares = select(StyleShareRow).where(StyleShareRow.owner_id == owner_id)
    generators = select(GeneratorRow).where(GeneratorRow.owner_id == owner_id)
    marks = select(FavouriteRow.image_id).where(FavouriteRow.owner_id == owner_id)
    async with database.reading() as session:
        return Belongings(
            list(await session.scalars(styles)),
            list(await session.scalars(shares.order_by(StyleShareRow.guild_id))),
            list(await session.scalars(generators.order_by(GeneratorRow.created_at))),
            list(await session.scalars(marks.order_by(FavouriteRow.image_id))),
        )
