"""Engines without networks, for the tests of their callers; they pass the same contract tests.

`FakeEngine` lives in the caller's process. `open_fake_engine` is the real host with real worker
processes, that draw instead of loading models: to be killed, stopped and restarted in earnest.
"""

import asyncio
import functools
import io
import json
import os
import signal
import time
import zlib
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager

import numpy as np
from PIL import Image

from engine import worker_process
from engine.config import EngineConfig
from engine.contract import EngineStatus, WorkerStatus
from engine.errors import EngineError, UnreadableImage
from engine.events import Failed, Finished, OnEvent, Picture, Progress, Started, Timings
from engine.host import WorkerHost, open_host, with_known_model
from engine.media.animation import encode_animated_webp
from engine.messages import Cancel, Order, Ready, Start
from engine.models.catalogue import Catalogue, open_catalogue
from engine.models.style_versions import learnt_name, shipped_version
from engine.requests import (
    Diffusion,
    Dream,
    Morph,
    Request,
    StyleMethod,
    Stylize,
    TrainGan,
    TrainStyle,
    Upscale,
    seeds_of,
)
from engine.worker_process import Link, Send, Work

_PREVIEW_SIDE = 64  # pixels
_MOST_PAIR_STEPS = 20  # told of a training that would take minutes
_TRAINED_SIDE = 96  # pixels of the picture of a training


class FakeEngine:
    """Draws a coloured pattern for each seed and prompt, the same one each time.

    `error` fails all requests from now on; `stuck` lets none end. Both may change at any time.
    `requests` holds all requests that came, `most_running` how many ran at once at most,
    `cancelled` how many were cancelled.
    """

    def __init__(
        self,
        *,
        step_delay_s: float = 0.0,
        error: EngineError | None = None,
        stuck: bool = False,
        catalogue: Catalogue | None = None,
    ) -> None:
        self.step_delay_s = step_delay_s
        self.error = error
        self.stuck = stuck
        self.requests: list[Request] = []
        self.running = 0
        self.most_running = 0
        self.cancelled = 0
        self._catalogue = catalogue or open_catalogue(EngineConfig())

    @property
    def catalogue(self) -> Catalogue:
        """The shipped models, unless others were given."""
        return self._catalogue

    async def run(self, request: Request, on_event: OnEvent) -> Finished:
        """Report each step, then end as told."""
        self.requests.append(request)
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        try:
            return await self._run(request, on_event)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.running -= 1

    async def _run(self, request: Request, on_event: OnEvent) -> Finished:
        begun = time.monotonic()
        on_event(Started())
        request = with_known_model(request, self._catalogue)
        for progress in steps_of(request):
            await asyncio.sleep(self.step_delay_s)
            on_event(progress)
        while self.stuck:  # noqa: ASYNC110  a test sets a plain attribute
            await asyncio.sleep(0.02)
        if self.error:
            raise self.error
        images = await asyncio.to_thread(draw, request)
        return finished(images, time.monotonic() - begun)

    def status(self) -> EngineStatus:
        """One worker that never dies."""
        resident = (self._catalogue.default.name,)
        worker = WorkerStatus(
            "fake",
            is_alive=True,
            running=self.running,
            restarts=0,
            memory_bytes=0,
            resident_models=resident,
        )
        return EngineStatus((worker,))


@asynccontextmanager
async def open_fake_engine(
    config: EngineConfig | None = None, *, step_delay_s: float = 0.0
) -> AsyncIterator[WorkerHost]:
    """Start the real host with worker processes that draw like `FakeEngine`; no torch anywhere.

    A Stylize whose content is `b"crash"` kills its worker process.
    """
    main = functools.partial(_draw_in_process, step_delay_s)
    async with open_host(config or EngineConfig(devices=("fake",)), main) as host:
        yield host


def _draw_in_process(step_delay_s: float, link: Link) -> None:
    def begin(link: Link, send: Send) -> tuple[Work, Ready]:
        return _DrawingWork(send, step_delay_s), Ready(link.device)

    worker_process.run(begin, link)


class _DrawingWork:
    """Takes all running requests one step forward at each tick."""

    def __init__(self, send: Send, step_delay_s: float) -> None:
        self._send = send
        self._step_delay_s = step_delay_s
        self._running: dict[int, tuple[Request, Iterator[Progress]]] = {}
        self._begun: dict[int, float] = {}

    @property
    def is_idle(self) -> bool:
        return not self._running

    def obey(self, number: int, order: Order) -> None:
        match order:
            case Start(request):
                self._send(number, Started())
                self._running[number] = (request, steps_of(request))
                self._begun[number] = time.monotonic()
            case Cancel():
                self._running.pop(number, None)

    def tick(self) -> None:
        time.sleep(self._step_delay_s)
        for number, (request, steps) in list(self._running.items()):
            progress = next(steps)
            self._send(number, progress)
            if progress.step == progress.total:
                self._end(number, request)

    def _end(self, number: int, request: Request) -> None:
        if isinstance(request, Stylize) and request.content == CRASH:
            os.kill(os.getpid(), signal.SIGKILL)
        try:
            images = draw(request)
        except EngineError as error:
            self._send(number, Failed(error))
        else:
            self._send(number, finished(images, time.monotonic() - self._begun[number]))
        del self._running[number], self._begun[number]

    def kept(self) -> tuple[int, tuple[str, ...]]:
        return 0, ()


# What stands for a video: kind, an empty movie, no pictures.
VIDEO = b"\0\0\0\x0cftypmp42\0\0\0\x08moov\0\0\0\x17mdatno video at all"
FIGURES = (("Verdict", "blurred"), ("KID", "0.5"), ("Coverage", "40%"), ("Diversity", "90%"))
CRASH = b"crash"  # the content of a Stylize that kills the worker of `open_fake_engine`


def steps_of(request: Request) -> Iterator[Progress]:
    """What a request reports, with a small preview now and then."""
    total = _step_count(request)
    for step in range(1, total + 1):
        is_shown = getattr(request, "previews", False) and step % 4 == 0
        preview = _preview(request, step / total) if is_shown else None
        report = FIGURES if is_shown and isinstance(request, TrainGan) else ()
        yield Progress(step, total, preview, report=report)


def draw(request: Request) -> tuple[Picture, ...]:
    """One picture for each seed, of the size the request asks for.

    Raises:
        UnreadableImage: the source or content is no picture.
    """
    width, height = _size_of(request)
    words = _words_of(request)
    moving = _animation(request, width, height)
    mp4 = VIDEO if isinstance(request, Morph) and request.is_video else b""
    learnt = b"learnt" if isinstance(request, TrainGan) else b""
    if isinstance(request, TrainStyle):
        learnt = _learnt()
    report = (("Verdict", "healthy"),) if isinstance(request, TrainGan) else ()
    patterns = ((seed, _pattern(seed, words, width, height)) for seed in seeds_of(request))
    return tuple(
        Picture(_encoded(pattern, "PNG"), seed, width, height, moving, mp4, learnt, report)
        for seed, pattern in patterns
    )


def finished(images: tuple[Picture, ...], total_s: float) -> Finished:
    """The ending of a request that drew these."""
    return Finished(images, Timings(total_s=total_s, device_s=total_s), {"engine": "fake"})


def _learnt() -> bytes:
    """What a training might leave: a safetensors file for the network that ships, of no numbers."""
    tensor = {"dtype": "F16", "shape": [0], "data_offsets": [0, 0]}
    header = json.dumps({learnt_name(shipped_version()): tensor}).encode()
    return len(header).to_bytes(8, "little") + header


def _step_count(request: Request) -> int:
    match request:
        case Diffusion():
            return request.steps
        case Morph():
            return request.frames
        case Stylize(method=StyleMethod.OPTIMISE):
            return request.iterations
        case TrainStyle():
            return request.steps
        case TrainGan():
            return min(request.steps, _MOST_PAIR_STEPS)
        case _:
            return 1


def _size_of(request: Request) -> tuple[int, int]:
    match request:
        case Diffusion():
            return request.width, request.height
        case Dream():
            return 64 * request.factor, 64 * request.factor
        case Morph():
            return request.drawing.width, request.drawing.height
        case Upscale():
            width, height = _size_in(request.source, "source")
            return width * request.factor, height * request.factor
        case TrainStyle() | TrainGan():
            return _TRAINED_SIDE, _TRAINED_SIDE
        case Stylize():
            width, height = _size_in(request.content, "content")
            scale = request.size / max(width, height) if request.size else 1.0
            return max(1, round(width * scale)), max(1, round(height * scale))


def _size_in(png: bytes, field: str) -> tuple[int, int]:
    try:
        with Image.open(io.BytesIO(png)) as image:
            return image.size
    except OSError as error:
        raise UnreadableImage(field, "is no picture that can be read") from error


def _words_of(request: Request) -> str:
    if isinstance(request, Diffusion):
        return " ".join(part.text for part in request.prompt)
    return type(request).__name__


def _pattern(seed: int, words: str, width: int, height: int) -> Image.Image:
    """A soft plasma in colours of its own: (4, 4, 3) random numbers, enlarged."""
    numbers = np.random.default_rng([seed, zlib.crc32(words.encode())])
    colours = numbers.integers(0, 256, (4, 4, 3), dtype=np.uint8)
    small = Image.fromarray(colours)
    return small.resize((width, height), Image.Resampling.BICUBIC)


def _animation(request: Request, width: int, height: int) -> bytes:
    """A pattern for each frame of what moves; nothing for others."""
    durations_ms: Sequence[int] = ()
    match request:
        case Morph():
            durations_ms = [round(1000 * request.seconds / request.frames)] * request.frames
        case Stylize(durations_ms=durations_ms):
            pass
    seeds = range(request.seed, request.seed + len(durations_ms))
    frames = [_pattern(seed, _words_of(request), width, height) for seed in seeds]
    return encode_animated_webp(frames, durations_ms) if frames else b""


def _preview(request: Request, done: float) -> bytes:
    """The picture of the first seed, noisy as long as little is done."""
    seed = next(iter(seeds_of(request)))
    side = _PREVIEW_SIDE
    clean = np.asarray(_pattern(seed, _words_of(request), side, side), dtype=np.float32)
    noise = np.random.default_rng(seed).integers(0, 256, clean.shape).astype(np.float32)
    mixed = done * clean + (1 - done) * noise
    return _encoded(Image.fromarray(mixed.astype(np.uint8)), "WEBP")


def _encoded(image: Image.Image, kind: str) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format=kind)
    return buffer.getvalue()
