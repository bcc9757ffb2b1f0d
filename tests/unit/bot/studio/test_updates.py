"""Watchers and what they miss."""

import asyncio
from datetime import UTC, datetime

from bot.studio.contract import Destination, JobState, JobView, Operation
from bot.studio.updates import Updates


def view(job_id: str = "job", state: JobState = JobState.RUNNING, step: int = 0) -> JobView:
    return JobView(
        id=job_id,
        owner_id=1,
        guild_id=None,
        state=state,
        operation=Operation.IMAGINE,
        prompt="",
        model="",
        seed=0,
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        is_private=False,
        destination=Destination(face="web"),
        step=step,
    )


async def test_an_unread_state_is_replaced_by_a_newer_one() -> None:
    updates = Updates()
    with updates.watching_job("job") as watcher:
        for step in range(5):
            updates.publish(view(step=step))
        assert (await watcher.next()).job.step == 4
        assert not watcher.has_news


async def test_an_ending_is_not_replaced_by_a_late_state() -> None:
    updates = Updates()
    with updates.watching_job("job") as watcher:
        updates.publish(view(state=JobState.FINISHED))
        updates.publish(view(step=9))
        assert (await watcher.next()).job.state is JobState.FINISHED


async def test_each_job_of_an_owner_keeps_its_own_latest_state() -> None:
    updates = Updates()
    with updates.watching_owner(1) as watcher:
        updates.publish(view("a"))
        updates.publish(view("b"))
        updates.publish(view("a", step=3))
        told = [(await watcher.next()).job for _ in range(2)]
    assert [(job.id, job.step) for job in told] == [("b", 0), ("a", 3)]


async def test_who_stopped_watching_is_forgotten() -> None:
    updates = Updates()
    with updates.watching_job("job"):
        assert updates.watchers == 1
    assert updates.watchers == 0


async def test_a_watcher_sleeps_until_there_is_news() -> None:
    updates = Updates()
    with updates.watching_job("job") as watcher:
        reading = asyncio.create_task(watcher.next())
        await asyncio.sleep(0.01)
        assert not reading.done()
        updates.publish(view(step=1))
        assert (await reading).job.step == 1
