"""Who is served, and who is not: the share of the device, and jobs that run alone."""

import asyncio
from dataclasses import replace

from bot.studio.contract import JobState, Limits, Teaching
from bot.studio.studio import Atelier
from engine.api import EngineStatus, Finished, OnEvent, Request, TextToImage, TrainGan, WorkerDied
from engine.testing import FakeEngine, steps_of
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

LARGE = " --size 384x384 --steps 40 --images 1"


class SlowCats(FakeEngine):
    """Takes all steps of a cat, and never ends one."""

    def words(self) -> list[str]:
        """What was asked for, in the order of asking."""
        return [one.prompt[0].text for one in self.requests if isinstance(one, TextToImage)]

    async def run(self, request: Request, on_event: OnEvent) -> Finished:
        """Draw all else."""
        if not isinstance(request, TextToImage) or "cat" not in request.prompt[0].text:
            return await super().run(request, on_event)
        self.requests.append(request)
        for progress in steps_of(request):
            on_event(progress)
        await asyncio.Event().wait()
        raise AssertionError


class Deadly(FakeEngine):
    """Its worker dies of the next so many requests of a kind; its trainings never end."""

    def __init__(self) -> None:
        super().__init__()
        self.deaths: dict[type[Request], int] = {}

    async def run(self, request: Request, on_event: OnEvent) -> Finished:
        """Die, learn for ever, or draw."""
        if self.deaths.get(type(request), 0):
            self.deaths[type(request)] -= 1
            raise WorkerDied("the worker ended")
        if isinstance(request, TrainGan):
            self.requests.append(request)
            await asyncio.Event().wait()
        return await super().run(request, on_event)

    async def learns(self) -> None:
        """Wait until a training is under way."""
        while not any(isinstance(request, TrainGan) for request in self.requests):
            await asyncio.sleep(0.01)


async def test_a_training_that_was_near_two_deaths_stops_nobody(open_here: Open) -> None:
    engine = Deadly()
    engine.deaths[TrainGan] = 2
    async with open_here.func(engine, **open_here.keywords) as studio:
        await _train(studio)
        await engine.learns()
        assert (await made(studio)).state is JobState.FINISHED


async def test_a_job_that_must_run_alone_does_not_wait_for_the_end_of_a_training(
    open_here: Open,
) -> None:
    engine = Deadly()
    async with open_here.func(engine, **open_here.keywords) as studio:
        await _train(studio)
        await engine.learns()
        engine.deaths[TextToImage] = 2
        assert (await made(studio)).state is JobState.FINISHED


class Unlucky(FakeEngine):
    """Its worker dies of the next two cats; of all else some take longer than others."""

    deaths = 2

    async def run(self, request: Request, on_event: OnEvent) -> Finished:
        """Die of a cat, or draw."""
        assert isinstance(request, TextToImage)
        if "cat" in request.prompt[0].text and self.deaths:
            self.deaths -= 1
            raise WorkerDied("the worker ended")
        await asyncio.sleep(0.05 * (1 + len(self.requests) % 3))
        return await super().run(request, on_event)


async def test_a_job_that_must_run_alone_is_not_kept_waiting_by_others_without_end(
    open_here: Open,
) -> None:
    async with open_here.func(Unlucky(), **open_here.keywords) as studio:
        crowd = asyncio.create_task(_draw_foxes(studio))
        [job] = await studio.imagine(MEMBER, "a cat" + QUICK, WEB)
        async with asyncio.timeout(10):
            assert (await ended(studio, job)).state is JobState.FINISHED
        assert not crowd.done()
        crowd.cancel()


async def _draw_foxes(studio: Atelier) -> None:
    """Let some jobs wait at any time."""
    while True:
        if (await studio.queue(OTHER)).total_waiting < 5:
            await studio.imagine(OTHER, "a fox" + QUICK, WEB)
        await asyncio.sleep(0.01)


class Fleet(FakeEngine):
    """Has several devices."""

    devices = 1

    def status(self) -> EngineStatus:
        """As many workers, and one that is dead."""
        [worker] = super().status().workers
        return EngineStatus((worker,) * self.devices + (replace(worker, is_alive=False),))


async def test_each_device_is_given_jobs_also_those_that_come_later(open_here: Open) -> None:
    fleet = Fleet(stuck=True)
    limits = Limits(running=20, guild_running=20, permutations=10)
    async with open_here.func(fleet, slots=2, limits=limits, **open_here.keywords) as studio:
        await studio.imagine(MEMBER, "{a, b, c, d, e, f, g, h}" + QUICK, WEB, confirmed=True)
        await asyncio.sleep(1.5)
        assert fleet.running == 2
        fleet.devices = 3
        while fleet.running < 6:
            await asyncio.sleep(0.01)
        await asyncio.sleep(1.5)
        assert fleet.running == 6


async def _train(studio: Atelier) -> None:
    for _ in range(2):
        [job] = await studio.imagine(ADMIN, "a fox --size 64x64 --steps 1 --images 8", WEB)
        await ended(studio, job, ADMIN)
    await studio.train_gan(ADMIN, Teaching(name="foxes"), WEB)


async def test_cancelling_at_the_last_step_gains_no_more_turns_than_letting_it_end(
    open_here: Open,
) -> None:
    engine = SlowCats()
    async with open_here.func(engine, slots=1, **open_here.keywords) as studio:
        cats = await studio.imagine(MEMBER, "{cat one, cat two}" + LARGE, WEB)
        await studio.imagine(OTHER, "{fox, owl, hen}" + LARGE, WEB)
        while len(engine.requests) < 1:
            await asyncio.sleep(0.01)
        await studio.cancel(MEMBER, cats[0].id)
        while len(engine.requests) < 5:
            await asyncio.sleep(0.01)
    assert engine.words() == ["cat one", "fox", "owl", "hen", "cat two"]


async def test_an_attempt_that_is_stopped_before_it_begins_frees_its_place(
    open_here: Open, engine: FakeEngine
) -> None:
    async with open_here(slots=1) as studio:
        _stop_first_pick(studio)
        job, other = await studio.imagine(MEMBER, "{a fox, a cat}" + QUICK, WEB)
        assert (await ended(studio, other)).state is JobState.FINISHED
        assert (await ended(studio, job)).state is JobState.FINISHED


def _stop_first_pick(studio: Atelier) -> None:
    """Stop the first job that is picked, after its task is there and before it runs."""
    queue, loop = studio.scheduler.queue, asyncio.get_running_loop()
    pick = queue.pick

    def picked(*values):
        ticket = pick(*values)
        if ticket is not None:
            queue.pick = pick
            loop.call_soon(studio.scheduler.run_again, ticket.job_id)
        return ticket

    queue.pick = picked
