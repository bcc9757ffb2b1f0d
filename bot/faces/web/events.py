"""Server-sent events: changes of jobs, as they happen.

    id: 17
    event: job
    data: {"id": "k3x9...", "status": "running", "progress": 0.4, "preview": "data:..."}

Every event is the whole state of its job, so that missing some costs nothing. A stream begins with
the state now, whatever `Last-Event-ID` a returning client names: what it missed is in there.
"""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from aiohttp import web

from bot.errors import UserError
from bot.faces.web.context import CONFIG, caller_of, locale_of, studio_of
from bot.faces.web.views import update_json
from bot.studio.contract import Caller, JobUpdate, JobView, Studio

ENDED = "end"  # the id of a job's last event: who comes back with it has heard everything
RETRY_MS = 2_000  # how long browsers wait before they come back
CAUGHT_UP_JOBS = 30  # newest jobs whose state a returning client is told

_HEADERS = {
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",  # proxies must not hold events back
}

log = logging.getLogger(__name__)

STREAMS: web.AppKey[set[asyncio.Task[Any]]] = web.AppKey("streams")


class EventStream:
    """An open answer that events are written to."""

    def __init__(self, response: web.StreamResponse, locale: str) -> None:
        self.response = response
        self._locale = locale
        self._last = -1

    async def send(self, update: JobUpdate) -> None:
        """Tell one change; one that is older than what was told is left out, unless it ends a job.

        Raises:
            ConnectionError: the client is gone.
        """
        if update.number < self._last and not update.job.state.is_final:
            return
        self._last = max(update.number, self._last)
        number = ENDED if update.job.state.is_final else str(update.number)
        data = json.dumps(
            update_json(update, self._locale), ensure_ascii=False, separators=(",", ":")
        )
        await self.response.write(f"id: {number}\nevent: job\ndata: {data}\n\n".encode())

    async def beat(self, every_s: float) -> None:
        """Show signs of life for ever, so that neither side takes silence for the end.

        Raises:
            ConnectionError: the client is gone.
        """
        while True:
            await asyncio.sleep(every_s)
            await self.response.write(b": beat\n\n")


@asynccontextmanager
async def open_stream(request: web.Request) -> AsyncIterator[EventStream]:
    """Begin an event stream; leaves quietly when the client goes or the database does."""
    stream = EventStream(web.StreamResponse(headers=_HEADERS), locale_of(request))
    with _listed(request.app[STREAMS]):
        try:
            await stream.response.prepare(request)
            await stream.response.write(f"retry: {RETRY_MS}\n\n".encode())
            async with asyncio.TaskGroup() as tasks:
                heart = tasks.create_task(stream.beat(request.app[CONFIG].heartbeat_s))
                yield stream
                heart.cancel()
        except* (ConnectionError, UserError) as group:
            # Every page that is closed or left ends one so.
            log.debug("an event stream ended early: %s", type(group.exceptions[0]).__name__)


@contextmanager
def _listed(streams: set[asyncio.Task[Any]]) -> Iterator[None]:
    """Keep the current task in `streams`, so that stopping the service can end it."""
    task = asyncio.current_task()
    assert task is not None  # a handler always runs in a task
    streams.add(task)
    try:
        yield
    finally:
        streams.discard(task)


async def end_streams(app: web.Application) -> None:
    """End all streams at once when the service stops; clients come back to the next one."""
    streams = app[STREAMS]
    for task in tuple(streams):
        task.cancel()


async def job_events(request: web.Request) -> web.StreamResponse:
    """`GET /api/jobs/{id}/events`: the state now, then each change, up to the ending."""
    studio, caller, job_id = studio_of(request), caller_of(request), request.match_info["id"]
    job = await studio.job(caller, job_id)
    if job.state.is_final and request.headers.get("Last-Event-ID") == ENDED:
        return web.Response(status=204)  # tells a browser not to come back
    async with open_stream(request) as stream:
        async for update in studio.watch(caller, job_id):
            await stream.send(update)
    return stream.response


async def all_events(request: web.Request) -> web.StreamResponse:
    """`GET /api/events`: each change of any of the caller's jobs, without end."""
    studio, caller = studio_of(request), caller_of(request)
    async with open_stream(request) as stream:
        await _follow(stream, studio, caller, is_back="Last-Event-ID" in request.headers)
    return stream.response


async def _follow(stream: EventStream, studio: Studio, caller: Caller, *, is_back: bool) -> None:
    """Tell the present, then each change, until the client goes."""
    changes = aiter(studio.watch_all(caller))
    # Listening begins before the present is told, or what changes in between is lost.
    upcoming = asyncio.ensure_future(anext(changes))
    try:
        for job in await _present(studio, caller, is_back=is_back):
            await stream.send(JobUpdate(job))  # without a number: before all changes
        while True:
            await stream.send(await upcoming)
            upcoming = asyncio.ensure_future(anext(changes))
    except StopAsyncIteration:
        return  # the studio is closing
    finally:
        upcoming.cancel()


async def _present(studio: Studio, caller: Caller, *, is_back: bool) -> tuple[JobView, ...]:
    """The jobs that are not ended; for a returning client also what may have ended meanwhile."""
    if is_back:
        jobs, _ = await studio.history(caller, limit=CAUGHT_UP_JOBS)
        return tuple(reversed(jobs))
    queue = await studio.queue(caller)
    return (*queue.running, *queue.waiting)
