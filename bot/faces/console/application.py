"""What the command line needs of `bot.app`, which stands above it and is handed in."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from bot.settings import Settings
from bot.studio.contract import Studio


class Application(Protocol):
    """All parts, built from settings."""

    def open_studio_of(
        self, settings: Settings, *, with_engine: bool = True
    ) -> AbstractAsyncContextManager[Studio]:
        """The studio alone, without the other faces; without engine it only reads."""
        ...

    async def serve(self, settings: Settings, announce: Callable[[str], None]) -> None:
        """Run the service until it is told to stop."""
        ...

    async def migrate(self, settings: Settings) -> None:
        """Bring the database to the newest schema."""
        ...

    def web_problem(self, settings: Settings) -> str:
        """Why the web studio would refuse to start, or nothing."""
        ...

    def wildcards_problem(self, settings: Settings) -> str:
        """Why the lists for prompts can't be read, or nothing."""
        ...

    async def is_schema_current(self, settings: Settings) -> bool:
        """Whether the database needs no migration; raises a `UserError` where it can't be used."""
        ...
