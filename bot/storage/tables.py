"""What all tables share: the base class, naming of constraints, column types."""

import secrets
from datetime import UTC, datetime

from sqlalchemy import BigInteger, DateTime, Dialect, Integer, MetaData, TypeDecorator
from sqlalchemy.orm import DeclarativeBase

ID_LENGTH = 10
_ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyz"

# SQLite counts rows only in a column of exactly this type.
Number = BigInteger().with_variant(Integer, "sqlite")


class Base(DeclarativeBase):
    """All tables of the studio."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


class UtcDateTime(TypeDecorator[datetime]):
    """A moment in UTC; SQLite forgets time zones, so that it is added again when read."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Store as UTC; a moment without a zone is a mistake of the caller."""
        del dialect
        if value is None:
            return None
        if value.tzinfo is None:
            msg = "a stored moment needs its time zone"
            raise ValueError(msg)
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Return as UTC."""
        del dialect
        if value is None or value.tzinfo is not None:
            return value
        return value.replace(tzinfo=UTC)


def new_id() -> str:
    """A short random id of [0-9a-z], fit for buttons and for typing (36**10 are possible)."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(ID_LENGTH))
