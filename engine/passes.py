"""One pass through a network: what to do when there is too little memory, an error, or NaN.

out of memory   fewer rows are tried; one row gets a second try without the other models
an error        each call is tried alone, so that the guilty one fails alone
NaN             the calls whose rows they are fail
a broken device nothing more is tried: the process must end, and another one take its place
"""

import gc
import logging
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from engine import batching
from engine.calls import Call, NetworkRef
from engine.errors import ModelUnavailable, NotANumber, OutOfMemory, UnknownModel, Unsupported

log = logging.getLogger(__name__)

# What has no class of its own: torch's allocator of the CPU, on Windows and elsewhere, then CUDA
# and its libraries where they ask the device for memory themselves.
_REFUSED = (
    "not enough memory",
    "can't allocate memory",
    "CUDA error: out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "ALLOCATION_FAILED",
)
# What newer torch raises where the device fails: after a kernel's fault, all later calls do too.
_OF_THE_DEVICE: type[Exception] | tuple[()] = getattr(torch, "AcceleratorError", ())
_OF_THE_MODEL = (ModelUnavailable, UnknownModel, Unsupported)  # errors that all calls share


class Executor(Protocol):
    """Computes calls; `models.shelf.Shelf` does."""

    def execute(self, calls: Sequence[Call]) -> Sequence[Any]:
        """Return a result for each call, all of one batch key, from one pass of all their rows.

        Raises:
            MemoryError, torch.OutOfMemoryError: try with fewer rows.
        """
        ...

    def fetch(self, network: NetworkRef) -> Future[Any] | None:
        """Fetch what is not on this machine of a model, beside all passes; None if all of it is."""
        ...

    def clear(self, keep: str = "") -> None:
        """Give up all models in memory but the one of that name."""
        ...

    def kept(self) -> tuple[int, tuple[str, ...]]:
        """Bytes and names of the models in memory; any thread may ask."""
        ...

    def fingerprint(self, model: str) -> str:
        """Ten digits of the hash of a model's weights; empty where it was never loaded."""
        ...


class Memory(Protocol):
    """Where passes have their numbers; `models.memory` knows it of each kind of device."""

    def begin(self) -> None:
        """Note what is in use before a pass."""
        ...

    def taken_bytes(self) -> int:
        """What the pass took at its height, on top of that; 0 where it can't be known."""
        ...


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of each call: its result, or the error that is its own."""

    results: list[Any]
    is_one_pass: bool  # so that its time tells something of later ones


def compute(executor: Executor, calls: Sequence[Call]) -> Outcome | None:
    """Compute calls of one batch key; None if they should be tried again with fewer rows.

    Raises:
        torch.AcceleratorError: the device does nothing more for this process.
    """
    outcome = _attempt(executor, calls)
    if isinstance(outcome, list):
        return Outcome(outcome, is_one_pass=True)
    if isinstance(outcome, OutOfMemory):
        log.warning("too little memory for %d calls of %s", len(calls), calls[0].batch_key)
        if _can_be_fewer(calls):
            _free_memory()
            return None
        outcome = _attempt_with_all_memory(executor, calls[0])
        if isinstance(outcome, list):
            return Outcome(outcome, is_one_pass=False)
    if len(calls) == 1 or isinstance(outcome, _OF_THE_MODEL):
        return Outcome([outcome for _ in calls], is_one_pass=False)
    # Nothing has been handed back yet, so each can be tried again.
    alone = (_attempt(executor, [call]) for call in calls)
    results = [one[0] if isinstance(one, list) else one for one in alone]
    return Outcome(results, is_one_pass=False)


def _can_be_fewer(calls: Sequence[Call]) -> bool:
    first = calls[0]
    return len(calls) > 1 or (batching.can_be_cut(first) and batching.row_count(first) > 1)


def _attempt_with_all_memory(executor: Executor, call: Call) -> list[Any] | Exception:
    """Try what can't be less once more, without the models that it does not need."""
    network = getattr(call, "network", None)
    executor.clear(keep=network.model if isinstance(network, NetworkRef) else "")
    _free_memory()
    return _attempt(executor, [call])


def _attempt(executor: Executor, calls: Sequence[Call]) -> list[Any] | Exception:
    """Return the results, or what went wrong; lack of memory as `OutOfMemory`, without frames."""
    try:
        return _without_nan(executor.execute(calls))
    except Exception as error:
        if is_out_of_memory(error):
            return OutOfMemory("the device has too little memory: ask for fewer or smaller images")
        if isinstance(error, _OF_THE_DEVICE):
            raise
        return error  # it is thrown into the pipeline that asked


def _without_nan(results: Sequence[Any]) -> list[Any]:
    """Put an error in the place of each result that is not finite; one look at the device."""
    checks = [_is_finite(result) for result in results]
    is_finite = torch.stack(checks).tolist() if checks else []
    return [
        result if good else _not_a_number() for result, good in zip(results, is_finite, strict=True)
    ]


def _is_finite(result: Any) -> Tensor:
    """Return a truth value that is still on the device, for a tensor or a tuple of tensors."""
    parts = result if isinstance(result, tuple) else (result,)
    checks = [part.isfinite().all() for part in parts if isinstance(part, Tensor)]
    return torch.stack(checks).all() if checks else torch.tensor(True)  # noqa: FBT003


def _not_a_number() -> NotANumber:
    return NotANumber(
        "the network's numbers overflowed: try another sampler, a lower guidance or other words"
    )


def is_out_of_memory(error: Exception) -> bool:
    """Tell whether fewer rows could have helped."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError | OutOfMemory):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _REFUSED)


def _free_memory() -> None:
    if torch.cuda.is_available():
        gc.collect()
        torch.cuda.empty_cache()
