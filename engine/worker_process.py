"""What surrounds a worker in its process: orders in, reports, heartbeats and logs out; no torch.

main thread        obey what has come, tick, look again; sleeps while there is nothing to do
thread "orders"    reads the host's orders; when the host is gone, so is this process
thread "heartbeat" says every second that the process lives and how long the tick has taken
"""

import ctypes
import logging
import os
import queue
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import NoReturn, Protocol, TypeAlias

from engine.config import EngineConfig
from engine.errors import EngineError
from engine.messages import NO_REQUEST, Heartbeat, Logged, Order, Ready, Report
from engine.models.catalogue import Catalogue

log = logging.getLogger(__name__)

HEARTBEAT_S = 1.0

_SET_PARENT_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of <linux/prctl.h>

Send: TypeAlias = Callable[[int, Report], None]


class Work(Protocol):
    """What the process is for: all running requests of one device."""

    @property
    def is_idle(self) -> bool:
        """There is nothing to do until the next order."""
        ...

    def obey(self, number: int, order: Order) -> None:
        """Start or cancel a request."""
        ...

    def tick(self) -> None:
        """Bring some requests forward; what it raises ends the process."""
        ...

    def kept(self) -> tuple[int, tuple[str, ...]]:
        """Bytes and names of the models in memory; called from another thread."""
        ...


@dataclass(frozen=True, slots=True)
class Link:
    """What the host gives a worker process when it starts it."""

    device: str
    config: EngineConfig
    catalogue: Catalogue  # what the host offers, whatever has become of its files since
    orders: Connection
    reports: Connection
    host_pid: int


Begin: TypeAlias = Callable[[Link, Send], tuple[Work, Ready]]


def run(begin: Begin, link: Link) -> None:
    """Work until the host closes the connection or ends, then leave the process at once."""
    # Before torch is imported. Threads that wait by spinning make a pass twenty times slower as
    # soon as another process wants a core too.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C is for the host, which ends this one
    _end_with(link.host_pid)
    outbox = _Outbox(link.reports)
    logging.basicConfig(level=logging.INFO, handlers=[_Forward(outbox.send)], force=True)
    pulse = _Pulse(outbox.send)
    inbox: queue.SimpleQueue[tuple[int, Order]] = queue.SimpleQueue()
    # Both threads start before torch is imported: that alone may take a minute on a busy machine.
    threading.Thread(target=pulse.beat, name="heartbeat", daemon=True).start()
    threading.Thread(target=_read, args=(link.orders, inbox), name="orders", daemon=True).start()
    with pulse.busy():
        try:
            work, ready = begin(link, outbox.send)
        except EngineError as error:  # the operator must mend something: no traceback
            log.critical("the worker of %s can't start: %s", link.device, error)
            raise SystemExit(1) from error
    pulse.kept = work.kept
    outbox.send(NO_REQUEST, ready)
    try:
        _loop(work, inbox, pulse)
    except Exception as error:  # noqa: BLE001  it is logged, and the next process has not got it
        _leave("the worker can't go on, so it ends", error)


def _loop(work: Work, inbox: "queue.SimpleQueue[tuple[int, Order]]", pulse: "_Pulse") -> None:
    while True:
        while not inbox.empty() or work.is_idle:
            order = inbox.get()
            with pulse.busy():
                work.obey(*order)
        with pulse.busy():
            work.tick()


class _Outbox:
    """Sends reports from several threads, one at a time."""

    def __init__(self, reports: Connection) -> None:
        self._reports = reports
        self._lock = threading.Lock()

    def send(self, number: int, report: Report) -> None:
        """Send a report; without a host there is nobody to work for."""
        try:
            with self._lock:
                self._reports.send((number, report))
        except OSError:
            os._exit(0)


class _Forward(logging.Handler):
    """Hands log lines to the host, whose log the operator reads."""

    def __init__(self, send: Send) -> None:
        super().__init__()
        self.setFormatter(logging.Formatter("%(message)s"))
        self._send = send

    def emit(self, record: logging.LogRecord) -> None:
        """Send the formatted line."""
        self._send(NO_REQUEST, Logged(record.name, record.levelno, self.format(record)))


class _Pulse:
    """Says regularly that the process lives."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._busy_since: float | None = None
        self.kept: Callable[[], tuple[int, tuple[str, ...]]] = lambda: (0, ())

    def busy(self) -> "_Pulse":
        """Mark, as a context, that something is being worked on."""
        return self

    def __enter__(self) -> None:
        self._busy_since = time.monotonic()

    def __exit__(self, *_: object) -> None:
        self._busy_since = None

    def beat(self) -> None:
        """Send a heartbeat now and every second."""
        while True:
            since = self._busy_since
            tick_s = 0.0 if since is None else time.monotonic() - since
            self._send(NO_REQUEST, Heartbeat(tick_s, *self.kept()))
            time.sleep(HEARTBEAT_S)


def _read(orders: Connection, inbox: "queue.SimpleQueue[tuple[int, Order]]") -> None:
    while True:
        try:
            inbox.put(orders.recv())
        except (EOFError, OSError):
            os._exit(0)  # the host has closed its end, or died
        except Exception as error:  # noqa: BLE001  it is logged, and orders would be heard no more
            _leave("an order can't be read, so the worker ends", error)


def _leave(why: str, error: Exception) -> NoReturn:
    """End this process at once, whatever its threads still do; the host starts another one."""
    try:
        log.critical(why, exc_info=error)
    finally:
        os._exit(1)


def _end_with(host_pid: int) -> None:
    """Have the kernel end this process with its host, even while a long kernel call runs."""
    if sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGKILL)
    if os.getppid() != host_pid:  # it died before the line above
        os._exit(0)
