"""Guilds: defaults of their members, and what their admins decided."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON
from sqlalchemy.orm import Mapped, mapped_column

from bot.storage.database import Database, take_turn
from bot.storage.tables import Base, Number, UtcDateTime


class GuildRow(Base):
    """A guild whose admins have set something; others have no row."""

    __tablename__ = "guilds"

    guild_id: Mapped[int] = mapped_column(Number, primary_key=True, autoincrement=False)
    preferences: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    rules: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    changed_at: Mapped[datetime] = mapped_column(UtcDateTime)


class Guilds:
    """Reads and changes guilds."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def settings(self, guild_id: int) -> tuple[dict[str, Any], dict[str, Any]]:
        """Preferences and rules of a guild; empty where nothing is set."""
        async with self._database.reading() as session:
            row = await session.get(GuildRow, guild_id)
            return (row.preferences, row.rules) if row else ({}, {})

    async def set_preferences(
        self, guild_id: int, preferences: dict[str, Any], now: datetime
    ) -> None:
        """Replace the defaults of a guild."""
        await self._set(guild_id, now, preferences=preferences)

    async def set_rules(self, guild_id: int, rules: dict[str, Any], now: datetime) -> None:
        """Replace the rules of a guild."""
        await self._set(guild_id, now, rules=rules)

    async def _set(self, guild_id: int, now: datetime, **values: dict[str, Any]) -> None:
        async with self._database.writing() as session:
            await take_turn(session, guild_id)
            row = await session.get(GuildRow, guild_id)
            if row is None:
                row = GuildRow(guild_id=guild_id, preferences={}, rules={})
                session.add(row)
            row.changed_at = now
            for name, value in values.items():
                setattr(row, name, value)
