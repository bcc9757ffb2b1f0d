"""A generator's training in a real worker process, with the shipped networks."""

import asyncio
import io
import multiprocessing
import os
import signal

import numpy as np
import pytest
from PIL import Image

from engine.config import EngineConfig
from engine.errors import WorkerDied
from engine.events import Progress
from engine.host import open_engine
from engine.media.animation import frames_of
from engine.pipelines.train_gan import LEAST_KEPT
from engine.requests import Dream, Morph, TextToImage, TrainGan, Waypoint, plain

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
STEPS = LEAST_KEPT + 3


def square(seed):
    values = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(values).resize((64, 64), Image.Resampling.BICUBIC).save(file, "PNG")
    return file.getvalue()


REQUEST = TrainGan(
    name="blocks", pictures=tuple(map(square, range(16))), steps=STEPS, minutes=600, seed=2
)
DRAWING = TextToImage(
    model="atelier-pack",
    prompt=plain("a fox"),
    seed=1,
    width=64,
    height=64,
    steps=4,
    image_count=1,
    previews=False,
)


async def test_a_killed_training_goes_on_and_its_generator_dreams(tmp_path):
    config = EngineConfig(devices=("cpu",), notes_dir=tmp_path / "notes", threads=1)
    async with open_engine(config) as engine:
        steps: list[int] = []

        def on_event(event):
            noting(steps)(event)
            if steps[-1:] == [LEAST_KEPT + 1]:
                [child] = multiprocessing.active_children()
                os.kill(child.pid, signal.SIGKILL)

        with pytest.raises(WorkerDied):
            await engine.run(REQUEST, on_event)
        assert max(steps) == LEAST_KEPT + 1
        steps.clear()
        training = asyncio.create_task(engine.run(REQUEST, noting(steps)))
        drawn = await engine.run(DRAWING, lambda _: None)
        assert len(drawn.images) == 1, "others are served meanwhile"
        finished = await training
        assert min(steps) > LEAST_KEPT, "what was written down is not learnt again"
        [picture] = finished.images
        assert dict(picture.report)["Training steps"] == str(STEPS)
        dream = Dream(model="blocks", seed=3, weights=picture.weights, image_count=2, factor=1)
        dreamt = await engine.run(dream, lambda _: None)
        assert [(image.width, image.height) for image in dreamt.images] == [(64, 64)] * 2
        assert dreamt.versions["model_hash"]
        stops = (Waypoint(seed=3), Waypoint(seed=4))
        morph = Morph(
            stops=stops, drawing=DRAWING, frames=3, dreams="blocks", weights=picture.weights
        )
        [moving] = (await engine.run(morph, lambda _: None)).images
        assert frames_of(moving.animation)[0][0].size == (64, 64)


def noting(steps):
    """Note the steps that are told."""

    def on_event(event):
        if isinstance(event, Progress) and event.total:
            steps.append(event.step)

    return on_event
