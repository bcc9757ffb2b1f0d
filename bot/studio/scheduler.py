"""Gives waiting jobs to the engine, one process at a time, and commits what comes back.

The database is the truth: the queue in memory is read from it and may be thrown away at any
moment. An attempt is claimed in the row before the engine hears of it; its result counts only if
the row still names that attempt.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import TypeAlias

from bot.errors import LimitReached, NotFound, StorageUnavailable
from bot.logs import about_job
from bot.storage.jobs import QUEUED, Held, JobRow, Jobs, Outcome
from bot.storage.lock import DatabaseLock
from bot.studio.attempts import Attempts
from bot.studio.clock import Clock
from bot.studio.codec import UnreadableRequest
from bot.studio.contract import JobEnding, JobState, Operation
from bot.studio.fair_queue import FairQueue, Ticket
from bot.studio.patience import FIRST_PAUSE_S, LONGEST_PAUSE_S, FilesFailed, insistently
from bot.studio.speeds import Speeds, pace_of
from bot.studio.verdicts import remark_so_far
from bot.studio.views import job_ending
from bot.wording import Said
from engine.api import (
    Engine,
    EngineError,
    Event,
    OnEvent,
    Progress,
)

logger = logging.getLogger(__name__)

MAX_DEATHS = 3  # of workers, after which a job is given up: it had the last one alone
# The same of whole bots, which have other enemies: who stops them, and who cuts the power. But a
# job may take all of a container with it.
MAX_BOT_DEATHS = 6
SOLO_DEATHS = 2  # after so many, a job runs alone: was it the culprit, or only near?
GIVE_BACK_S = 2.0  # a process that closes is not given much more time
LEASE = timedelta(seconds=30)
TRAINING_PAUSE_S = 5.0  # between looks whether another training has ended
RENEWAL_S = 5.0
POLL_S = 1.0  # for jobs that another process accepted
DEATH_PAUSE = timedelta(seconds=0.5)


@dataclass(slots=True)
class Running:
    """An attempt under way."""

    task: asyncio.Task[float | None]
    row: JobRow | None = None  # None: not claimed yet
    claimed_at: float = 0.0  # seconds of `time.monotonic`
    step: int = 0
    total: int = 0
    remark: str = ""  # what a training says of itself so far
    first_step: int = 0  # that was told of
    first_step_at: float = 0.0  # seconds of `time.monotonic`

    def left_s(self) -> float | None:
        """Seconds it has still to go at the pace of its own steps; None before there are two."""
        done = self.step - self.first_step
        if done <= 0:
            return None
        return (time.monotonic() - self.first_step_at) / done * (self.total - self.step)

    @property
    def share_left(self) -> float:
        """0 to 1."""
        return 1 - self.step / self.total if self.total else 1.0

    def used_s(self, cost_s: float) -> float:
        """Device seconds of `cost_s` that it has used: by its steps, before them by the clock."""
        if self.row is None:
            return 0.0
        if self.total:
            return cost_s * (1 - self.share_left)
        return min(cost_s, time.monotonic() - self.claimed_at)


OnChange: TypeAlias = Callable[[str], None]
OnProgress: TypeAlias = Callable[[Running, bytes | None], None]
OnEnding: TypeAlias = Callable[[JobEnding], None]


@dataclass(frozen=True, slots=True)
class Parts:
    """What a scheduler works with."""

    engine: Engine
    jobs: Jobs
    attempts: Attempts
    lock: DatabaseLock
    now: Clock


class Scheduler:
    """Runs jobs in the order of the fair queue, `slots` at once for each device of the engine.

    `on_change` hears of jobs whose row changed, `on_progress` of steps and previews, `on_ending`
    once of each job that ended here.
    """

    def __init__(
        self,
        parts: Parts,
        *,
        slots: int,
        on_change: OnChange,
        on_progress: OnProgress,
        on_ending: OnEnding,
    ) -> None:
        self._parts = parts
        self._slots = slots
        self._on_change = on_change
        self._on_progress = on_progress
        self._on_ending = on_ending
        self._running: dict[str, Running] = {}
        self._newest = 0  # number of the newest job that was read
        self._reads_all = True  # at the next look at the database
        self._news = asyncio.Event()
        self.queue = FairQueue()
        self.speeds = Speeds()
        self.is_active = False  # this process holds the lock

    def accept(self, rows: Iterable[JobRow]) -> None:
        """Take in jobs that this process committed, without asking the database for them."""
        if self.is_active:
            for row in rows:
                self.queue.put(self._ticket(row), self._moment())
        self._news.set()

    def run_again(self, job_id: str) -> None:
        """Stop working on a job whose row waits again, and look for it soon."""
        self.stop(job_id)
        self._reads_all = True
        self._news.set()

    def stop(self, job_id: str) -> None:
        """Stop working on a job whose row has ended."""
        self.queue.remove(job_id, self._moment())
        if running := self._running.get(job_id):
            running.task.cancel()

    def remark(self, job_id: str) -> str:
        """What a training under way says of itself; empty for all others."""
        running = self._running.get(job_id)
        return running.remark if running else ""

    def steps(self, job_id: str) -> tuple[int, int] | None:
        """Steps done and in all of a job that runs here; None for others."""
        running = self._running.get(job_id)
        return (running.step, running.total) if running else None

    def estimate_s(self, row: JobRow) -> float | None:
        """Seconds until a job will have ended, if all goes as it went lately; None: unknown."""
        own_s = self.speeds.estimate_s(_pace(row), row.work)
        running = self._running.get(row.id)
        if own_s is None:
            return running.left_s() if running else None
        workers = self._workers()
        if running:
            return own_s * running.share_left * max(1.0, len(self._running) / workers)
        ahead_s = sum(map(self._left_s, self._running.values())) + self._ahead_s(row.id)
        return own_s + ahead_s / workers

    async def run(self) -> None:
        """Work until cancelled while this process holds the lock; else wait for the lock."""
        pause_s = FIRST_PAUSE_S
        is_second = False
        async with asyncio.TaskGroup() as attempts:
            while True:
                try:
                    if await self._parts.lock.acquire():
                        await self._take_over()
                        pause_s = FIRST_PAUSE_S
                        is_second = False
                        await self._work(attempts)
                    if not is_second:
                        logger.info(
                            "another process runs the jobs of this database; "
                            "this one takes over when that ends"
                        )
                    is_second = True
                    self._abandon()
                    pause_s = POLL_S
                except StorageUnavailable as error:
                    logger.warning("the scheduler waits %.1f s: %s", pause_s, error)
                    pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
                self.is_active = False
                await asyncio.sleep(pause_s)

    async def _take_over(self) -> None:
        """Queue again what nobody works on; learn how long things take."""
        mine = set(self._running)
        for row in await self._parts.jobs.orphans(keep=mine):
            if row.bot_deaths + 1 >= MAX_BOT_DEATHS:
                await self._fail(row, _given_up(row.bot_deaths + 1))
        recovered = await self._parts.jobs.recover(keep=mine)
        if recovered:
            logger.info("%d jobs that were running are queued again", recovered)
        recent = await self._parts.jobs.recently_finished()
        self.speeds = Speeds((_pace(row), row.work, row.device_s or 0.0) for row in recent)
        self._reads_all = True
        self.is_active = True

    async def _work(self, attempts: asyncio.TaskGroup) -> None:
        """Start what may run, until another process has the lock."""
        renew_at = self._moment() + RENEWAL_S
        read_at = self._moment()
        while True:
            self._news.clear()
            if self._reads_all or self._moment() >= read_at:
                await self._read_new()
                read_at = self._moment() + POLL_S
            self._fill_slots(attempts)
            await self._wait()
            if self._moment() >= renew_at:
                if not await self._parts.lock.acquire():
                    return
                await self._renew()
                renew_at = self._moment() + RENEWAL_S

    def _abandon(self) -> None:
        """Stop all attempts: another process is the scheduler and runs them again."""
        for running in self._running.values():
            running.task.cancel()

    async def _read_new(self) -> None:
        above = 0 if self._reads_all else self._newest
        self._reads_all = False
        for row in await self._parts.jobs.open_jobs(above=above):
            if row.state == QUEUED:
                self.queue.put(self._ticket(row), self._moment())
            self._newest = max(self._newest, row.number)

    def _fill_slots(self, attempts: asyncio.TaskGroup) -> None:
        resident = self._resident_models()
        slots = self._slots * self._workers()
        while self._taken() < slots:
            ticket = self.queue.pick(self._moment(), resident)
            if ticket is None:
                return
            if ticket.is_patient and self._trainings() > 1:
                self._put_off(ticket)
                continue
            task = attempts.create_task(self._named_attempt(ticket), name=f"job {ticket.job_id}")
            self._running[ticket.job_id] = Running(task)
            # Not in the attempt itself, which never begins where it is stopped at once.
            task.add_done_callback(partial(self._release, ticket))

    def _taken(self) -> int:
        """Slots in use: a generator's training, which waits for all others, takes none."""
        return len(self.queue.running) - self._trainings()

    def _trainings(self) -> int:
        return sum(ticket.is_patient for ticket in self.queue.running)

    def _put_off(self, ticket: Ticket) -> None:
        """Let a training wait while another one runs."""
        now = self._moment()
        self.queue.ended(ticket.job_id, now, device_s=0.0)
        self.queue.put(replace(ticket, not_before=now + TRAINING_PAUSE_S), now)

    def _workers(self) -> int:
        """How many are there now: some come later than others, or die."""
        return max(1, sum(worker.is_alive for worker in self._parts.engine.status().workers))

    def _resident_models(self) -> frozenset[str]:
        workers = self._parts.engine.status().workers
        return frozenset(name for worker in workers for name in worker.resident_models)

    async def _wait(self) -> None:
        now = self._moment()
        moment = self.queue.next_moment(now)
        pause_s = POLL_S if moment is None else min(POLL_S, max(0.0, moment - now))
        try:
            async with asyncio.timeout(pause_s):
                await self._news.wait()
        except TimeoutError:
            pass

    async def _renew(self) -> None:
        """Renew leases; stop attempts whose job ended elsewhere; find jobs nobody works on."""
        now = self._parts.now()
        held = [
            Held(job_id, running.row.attempt, running.step, running.total)
            for job_id, running in self._running.items()
            if running.row
        ]
        if held:
            for job_id in await self._parts.jobs.renew(held, lease_until=now + LEASE):
                self.stop(job_id)
        await self._parts.jobs.recover_expired(now=now, keep=set(self._running))
        self._reads_all = True  # numbers may become visible out of order

    def _release(self, ticket: Ticket, task: asyncio.Task[float | None]) -> None:
        """Free the place of an attempt that ended, however it did."""
        del self._running[ticket.job_id]
        device_s = 0.0 if task.cancelled() else task.result()
        self.queue.ended(ticket.job_id, self._moment(), device_s)
        self._news.set()

    async def _named_attempt(self, ticket: Ticket) -> float | None:
        with about_job(ticket.job_id):
            return await self._attempt(ticket)

    async def _attempt(self, ticket: Ticket) -> float | None:
        """Carry out one attempt, from claim to commit; no error leaves it.

        Returns the device seconds to charge; None: what it was believed to take.
        """
        try:
            row = await self._claimed(ticket)
            if row is not None:
                return await self._run(row)
        except StorageUnavailable:
            self._reads_all = True  # the job is still queued
            await asyncio.sleep(FIRST_PAUSE_S)
        except asyncio.CancelledError:
            # Its row has ended, or this process is closing and the next start runs it again.
            logger.debug("the attempt is stopped")
            running = self._running[ticket.job_id]
            if running.row is not None:
                await self._give_back(running.row)
                self._reads_all = True  # who looked for it meanwhile left it, as it still ran
            return running.used_s(ticket.cost_s)
        return 0.0

    async def _give_back(self, row: JobRow) -> None:
        """Let a job wait again whose attempt is stopped, if it is still to be done."""
        now = self._parts.now()
        with suppress(StorageUnavailable, TimeoutError):  # then it counts as a death
            async with asyncio.timeout(GIVE_BACK_S):
                await self._parts.jobs.requeue(
                    row.id, row.attempt, not_before=now, worker_died=False
                )

    async def _claimed(self, ticket: Ticket) -> JobRow | None:
        now = self._parts.now()
        row = await self._parts.jobs.claim(ticket.job_id, now=now, lease_until=now + LEASE)
        if row is not None:
            running = self._running[ticket.job_id]
            running.row, running.claimed_at = row, time.monotonic()
            self._on_change(row.id)
        return row

    async def _run(self, row: JobRow) -> float | None:
        """Run a claimed attempt to its ending; returns its device seconds, where known."""
        try:
            request = await self._parts.attempts.request(row)
            finished = await self._parts.engine.run(request, self._listener(row.id))
            outcome = await self._parts.attempts.outcome(row, request, finished)
        except EngineError as error:
            if error.retryable:
                await self._survive(row)
            else:
                if str(error) != error.text:  # what only the operator can mend
                    logger.error("%s", error)
                await self._fail(row, error.text)
        except (UnreadableRequest, NotFound, LimitReached, FilesFailed) as error:
            await self._fail(row, error.text)
        except Exception:
            logger.exception("failed for a reason nobody foresaw")
            await self._fail(row, "something unexpected went wrong here; the operator can see it")
        else:
            await self._finish(row, outcome)
            return outcome.device_s
        return None

    async def _finish(self, row: JobRow, outcome: Outcome) -> None:
        if await insistently(
            lambda: self._parts.jobs.finish(row.id, row.attempt, outcome, now=self._parts.now())
        ):
            self.speeds.learn(_pace(row), row.work, outcome.device_s)
            self._on_ending(job_ending(row, JobState.FINISHED, outcome.device_s))
        self._on_change(row.id)

    async def _fail(self, row: JobRow, reason: str) -> None:
        logger.info("failed: %s", reason)
        if await insistently(
            lambda: self._parts.jobs.fail(row.id, row.attempt, reason, now=self._parts.now())
        ):
            self._on_ending(job_ending(row, JobState.FAILED))
        self._on_change(row.id)

    async def _survive(self, row: JobRow) -> None:
        """Run a job again whose worker died, unless it seems to be what kills them."""
        deaths = row.deaths + 1
        if deaths >= MAX_DEATHS:
            await self._fail(row, _given_up(deaths))
            return
        logger.warning("its worker died (%d of %d)", deaths, MAX_DEATHS)
        not_before = self._parts.now() + DEATH_PAUSE
        await insistently(
            lambda: self._parts.jobs.requeue(
                row.id, row.attempt, not_before=not_before, worker_died=True
            )
        )
        self._reads_all = True
        self._on_change(row.id)

    def _listener(self, job_id: str) -> OnEvent:
        def on_event(event: Event) -> None:
            running = self._running.get(job_id)
            if running is not None and isinstance(event, Progress):
                if not running.total:
                    running.first_step, running.first_step_at = event.step, time.monotonic()
                running.step, running.total = event.step, event.total
                if event.report:
                    running.remark = remark_so_far(event.report)
                self._on_progress(running, event.preview)

        return on_event

    def _left_s(self, running: Running) -> float:
        if running.row is None:
            return 0.0
        cost_s = self.speeds.cost_s(_pace(running.row), running.row.work)
        return cost_s * running.share_left

    def _ahead_s(self, job_id: str) -> float:
        total_s = 0.0
        for ticket in self.queue.order():
            if ticket.job_id == job_id:
                break
            total_s += ticket.cost_s
        return total_s

    def _ticket(self, row: JobRow) -> Ticket:
        is_patient = row.operation == Operation.TRAIN_GAN and row.is_relaxed
        return Ticket(
            job_id=row.id,
            number=row.number,
            owner_id=row.owner_id,
            guild_id=row.guild_id,
            model=row.model,
            cost_s=self.speeds.cost_s(_pace(row), row.work),
            waits_since=row.created_at.timestamp(),
            not_before=row.not_before.timestamp() if row.not_before else 0.0,
            running_cap=row.running_cap,
            guild_running_cap=row.guild_running_cap,
            # A training alone would stop everybody for its whole length.
            is_solo=max(row.deaths, row.bot_deaths) >= SOLO_DEATHS and not is_patient,
            is_relaxed=row.is_relaxed,
            is_patient=is_patient,
        )

    def _moment(self) -> float:
        return self._parts.now().timestamp()


def _given_up(deaths: int) -> Said:
    return Said(
        "the process that draws died {times} times while it made this, so it was given up; "
        "try another size or model",
        times=deaths,
    )


def _pace(row: JobRow) -> str:
    return pace_of(row.model, row.operation)
