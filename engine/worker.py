"""The loop that owns the device: gather the calls of all running requests, run a batch, hand back.

    tick:  line of calls --batching--> shares of one key --executor--> results --> pipelines resume

A pipeline is resumed only when its result is there, so that a pass that failed can be repeated.
A call of a model that is still being fetched stays in the line, and others run.

While there are no requests, models are profiled: pipelines of the worker's own make passes of more
and more rows, one a tick, so that a request that comes waits for one at most.
"""

import logging
import math
import time
from collections.abc import Callable, Hashable
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import Any, TypeAlias

import torch

from engine import batching, passes, registry
from engine.batching import RowCaps, Share, Waiting
from engine.calls import Call, NetworkRef, Pause, Pipeline, Report
from engine.errors import Defect, EngineError, OutOfMemory
from engine.events import Event, Failed, Finished, Picture, Progress, Started, Timings
from engine.messages import NO_REQUEST, Cancel, Order, Ready, Start
from engine.models.catalogue import Family, ModelInfo
from engine.models.memory import memory_of
from engine.models.shelf import Shelf
from engine.passes import Executor, Memory
from engine.pipelines import profiling
from engine.pipelines.stages.aside import PATIENCE_S
from engine.requests import Request
from engine.turns import Turns
from engine.worker_process import Link, Send

log = logging.getLogger(__name__)

PROGRESS_INTERVAL_S = 0.1  # between two reports of one request, previews excepted
MOST_ROWS = 32  # of one pass, however fast it is
LOADING = "loading"

Clock: TypeAlias = Callable[[], float]  # seconds
BeginPipeline: TypeAlias = Callable[[Request], Pipeline]
BeginProfile: TypeAlias = Callable[[str], Pipeline]  # of a model


@dataclass(frozen=True, slots=True)
class Profiles:
    """How models are profiled."""

    begin: BeginProfile
    budget_s: float  # of passes, for each model
    default_model: str  # profiled first of all


@dataclass(slots=True, eq=False)
class _Running:
    """A request, or a profile, that waits for the result of its call."""

    number: int
    pipeline: Pipeline
    asked_at: float  # seconds of the worker's clock, like the next two
    begun_at: float | None = None
    is_profile: bool = False  # nobody waits for it
    reported_at: float = -math.inf
    loading_s: float = 0.0
    device_s: float = 0.0
    model: str = ""  # that its first call of a network names
    call: Call = field(default_factory=Pause)
    key: Hashable = None  # of the call
    row_count: int = 1
    parts: list[Any] = field(default_factory=list)  # results of the rows that are done
    rows_done: int = 0
    fetch: Future[Any] | None = None  # of its call's model, as long as it must be waited for

    def ask(self, call: Call) -> None:
        """Wait for this call from now on.

        Raises:
            TypeError: it is no call.
            ValueError: it has no rows.
        """
        self.row_count = batching.row_count(call)
        if not self.row_count:
            raise ValueError(f"{type(call).__name__} without rows")
        network = getattr(call, "network", None)
        if not self.model and isinstance(network, NetworkRef):
            self.model = network.model
        self.call, self.key = call, call.batch_key
        self.parts, self.rows_done = [], 0

    def waiting(self) -> Waiting:
        """Its place in the line."""
        can_be_cut = batching.can_be_cut(self.call)
        return Waiting(self.key, self.rows_done, self.row_count, can_be_cut)

    def rows(self, share: Share) -> Call:
        """The part of its call that is computed now."""
        return batching.rows_of(self.call, share.start, share.stop)

    def result(self) -> Any:
        """The result of the whole call, once all rows are done."""
        if len(self.parts) == 1:
            return self.parts[0]
        if isinstance(self.parts[0], tuple):
            return tuple(torch.cat(column) for column in zip(*self.parts, strict=True))
        return torch.cat(self.parts)


class Worker:
    """All running requests of one device. `tick` computes some rows of some of them."""

    def __init__(
        self,
        send: Send,
        executor: Executor,
        *,
        begin: BeginPipeline,
        caps: RowCaps,
        memory: Memory | None = None,
        profiles: Profiles | None = None,
        versions: dict[str, str] | None = None,
        clock: Clock = time.monotonic,
    ) -> None:
        self._send = send
        self._executor = executor
        self._begin = begin
        self._caps = caps
        self._memory = memory
        self._profiles = profiles
        self._profiled: set[str] = set()  # models
        self._versions = versions or {}
        self._clock = clock
        self._turns = Turns()
        self._line: list[_Running] = []  # longest waiting first
        self._in_pass: list[_Running] = []
        self._loading_since: float | None = None
        self._loading_s = 0.0  # of the pass that goes on
        if profiles:
            self._profile(profiles.default_model)

    @property
    def is_idle(self) -> bool:
        """There is nothing to do until the next order."""
        return not self._line

    def kept(self) -> tuple[int, tuple[str, ...]]:
        """Bytes and names of the models in memory; any thread may ask."""
        return self._executor.kept()

    def obey(self, number: int, order: Order) -> None:
        """Start or cancel a request."""
        match order:
            case Start(request):
                self._start(number, request)
            case Cancel():
                for job in [job for job in self._line if job.number == number]:
                    self._line.remove(job)
                    _close(job)

    def tick(self) -> None:
        """Run one batch; its requests go to the back of the line.

        Raises:
            torch.AcceleratorError: the device does nothing more for this process, which must end.
        """
        self._end_fetches()
        line = self._whose_turn()
        if not line:
            self._wait_for_fetches()
            return
        shares = batching.next_batch([job.waiting() for job in line], self._caps.cap)
        jobs = [line[share.position] for share in shares]
        outcomes = self._compute(jobs, shares)
        if outcomes is None:
            return  # no memory for so many rows, and nothing has changed: the next tick takes fewer
        self._line = [job for job in self._line if job not in jobs]
        for job, share, outcome in zip(jobs, shares, outcomes, strict=True):
            self._hand_back(job, share, outcome)

    def on_loading(self, model: str, fraction: float) -> None:
        """Hear from the executor, within a pass, how much of a model is read."""
        now = self._clock()
        if self._loading_since is None:
            log.info("loading %s", model)
            self._loading_since = now
            for job in self._in_pass:
                self._tell(job, Progress(0, 0, stage=LOADING))
        if fraction >= 1.0:
            self._loading_s += now - self._loading_since
            self._loading_since = None
            log.info("loaded %s in %.1f s", model, self._loading_s)
            self._profile(model)

    def _whose_turn(self) -> list[_Running]:
        """The requests that may run now; profiles, of which one goes on, while there are none."""
        _, resident = self._executor.kept()
        line = [job for job in self._line if not job.is_profile and not job.fetch]
        if not line:
            self._forget_profiles_of_models_given_up(resident)
            return [job for job in self._line if not job.fetch][:1]
        calls = [job.call for job in line]
        return [line[i] for i in self._turns.whose_turn(calls, resident, self._clock())]

    def _end_fetches(self) -> None:
        """Let those run whose model is here now; fail those whose model can't be fetched."""
        for job in list(self._line):
            if job.fetch and job.fetch.done():
                error = job.fetch.exception()
                job.fetch = None
                if error:
                    self._line.remove(job)
                    self._resume(job, error)

    def _wait_for_fetches(self) -> None:
        """Have a rest, as nothing else is to be done, but look for orders soon."""
        fetches = [job.fetch for job in self._line if job.fetch]
        wait(fetches, PATIENCE_S, return_when=FIRST_COMPLETED)

    def _forget_profiles_of_models_given_up(self, resident: tuple[str, ...]) -> None:
        """To load one again would cost those that were asked for since their place."""
        profiles = [job for job in self._line if job.is_profile]
        gone = [job for job in profiles if resident and job.model not in resident]
        for job in gone:
            self._line.remove(job)
            self._profiled.discard(job.model)
            _close(job)

    def _profile(self, model: str) -> None:
        if self._profiles and model not in self._profiled:
            self._profiled.add(model)
            profile = self._profiles.begin(model)
            job = _Running(NO_REQUEST, profile, self._clock(), is_profile=True)
            self._resume(job, None)

    def _start(self, number: int, request: Request) -> None:
        self._send(number, Started())
        try:
            job = _Running(number, self._begin(request), self._clock())
        except Exception as error:  # noqa: BLE001  it fails this request only
            self._send(number, Failed(as_engine_error(number, error)))
        else:
            self._resume(job, None)

    def _compute(self, jobs: list[_Running], shares: list[Share]) -> list[Any] | None:
        """Return a result or an error for each share; None if a smaller batch should be tried."""
        calls = [job.rows(share) for job, share in zip(jobs, shares, strict=True)]
        begun = self._clock()
        for job in jobs:
            job.begun_at = begun if job.begun_at is None else job.begun_at
        if isinstance(calls[0], Pause):
            return [None for _ in calls]
        rows = sum(len(share) for share in shares)
        self._in_pass = jobs
        self._loading_s, self._loading_since = 0.0, None
        memory = self._memory if self._caps.is_new(jobs[0].key, rows) else None
        if memory:
            memory.begin()
        outcome = passes.compute(self._executor, calls)
        if outcome is None:
            self._caps.ran_out(jobs[0].key, rows)
            return None
        now = self._clock()
        seconds = now - begun - self._loading_s
        self._turns.ran(calls[0], seconds, self._loading_s, now)
        if outcome.is_one_pass:
            # What a model took that was loaded meanwhile is not the pass's own.
            taken_bytes = memory.taken_bytes() if memory and not self._loading_s else 0
            self._caps.ran(jobs[0].key, rows, seconds, taken_bytes)
        for job, share in zip(jobs, shares, strict=True):
            job.device_s += seconds * len(share) / rows
            job.loading_s += self._loading_s
        return outcome.results

    def _hand_back(self, job: _Running, share: Share, outcome: Any) -> None:
        if isinstance(outcome, Exception):
            self._resume(job, outcome)
            return
        job.parts.append(outcome)
        job.rows_done += len(share)
        is_whole = job.rows_done == job.row_count
        if job.is_profile and self._profiles and job.device_s >= self._profiles.budget_s:
            _close(job)
            self._note_profile(job)
        elif is_whole:
            self._resume(job, job.result())
        elif job.is_profile:
            self._resume(job, None)  # it has found the cap
        else:
            self._line.append(job)

    def _resume(self, job: _Running, outcome: Any) -> None:
        """Let the pipeline go on until it needs the device again, or is over."""
        job.parts = []
        try:
            if isinstance(outcome, Exception):
                call = job.pipeline.throw(outcome)
            else:
                call = job.pipeline.send(outcome)
            while isinstance(call, Report):
                self._report(job, call)
                call = job.pipeline.send(None)
            job.ask(call)
            self._fetch_model_of(job)
        except StopIteration as end:
            self._tell(job, self._ending(job, end.value))
        except Exception as error:  # noqa: BLE001  a broken pipeline ends its own request only
            self._tell(job, Failed(as_engine_error(job.number, error)))
        else:
            self._line.append(job)
        torch.set_grad_enabled(False)  # whatever the pipeline did, its neighbours have none

    def _fetch_model_of(self, job: _Running) -> None:
        network = getattr(job.call, "network", None)
        job.fetch = self._executor.fetch(network) if isinstance(network, NetworkRef) else None
        if job.fetch:
            self._tell(job, Progress(0, 0, stage=LOADING))

    def _report(self, job: _Running, report: Report) -> None:
        now = self._clock()
        is_due = now - job.reported_at >= PROGRESS_INTERVAL_S
        if is_due or report.preview or report.step >= report.total:
            job.reported_at = now
            told = Progress(report.step, report.total, report.preview, report=report.report)
            self._tell(job, told)

    def _tell(self, job: _Running, event: Event) -> None:
        match event:
            case _ if not job.is_profile:
                self._send(job.number, event)
            case Finished():
                self._note_profile(job)
            case Failed(error):
                log.warning("%s can't be profiled: %s", job.model, error)

    def _note_profile(self, job: _Running) -> None:
        log.info("profiled %s in %.1f s", job.model, job.device_s)

    def _ending(self, job: _Running, images: Any) -> Finished | Failed:
        if not isinstance(images, tuple) or not all(isinstance(i, Picture) for i in images):
            return Failed(Defect("TypeError", "the pipeline did not end with pictures"))
        now = self._clock()
        timings = Timings(
            waited_s=(now if job.begun_at is None else job.begun_at) - job.asked_at,
            loading_s=job.loading_s,
            total_s=now - job.asked_at,
            device_s=job.device_s,
        )
        return Finished(images, timings, self._versions | self._weights_of(job.model))

    def _weights_of(self, model: str) -> dict[str, str]:
        if not model:
            return {}
        return {"model": model, "model_hash": self._executor.fingerprint(model)}


def begin(link: Link, send: Send) -> tuple[Worker, Ready]:
    """Set torch up for this process and thread, and take the device; loads no model yet."""
    config = link.config
    torch.set_grad_enabled(False)
    if config.threads:
        torch.set_num_threads(config.threads)
    worker: Worker

    def on_loading(model: str, fraction: float) -> None:
        worker.on_loading(model, fraction)

    catalogue = link.catalogue
    shelf = Shelf(config, catalogue, device=link.device, on_loading=on_loading)
    memory = memory_of(shelf.device)
    most_rows = 1 if config.exact else config.max_rows or MOST_ROWS
    profiles = Profiles(
        lambda model: _profile_of(catalogue.info(model)), config.profile_s, catalogue.default.name
    )
    worker = Worker(
        send,
        shelf,
        begin=lambda request: registry.start(request, config.preview_interval_s),
        caps=RowCaps(config.tick_budget_s, most_rows, memory.room_bytes),
        memory=memory,
        profiles=profiles if config.profile_s else None,
        versions=_versions(shelf.device),
    )
    others = range(1, torch.cuda.device_count()) if link.device == "auto" else ()
    return worker, Ready(str(shelf.device), tuple(f"cuda:{index}" for index in others))


def _profile_of(model: ModelInfo) -> Pipeline:
    network = NetworkRef(model.name)
    if model.family is Family.GAN:
        return profiling.dreaming(network)
    return profiling.drawing(network, model.width, model.height)


def _versions(device: torch.device) -> dict[str, str]:
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    try:
        engine = version("atelier")
    except PackageNotFoundError:
        engine = "not installed"  # runs from its source folder
    return {"engine": engine, "torch": torch.__version__, "device": name}


def _close(job: _Running) -> None:
    try:
        job.pipeline.close()
    except Exception:
        log.exception("request %d did not end cleanly", job.number)


def as_engine_error(number: int, error: Exception) -> EngineError:
    """Translate any error into one that the host, which has no torch, can unpickle."""
    if isinstance(error, EngineError):
        return error
    if passes.is_out_of_memory(error):
        return OutOfMemory("there is too little memory: ask for fewer or smaller images")
    log.error("request %d failed", number, exc_info=error)
    return Defect(type(error).__name__, str(error))
