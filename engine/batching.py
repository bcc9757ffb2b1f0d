"""Which calls run together, and how many rows at once. Pure: no clock, no device.

A pass computes rows of one batch key. The call that has waited longest decides the key, so that
nothing starves; others of its key ride along as far as the row cap allows. A call may be cut: its
remaining rows wait for a later pass, which keeps passes short however many images a request has.
"""

import math
import sys
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from torch import Tensor

from engine.calls import (
    Call,
    Conditioning,
    Decode,
    Denoise,
    Encode,
    EncodeReference,
    Enlarge,
    InversionGradient,
    LayStrokes,
    MapNoise,
    Restyle,
    StyleCode,
    StyleTokens,
    Synthesise,
)

# The field that has a row for each image of the call; calls that are not here can't be cut.
_ROWS_FIELD = {
    Denoise: "x",
    EncodeReference: "pixels",
    Encode: "pixels",
    Decode: "latents",
    Enlarge: "pixels",
    StyleCode: "pixels",
    Restyle: "pixels",
    LayStrokes: "pixels",
    MapNoise: "z",
    Synthesise: "w",
    InversionGradient: "w",
}

_MOST_KEYS = 1000  # whose times are remembered; LoRA weights make ever new ones


@dataclass(frozen=True, slots=True)
class Waiting:
    """A call in the line: rows `start` to `stop` are still to be computed."""

    key: Hashable
    start: int
    stop: int
    can_be_cut: bool


@dataclass(frozen=True, slots=True)
class Share:
    """Rows `start` to `stop` of the call at `position` in the line."""

    position: int
    start: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.start


def next_batch(line: Sequence[Waiting], cap_of: Callable[[Hashable], int]) -> list[Share]:
    """Choose what runs now, at most `cap_of(key)` rows, from a line with the longest waiting first.

    The first in line always gets its turn, even if it can't be cut to the cap.
    """
    if not line:
        return []
    key = line[0].key
    room = cap_of(key)
    shares: list[Share] = []
    for position, call in enumerate(line):
        if call.key != key:
            continue
        rows = call.stop - call.start
        if rows > room and call.can_be_cut:
            rows = room
        if rows <= room or not shares:
            shares.append(Share(position, call.start, call.start + rows))
            room -= rows
        if room <= 0:
            break
    return shares


def row_count(call: Call) -> int:
    """How many rows a call has; calls that can't be cut count as one.

    Raises:
        TypeError: it is no call.
    """
    if not isinstance(call, Call):
        raise TypeError(f"a pipeline may not yield {type(call).__name__}")
    name = _ROWS_FIELD.get(type(call))
    return len(getattr(call, name)) if name else 1


def can_be_cut(call: Call) -> bool:
    """Rows of it may be computed in different passes."""
    return type(call) in _ROWS_FIELD


def rows_of(call: Call, start: int, stop: int) -> Call:
    """The same call for rows `start` to `stop` alone."""
    if not can_be_cut(call) or (start, stop) == (0, row_count(call)):
        return call
    cut: dict[str, Any] = {
        field.name: _cut(value, start, stop)
        for field in fields(call)
        if isinstance(value := getattr(call, field.name), Tensor | Conditioning)
    }
    return replace(call, **cut)


def _cut(value: Tensor | Conditioning, start: int, stop: int) -> Tensor | Conditioning:
    if isinstance(value, Tensor):
        return value[start:stop]
    style = value.style
    return Conditioning(
        value.tokens[start:stop],
        value.pooled[start:stop],
        value.extra[start:stop],
        style and StyleTokens(style.tokens[start:stop], style.scale[start:stop]),
    )


class RowCaps:
    """Learns for each batch key how many rows a pass may have, from the passes themselves.

    Starts at one row and doubles as long as a pass of twice the rows should stay in the budget of
    time and find the memory it needs. What profiling did not come to, requests measure.
    """

    def __init__(
        self, tick_budget_s: float, most: int, room_bytes: Callable[[], int] = lambda: sys.maxsize
    ) -> None:
        """Allow at most `most` rows; `room_bytes` tells what memory a pass may take now."""
        self._tick_budget_s = tick_budget_s
        self._most = most
        self._room_bytes = room_bytes
        self._measured: dict[Hashable, dict[int, _Measured]] = {}  # key -> power of two
        self._limits: dict[Hashable, _Limit] = {}

    def cap(self, key: Hashable) -> int:
        """Rows of the next pass."""
        measured = self._measured.get(key, {})
        rows = 1
        while 2 * rows <= self._most and self._should_fit(measured, rows):
            rows *= 2
        limit = self._limits.get(key)
        return min(rows, limit.rows) if limit else rows

    def ran(self, key: Hashable, rows: int, seconds: float, taken_bytes: int = 0) -> None:
        """Learn from a pass; `taken_bytes` it took for itself, 0 where that is not known."""
        if len(self._measured) >= _MOST_KEYS:
            self._measured.clear()
        measured = self._measured.setdefault(key, {})
        measured.setdefault(_size_of(rows), _Measured()).add(seconds, taken_bytes)
        if limit := self._limits.get(key):
            limit.passes_left -= 1
            if not limit.passes_left:
                del self._limits[key]

    def is_new(self, key: Hashable, rows: int) -> bool:
        """Little is known of passes of that size, so that it is worth a look at the memory too."""
        measured = self._measured.get(key, {}).get(_size_of(rows))
        return measured is None or not measured.is_sure

    def ran_out(self, key: Hashable, rows: int) -> None:
        """Learn that the device had no memory for so many rows; tried again much later."""
        self._limits[key] = _Limit(max(1, rows // 2))

    def _should_fit(self, measured: dict[int, "_Measured"], rows: int) -> bool:
        """Twice `rows` should stay in the budget: measured, or extended in a straight line."""
        now, before, after = (measured.get(size) for size in (rows, rows // 2, 2 * rows))
        if now is None:
            return False
        if after and (after.is_sure or after.seconds <= self._tick_budget_s):
            return after.seconds <= self._tick_budget_s
        slope = now.seconds - (before.seconds if before else 0.0)
        expected = now.seconds + max(slope, 0.0) * (2 if rows > 1 else 1)
        return expected <= self._tick_budget_s and (
            after is not None or 2 * now.taken_bytes <= self._room_bytes()
        )


def _size_of(rows: int) -> int:
    """The power of two that stands for so many rows."""
    return 1 << (rows.bit_length() - 1)


@dataclass(slots=True)
class _Measured:
    """Passes of one key and size."""

    seconds: float = math.inf  # of the fastest: the others were disturbed
    taken_bytes: int = 0  # of the one that took most
    passes: int = 0

    def add(self, seconds: float, taken_bytes: int) -> None:
        """Count one more."""
        self.seconds = min(self.seconds, seconds)
        self.taken_bytes = max(self.taken_bytes, taken_bytes)
        self.passes += 1

    @property
    def is_sure(self) -> bool:
        """The first pass of a size is often slow, as the device must prepare for it."""
        return self.passes > 1


@dataclass(slots=True)
class _Limit:
    """What memory allows."""

    rows: int
    passes_left: int = 500  # then more may be tried: other models may have left the device
