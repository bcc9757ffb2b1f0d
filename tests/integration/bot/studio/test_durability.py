"""What was accepted ends exactly once, whatever dies, fills up or goes away."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from bot.errors import StorageUnavailable
from bot.storage.database import open_database
from bot.storage.files import DiskFull, ImageFolder
from bot.storage.jobs import Jobs
from bot.studio import patience
from bot.studio.codec import encode_request
from bot.studio.contract import JobState, JobView
from bot.studio.opening import open_studio
from bot.studio.scheduler import POLL_S
from bot.studio.studio import Atelier
from bot.wording import translated
from engine.api import (
    Defect,
    EngineError,
    ModelUnavailable,
    TextToImage,
    UnsafeCheckpoint,
    WorkerDied,
    plain,
)
from engine.testing import FakeEngine
from tests.conftest import skip_aloud
from tests.integration.bot.studio.conftest import MEMBER, QUICK, WEB, Open, ended, made
from tests.postgres_server import NoPostgres, free_port, started
from tests.rows import NOON, new_job


class SmallDisk(ImageFolder):
    """A folder on a disk that is full for so many more writes."""

    refusals = 0

    async def put(self, key: str, data: bytes) -> None:
        if self.refusals:
            self.refusals -= 1
            raise DiskFull("the disk for pictures is full; the operator must make room")
        await super().put(key, data)


@pytest.fixture
def open_either(engine: FakeEngine, database_url: str, tmp_path: Path) -> Open:
    """Opens studios on a database of each kind in turn."""
    return partial(open_studio, engine, database_url=database_url, images_dir=tmp_path / "images")


async def running(engine: FakeEngine) -> None:
    while not engine.running:
        await asyncio.sleep(0.01)


async def test_a_job_running_when_the_bot_ends_is_run_again_with_its_seed(
    open_either: Open, engine: FakeEngine
) -> None:
    engine.stuck = True
    async with open_either(slots=1) as studio:
        jobs = await studio.imagine(MEMBER, "{a, b, c}" + QUICK, WEB)
        await running(engine)
    assert [await deaths_of(open_either, job) for job in jobs] == [0, 0, 0]
    engine.stuck = False
    async with open_either() as studio:
        for job in jobs:
            again = await ended(studio, job)
            assert (again.state, again.seed) == (JobState.FINISHED, job.seed)
            assert [image.seed for image in again.images] == [job.seed, job.seed + 1]
    assert engine.requests[0] in engine.requests[1:]


async def deaths_of(open_here: Open, job: JobView) -> int:
    async with open_database(open_here.keywords["database_url"]) as database:
        return (await Jobs(database).by_id(job.id)).bot_deaths


async def bot_died_of(open_here: Open, deaths: int) -> str:
    """A job that was under way at the end of so many bots, one after the other."""
    request, _ = encode_request(TextToImage(model="atelier-pack", prompt=plain("poison"), seed=1))
    job = new_job(request=request, prompt="poison", face="web", bot_deaths=deaths - 1)
    async with open_database(open_here.keywords["database_url"]) as database:
        await Jobs(database).add([job])
        await Jobs(database).claim(job.row.id, now=NOON, lease_until=NOON)
    return job.row.id


async def test_a_job_that_was_under_way_when_bots_died_runs_alone(
    open_either: Open, engine: FakeEngine
) -> None:
    engine.step_delay_s = 0.01
    died = [await bot_died_of(open_either, deaths=2) for _ in range(2)]
    async with open_either() as studio:
        for job_id in died:
            job = await ended(studio, await studio.job(MEMBER, job_id))
            assert job.state is JobState.FINISHED
    assert engine.most_running == 1


async def test_a_job_of_which_whole_bots_die_again_and_again_is_given_up(
    open_either: Open, engine: FakeEngine
) -> None:
    spared, fatal = [await bot_died_of(open_either, deaths) for deaths in (5, 6)]
    async with open_either() as studio:
        fatal_job = await ended(studio, await studio.job(MEMBER, fatal))
        assert fatal_job.state is JobState.FAILED
        assert "6 times" in fatal_job.reason
        spared_job = await ended(studio, await studio.job(MEMBER, spared))
        assert spared_job.state is JobState.FINISHED
    assert len(engine.requests) == 1


async def test_ends_of_bots_do_not_make_a_worker_s_death_the_last(
    open_either: Open, engine: FakeEngine
) -> None:
    engine.error = WorkerDied("the worker ended")
    job_id = await bot_died_of(open_either, deaths=5)
    async with open_either() as studio:
        async for update in studio.watch(MEMBER, job_id):
            if update.job.state is JobState.QUEUED and len(engine.requests) == 2:
                engine.error = None
    assert update.job.state is JobState.FINISHED


async def test_a_job_whose_worker_died_is_run_again(studio, engine, monkeypatch) -> None:
    engine.error = WorkerDied("the worker ended")
    [job] = await studio.imagine(MEMBER, "a fox" + QUICK, WEB)
    async for update in studio.watch(MEMBER, job.id):
        if engine.requests and update.job.state is JobState.QUEUED:
            engine.error = None
    assert update.job.state is JobState.FINISHED
    assert engine.requests[0] == engine.requests[-1]


async def test_a_job_that_kills_workers_is_given_up_and_others_are_not(
    open_here: Open, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Deadly(FakeEngine):
        """Its worker dies of a poisoned prompt, and with it all that runs."""

        def __init__(self) -> None:
            super().__init__(step_delay_s=0.01)
            self.died = asyncio.Event()

        async def run(self, request, on_event):
            if request.prompt[0].text == "poison":
                self.died.set()
                self.died = asyncio.Event()
                raise WorkerDied("the worker ended")
            death = asyncio.create_task(self.died.wait())
            work = asyncio.create_task(super().run(request, on_event))
            done, rest = await asyncio.wait({death, work}, return_when="FIRST_COMPLETED")
            for task in rest:
                task.cancel()
            if death in done:
                raise WorkerDied("the worker ended")
            return work.result()

    deadly = Deadly()
    async with AsyncExitStack() as stack:
        opened = open_studio(
            deadly,
            database_url=open_here.keywords["database_url"],
            images_dir=open_here.keywords["images_dir"],
        )
        studio = await stack.enter_async_context(opened)
        flags = " --size 64x64 --steps 20 --images 1"
        jobs = await studio.imagine(MEMBER, "{poison, fox, cat}" + flags, WEB)
        poison, *others = [await ended(studio, job) for job in jobs]
    assert poison.state is JobState.FAILED
    assert "3 times" in poison.reason
    assert [job.state for job in others] == [JobState.FINISHED] * 2


@pytest.mark.parametrize(
    "error",
    [
        ModelUnavailable("dream", "/srv/models/dream.safetensors is cut short"),
        UnsafeCheckpoint("dream", "/srv/models/dream.ckpt is a pickle"),
        Defect("OSError", "/srv/models/dream.safetensors: Input/output error"),
    ],
)
async def test_what_the_operator_must_mend_is_told_in_the_log_and_never_to_members(
    studio, engine, error: EngineError, caplog: pytest.LogCaptureFixture
) -> None:
    engine.error = error
    job = await made(studio)
    assert (job.state, job.images) == (JobState.FAILED, ())
    assert "the operator's log says why" in job.reason
    for told in (job.reason, translated(job.reason, "zh-CN")):
        assert "/srv" not in told
        assert "another" in told or "换一个" in told
    [line] = [record for record in caplog.records if "/srv/models/dream" in record.getMessage()]
    assert line.levelno == logging.ERROR


async def test_an_error_nobody_foresaw_fails_its_own_job_only(studio, engine) -> None:
    engine.error = ZeroDivisionError()
    assert (await made(studio)).state is JobState.FAILED
    engine.error = None
    assert (await made(studio)).state is JobState.FINISHED


async def test_a_full_disk_is_waited_for_and_then_named(
    engine: FakeEngine, sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "FILE_PAUSES_S", (0.01, 0.01))
    disk = SmallDisk(tmp_path)
    async with open_studio(engine, database_url=sqlite_url, files=disk) as studio:
        disk.refusals = 2
        assert (await made(studio)).state is JobState.FINISHED
        disk.refusals = 1000
        job = await made(studio)
        assert (job.state, job.images) == (JobState.FAILED, ())
        assert "disk for pictures is full" in job.reason
        disk.refusals = 0
        assert (await made(studio)).state is JobState.FINISHED


async def test_an_upload_is_refused_while_the_disk_is_full(studio_on_small_disk) -> None:
    studio, disk = studio_on_small_disk
    disk.refusals = 1
    with pytest.raises(StorageUnavailable, match="full"):
        await studio.save_style(MEMBER, "wave", _gif())


@pytest.fixture
async def studio_on_small_disk(
    engine: FakeEngine, sqlite_url: str, tmp_path: Path
) -> AsyncIterator[tuple[Atelier, SmallDisk]]:
    disk = SmallDisk(tmp_path)
    async with open_studio(engine, database_url=sqlite_url, files=disk) as studio:
        yield studio, disk


def _gif() -> bytes:
    return bytes.fromhex(
        "47494638396101000100800000ffffff00000021f90400000000002c00000000010001000002024401003b"
    )


async def test_two_bots_on_one_database_run_each_job_once(
    open_either: Open, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    first_engine, second_engine = FakeEngine(step_delay_s=0.002), FakeEngine()
    (address, images) = (open_either.keywords[key] for key in ("database_url", "images_dir"))
    open_on = partial(open_studio, database_url=address, images_dir=images)
    async with open_on(first_engine) as first:
        while not first.scheduler.is_active:
            await asyncio.sleep(0.01)
        async with open_on(second_engine) as second:
            jobs = await second.imagine(MEMBER, "{a, b, c}" + QUICK, WEB)
            for job in jobs:
                assert (await ended(second, job)).state is JobState.FINISHED
            assert (len(first_engine.requests), len(second_engine.requests)) == (3, 0)
            await asyncio.sleep(2 * POLL_S)
    told = [one for one in caplog.messages if "another process runs the jobs" in one]
    assert len(told) == 1, "once, and not each time it looks"


async def test_the_second_bot_takes_over_when_the_first_ends(open_either: Open) -> None:
    stuck, second_engine = FakeEngine(stuck=True), FakeEngine()
    (address, images) = (open_either.keywords[key] for key in ("database_url", "images_dir"))
    open_on = partial(open_studio, database_url=address, images_dir=images)
    async with AsyncExitStack() as stack:
        async with open_on(stuck) as first:
            [job] = await first.imagine(MEMBER, "a fox" + QUICK, WEB)
            await running(stuck)
            second = await stack.enter_async_context(open_on(second_engine))
            assert (await second.job(MEMBER, job.id)).state is JobState.RUNNING
        assert (await ended(second, job)).state is JobState.FINISHED
        assert second_engine.requests == stuck.requests


@pytest.fixture
def server_folder() -> Iterator[Path]:
    """A folder for a server's data; the server's own user may not enter tmp_path."""
    with TemporaryDirectory(prefix="atelier-postgres-") as folder:
        yield Path(folder)


@pytest.mark.postgres
async def test_jobs_outlive_a_database_that_goes_away_for_a_while(
    tmp_path: Path, server_folder: Path
) -> None:
    port = free_port()
    engine = FakeEngine()
    async with AsyncExitStack() as stack:
        try:
            server = started(server_folder, port)
            address = await asyncio.to_thread(server.__enter__)
        except NoPostgres as missing:
            skip_aloud(f"PostgreSQL is missing: {missing}")
        studio = await stack.enter_async_context(
            open_studio(engine, database_url=f"{address}/postgres", images_dir=tmp_path / "images")
        )
        engine.stuck = True
        [job] = await studio.imagine(MEMBER, "a fox" + QUICK, WEB)
        await running(engine)
        await asyncio.to_thread(server.__exit__, None, None, None)
        with pytest.raises(StorageUnavailable, match="nothing was lost"):
            await studio.imagine(MEMBER, "a cat" + QUICK, WEB)
        engine.stuck = False
        while engine.running:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.3)  # the result is there, and the database is not
        with started(server_folder, port):
            job = await ended_at_last(studio, job)
            assert (job.state, len(job.images)) == (JobState.FINISHED, 2)
            assert len(engine.requests) == 1, "what was drawn is kept, not drawn again"
            assert (await made(studio)).state is JobState.FINISHED
            await stack.aclose()


async def ended_at_last(studio: Atelier, job: JobView) -> JobView:
    """The ended job; asks again as a member would while the database is away."""
    while True:
        try:
            return await ended(studio, job)
        except StorageUnavailable:
            await asyncio.sleep(0.2)


async def test_a_lock_that_cannot_be_had_is_named_in_the_log(
    open_here: Open, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "atelier.db.scheduler").mkdir()
    async with open_here(), asyncio.timeout(20):
        while "atelier.db.scheduler can't be opened: Is a directory" not in caplog.text:
            await asyncio.sleep(0.05)
