"""Progress, endings, cancelling, the queue."""

import asyncio

import pytest

from bot.errors import NotAllowed, NotFound
from bot.studio.contract import Caller, JobState
from bot.studio.studio import Atelier
from engine.testing import FakeEngine
from tests.integration.bot.studio.conftest import (
    ADMIN,
    MEMBER,
    OTHER,
    QUICK,
    WEB,
    Open,
    ended,
    made,
)


async def test_a_watcher_sees_waiting_steps_previews_and_the_ending(studio, engine) -> None:
    engine.step_delay_s = 0.01
    [job] = await studio.imagine(MEMBER, "a fox --size 64x64 --steps 12", WEB)
    updates = [update async for update in studio.watch(MEMBER, job.id)]
    steps = [update.job.step for update in updates if update.job.state is JobState.RUNNING]
    assert steps == sorted(steps)
    assert len(set(steps)) > 5
    assert any(update.preview for update in updates)
    assert updates[-1].job.state is JobState.FINISHED
    assert len(updates[-1].job.images) == 4
    numbers = [update.number for update in updates]
    assert numbers == sorted(set(numbers))


async def test_a_slow_watcher_misses_steps_but_not_the_ending(studio, engine) -> None:
    engine.step_delay_s = 0.005
    [job] = await studio.imagine(MEMBER, "a fox --size 64x64 --steps 40", WEB)
    seen = []
    async for update in studio.watch(MEMBER, job.id):
        seen.append(update.job)
        await asyncio.sleep(0.1)
    assert len(seen) < 20
    assert seen[-1].state is JobState.FINISHED


async def test_watching_an_ended_job_tells_the_ending_at_once(studio: Atelier) -> None:
    job = await made(studio)
    updates = [update async for update in studio.watch(MEMBER, job.id)]
    assert [update.job.state for update in updates] == [JobState.FINISHED]


async def test_all_of_a_members_jobs_can_be_watched_together(studio: Atelier) -> None:
    endings = set()

    async def watch() -> None:
        async for update in studio.watch_all(MEMBER):
            assert update.job.owner_id == MEMBER.owner_id
            if update.job.state.is_final:
                endings.add(update.job.id)
            if len(endings) == 2:
                return

    watching = asyncio.create_task(watch())
    await asyncio.sleep(0)
    await studio.imagine(OTHER, "a cat" + QUICK, WEB)
    jobs = await studio.imagine(MEMBER, "{a, b}" + QUICK, WEB)
    await asyncio.wait_for(watching, 50)
    assert endings == {job.id for job in jobs}


async def test_a_running_job_is_cancelled_in_the_engine_too(studio, engine) -> None:
    engine.stuck = True
    [job] = await studio.imagine(MEMBER, "a fox" + QUICK, WEB)
    while not engine.running:
        await asyncio.sleep(0.01)
    assert (await studio.cancel(MEMBER, job.id)).state is JobState.CANCELLED
    assert (await ended(studio, job)).state is JobState.CANCELLED
    while engine.running:
        await asyncio.sleep(0.01)
    assert engine.cancelled == 1


async def test_a_waiting_job_is_cancelled_without_ever_running(open_here: Open, engine) -> None:
    engine.stuck = True
    async with open_here(slots=1) as studio:
        first, second = await studio.imagine(MEMBER, "{a, b}" + QUICK, WEB)
        while not engine.running:
            await asyncio.sleep(0.01)
        await studio.cancel(MEMBER, second.id)
        engine.stuck = False
        assert (await ended(studio, first)).state is JobState.FINISHED
        assert (await ended(studio, second)).state is JobState.CANCELLED
    assert len(engine.requests) == 1


async def test_cancelling_an_ended_job_changes_nothing(studio: Atelier) -> None:
    job = await made(studio)
    assert (await studio.cancel(MEMBER, job.id)).state is JobState.FINISHED


async def test_only_the_owner_and_admins_may_cancel(studio: Atelier, engine: FakeEngine) -> None:
    engine.stuck = True
    public, private = await studio.imagine(MEMBER, "a {fox --public, cat --private}", WEB)
    with pytest.raises(NotAllowed):
        await studio.cancel(OTHER, public.id)
    with pytest.raises(NotFound):
        await studio.cancel(OTHER, private.id)
    assert (await studio.cancel(ADMIN, public.id)).state is JobState.CANCELLED


@pytest.mark.parametrize("caller", [ADMIN, Caller(owner_id=0, is_admin=True)])
async def test_who_runs_the_place_stops_private_jobs_without_reading_them(
    studio: Atelier, engine: FakeEngine, caller: Caller
) -> None:
    engine.stuck = True
    [job] = await studio.imagine(MEMBER, "a secret --private --seed 7", WEB)
    told = await studio.cancel(caller, f" {job.id.upper()}")
    assert (told.id, told.state, told.owner_id) == (job.id, JobState.CANCELLED, MEMBER.owner_id)
    assert (told.prompt, told.model, told.seed, told.images) == ("", "", 0, ())
    with pytest.raises(NotFound):
        await studio.job(caller, job.id)


async def test_the_queue_tells_admins_alone_whose_jobs_their_server_has(
    studio: Atelier, engine: FakeEngine
) -> None:
    engine.stuck = True
    for caller in (MEMBER, ADMIN, Caller(owner_id=4, guild_id=10)):
        await studio.imagine(caller, "a fox --private", WEB)
    [other] = (await studio.queue(ADMIN)).others
    assert (other.owner_id, other.prompt, other.model) == (MEMBER.owner_id, "", "")
    for caller in (MEMBER, OTHER, Caller(owner_id=0, is_admin=True)):
        assert (await studio.queue(caller)).others == ()


async def test_the_queue_tells_how_many_pictures_a_job_will_have(studio, engine) -> None:
    engine.stuck = True
    await studio.imagine(MEMBER, "a fox --images 2", WEB)
    queue = await studio.queue(MEMBER)
    assert [job.expected for job in (*queue.running, *queue.waiting)] == [2]


async def test_the_queue_shows_position_and_an_estimate_once_measured(open_here, engine) -> None:
    engine.step_delay_s = 0.02
    async with open_here(slots=1) as studio:
        await made(studio)
        engine.stuck = True
        jobs = await studio.imagine(MEMBER, "{a, b, c}" + QUICK, WEB)
        while not engine.running:
            await asyncio.sleep(0.01)
        queue = await studio.queue(MEMBER)
        assert [job.id for job in queue.running] == [jobs[0].id]
        assert [(job.id, job.position) for job in queue.waiting] == [
            (jobs[1].id, 1),
            (jobs[2].id, 2),
        ]
        estimates = [job.estimate_s for job in queue.waiting]
        assert None not in estimates
        assert 0 < estimates[0] < estimates[1] < 60
        assert (queue.total_running, queue.total_waiting) == (1, 2)
        assert (await studio.queue(OTHER)).waiting == ()


async def test_the_first_job_of_its_kind_is_estimated_by_its_own_steps(studio, engine) -> None:
    engine.step_delay_s = 0.05
    [job] = await studio.imagine(MEMBER, "a fox --size 64x64 --steps 12", WEB)
    assert job.estimate_s is None
    left = {}
    async for update in studio.watch(MEMBER, job.id):
        if update.job.state is JobState.RUNNING and update.job.step:
            left[update.job.step] = update.job.estimate_s
    assert left.pop(12, 0.0) == 0.0
    assert left.pop(1, None) is None
    assert all(estimate > 0.04 * (12 - step) for step, estimate in left.items())
    assert len(left) > 5


async def test_a_member_runs_no_more_jobs_at_once_than_allowed(open_here, engine) -> None:
    engine.step_delay_s = 0.02
    async with open_here(slots=8) as studio:
        jobs = await studio.imagine(MEMBER, "{a, b, c, d}" + QUICK, WEB)
        for job in jobs:
            await ended(studio, job)
    assert engine.most_running == 2
