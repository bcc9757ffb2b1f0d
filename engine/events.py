"""What the engine tells while it works on a request: Started, Progress*, then one ending."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from engine.errors import EngineError


@dataclass(frozen=True, slots=True)
class Started:
    """The worker has begun."""


@dataclass(frozen=True, slots=True)
class Progress:
    """So many of `total` steps are launched; `preview` is a small WebP of the state, or None."""

    step: int
    total: int
    preview: bytes | None = None
    stage: str = ""  # "loading" while a model is read, else empty
    report: tuple[tuple[str, str], ...] = ()  # what it says of itself so far; empty: nothing new


@dataclass(frozen=True, slots=True)
class Picture:
    """One finished image."""

    png: bytes
    seed: int
    width: int  # pixels
    height: int  # pixels
    animation: bytes = b""  # animated WebP, whose first frame `png` is
    video: bytes = b""  # the same as MP4, where that was asked for
    weights: bytes = b""  # what a training has learnt
    report: tuple[tuple[str, str], ...] = ()  # what it says of itself: name and value


@dataclass(frozen=True, slots=True)
class Timings:
    """Where the time went, in seconds."""

    waited_s: float = 0.0  # from acceptance to the first call
    loading_s: float = 0.0
    total_s: float = 0.0
    device_s: float = 0.0  # this request's share of the passes it took part in


@dataclass(frozen=True, slots=True)
class Finished:
    """All images, in the order of their seeds."""

    images: tuple[Picture, ...]
    timings: Timings = Timings()
    versions: Mapping[str, str] = field(default_factory=dict)  # engine, torch, device, model


@dataclass(frozen=True, slots=True)
class Failed:
    """The request ended without images."""

    error: EngineError


Event: TypeAlias = Started | Progress | Finished | Failed
OnEvent: TypeAlias = Callable[[Event], None]
