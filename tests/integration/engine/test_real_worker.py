"""Worker processes that hold real networks, tiny ones: joined, cancelled, killed."""

import asyncio
import io
import logging
import multiprocessing
import os
import re
import signal

import numpy as np
import pytest
import pytest_asyncio
from PIL import Image

from engine.config import EngineConfig
from engine.errors import InvalidRequest, WorkerDied
from engine.events import Progress
from engine.host import open_engine
from engine.media.uploads import Limits, decode_upload
from engine.requests import (
    ImageToImage,
    KeepColour,
    Sampler,
    StyleMethod,
    StyleReference,
    Stylize,
    TextToImage,
    TrainStyle,
    Upscale,
    UpscaleMethod,
    plain,
)

pytestmark = [
    pytest.mark.timeout(180),  # loading takes seconds, many on a busy machine
    pytest.mark.asyncio(loop_scope="module"),  # one engine for all tests: it takes seconds
    # diffusers' own, under NumPy 2
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
]


def a_request(kind=TextToImage, **changes):
    fields = {
        "model": "atelier-pack",
        "prompt": plain("a red dog"),
        "seed": 7,
        "width": 64,
        "height": 64,
        "steps": 4,
        "image_count": 1,
    }
    return kind(**fields | changes)


def ignore(event):
    pass


def png_of(image):
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def pixels_of(picture):
    with Image.open(io.BytesIO(picture.png)) as image:
        return np.asarray(image.convert("RGB"), dtype=np.int16)


def difference(pictures, others):
    pairs = zip(pictures, others, strict=True)
    return max(np.abs(pixels_of(a) - pixels_of(b)).max() for a, b in pairs)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def engine(tiny_catalogue):
    config = EngineConfig(devices=("cpu",), catalogue_files=(tiny_catalogue,), threads=1)
    async with open_engine(config) as engine:
        await engine.run(a_request(steps=1), ignore)
        yield engine


async def test_each_request_gets_in_company_what_it_gets_alone(engine):
    requests = [
        a_request(seed=1, sampler=Sampler.EULER, steps=6, image_count=2),
        a_request(seed=11, sampler=Sampler.HEUN, steps=4),
        a_request(seed=21, sampler=Sampler.DPMPP_2M, steps=5, prompt=plain("a blue cat")),
        a_request(seed=31, sampler=Sampler.EULER_ANCESTRAL, steps=7, guidance_scale=1.0),
        a_request(seed=41, sampler=Sampler.EULER, width=96, steps=4),
    ]
    alone = [await engine.run(request, ignore) for request in requests]
    together = await asyncio.gather(*(engine.run(request, ignore) for request in requests))
    for one, other in zip(alone, together, strict=True):
        assert difference(one.images, other.images) <= 1
    assert difference(alone[0].images[:1], alone[1].images) > 20  # they are not all alike


async def test_timings_and_versions_tell_where_the_time_went(engine):
    finished = await engine.run(a_request(steps=8), ignore)
    timings = finished.timings
    assert 0 < timings.device_s <= timings.total_s
    assert timings.loading_s == 0.0
    assert 0 <= timings.waited_s < timings.total_s
    assert set(finished.versions) >= {"engine", "torch", "device"}
    assert finished.versions["model"] == "atelier-pack"
    assert re.fullmatch("[0-9a-f]{10}", finished.versions["model_hash"])


async def test_another_model_is_loaded_when_asked_for_and_said_so(engine):
    events = []
    finished = await engine.run(a_request(model="Other"), events.append)
    loading = [event for event in events if isinstance(event, Progress) and event.stage]
    assert {event.stage for event in loading} == {"loading"}
    assert finished.timings.loading_s > 0
    await asyncio.sleep(1.5)  # for the next heartbeat
    worker = engine.status().workers[0]
    assert set(worker.resident_models) >= {"atelier-pack", "other"}
    assert worker.memory_bytes > 0


async def test_an_image_is_made_from_an_image(engine):
    source = (await engine.run(a_request(), ignore)).images[0]
    kept, changed = [
        await engine.run(
            a_request(ImageToImage, source=source.png, strength=strength, seed=9), ignore
        )
        for strength in (0.0, 1.0)
    ]
    assert difference([source], kept.images) == 0
    assert difference([source], changed.images) > 20


async def test_a_picture_is_enlarged_by_resampling(engine):
    source = (await engine.run(a_request(), ignore)).images[0]
    request = Upscale(source=source.png, factor=4, method=UpscaleMethod.RESAMPLE)
    (large,) = (await engine.run(request, ignore)).images
    assert pixels_of(large).shape == (256, 256, 3)


async def test_a_picture_is_restyled_and_says_by_which_weights(engine):
    buffer = io.BytesIO()
    Image.effect_noise((64, 48), 90).convert("RGB").save(buffer, "PNG")
    request = Stylize(content=buffer.getvalue(), styles=(StyleReference(preset="udnie"),))
    finished = await engine.run(request, ignore)
    assert (finished.images[0].width, finished.versions["model"]) == (64, "style")
    assert re.fullmatch(r"[0-9a-f]{10}", finished.versions["model_hash"])


@pytest.mark.parametrize("keep_colour", KeepColour)
@pytest.mark.parametrize("method", StyleMethod)
async def test_each_method_restyles_where_the_mask_is_white(engine, method, keep_colour):
    """By the networks that ship, in a worker of its own."""
    content = Image.effect_noise((72, 48), 90).convert("RGB")
    mask = Image.new("L", content.size)
    mask.paste(255, (0, 0, 36, 48))
    request = Stylize(
        content=png_of(content),
        styles=(StyleReference(preset="udnie"), StyleReference(preset="great-wave", weight=0.5)),
        method=method,
        keep_colour=keep_colour,
        mask=png_of(mask),
        iterations=4,
        model="atelier-pack" if method is StyleMethod.DIFFUSION else "",
        seed=3,
    )
    (picture,) = (await engine.run(request, ignore)).images
    change = np.abs(pixels_of(picture) - np.asarray(content, dtype=np.int16))
    assert change.shape == (48, 72, 3)
    assert change[:, :34].mean() > 2
    assert change[:, 38:].max() == 0


@pytest.mark.parametrize(
    ("mode", "size", "longer", "expected"),
    [
        ("L", (16, 16), 0, (16, 16)),
        ("CMYK", (300, 40), 0, (300, 40)),
        ("RGBA", (70, 90), 0, (70, 90)),
        ("RGB", (8000, 200), 2048, (2048, 51)),
        pytest.param("RGB", (8000, 1500), 2400, (2400, 450), marks=pytest.mark.long),
    ],
)
async def test_contents_of_all_kinds_go_through_the_shipped_networks(
    engine, mode, size, longer, expected
):
    file = io.BytesIO()
    noise = Image.effect_noise(size, 90).convert(mode)
    if mode == "RGBA":
        noise.putalpha(Image.linear_gradient("L").resize(size))
    noise.save(file, "JPEG" if mode == "CMYK" or max(size) > 1000 else "PNG")
    upload = await decode_upload(file.getvalue(), Limits())
    request = Stylize(
        content=upload.png, styles=(StyleReference(preset="udnie"),), size=longer, previews=False
    )
    (picture,) = (await engine.run(request, ignore)).images
    assert (picture.width, picture.height) == expected
    with Image.open(io.BytesIO(picture.png)) as image:
        assert image.mode == ("RGBA" if mode == "RGBA" else "RGB")


async def test_a_style_is_learned_in_a_worker(engine):
    buffer = io.BytesIO()
    Image.effect_noise((64, 48), 90).convert("RGB").save(buffer, "PNG")
    request = TrainStyle(style=buffer.getvalue(), name="noise", steps=2, previews=False)
    finished = await engine.run(request, ignore)
    assert finished.images[0].weights


async def test_a_broken_source_fails_its_own_request_only(engine):
    good = engine.run(a_request(), ignore)
    bad = engine.run(a_request(ImageToImage, source=b"\x89PNG broken"), ignore)
    outcomes = await asyncio.gather(good, bad, return_exceptions=True)
    assert len(outcomes[0].images) == 1
    assert isinstance(outcomes[1], InvalidRequest)


async def test_a_request_joins_one_that_is_under_way_and_is_done_before_it(engine):
    begun = asyncio.Event()
    long = asyncio.create_task(
        engine.run(
            a_request(steps=150, image_count=4, width=128, height=128),
            lambda event: begun.set() if isinstance(event, Progress) else None,
        )
    )
    await begun.wait()
    await engine.run(a_request(steps=2, width=128, height=128), ignore)
    assert not long.done()
    long.cancel()
    await asyncio.wait([long])


async def test_a_request_whose_worker_is_killed_gives_the_same_picture_when_run_again(engine):
    expected = await engine.run(a_request(steps=30), ignore)
    begun = asyncio.Event()
    job = asyncio.create_task(
        engine.run(
            a_request(steps=30),
            lambda event: begun.set() if isinstance(event, Progress) else None,
        )
    )
    await begun.wait()
    for child in multiprocessing.active_children():
        if child.name.startswith("atelier worker"):
            os.kill(child.pid, signal.SIGKILL)
    with pytest.raises(WorkerDied):
        await job
    again = await engine.run(a_request(steps=30), ignore)
    # The new worker's first passes have fewer rows, which may change the last bits.
    assert difference(expected.images, again.images) <= 1
    assert engine.status().workers[0].restarts == 1


async def test_two_models_with_room_for_one_do_not_push_each_other_out_at_every_step(
    tiny_catalogue, caplog
):
    caplog.set_level(logging.INFO)
    weights = (tiny_catalogue.parent / "tiny").rglob("*.safetensors")
    size = sum(file.stat().st_size for file in weights)
    config = EngineConfig(
        devices=("cpu",),
        catalogue_files=(tiny_catalogue,),
        threads=1,
        memory_budget_bytes=size + size // 2,
    )
    requests = [a_request(model=model, steps=12) for model in ("atelier-pack", "other")]
    async with open_engine(config) as small:
        endings = await asyncio.gather(*(small.run(request, ignore) for request in requests * 2))
    assert all(len(ending.images) == 1 for ending in endings)
    loaded = [r for r in caplog.records if "loaded" in r.getMessage()]
    assert 2 <= len(loaded) <= 8  # taking turns step by step it would be fifty times


async def test_in_exact_mode_company_changes_not_a_single_bit(tiny_catalogue):
    config = EngineConfig(
        devices=("cpu",), catalogue_files=(tiny_catalogue,), threads=1, exact=True
    )
    requests = [a_request(seed=seed, image_count=2, steps=5) for seed in (1, 11)]
    async with open_engine(config) as engine:
        alone = [await engine.run(request, ignore) for request in requests]
        together = await asyncio.gather(*(engine.run(request, ignore) for request in requests))
        single = await engine.run(a_request(seed=2, steps=5), ignore)
    assert [one.images for one in alone] == [one.images for one in together]
    assert single.images[0].png == alone[0].images[1].png
