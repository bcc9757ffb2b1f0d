"""Jobs: what was asked, by whom, and how far it is.

A job's life: queued -> running -> finished | failed | cancelled. `attempt` counts how often it was
started; only the attempt that the row names may change a running job, so that a worker believed
dead can't end a job that another one has taken over. `lease_until` says until when the attempt's
bot is believed alive. Delivery comes after the ending and has its own moments.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import (
    JSON,
    ColumnElement,
    CursorResult,
    ForeignKey,
    Index,
    Select,
    String,
    and_,
    exists,
    func,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, defer, mapped_column
from sqlalchemy.orm.attributes import set_attribute

from bot.errors import AskedBefore, LimitReached, NotFound, TooManyWaiting
from bot.storage.database import Database, take_turn
from bot.storage.files import LetGo, leave
from bot.storage.generators import GeneratorRow
from bot.storage.images import ImageRow, Viewer, is_open_to, is_shown_to
from bot.storage.styles import StyleRow, free_name, keep_style
from bot.storage.tables import Base, Number, UtcDateTime
from bot.wording import Said, as_plain, from_plain

QUEUED, RUNNING = "queued", "running"
FINISHED, FAILED, CANCELLED = "finished", "failed", "cancelled"
_OPEN = text("state IN ('queued', 'running')")
_YOURS_WAIT = "you have {waiting} jobs waiting, and {most} may wait; let some finish or cancel one"
_SERVERS_WAIT = (
    "this server has {waiting} jobs waiting, and {most} may wait; let some finish or cancel one"
)
_TOO_MANY_ASKED = "this asks for {count} jobs, and {most} may wait at once; ask for fewer"
_MEANS_ANOTHER = "{name} is another style by now; what was learned is kept as {kept}."
_IS_GONE = "There was no style called {name} any more; what was learned is kept under that name."
_KEYED = text("request_key IS NOT NULL")
_UNDELIVERED = text("delivered_at IS NULL AND ended_at IS NOT NULL")


class JobRow(Base):
    """A request, whose it is, and its ending."""

    __tablename__ = "jobs"
    __table_args__ = (
        Index("ix_jobs_owner", "owner_id", "number"),
        Index("ix_jobs_open", "state", "number", sqlite_where=_OPEN, postgresql_where=_OPEN),
        Index(
            "ix_jobs_undelivered",
            "deliver_after",
            sqlite_where=_UNDELIVERED,
            postgresql_where=_UNDELIVERED,
        ),
        Index("ix_jobs_ended", "ended_at"),
        Index(
            "ix_jobs_request_key",
            "owner_id",
            "request_key",
            "request_place",
            unique=True,
            sqlite_where=_KEYED,
            postgresql_where=_KEYED,
        ),
        {"sqlite_autoincrement": True},
    )

    number: Mapped[int] = mapped_column(Number, primary_key=True)  # newest is largest
    id: Mapped[str] = mapped_column(String(12), unique=True)
    owner_id: Mapped[int] = mapped_column(Number)
    guild_id: Mapped[int | None] = mapped_column(Number)
    channel_id: Mapped[int | None] = mapped_column(Number)
    is_private: Mapped[bool]
    shown_in: Mapped[int | None] = mapped_column(Number)  # a channel that sees what is private
    state: Mapped[str] = mapped_column(String(12), default=QUEUED)
    # Why it failed; what is to be said of the result.
    reason: Mapped[str] = mapped_column(default="")
    # How the reason was made, so that it can be told in another language.
    reason_parts: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    operation: Mapped[str] = mapped_column(String(24))
    prompt: Mapped[str]
    model: Mapped[str] = mapped_column(String(120))
    seed: Mapped[int] = mapped_column(Number)
    request: Mapped[dict[str, Any]] = mapped_column(JSON)
    replaces: Mapped[str | None] = mapped_column(String(80))  # picture that its style had before
    parent_image_id: Mapped[str | None] = mapped_column(String(12))
    parent_job_id: Mapped[str | None] = mapped_column(String(12))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    request_key: Mapped[str | None] = mapped_column(String(80))  # by which it is asked for again
    request_place: Mapped[int] = mapped_column(default=0)  # among the jobs of that request

    work: Mapped[float]  # of the request, in megapixel-steps; device seconds are its multiple
    running_cap: Mapped[int | None]  # jobs of this owner at once
    guild_running_cap: Mapped[int | None]
    is_relaxed: Mapped[bool] = mapped_column(default=False)  # runs when no other job may
    attempt: Mapped[int] = mapped_column(default=0)
    deaths: Mapped[int] = mapped_column(default=0)  # of workers while it ran
    bot_deaths: Mapped[int] = mapped_column(default=0, server_default="0")  # of whole bots
    not_before: Mapped[datetime | None] = mapped_column(UtcDateTime)
    lease_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    step: Mapped[int] = mapped_column(default=0)
    total: Mapped[int] = mapped_column(default=0)
    started_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    device_s: Mapped[float | None]
    timings: Mapped[dict[str, float]] = mapped_column(JSON, default=dict)
    versions: Mapped[dict[str, str]] = mapped_column(JSON, default=dict)

    face: Mapped[str] = mapped_column(String(20))  # that delivers the ending
    address: Mapped[dict[str, Any]] = mapped_column(JSON)
    deliver_after: Mapped[datetime] = mapped_column(UtcDateTime)
    delivery_attempts: Mapped[int] = mapped_column(default=0)
    delivered_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    @property
    def told(self) -> Said | str:
        """The reason, to be told in any language."""
        return from_plain(self.reason_parts) if self.reason_parts else self.reason


class JobFileRow(Base):
    """A file that a job's request refers to, so that it is kept as long as the job."""

    __tablename__ = "job_files"
    __table_args__ = (Index("ix_job_files_file", "file_key"),)

    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    file_key: Mapped[str] = mapped_column(String(80), primary_key=True)


@dataclass(frozen=True, slots=True)
class NewJob:
    """A job to be accepted, and the files its request refers to."""

    row: JobRow
    file_keys: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What a finished attempt brings."""

    images: Sequence[ImageRow]
    style: StyleRow | None = None  # that was trained
    generator: GeneratorRow | None = None  # that was trained
    remark: str = ""  # what is to be said of the result; a `bot.wording.Said`
    device_s: float
    timings: Mapping[str, float] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Held:
    """A running attempt whose lease is renewed, and how far it is."""

    job_id: str
    attempt: int
    step: int
    total: int


class Jobs:
    """Reads and changes jobs."""

    def __init__(self, database: Database, let_go: LetGo = leave) -> None:
        """`let_go` is told of files that a style needs no more, though others may."""
        self._database = database
        self._let_go = let_go

    async def add(
        self,
        jobs: Sequence[NewJob],
        *,
        waiting_cap: int | None = None,
        guild_waiting_cap: int | None = None,
    ) -> None:
        """Accept jobs of one owner: all of them, or none.

        Raises:
            AskedBefore: the owner has jobs of this key.
            LimitReached: there are more than may ever wait.
            TooManyWaiting: and says which cap it is.
        """
        first = jobs[0].row
        async with self._database.writing() as session:
            await take_turn(session, first.owner_id, first.guild_id)
            if first.request_key and await session.scalar(
                _of_request(first.owner_id, first.request_key).limit(1)
            ):
                raise AskedBefore("this was asked for before; its jobs are in your history")
            await _require_room(session, first, len(jobs), waiting_cap, guild_waiting_cap)
            session.add_all(job.row for job in jobs)
            await session.flush()
            session.add_all(
                JobFileRow(job_id=job.row.id, file_key=key)
                for job in jobs
                for key in dict.fromkeys(job.file_keys)
            )

    async def by_id(self, job_id: str) -> JobRow:
        """One job, whoever asks.

        Raises:
            NotFound: there is none.
        """
        return await self._one(JobRow.id == job_id)

    async def seen(self, viewer: Viewer, job_id: str) -> JobRow:
        """One job: an own one, or one that shows the viewer a picture, or may come to do so.

        Raises:
            NotFound: there is none, or the viewer may not see it.
        """
        return await self._one(and_(JobRow.id == job_id, _visible_to(viewer)))

    async def of_request(self, owner_id: int, key: str) -> list[JobRow]:
        """The jobs of a request by its key, in their order."""
        async with self._database.reading() as session:
            return list(await session.scalars(_of_request(owner_id, key)))

    async def of_owner(self, owner_id: int, *, below: int | None, limit: int) -> list[JobRow]:
        """An owner's newest jobs with numbers under `below` (None: from the start)."""
        query = select(JobRow).where(JobRow.owner_id == owner_id)
        if below is not None:
            query = query.where(JobRow.number < below)
        async with self._database.reading() as session:
            found = await session.scalars(query.order_by(JobRow.number.desc()).limit(limit))
            return list(found)

    async def open_jobs(
        self,
        *,
        owner_id: int | None = None,
        guild_id: int | None = None,
        above: int = 0,
        limit: int | None = None,
        with_requests: bool = False,
    ) -> list[JobRow]:
        """Queued and running jobs with numbers over `above`, oldest first."""
        is_open = JobRow.state.in_((QUEUED, RUNNING))
        query = select(JobRow).where(is_open, JobRow.number > above)
        if not with_requests:
            query = query.options(defer(JobRow.request))
        if owner_id is not None:
            query = query.where(JobRow.owner_id == owner_id)
        if guild_id is not None:
            query = query.where(JobRow.guild_id == guild_id)
        async with self._database.reading() as session:
            return list(await session.scalars(query.order_by(JobRow.number).limit(limit)))

    async def counts(self) -> dict[str, int]:
        """How many jobs are queued and running."""
        query = (
            select(JobRow.state, func.count())
            .where(JobRow.state.in_((QUEUED, RUNNING)))
            .group_by(JobRow.state)
        )
        async with self._database.reading() as session:
            found = {row[0]: row[1] for row in await session.execute(query)}
        return {QUEUED: found.get(QUEUED, 0), RUNNING: found.get(RUNNING, 0)}

    async def queued_before(self, number: int) -> int:
        """How many jobs that wait were accepted before the job of this number."""
        query = select(func.count()).where(JobRow.state == QUEUED, JobRow.number < number)
        async with self._database.reading() as session:
            return await session.scalar(query) or 0

    async def claim(self, job_id: str, *, now: datetime, lease_until: datetime) -> JobRow | None:
        """Start the next attempt at a queued job; None where it waits no more."""
        async with self._database.writing() as session:
            changed = await _change(
                session,
                and_(JobRow.id == job_id, JobRow.state == QUEUED),
                state=RUNNING,
                attempt=JobRow.attempt + 1,
                started_at=now,
                lease_until=lease_until,
                step=0,
                total=0,
            )
            if not changed:
                return None
            return await session.scalar(select(JobRow).where(JobRow.id == job_id))

    async def renew(self, held: Iterable[Held], *, lease_until: datetime) -> set[str]:
        """Renew the leases of running attempts; returns the jobs that are theirs no more."""
        lost = set()
        async with self._database.writing() as session:
            for hold in held:
                changed = await _change(
                    session,
                    _is_attempt(hold.job_id, hold.attempt),
                    lease_until=lease_until,
                    step=hold.step,
                    total=hold.total,
                )
                if not changed:
                    lost.add(hold.job_id)
        return lost

    async def finish(self, job_id: str, attempt: int, outcome: Outcome, *, now: datetime) -> bool:
        """Commit an attempt's result and its images; False where the attempt counts no more."""
        unneeded: set[str] = set()
        async with self._database.writing() as session:
            changed = await _change(
                session,
                _is_attempt(job_id, attempt),
                state=FINISHED,
                ended_at=now,
                lease_until=None,
                deliver_after=now,
                device_s=outcome.device_s,
                timings=dict(outcome.timings),
                versions=dict(outcome.versions),
                reason=str(outcome.remark),
                reason_parts=as_plain(outcome.remark),
            )
            if changed:
                session.add_all(map(_unnumbered, outcome.images))
                if outcome.style is not None:
                    unneeded = await _keep_learnt(session, job_id, outcome.style)
                if outcome.generator is not None:
                    session.add(outcome.generator)
        if unneeded:
            await self._let_go(unneeded)
        return changed

    async def fail(self, job_id: str, attempt: int, reason: str, *, now: datetime) -> bool:
        """End a job without images; False where the attempt counts no more."""
        told = {"reason": str(reason), "reason_parts": as_plain(reason)}
        ending = {"state": FAILED, **told, **_ended(now)}
        async with self._database.writing() as session:
            return await _change(session, _is_attempt(job_id, attempt), **ending)

    async def requeue(
        self, job_id: str, attempt: int, *, not_before: datetime, worker_died: bool
    ) -> bool:
        """Give a running job back to the queue; False where the attempt counts no more."""
        async with self._database.writing() as session:
            return await _change(
                session,
                _is_attempt(job_id, attempt),
                state=QUEUED,
                lease_until=None,
                not_before=not_before,
                deaths=JobRow.deaths + int(worker_died),
            )

    async def cancel(self, job_id: str, *, now: datetime) -> bool:
        """End a job that waits or runs; False where it had already ended."""
        is_open = and_(JobRow.id == job_id, JobRow.state.in_((QUEUED, RUNNING)))
        async with self._database.writing() as session:
            return await _change(session, is_open, state=CANCELLED, **_ended(now))

    async def end_early(self, job_id: str, attempt: int, request: Mapping[str, Any]) -> bool:
        """Give a running job back to the queue with another request, to be run soon.

        False where the attempt counts no more.
        """
        async with self._database.writing() as session:
            return await _change(
                session,
                _is_attempt(job_id, attempt),
                state=QUEUED,
                lease_until=None,
                is_relaxed=False,
                request=dict(request),
            )

    async def move(self, job_id: str, address: Mapping[str, Any]) -> None:
        """Remember another address to deliver to."""
        async with self._database.writing() as session:
            await _change(session, JobRow.id == job_id, address=dict(address))

    async def orphans(self, *, keep: Collection[str] = ()) -> list[JobRow]:
        """What an earlier scheduler died of, or near to; without requests."""
        query = select(JobRow).options(defer(JobRow.request)).where(_is_orphan(keep))
        async with self._database.reading() as session:
            return list(await session.scalars(query))

    async def recover(self, *, keep: Collection[str] = ()) -> int:
        """Queue the orphans again, except `keep`; for whoever became the only scheduler.

        Who closes in peace gives back what runs. So each of these has seen a bot die.
        """
        again = {"state": QUEUED, "lease_until": None, "bot_deaths": JobRow.bot_deaths + 1}
        async with self._database.writing() as session:
            return await _count_changed(session, _is_orphan(keep), **again)

    async def recover_expired(self, *, now: datetime, keep: Collection[str]) -> int:
        """Queue again what runs without a valid lease, except `keep`."""
        expired = and_(JobRow.state == RUNNING, JobRow.lease_until < now, JobRow.id.not_in(keep))
        async with self._database.writing() as session:
            return await _count_changed(session, expired, state=QUEUED, lease_until=None)

    async def recently_finished(self, limit: int = 300) -> list[JobRow]:
        """The last finished jobs, oldest first, without requests."""
        query = (
            select(JobRow)
            .options(defer(JobRow.request))
            .where(JobRow.state == FINISHED)
            .order_by(JobRow.number.desc())
            .limit(limit)
        )
        async with self._database.reading() as session:
            return list(await session.scalars(query))[::-1]

    async def due_deliveries(
        self, faces: Collection[str], *, now: datetime, limit: int
    ) -> list[JobRow]:
        """Ended jobs that some of `faces` should deliver now, oldest first."""
        query = (
            select(JobRow)
            .where(
                JobRow.delivered_at.is_(None),
                JobRow.ended_at.is_not(None),
                JobRow.deliver_after <= now,
                JobRow.face.in_(faces),
            )
            .order_by(JobRow.deliver_after)
            .limit(limit)
        )
        async with self._database.reading() as session:
            return list(await session.scalars(query))

    async def are_due(self, job_ids: Collection[str], faces: Collection[str]) -> bool:
        """Whether some of these jobs are still to be delivered by one of `faces`."""
        due = exists().where(
            JobRow.id.in_(job_ids), JobRow.delivered_at.is_(None), JobRow.face.in_(faces)
        )
        async with self._database.reading() as session:
            return bool(await session.scalar(select(due)))

    async def claim_delivery(self, job_id: str, *, now: datetime, until: datetime) -> bool:
        """Take the right to deliver until a moment; False where somebody else has it."""
        due = and_(JobRow.id == job_id, JobRow.delivered_at.is_(None), JobRow.deliver_after <= now)
        async with self._database.writing() as session:
            return await _change(
                session,
                due,
                deliver_after=until,
                delivery_attempts=JobRow.delivery_attempts + 1,
            )

    async def hold_deliveries(self, job_ids: Collection[str], *, until: datetime) -> None:
        """Keep the right to deliver for longer."""
        is_held = and_(JobRow.id.in_(job_ids), JobRow.delivered_at.is_(None))
        async with self._database.writing() as session:
            await _change(session, is_held, deliver_after=until)

    async def delivered(self, job_id: str, *, now: datetime) -> None:
        """Remember that the ending was shown."""
        async with self._database.writing() as session:
            await _change(session, JobRow.id == job_id, delivered_at=now)

    async def deliver_again(self, job_id: str, *, after: datetime) -> None:
        """Remember that the ending could not be shown yet."""
        async with self._database.writing() as session:
            await _change(session, JobRow.id == job_id, deliver_after=after)

    async def _one(self, condition: ColumnElement[bool]) -> JobRow:
        async with self._database.reading() as session:
            row = await session.scalar(select(JobRow).where(condition))
        if row is None:
            raise NotFound("there is no such job, or it is not yours to see")
        return row


async def _require_room(
    session: AsyncSession, row: JobRow, new: int, cap: int | None, guild_cap: int | None
) -> None:
    scopes = (
        (_YOURS_WAIT, JobRow.owner_id == row.owner_id, cap),
        (_SERVERS_WAIT, JobRow.guild_id == row.guild_id, guild_cap),
    )
    for complaint, condition, limit in scopes:
        if limit is None:
            continue
        if new > limit:  # asking later would not do
            raise LimitReached(Said(_TOO_MANY_ASKED, count=new, most=limit))
        query = select(func.count()).where(JobRow.state == QUEUED, condition)
        waiting = await session.scalar(query) or 0
        if waiting + new > limit:
            raise TooManyWaiting(Said(complaint, waiting=waiting, most=limit))


def _visible_to(viewer: Viewer) -> ColumnElement[bool]:
    own = JobRow.owner_id == viewer.owner_id
    shows_some = exists().where(ImageRow.job_id == JobRow.id, is_shown_to(viewer))
    is_open = is_open_to(
        viewer,
        JobRow.guild_id.expression,
        JobRow.is_private.expression,
        JobRow.shown_in.expression,
    )
    return or_(own, shows_some, and_(is_open, JobRow.state != FINISHED))


def _of_request(owner_id: int, key: str) -> Select[JobRow]:
    found = select(JobRow).where(JobRow.owner_id == owner_id, JobRow.request_key == key)
    return found.order_by(JobRow.request_place)


def _is_orphan(keep: Collection[str]) -> ColumnElement[bool]:
    return and_(JobRow.state == RUNNING, JobRow.id.not_in(keep))


def _is_attempt(job_id: str, attempt: int) -> ColumnElement[bool]:
    return and_(JobRow.id == job_id, JobRow.state == RUNNING, JobRow.attempt == attempt)


def _ended(now: datetime) -> dict[str, Any]:
    return {"ended_at": now, "lease_until": None, "deliver_after": now}


def _unnumbered(image: ImageRow) -> ImageRow:
    """An image without the number of a transaction that failed: another one may have it now."""
    set_attribute(image, "number", None)
    return image


async def _keep_learnt(session: AsyncSession, job_id: str, style: StyleRow) -> set[str]:
    """Keep what a training learned; where its name means another style by now, as `NAME-2`.

    Returns the files that the style needs no more.
    """
    await take_turn(session, style.owner_id)
    replaces = await session.scalar(select(JobRow.replaces).where(JobRow.id == job_id))
    old = await session.get(StyleRow, (style.owner_id, style.name))
    if (old.file_key if old else None) not in (replaces, style.file_key):
        remark = Said(_IS_GONE, name=style.name)
        if old is not None:
            kept = await free_name(session, style.owner_id, style.name)
            remark = Said(_MEANS_ANOTHER, name=style.name, kept=kept)
            style.name = kept
        # In place of what was said of the style that it should have replaced.
        await _change(
            session, JobRow.id == job_id, reason=str(remark), reason_parts=as_plain(remark)
        )
    return await keep_style(session, style)


async def _change(session: AsyncSession, where: ColumnElement[bool], **values: Any) -> bool:
    return await _count_changed(session, where, **values) > 0


async def _count_changed(session: AsyncSession, where: ColumnElement[bool], **values: Any) -> int:
    statement = update(JobRow).where(where).values(**values)
    result = await session.execute(statement, execution_options={"synchronize_session": False})
    assert isinstance(result, CursorResult)
    return result.rowcount
