import threading

import pytest

from engine import calls
from engine.pipelines.stages.aside import aside


def test_others_may_run_until_the_work_is_done():
    may_end = threading.Event()
    work = aside(lambda: may_end.wait(30) and "done")
    for _ in range(5):
        assert isinstance(next(work), calls.Pause)
    may_end.set()
    result = None
    while result is None:
        try:
            next(work)
        except StopIteration as end:
            result = end.value
    assert result == "done"


def test_what_the_work_raises_is_raised():
    def broken():
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        list(aside(broken))


def test_a_timeout_of_the_work_itself_is_no_reason_to_wait():
    def late():
        raise TimeoutError("too late")

    with pytest.raises(TimeoutError, match="too late"):
        list(aside(late))


def test_a_cancelled_request_does_not_wait_for_its_work():
    may_end = threading.Event()
    work = aside(lambda: may_end.wait(30))
    next(work)
    work.close()
    may_end.set()
