"""Who may edit a message now: progress or ending, and never progress after the ending."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from bot.faces.discord.cards import Shown

KEPT = 1000  # jobs remembered; far more than can be on their way at once


@dataclass(slots=True)
class _Turn:
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    has_ended: bool = False
    preview: Shown | None = None


class MessageTurns:
    """Lets the edits of one job's message happen one after the other.

    An edit of the progress that is on its way when the job ends would otherwise arrive after the
    result and hide it. In memory alone: after a restart nobody shows progress of older jobs.
    """

    def __init__(self) -> None:
        self._turns: dict[str, _Turn] = {}  # in order of first use

    @asynccontextmanager
    async def progress(self, job_id: str) -> AsyncIterator[bool]:
        """A turn for showing progress; False where the ending was shown before."""
        turn = self._turn(job_id)
        async with turn.lock:
            yield not turn.has_ended

    @asynccontextmanager
    async def ending(self, job_id: str) -> AsyncIterator[None]:
        """The turn for showing the ending, after which progress has none."""
        turn = self._turn(job_id)
        async with turn.lock:
            turn.has_ended = True
            yield

    def keep_preview(self, job_id: str, preview: Shown) -> None:
        """Remember what a job's progress shows: it is all that is left if the job is cancelled."""
        self._turn(job_id).preview = preview

    def last_preview(self, job_id: str) -> Shown | None:
        """What a job's progress showed last; None where nothing was shown by this process."""
        return self._turn(job_id).preview

    def _turn(self, job_id: str) -> _Turn:
        turn = self._turns.setdefault(job_id, _Turn())
        while len(self._turns) > KEPT:
            del self._turns[next(iter(self._turns))]
        return turn
