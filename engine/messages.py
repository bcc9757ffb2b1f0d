"""What host and worker say to each other; each message travels as (request's number, message)."""

from dataclasses import dataclass, field
from typing import TypeAlias

from engine.events import Event
from engine.requests import Request

NO_REQUEST = 0  # the number of messages that concern the worker itself

# --- host to worker ---


@dataclass(frozen=True, slots=True)
class Start:
    """Begin this request."""

    request: Request


@dataclass(frozen=True, slots=True)
class Cancel:
    """Forget this request, if it is not over."""


Order: TypeAlias = Start | Cancel

# --- worker to host: for a request Started, Progress*, then one ending, none after a Cancel ---


@dataclass(frozen=True, slots=True)
class Ready:
    """The worker can work; `further_devices` of this machine have no worker yet."""

    device: str
    further_devices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """The worker lives; sent every second, whatever it is doing."""

    tick_s: float = 0.0  # how long it has been at what it does now; 0 while it waits
    memory_bytes: int = 0  # of the models it keeps
    resident_models: tuple[str, ...] = field(default=())


@dataclass(frozen=True, slots=True)
class Logged:
    """A line for the log of the caller's process."""

    logger: str
    level: int
    text: str


Report: TypeAlias = Event | Ready | Heartbeat | Logged
