"""What operators watch: health, status, Prometheus metrics."""

import asyncio
import platform
import shutil
import time
from collections.abc import AsyncIterator, Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.process_collector import ProcessCollector

from bot.errors import StorageUnavailable, UserError
from bot.faces.web.answers import Health, Status, Worker
from bot.faces.web.context import CONFIG, caller_of, studio_of
from bot.studio.contract import JobEnding
from engine.api import EngineStatus, WorkerStatus

LEAST_FREE_BYTES = 2**26  # of the disk; a large picture has half of that
JOB_BUCKETS_S = (0.1, 0.3, 1, 3, 10, 30, 60, 180, 600, 1800, 3600)
_PACKAGES = ("atelier", "aiohttp", "discord.py", "sqlalchemy", "torch", "diffusers", "pillow")


class Metrics:
    """The figures of one web studio; each application has its own registry."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.started_s = time.time()
        self.requests = Counter(
            "atelier_http_requests",
            "Answers",
            ["route", "method", "status"],
            registry=self.registry,
        )
        self.latency = Histogram(
            "atelier_http_request_seconds", "Time to answer", ["route"], registry=self.registry
        )
        self.errors = Counter(
            "atelier_http_errors", "Refusals and failures", ["kind"], registry=self.registry
        )
        self.endings = Counter(
            "atelier_jobs_ended", "Jobs", ["operation", "state"], registry=self.registry
        )
        self.waiting = Histogram(
            "atelier_job_waiting_seconds",
            "Time in the queue of jobs that were started",
            ["operation"],
            buckets=JOB_BUCKETS_S,
            registry=self.registry,
        )
        self.device = Histogram(
            "atelier_job_device_seconds",
            "Time on a device of jobs that finished",
            ["operation"],
            buckets=JOB_BUCKETS_S,
            registry=self.registry,
        )
        self.jobs = Gauge("atelier_jobs", "Jobs of all members", ["state"], registry=self.registry)
        self.workers = Gauge(
            "atelier_workers_alive", "Worker processes", ["device"], registry=self.registry
        )
        self.worker_running = Gauge(
            "atelier_worker_requests", "Requests at work", ["device"], registry=self.registry
        )
        self.worker_restarts = Gauge(
            "atelier_worker_restarts", "Replacements", ["device"], registry=self.registry
        )
        self.worker_memory = Gauge(
            "atelier_worker_model_bytes", "Memory of models", ["device"], registry=self.registry
        )

    def note_ending(self, ending: JobEnding) -> None:
        """Count a job that has ended."""
        operation = ending.operation.value
        self.endings.labels(operation, ending.state.value).inc()
        if ending.waited_s is not None:
            self.waiting.labels(operation).observe(ending.waited_s)
        if ending.device_s is not None:
            self.device.labels(operation).observe(ending.device_s)

    def note_workers(self, status: EngineStatus) -> None:
        """Take over the state of the workers."""
        for worker in status.workers:
            self.workers.labels(worker.device).set(worker.is_alive)
            self.worker_running.labels(worker.device).set(worker.running)
            self.worker_restarts.labels(worker.device).set(worker.restarts)
            self.worker_memory.labels(worker.device).set(worker.memory_bytes)

    def errors_by_kind(self) -> dict[str, int]:
        """How often each kind of error was answered since the start."""
        return {
            sample.labels["kind"]: int(sample.value)
            for metric in self.errors.collect()
            for sample in metric.samples
            if sample.name.endswith("_total")
        }


METRICS: web.AppKey[Metrics] = web.AppKey("metrics")


@web.middleware
async def measure(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Count each answer and its time under the pattern of its route."""
    metrics, begun = request.app[METRICS], time.perf_counter()
    status = 500
    try:
        response = await handler(request)
        status = response.status
    except web.HTTPException as error:
        status = error.status
        raise
    else:
        return response
    finally:
        route = _route(request)
        method = request.method if request.method in hdrs.METH_ALL else "other"
        metrics.requests.labels(route, method, str(status)).inc()
        if not route.endswith("/events"):  # open for hours
            metrics.latency.labels(route).observe(time.perf_counter() - begun)


async def health(request: web.Request) -> web.Response:
    """`GET /healthz`: 200 while jobs are taken and made, else 503 with what is missing."""
    problems = [problem async for problem in _problems(request)]
    told: Health = {"status": "ok" if not problems else "unwell", "problems": problems}
    return web.json_response(told, status=503 if problems else 200)


async def metrics(request: web.Request) -> web.Response:
    """`GET /metrics`: figures for Prometheus."""
    figures, studio = request.app[METRICS], studio_of(request)
    figures.note_workers(studio.engine_status())
    try:
        queue = await studio.queue(caller_of(request))
    except StorageUnavailable:
        figures.jobs.clear()  # unknown is not zero
    else:
        figures.jobs.labels("running").set(queue.total_running)
        figures.jobs.labels("waiting").set(queue.total_waiting)
    return web.Response(
        body=generate_latest(figures.registry), headers={"Content-Type": CONTENT_TYPE_PLAIN_0_0_4}
    )


async def status(request: web.Request) -> web.Response:
    """`GET /api/status`: queue, workers, errors by class, versions; what the status page shows."""
    figures, studio = request.app[METRICS], studio_of(request)
    queue = await studio.queue(caller_of(request))
    told: Status = {
        "uptime_s": round(time.time() - figures.started_s),
        "running": queue.total_running,
        "waiting": queue.total_waiting,
        "workers": [_worker_json(worker) for worker in studio.engine_status().workers],
        "errors": figures.errors_by_kind(),
        "versions": {"python": platform.python_version(), **dict(_versions())},
        "login": request.app[CONFIG].demands_login,
    }
    return web.json_response(told)


async def _problems(request: web.Request) -> AsyncIterator[str]:
    studio = studio_of(request)
    workers = studio.engine_status().workers
    if workers and not any(worker.is_alive for worker in workers):
        yield "no worker is alive"
    try:
        await studio.queue(caller_of(request))
    except UserError as error:
        yield str(error)
    folder = request.app[CONFIG].data_dir
    if folder and (problem := await asyncio.to_thread(_disk_problem, folder)):
        yield problem


def _disk_problem(folder: Path) -> str:
    """Why no more pictures can be kept, or nothing."""
    try:
        has_room = shutil.disk_usage(folder).free >= LEAST_FREE_BYTES
    except OSError as error:
        return f"the data folder can't be used: {error.strerror}"
    return "" if has_room else "the disk for pictures is full"


def _worker_json(worker: WorkerStatus) -> Worker:
    return {
        "device": worker.device,
        "alive": worker.is_alive,
        "running": worker.running,
        "restarts": worker.restarts,
        "memory_bytes": worker.memory_bytes,
        "models": list(worker.resident_models),
    }


def _versions() -> Iterator[tuple[str, str]]:
    for package in _PACKAGES:
        try:
            yield package, version(package)
        except PackageNotFoundError:
            continue


def _route(request: web.Request) -> str:
    resource = request.match_info.route.resource
    return resource.canonical if resource is not None else "unknown"
