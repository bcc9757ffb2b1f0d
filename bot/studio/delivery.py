"""Brings endings to the chats they came from: repeatable, with growing pauses.

An ended job is delivered when its row says so, not before. A crash between showing and saying so
shows it again, which a deliverer makes the same message.
"""

import asyncio
import logging
import time
from collections.abc import Collection
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

from bot.errors import NotFound, StorageUnavailable
from bot.logs import about_job
from bot.storage.images import Images
from bot.storage.jobs import JobRow, Jobs
from bot.studio import policy
from bot.studio.clock import Clock
from bot.studio.contract import Deliverer
from bot.studio.pictures import Pictures
from bot.studio.views import job_view

logger = logging.getLogger(__name__)

AT_ONCE = 8  # deliveries
TIMEOUT = timedelta(seconds=120)  # of one delivery
LEASE = timedelta(seconds=20)  # renewed while a delivery is under way: none outlives its process
RENEWAL_S = 5.0
GIVE_BACK_S = 2.0  # a process that closes is not given much more time
FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 600.0
GIVEN_UP_AFTER = timedelta(days=3)
SETTLING_POLLS, SETTLING_POLL_S = 100, 0.1  # another process may deliver: so it is asked
_POLL_S = 1.0


class Delivery:
    """Delivers ended jobs through the deliverers of this process's faces."""

    def __init__(self, jobs: Jobs, images: Images, pictures: Pictures, now: Clock) -> None:
        self._jobs = jobs
        self._images = images
        self._pictures = pictures
        self._now = now
        self._deliverers: dict[str, Deliverer] = {}
        self._under_way: set[str] = set()
        self._held: set[str] = set()  # of those, what no other process may deliver now
        self._news = asyncio.Event()

    def register(self, face: str, deliverer: Deliverer) -> None:
        """Deliver jobs of a face from now on, those that wait included."""
        self._deliverers[face] = deliverer
        self._news.set()

    def hurry(self) -> None:
        """Look for ended jobs now."""
        self._news.set()

    async def settle(self, job_ids: Collection[str]) -> None:
        """Wait, though not for long, until these ended jobs are shown where they came from."""
        self.hurry()
        for _ in range(SETTLING_POLLS):
            if not await self._jobs.are_due(job_ids, self._deliverers):
                return
            await asyncio.sleep(SETTLING_POLL_S)

    async def run(self) -> None:
        """Deliver until cancelled."""
        renew_at = time.monotonic() + RENEWAL_S
        async with asyncio.TaskGroup() as tasks:
            while True:
                self._news.clear()
                if time.monotonic() >= renew_at:
                    await self._renew()
                    renew_at = time.monotonic() + RENEWAL_S
                for row in await self._due():
                    self._under_way.add(row.id)
                    tasks.create_task(self._deliver_one(row))
                await self._wait()

    async def _renew(self) -> None:
        if self._held:
            with suppress(StorageUnavailable):  # it is tried again soon
                await self._jobs.hold_deliveries(self._held, until=self._now() + LEASE)

    async def _due(self) -> list[JobRow]:
        room = AT_ONCE - len(self._under_way)
        if not self._deliverers or room <= 0:
            return []
        try:
            due = await self._jobs.due_deliveries(
                self._deliverers, now=self._now(), limit=AT_ONCE + room
            )
        except StorageUnavailable:
            return []  # it is asked again soon
        return [row for row in due if row.id not in self._under_way][:room]

    async def _wait(self) -> None:
        try:
            async with asyncio.timeout(_POLL_S):
                await self._news.wait()
        except TimeoutError:
            pass

    async def _deliver_one(self, row: JobRow) -> None:
        with about_job(row.id):
            try:
                await self._deliver(row)
            except StorageUnavailable:
                logger.warning("its delivery waits for the database")
            finally:
                self._under_way.discard(row.id)
                self._held.discard(row.id)
                self._news.set()

    async def _deliver(self, row: JobRow) -> None:
        now = self._now()
        if not await self._jobs.claim_delivery(row.id, now=now, until=now + LEASE):
            return
        self._held.add(row.id)
        try:
            await self._show(row)
        except StorageUnavailable:
            raise
        except asyncio.CancelledError:
            await self._give_back(row)
            raise
        except Exception:  # whatever a chat does, the ending is shown later
            logger.warning("could not be delivered", exc_info=True)
            await self._postpone(row)
        else:
            await self._jobs.delivered(row.id, now=self._now())

    async def _show(self, row: JobRow) -> None:
        images = (await self._images.of_jobs(policy.owner_of(row), [row.id]))[row.id]
        files = []
        for seen in images:
            try:
                files.append(await self._pictures.file(seen.row))
            except NotFound:
                logger.error("the file of image %s is gone", seen.row.id)
        view = job_view(row, images)
        # The owner may have locked one of them since it was made, or shown by a lost attempt.
        is_private = view.is_private or any(image.is_private for image in view.images)
        view = replace(view, is_private=is_private)
        async with asyncio.timeout(TIMEOUT.total_seconds()):
            await self._deliverers[row.face].deliver(view, tuple(files))

    async def _give_back(self, row: JobRow) -> None:
        """Let the next process deliver at once what this one can't any more."""
        with suppress(StorageUnavailable, TimeoutError):  # then its lease ends soon
            async with asyncio.timeout(GIVE_BACK_S):
                await self._jobs.deliver_again(row.id, after=self._now())

    async def _postpone(self, row: JobRow) -> None:
        now = self._now()
        if row.ended_at and now - row.ended_at > GIVEN_UP_AFTER:
            logger.error("delivery is given up after %s", GIVEN_UP_AFTER)
            await self._jobs.delivered(row.id, now=now)
            return
        pause_s = pause_after(row.delivery_attempts)
        await self._jobs.deliver_again(row.id, after=now + timedelta(seconds=pause_s))


def pause_after(attempts: int) -> float:
    """Seconds until the next attempt, after so many earlier ones."""
    return float(min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2 ** min(attempts, 20)))
