"""The time; tests bring their own."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeAlias

Clock: TypeAlias = Callable[[], datetime]


def utc_now() -> datetime:
    """The moment now, with its zone."""
    return datetime.now(UTC)
