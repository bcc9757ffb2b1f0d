"""What is known of an attempt under way."""

import asyncio
import time
from typing import Any

import pytest

from bot.studio.scheduler import Running
from tests.rows import job_row


def running(**values: Any) -> Running:
    """An attempt without a task."""
    task: asyncio.Task[float | None] = asyncio.Future()  # type: ignore[assignment]
    return Running(task, **values)


@pytest.mark.parametrize(("step", "used_s"), [(0, 0.0), (5, 2.5), (20, 10.0)])
async def test_a_stopped_attempt_has_used_as_much_as_its_steps_say(
    step: int, used_s: float
) -> None:
    attempt = running(row=job_row(), claimed_at=time.monotonic() - 60, step=step, total=20)
    assert attempt.used_s(10.0) == used_s


async def test_before_its_steps_the_clock_says_what_it_has_used() -> None:
    attempt = running(row=job_row(), claimed_at=time.monotonic() - 4)
    assert attempt.used_s(10.0) == pytest.approx(4.0, abs=0.5)
    assert attempt.used_s(3.0) == 3.0, "it may as well have waited for a worker"


async def test_what_was_never_claimed_has_used_nothing() -> None:
    assert running().used_s(10.0) == 0.0
