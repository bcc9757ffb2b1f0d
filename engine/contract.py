"""All a caller needs of an engine; `host.WorkerHost` and `testing.FakeEngine` provide it."""

from dataclasses import dataclass
from typing import Protocol

from engine.events import Finished, OnEvent
from engine.models.catalogue import Catalogue
from engine.requests import Request


@dataclass(frozen=True, slots=True)
class WorkerStatus:
    """One worker process, for operators."""

    device: str
    is_alive: bool
    running: int  # requests
    restarts: int
    memory_bytes: int  # of the models it keeps
    resident_models: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class EngineStatus:
    """All workers of an engine."""

    workers: tuple[WorkerStatus, ...]


class Engine(Protocol):
    """Makes pictures from requests."""

    @property
    def catalogue(self) -> Catalogue:
        """The models it offers."""
        ...

    async def run(self, request: Request, on_event: OnEvent) -> Finished:
        """Carry out a request; `on_event` hears Started and Progress, never the ending.

        Cancelling the await cancels the request at the next tick.

        Raises:
            EngineError: the request failed; `error.retryable` says if asking again may help.
        """
        ...

    def status(self) -> EngineStatus:
        """The state of the workers now; does not block."""
        ...
