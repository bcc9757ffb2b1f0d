"""Tells watchers what changes; slow ones miss intermediate states, never an ending."""

import asyncio
import itertools
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

from bot.studio.contract import JobUpdate, JobView

Key = TypeVar("Key")


class Watcher:
    """What one reader has not read yet: the latest update of each job, oldest first."""

    def __init__(self) -> None:
        self._latest: OrderedDict[str, JobUpdate] = OrderedDict()
        self._news = asyncio.Event()

    def hear(self, update: JobUpdate) -> None:
        """Take in an update; it replaces an unread one of the same job, but never an ending."""
        unread = self._latest.pop(update.job.id, None)
        if unread is not None and unread.job.state.is_final:
            update = unread
        self._latest[update.job.id] = update
        self._news.set()

    @property
    def has_news(self) -> bool:
        """There is something unread."""
        return bool(self._latest)

    async def next(self) -> JobUpdate:
        """Wait for the oldest unread update."""
        await self._news.wait()
        _, update = self._latest.popitem(last=False)
        if not self._latest:
            self._news.clear()
        return update


class Updates:
    """Hands each update to those who watch its job or its owner."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self._of_job: dict[str, set[Watcher]] = {}
        self._of_owner: dict[int, set[Watcher]] = {}

    @property
    def watchers(self) -> int:
        """How many watch now."""
        groups = (*self._of_job.values(), *self._of_owner.values())
        return sum(len(group) for group in groups)

    def publish(self, job: JobView, preview: bytes | None = None) -> None:
        """Tell all who watch; never waits."""
        update = self.numbered(job, preview)
        watchers = self._of_job.get(job.id, set()) | self._of_owner.get(job.owner_id, set())
        for watcher in watchers:
            watcher.hear(update)

    def numbered(self, job: JobView, preview: bytes | None = None) -> JobUpdate:
        """An update with the next number, for one reader alone."""
        return JobUpdate(job, preview, self.next_number())

    def next_number(self) -> int:
        """A number above all that were given before."""
        return next(self._numbers)

    @contextmanager
    def watching_job(self, job_id: str) -> Iterator[Watcher]:
        """Hear the updates of one job until leaving."""
        with _member_of(self._of_job, job_id) as watcher:
            yield watcher

    @contextmanager
    def watching_owner(self, owner_id: int) -> Iterator[Watcher]:
        """Hear the updates of all jobs of one owner until leaving."""
        with _member_of(self._of_owner, owner_id) as watcher:
            yield watcher


@contextmanager
def _member_of(groups: dict[Key, set[Watcher]], key: Key) -> Iterator[Watcher]:
    watcher = Watcher()
    groups.setdefault(key, set()).add(watcher)
    try:
        yield watcher
    finally:
        groups[key].discard(watcher)
        if not groups[key]:
            del groups[key]
