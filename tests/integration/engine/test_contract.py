"""What every engine keeps to: the fake one, the fake one in processes, and the real one."""

import asyncio
import contextlib
import io

import pytest
import pytest_asyncio
from PIL import Image

from engine.config import EngineConfig
from engine.errors import InvalidRequest, UnknownModel
from engine.events import Finished, Progress, Started
from engine.host import open_engine
from engine.requests import TextToImage, Upscale, UpscaleMethod, plain
from engine.testing import FakeEngine, open_fake_engine

pytestmark = [
    pytest.mark.timeout(180),  # loading takes seconds, many on a busy machine
    pytest.mark.asyncio(loop_scope="module"),  # one engine for all tests: a real one takes seconds
    # diffusers' own, under NumPy 2
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
]


def a_request(**changes):
    fields = {
        "model": "atelier-pack",
        "prompt": plain("a red fox"),
        "seed": 7,
        "width": 64,
        "height": 96,
        "steps": 4,
        "image_count": 2,
    }
    return TextToImage(**fields | changes)


def a_png(width, height):
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), "orange").save(buffer, "PNG")
    return buffer.getvalue()


def ignore(event):
    pass


@contextlib.asynccontextmanager
async def open_fake(request):
    yield FakeEngine()


@contextlib.asynccontextmanager
async def open_fake_processes(request):
    async with open_fake_engine(EngineConfig(devices=("fake:0", "fake:1"))) as engine:
        yield engine


@contextlib.asynccontextmanager
async def open_real(request):
    catalogue = request.getfixturevalue("tiny_catalogue")
    config = EngineConfig(devices=("cpu",), catalogue_files=(catalogue,), threads=1)
    async with open_engine(config) as engine:
        yield engine


ENGINES = {"fake": open_fake, "fake processes": open_fake_processes, "real": open_real}


@pytest_asyncio.fixture(params=ENGINES, scope="module", loop_scope="module")
async def engine(request):
    async with ENGINES[request.param](request) as engine:
        yield engine


async def test_there_is_one_picture_for_each_seed_in_the_size_asked_for(engine):
    finished = await engine.run(a_request(), ignore)
    assert [image.seed for image in finished.images] == [7, 8]
    for image in finished.images:
        assert (image.width, image.height) == (64, 96)
        with Image.open(io.BytesIO(image.png)) as png:
            assert (png.format, png.size) == ("PNG", (64, 96))


async def test_started_comes_first_then_progress_up_to_the_last_step(engine):
    events = []
    finished = await engine.run(a_request(), events.append)
    assert isinstance(finished, Finished)
    assert events[0] == Started()
    progress = [event for event in events if isinstance(event, Progress) and not event.stage]
    assert len(events[1:]) == len([event for event in events if isinstance(event, Progress)])
    steps = [event.step for event in progress]
    assert steps == sorted(steps)
    assert steps[-1] == progress[-1].total


async def test_the_same_request_gives_the_same_pictures(engine):
    first, second = [await engine.run(a_request(), ignore) for _ in range(2)]
    assert first.images == second.images


async def test_an_image_made_alone_is_the_one_of_the_series(engine):
    series = await engine.run(a_request(), ignore)
    alone = await engine.run(a_request(seed=8, image_count=1), ignore)
    with (
        Image.open(io.BytesIO(series.images[1].png)) as one,
        Image.open(io.BytesIO(alone.images[0].png)) as other,
    ):
        differences = [abs(a - b) for a, b in zip(one.tobytes(), other.tobytes(), strict=True)]
    assert max(differences) <= 1  # the last bits of batched floats may round another way


async def test_requests_run_at_the_same_time(engine):
    seeds = range(0, 30, 10)
    endings = await asyncio.gather(
        *(engine.run(a_request(seed=seed, image_count=1), ignore) for seed in seeds)
    )
    assert [ending.images[0].seed for ending in endings] == list(seeds)


async def test_an_unknown_model_is_refused_with_a_suggestion(engine):
    with pytest.raises(UnknownModel) as caught:
        await engine.run(a_request(model="atelier-pak"), ignore)
    assert caught.value.suggestion == "atelier-pack"


async def test_a_source_that_is_no_picture_is_refused(engine):
    with pytest.raises(InvalidRequest) as caught:
        await engine.run(Upscale(source=b"no picture"), ignore)
    assert caught.value.field == "source"


async def test_an_upscale_has_the_factor_asked_for(engine):
    finished = await engine.run(
        Upscale(source=a_png(64, 80), factor=2, method=UpscaleMethod.RESAMPLE), ignore
    )
    assert (finished.images[0].width, finished.images[0].height) == (128, 160)


async def test_a_cancelled_request_leaves_the_engine_working(engine):
    started = asyncio.Event()
    job = asyncio.create_task(engine.run(a_request(steps=150), lambda event: started.set()))
    await started.wait()
    job.cancel()
    with pytest.raises(asyncio.CancelledError):
        await job
    assert len((await engine.run(a_request(), ignore)).images) == 2
    assert sum(worker.running for worker in engine.status().workers) == 0


async def test_an_error_in_the_callback_reaches_the_caller_and_ends_the_request(engine):
    def fail(event):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await engine.run(a_request(), fail)
    assert sum(worker.running for worker in engine.status().workers) == 0


async def test_the_state_of_the_workers_can_be_asked_for(engine):
    await engine.run(a_request(), ignore)
    workers = engine.status().workers
    assert workers
    assert all(worker.is_alive and worker.restarts == 0 for worker in workers)
