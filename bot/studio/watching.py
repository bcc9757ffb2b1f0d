"""Jobs as faces see them: one, many, the queue, and each change as it happens."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

from bot.errors import NotFound, StorageUnavailable
from bot.storage.images import Images, Viewer
from bot.storage.jobs import QUEUED, JobRow, Jobs
from bot.studio import policy
from bot.studio.contract import Caller, Destination, JobState, JobUpdate, JobView, QueueView
from bot.studio.gallery import cursor_after, read_cursor
from bot.studio.scheduler import Running, Scheduler
from bot.studio.updates import Updates
from bot.studio.views import job_view, outline

MAX_HISTORY = 50  # jobs of one page
MAX_OTHERS = 50  # jobs that an admin is told of
WATCH_POLL_S = 2.0  # how soon a watcher hears of what another process did


class Watching:
    """Shows rows together with what the scheduler knows of them."""

    def __init__(self, jobs: Jobs, images: Images, scheduler: Scheduler, updates: Updates) -> None:
        self._jobs = jobs
        self._images = images
        self._scheduler = scheduler
        self._updates = updates

    async def visible(self, caller: Caller, job_id: str) -> JobRow:
        """The row of a job that the caller may see.

        Raises:
            NotFound: there is none.
        """
        return await self._jobs.seen(policy.viewer(caller), job_id.strip().lower())

    async def view(self, row: JobRow, viewer: Viewer | None = None) -> JobView:
        """A job as a viewer sees it, or else its owner."""
        return (await self._views([row], viewer or policy.owner_of(row)))[0]

    def queued(self, row: JobRow) -> JobView:
        """A job that was accepted just now."""
        position = self._scheduler.queue.position(row.id)
        return job_view(row, position=position, estimate_s=self._scheduler.estimate_s(row))

    def running(self, running: Running, row: JobRow) -> JobView:
        """A job at the step that it has come to."""
        return job_view(
            row,
            steps=(running.step, running.total),
            estimate_s=self._scheduler.estimate_s(row),
            remark=running.remark,
        )

    async def watch(self, caller: Caller, job_id: str) -> AsyncIterator[JobUpdate]:
        """The state now, then each change, up to and including the final one."""
        row, viewer = await self.visible(caller, job_id), policy.viewer(caller)
        with self._updates.watching_job(row.id) as watcher:
            # Numbered before it is read: what is heard meanwhile comes after it.
            number = self._updates.next_number()
            last = await self.view(await self._jobs.by_id(row.id), viewer)
            yield JobUpdate(last, None, number)
            while not last.state.is_final:
                try:
                    async with asyncio.timeout(WATCH_POLL_S):
                        update = await watcher.next()
                except TimeoutError:
                    found = await self._news_of(row.id, last, viewer)
                    if found is None:
                        continue
                    update = self._updates.numbered(found)
                last = update.job
                yield update

    async def watch_all(self, caller: Caller) -> AsyncIterator[JobUpdate]:
        """Each change of any of the caller's own jobs, without end."""
        with self._updates.watching_owner(caller.owner_id) as watcher:
            while True:
                yield await watcher.next()

    async def history(
        self, caller: Caller, *, cursor: str | None = None, limit: int = 10
    ) -> tuple[tuple[JobView, ...], str | None]:
        """The caller's jobs, newest first, and the next cursor."""
        limit = min(max(limit, 1), MAX_HISTORY)
        below = None if cursor is None else read_cursor(cursor)
        rows = await self._jobs.of_owner(caller.owner_id, below=below, limit=limit + 1)
        shown = rows[:limit]
        following = cursor_after(shown[-1].number) if len(rows) > limit else None
        return await self._views(shown, policy.viewer(caller)), following

    async def asked_before(self, caller: Caller, key: str) -> tuple[JobView, ...]:
        """The jobs that a request of the caller's with this key has made; none: it is new."""
        rows = await self._jobs.of_request(caller.owner_id, key)
        return await self._views(rows, policy.viewer(caller))

    async def open_jobs(self, face: str) -> tuple[JobView, ...]:
        """All jobs of a face that wait or run, oldest first; for the face itself."""
        rows = [row for row in await self._jobs.open_jobs() if row.face == face]
        return tuple([(await self.view(row)) for row in rows])

    async def move(self, job_id: str, destination: Destination) -> None:
        """Deliver a job elsewhere in its face; for the face itself."""
        await self._jobs.move(job_id, destination.address)

    async def queue(self, caller: Caller) -> QueueView:
        """What runs and waits."""
        counts = await self._jobs.counts()
        own = await self._jobs.open_jobs(owner_id=caller.owner_id, with_requests=True)
        views = await self._views(own, policy.viewer(caller))
        waiting = [view for view in views if view.state is JobState.QUEUED]
        return QueueView(
            running=tuple(view for view in views if view.state is JobState.RUNNING),
            waiting=tuple(sorted(waiting, key=lambda view: view.position or len(own))),
            others=await self._others(caller),
            total_running=counts["running"],
            total_waiting=counts[QUEUED],
        )

    async def _others(self, caller: Caller) -> tuple[JobView, ...]:
        """What other members wait for in the guild that the caller administers, oldest first."""
        if caller.guild_id is None or not caller.is_admin:
            return ()
        rows = await self._jobs.open_jobs(guild_id=caller.guild_id, limit=MAX_OTHERS)
        theirs = [row for row in rows if row.owner_id != caller.owner_id]
        return tuple(map(outline, await self._views(theirs, policy.viewer(caller))))

    async def _news_of(self, job_id: str, last: JobView, viewer: Viewer) -> JobView | None:
        """A job's state where it is not what was told last; another process may have changed it."""
        try:
            view = await self.view(await self._jobs.by_id(job_id), viewer)
        except StorageUnavailable:
            return None  # asked again soon
        except NotFound:  # erased with all else of its owner
            view = replace(last, state=JobState.CANCELLED)
        return None if view == last else view

    async def _views(self, rows: Sequence[JobRow], viewer: Viewer) -> tuple[JobView, ...]:
        finished = [row.id for row in rows if row.state == JobState.FINISHED]
        images = await self._images.of_jobs(viewer, finished) if finished else {}
        views = []
        for row in rows:
            position, estimate_s = await self._outlook(row)
            views.append(
                job_view(
                    row,
                    images.get(row.id, ()),
                    position=position,
                    estimate_s=estimate_s,
                    steps=self._scheduler.steps(row.id),
                    remark=self._scheduler.remark(row.id),
                )
            )
        return tuple(views)

    async def _outlook(self, row: JobRow) -> tuple[int | None, float | None]:
        """Position and estimate of a job that has not ended."""
        if JobState(row.state).is_final:
            return None, None
        estimate_s = self._scheduler.estimate_s(row)
        if row.state != QUEUED:
            return None, estimate_s
        position = self._scheduler.queue.position(row.id)
        if position is None:  # another process schedules: count those before
            position = 1 + await self._jobs.queued_before(row.number)
        return position, estimate_s
