"""The caller's side of the workers: one process per device, replaced when dead or silent.

    run(request) -- chooses a device -- orders --> worker process -- reports --> events

Nothing here blocks the event loop, and nothing here imports torch.
"""

import asyncio
import itertools
import logging
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import replace

from engine import worker_process
from engine.child import Child, ProcessMain
from engine.config import EngineConfig
from engine.contract import EngineStatus, WorkerStatus
from engine.errors import WorkerDied
from engine.events import Finished, OnEvent
from engine.messages import NO_REQUEST, Heartbeat, Ready
from engine.models.catalogue import Catalogue, open_catalogue
from engine.requests import Diffusion, Dream, Morph, Request, Stylize
from engine.worker_process import Link, Send, Work

log = logging.getLogger(__name__)

HEALTHY_S = 60.0  # a worker that lived so long is replaced at once
FIRST_PAUSE_S = 0.5  # before a worker that died early is replaced; doubles each time
LONGEST_PAUSE_S = 30.0
SWITCH_COST = 4  # a device with the model loaded is chosen until it has so many requests more


def model_of(request: Request) -> str:
    """The catalogue model a request names, or nothing."""
    if isinstance(request, Morph):
        return request.drawing.model
    return request.model if isinstance(request, Diffusion | Stylize | Dream) else ""


def with_known_model(request: Request, catalogue: Catalogue) -> Request:
    """Return the request with its model's name as the catalogue writes it.

    Raises:
        UnknownModel: with a suggestion.
    """
    if isinstance(request, Morph):
        drawing = request.drawing
        named = replace(drawing, model=catalogue.info(drawing.model).name)
        return replace(request, drawing=named)
    if not isinstance(request, Diffusion | Stylize | Dream) or not request.model:
        return request
    if isinstance(request, Dream) and request.weights:
        return request  # it brings its model along
    known = catalogue.info(request.model).name
    return request if request.model == known else replace(request, model=known)


class WorkerHost:
    """Gives requests to the worker processes and awaits their endings."""

    def __init__(self, catalogue: Catalogue, config: EngineConfig, main: ProcessMain) -> None:
        self._catalogue = catalogue
        self._config = config
        self._main = main
        self._devices: list[_Device] = []
        self._keepers: list[asyncio.Task[None]] = []
        self._numbers = itertools.count(NO_REQUEST + 1)
        self._is_open = True

    @property
    def catalogue(self) -> Catalogue:
        """The models it offers."""
        return self._catalogue

    async def run(self, request: Request, on_event: OnEvent) -> Finished:
        """Carry out a request; `on_event` hears Started and Progress, never the ending.

        Cancelling the await cancels the request at the next tick.

        Raises:
            EngineError: the request failed; `error.retryable` says if asking again may help.
        """
        request = with_known_model(request, self._catalogue)
        if not self._is_open:
            raise _closed()
        device = choose(self._devices, model_of(request))
        return await device.run(next(self._numbers), request, on_event)

    def status(self) -> EngineStatus:
        """The state of the workers now; does not block."""
        return EngineStatus(tuple(device.status() for device in self._devices))

    def add_devices(self, names: Iterable[str]) -> None:
        """Start a worker for each of these devices."""
        for name in names:
            device = _Device(name, self._config, self._catalogue, self._main, self.add_devices)
            self._devices.append(device)
            self._keepers.append(asyncio.create_task(device.keep(), name=f"worker of {name}"))

    async def close(self) -> None:
        """End all workers; requests that still run fail."""
        self._is_open = False
        for keeper in self._keepers:
            keeper.cancel()
        endings = await asyncio.gather(*self._keepers, return_exceptions=True)
        for ending in endings:
            if isinstance(ending, Exception):
                raise ending


@asynccontextmanager
async def open_engine(config: EngineConfig) -> AsyncIterator[WorkerHost]:
    """Start a worker process for each device; end them on leaving.

    Does not wait for the workers: the first request does, while they import torch.

    Raises:
        BadCatalogue: a catalogue file is wrong.
    """
    async with open_host(config, _work) as host:
        yield host


@asynccontextmanager
async def open_host(config: EngineConfig, main: ProcessMain) -> AsyncIterator[WorkerHost]:
    """Like `open_engine`, with `main` as what the worker processes do."""
    catalogue = await asyncio.to_thread(open_catalogue, config)
    host = WorkerHost(catalogue, config, main)
    host.add_devices(config.devices)
    try:
        yield host
    finally:
        await host.close()


def _work(link: Link) -> None:
    """Run in the child process."""
    worker_process.run(_begin, link)


def _begin(link: Link, send: Send) -> tuple[Work, Ready]:
    from engine.worker import begin  # only the child pays for importing torch

    return begin(link, send)


def choose(devices: Iterable["_Device"], model: str) -> "_Device":
    """The least busy device; one that has the model loaded may be somewhat busier.

    One that only starts is no choice while others work: it may be broken, and never come to it.
    """

    def order(device: _Device) -> tuple[bool, bool, int]:
        return not device.is_ready, not device.is_up, device.cost_of(model)

    return min(devices, key=order)


class _Device:
    """One device, and the worker process that owns it at the moment."""

    def __init__(
        self,
        name: str,
        config: EngineConfig,
        catalogue: Catalogue,
        main: ProcessMain,
        on_further_devices: Callable[[Iterable[str]], None],
    ) -> None:
        self._name = name
        self._config = config
        self._catalogue = catalogue
        self._main = main
        self._on_further_devices = on_further_devices
        self._child: Child | None = None
        self._changed = asyncio.Condition()
        self._is_kept = True
        self._restarts = 0
        self._models: dict[int, str] = {}  # of each request here

    @property
    def is_up(self) -> bool:
        """A process is there to take requests."""
        return self._child is not None and not self._child.is_gone

    @property
    def is_ready(self) -> bool:
        """That process has said that it can work."""
        return self.is_up and self._child is not None and self._child.is_ready

    def cost_of(self, model: str) -> int:
        """How busy it is, in requests; loading a model counts as some."""
        is_there = not model or model in self._heartbeat.resident_models
        is_coming = model in self._models.values()
        return len(self._models) + (0 if is_there or is_coming else SWITCH_COST)

    def status(self) -> WorkerStatus:
        """For operators."""
        return WorkerStatus(
            self._name,
            is_alive=self.is_up,
            running=len(self._models),
            restarts=self._restarts,
            memory_bytes=self._heartbeat.memory_bytes,
            resident_models=self._heartbeat.resident_models,
        )

    async def run(self, number: int, request: Request, on_event: OnEvent) -> Finished:
        """Have the worker carry out a request; waits while a dead worker is being replaced."""
        self._models[number] = model_of(request)
        try:
            child = await self._next_child()
            return await child.run(number, request, on_event)
        finally:
            del self._models[number]

    async def keep(self) -> None:
        """Have a worker process at all times, until cancelled."""
        pause_s = 0.0
        try:
            while True:
                # Profiling is the one thing that a worker does unasked: should that be what it
                # dies of, its successors do without.
                lived_s = await self._live(
                    replace(self._config, profile_s=0.0) if pause_s else self._config
                )
                self._restarts += 1
                is_early = lived_s < HEALTHY_S
                pause_s = min(max(FIRST_PAUSE_S, 2 * pause_s), LONGEST_PAUSE_S) if is_early else 0.0
                await asyncio.sleep(pause_s)
        finally:
            self._is_kept = False
            await self._put(None)  # whoever waits for a worker hears that none will come

    async def _live(self, config: EngineConfig) -> float:
        """Start a worker process, wait for its end, and return how many seconds it lived."""
        loop = asyncio.get_running_loop()
        begun = loop.time()
        try:
            child = Child(self._name, config, self._catalogue, self._main, self._on_ready)
        except OSError as error:  # no memory or no process left, perhaps for now only
            log.error("the worker of %s can't be started: %s", self._name, error)
            return 0.0
        await self._put(child)
        try:
            await child.gone()
        finally:
            self._child = None
            await child.end()
        log.error("the worker of %s %s; it is replaced", self._name, child.ending)
        return loop.time() - begun

    async def _put(self, child: Child | None) -> None:
        async with self._changed:
            self._child = child
            self._changed.notify_all()

    async def _next_child(self) -> Child:
        async with self._changed:
            await self._changed.wait_for(lambda: self.is_up or not self._is_kept)
            if self._child is None:
                raise _closed()
            return self._child

    def _on_ready(self, ready: Ready) -> None:
        self._name = ready.device  # "auto" no more
        log.info("the worker of %s is ready", self._name)
        self._on_further_devices(ready.further_devices)

    @property
    def _heartbeat(self) -> Heartbeat:
        return self._child.heartbeat if self._child else Heartbeat()


def _closed() -> WorkerDied:
    return WorkerDied("the engine is closing; ask again")
