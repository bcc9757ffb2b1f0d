"""Members: their own defaults."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON
from sqlalchemy.orm import Mapped, mapped_column

from bot.storage.database import Database, take_turn
from bot.storage.tables import Base, Number, UtcDateTime


class MemberRow(Base):
    """Somebody who has set something; others have no row."""

    __tablename__ = "members"

    owner_id: Mapped[int] = mapped_column(Number, primary_key=True, autoincrement=False)
    preferences: Mapped[dict[str, Any]] = mapped_column(JSON)
    changed_at: Mapped[datetime] = mapped_column(UtcDateTime)


class Members:
    """Reads and changes members."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def preferences(self, owner_id: int) -> dict[str, Any]:
        """A member's defaults; empty where nothing is set."""
        async with self._database.reading() as session:
            row = await session.get(MemberRow, owner_id)
            return row.preferences if row else {}

    async def set_preferences(
        self, owner_id: int, preferences: dict[str, Any], now: datetime
    ) -> None:
        """Replace a member's defaults."""
        row = MemberRow(owner_id=owner_id, preferences=preferences, changed_at=now)
        async with self._database.writing() as session:
            await take_turn(session, owner_id)
            await session.merge(row)
