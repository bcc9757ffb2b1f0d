"""Work of the CPU that must not hold up the device: done in a thread while others' calls run."""

from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from engine.calls import Pause

PATIENCE_S = 0.004  # a tick waits no longer for it

T = TypeVar("T")


def aside(work: Callable[[], T]) -> Generator[Pause, None, T]:
    """Return what `work` returns, or raise what it raises; others may run meanwhile.

    `work` must not touch the device, and is left to end by itself if the request is cancelled.
    """
    pool = ThreadPoolExecutor(1, thread_name_prefix="aside")
    future = pool.submit(work)
    pool.shutdown(wait=False)
    yield Pause()
    while not future.done():
        try:
            future.exception(PATIENCE_S)
        except TimeoutError:
            yield Pause()
    return future.result()
