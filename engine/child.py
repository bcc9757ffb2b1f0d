"""One worker process from its start to its end, seen from the host.

Two threads carry the messages, so that large pictures never block the event loop: one writes
orders, one reads reports and hands them to the loop.
"""

import asyncio
import contextlib
import logging
import multiprocessing
import os
import queue
import signal
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import TypeAlias

from engine.config import EngineConfig
from engine.errors import WorkerDied
from engine.events import Event, Failed, Finished, OnEvent, Progress, Started
from engine.messages import Cancel, Heartbeat, Logged, Order, Ready, Report, Start
from engine.models.catalogue import Catalogue
from engine.requests import Request
from engine.worker_process import Link

log = logging.getLogger(__name__)

CHECK_S = 1.0  # between two looks at the heartbeat
START_TIMEOUT_S = 60.0  # how long a new process may take to say its first word
END_TIMEOUT_S = 10.0  # how long a killed process may take to be gone

ProcessMain: TypeAlias = Callable[[Link], None]


class Child:
    """A running worker process and the requests it works on."""

    def __init__(
        self,
        device: str,
        config: EngineConfig,
        catalogue: Catalogue,
        main: ProcessMain,
        on_ready: Callable[[Ready], None],
    ) -> None:
        self._device = device
        self._config = config
        self._on_ready = on_ready
        self._loop = asyncio.get_running_loop()
        self._gone = asyncio.Event()
        self._events: dict[int, asyncio.Queue[Event]] = {}
        self._silent_s = 0.0
        self._is_heard = False
        self.is_ready = False  # it has said that it can work
        self.heartbeat = Heartbeat()
        self.ending = "does not end"  # for the log, once it has ended
        context = multiprocessing.get_context("spawn")  # CUDA does not survive fork
        order_source, order_sink = context.Pipe(duplex=False)
        report_source, report_sink = context.Pipe(duplex=False)
        link = Link(device, config, catalogue, order_source, report_sink, os.getpid())
        self._process = context.Process(
            target=main, args=(link,), name=f"atelier worker {device}", daemon=True
        )
        self._process.start()
        # Else the pipes would stay open after the worker's death.
        order_source.close()
        report_sink.close()
        self._orders: queue.SimpleQueue[tuple[int, Order] | None] = queue.SimpleQueue()
        self._threads = (
            threading.Thread(target=_write, args=(order_sink, self._orders), daemon=True),
            threading.Thread(target=self._read, args=(report_source,), daemon=True),
        )
        for thread in self._threads:
            thread.start()

    @property
    def is_gone(self) -> bool:
        """The process has ended, or as good as."""
        return self._gone.is_set()

    async def run(self, number: int, request: Request, on_event: OnEvent) -> Finished:
        """Have the worker carry out a request.

        Raises:
            EngineError: it failed; WorkerDied if this process ended first.
        """
        if self._gone.is_set():
            raise _died()
        events = self._events[number] = asyncio.Queue()
        self._orders.put((number, Start(request)))
        try:
            return await _ending(events, on_event)
        except BaseException:
            self._orders.put((number, Cancel()))  # means nothing if it is over
            raise
        finally:
            del self._events[number]

    async def gone(self) -> None:
        """Return when the process has ended; kill it if it falls silent or is stuck."""
        while not self._gone.is_set():
            # Not wait_for: before Python 3.12 it may swallow a cancellation.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CHECK_S):
                    await self._gone.wait()
                return
            # Counted in looks, not in clock time: a host that was stopped itself blames nobody.
            self._silent_s += CHECK_S
            if reason := self._reason_to_kill():
                log.error("the worker of %s %s and is killed", self._device, reason)
                self._process.kill()
                # What it has started may hold its connection open.
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(END_TIMEOUT_S):
                        await self._gone.wait()
                self._lose()

    async def end(self) -> None:
        """Kill the process, if it lives, and wait until all of it is gone."""
        self._process.kill()
        self._orders.put(None)
        await asyncio.to_thread(self._join)
        # What the reader said last is a callback of the loop; let it run before anything else.
        await asyncio.sleep(0)

    def _join(self) -> None:
        self._process.join(END_TIMEOUT_S)
        code = self._process.exitcode
        if code is None:
            log.critical("the worker of %s does not end, not even killed", self._device)
            return
        self.ending = f"died of {signal.Signals(-code).name}" if code < 0 else f"left with {code}"
        for thread in self._threads:
            thread.join(END_TIMEOUT_S)
        self._process.close()

    def _reason_to_kill(self) -> str:
        silence_s = self._config.silence_timeout_s
        if self._silent_s > (silence_s if self._is_heard else max(silence_s, START_TIMEOUT_S)):
            return f"said nothing for {self._silent_s:.0f} s"
        if self.heartbeat.tick_s > self._config.stuck_timeout_s:
            return f"worked at one pass for {self.heartbeat.tick_s:.0f} s"
        return ""

    def _read(self, reports: Connection) -> None:
        """Run in a thread: hand reports to the loop until the process ends."""
        with reports, contextlib.suppress(RuntimeError):  # the loop may be closed
            while (message := self._next_message(reports)) is not None:
                self._loop.call_soon_threadsafe(self._hear, *message)
            self._loop.call_soon_threadsafe(self._lose)

    def _next_message(self, reports: Connection) -> tuple[int, Report] | None:
        """Wait for a message; None if there will be no more."""
        try:
            number, report = reports.recv()
        except (EOFError, OSError):
            return None
        except Exception:
            # It may have been any request's ending: all of them end here, and the process too.
            log.exception(
                "a message of the worker of %s can't be read, so it is ended; see whether there is "
                "too little memory, or the engine's files are not those of the start",
                self._device,
            )
            return None
        return number, report

    def _hear(self, number: int, report: Report) -> None:
        self._silent_s = 0.0
        self._is_heard = True
        match report:
            case Heartbeat():
                self.heartbeat = report
            case Ready():
                self.is_ready = True
                self._on_ready(report)
            case Logged(logger, level, text):
                logging.getLogger(logger).log(level, "%s: %s", self._device, text)
            case _ if number in self._events:
                self._events[number].put_nowait(report)
            case _:
                pass  # nobody waits for it any more

    def _lose(self) -> None:
        self._gone.set()
        for events in self._events.values():
            events.put_nowait(Failed(_died()))


def _died() -> WorkerDied:
    return WorkerDied("the process that draws ended before the picture was done; ask again")


def _write(sink: Connection, orders: "queue.SimpleQueue[tuple[int, Order] | None]") -> None:
    """Run in a thread: send orders until there are no more or the process is gone."""
    with sink, contextlib.suppress(OSError):
        while (order := orders.get()) is not None:
            sink.send(order)


async def _ending(events: asyncio.Queue[Event], on_event: OnEvent) -> Finished:
    while True:
        match await events.get():
            case Finished() as finished:
                return finished
            case Failed(error):
                raise error
            case (Started() | Progress()) as event:
                on_event(event)
