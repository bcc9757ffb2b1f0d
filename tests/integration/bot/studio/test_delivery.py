"""Endings reach the chats they belong to."""

import asyncio
from datetime import timedelta

import pytest

from bot.storage.database import open_database
from bot.storage.jobs import Jobs
from bot.studio import delivery
from bot.studio.contract import Destination, JobState, JobView
from engine.api import ModelUnavailable
from engine.testing import FakeEngine
from tests.integration.bot.studio.conftest import MEMBER, QUICK, Open, ended

CHAT = Destination(face="discord", address={"channel": 5, "message": 2**62, "token": "x"})


class Chat:
    """Shows endings, after failing so often."""

    def __init__(self, failures: int = 0) -> None:
        self.failures = failures
        self.calls = 0
        self.shown: list[tuple[JobView, tuple[bytes, ...]]] = []
        self.news = asyncio.Event()

    async def deliver(self, job: JobView, pngs: tuple[bytes, ...]) -> None:
        self.calls += 1
        if self.calls <= self.failures:
            raise ConnectionError("the chat is away")
        self.shown.append((job, pngs))
        self.news.set()


class SlowChat:
    """Takes as long as it is let."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.may_end = asyncio.Event()

    async def deliver(self, job: JobView, pngs: tuple[bytes, ...]) -> None:
        self.begun.set()
        await self.may_end.wait()


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery, "FIRST_PAUSE_S", 0.02)


async def test_the_ending_is_delivered_with_its_pictures_and_address(open_here: Open) -> None:
    chat = Chat()
    async with open_here() as studio:
        studio.register_deliverer("discord", chat)
        [job] = await studio.imagine(MEMBER, "a fox" + QUICK, CHAT)
        await asyncio.wait_for(chat.news.wait(), 50)
        await asyncio.sleep(0.2)
        [(shown, pngs)] = chat.shown
        assert (shown.id, shown.state, shown.destination) == (job.id, JobState.FINISHED, CHAT)
        assert pngs == tuple([await studio.image_png(MEMBER, image.id) for image in shown.images])


async def test_a_chat_that_is_away_is_tried_again(open_here: Open) -> None:
    chat = Chat(failures=2)
    async with open_here() as studio:
        studio.register_deliverer("discord", chat)
        await studio.imagine(MEMBER, "a fox" + QUICK, CHAT)
        await asyncio.wait_for(chat.news.wait(), 50)
        await asyncio.sleep(0.2)
    assert (chat.calls, len(chat.shown)) == (3, 1)


async def test_what_was_not_delivered_is_delivered_after_a_restart(open_here: Open) -> None:
    async with open_here() as studio:
        [job] = await studio.imagine(MEMBER, "a fox" + QUICK, CHAT)
        await ended(studio, job)
    chat = Chat()
    async with open_here() as studio:
        studio.register_deliverer("discord", chat)
        await asyncio.wait_for(chat.news.wait(), 50)
    assert [shown.id for shown, _ in chat.shown] == [job.id]
    async with open_here() as studio:
        studio.register_deliverer("discord", chat)
        await asyncio.sleep(0.3)
    assert len(chat.shown) == 1


async def test_what_was_being_shown_when_the_bot_closed_is_shown_at_once_by_the_next(
    open_here: Open,
) -> None:
    async with open_here() as studio:
        slow = SlowChat()
        studio.register_deliverer("discord", slow)
        await studio.imagine(MEMBER, "a fox" + QUICK, CHAT)
        await asyncio.wait_for(slow.begun.wait(), 50)
    chat = Chat()
    async with open_here() as studio:
        studio.register_deliverer("discord", chat)
        await asyncio.wait_for(chat.news.wait(), delivery.LEASE.total_seconds() / 2)


async def test_what_was_being_shown_when_the_bot_was_killed_is_shown_soon(
    open_here: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "LEASE", timedelta(seconds=2))
    async with open_here() as studio:
        slow = SlowChat()
        studio.register_deliverer("discord", slow)
        [job] = await studio.imagine(MEMBER, "a fox" + QUICK, CHAT)
        await asyncio.wait_for(slow.begun.wait(), 50)
        row = await studio._jobs.by_id(job.id)  # as a process that is killed leaves it
    async with open_database(open_here.keywords["database_url"]) as database:
        await Jobs(database).deliver_again(job.id, after=row.deliver_after)
    chat = Chat()
    async with open_here() as studio:
        studio.register_deliverer("discord", chat)
        await asyncio.wait_for(chat.news.wait(), 10)


async def test_two_processes_show_an_ending_once_though_it_takes_long(
    open_here: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "LEASE", timedelta(seconds=1.5))
    monkeypatch.setattr(delivery, "RENEWAL_S", 0.1)
    monkeypatch.setattr(delivery, "_POLL_S", 0.1)
    slow, other = SlowChat(), Chat()
    async with open_here() as first, open_here() as second:
        first.register_deliverer("discord", slow)
        [job] = await first.imagine(MEMBER, "a fox" + QUICK, CHAT)
        await asyncio.wait_for(slow.begun.wait(), 50)
        second.register_deliverer("discord", other)
        await asyncio.sleep(4)
        slow.may_end.set()
        await asyncio.sleep(0.5)
        assert other.calls == 0
        assert (await first._jobs.by_id(job.id)).delivered_at is not None


async def test_a_picture_that_was_locked_before_its_delivery_is_delivered_in_private(
    open_here: Open,
) -> None:
    chat = Chat()
    async with open_here() as studio:
        [job] = await studio.imagine(MEMBER, "a fox" + QUICK, CHAT)
        job = await ended(studio, job)
        await studio.publish(MEMBER, job.images[1].id, is_private=True)
        studio.register_deliverer("discord", chat)
        await asyncio.wait_for(chat.news.wait(), 50)
    [(shown, _)] = chat.shown
    assert shown.is_private


async def test_failures_and_cancellations_are_delivered_too(
    open_here: Open, engine: FakeEngine
) -> None:
    chat = Chat()
    engine.stuck = True
    async with open_here(slots=1) as studio:
        studio.register_deliverer("discord", chat)
        first, second = await studio.imagine(MEMBER, "{a, b}" + QUICK, CHAT)
        await studio.cancel(MEMBER, second.id)
        engine.error = ModelUnavailable("dream", "it is missing")
        engine.stuck = False
        await ended(studio, first)
        while len(chat.shown) < 2:
            await asyncio.sleep(0.02)
    states = {job.id: job.state for job, _ in chat.shown}
    assert states == {first.id: JobState.FAILED, second.id: JobState.CANCELLED}


def test_pauses_grow_to_ten_minutes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery, "FIRST_PAUSE_S", 1.0)
    pauses = [delivery.pause_after(attempts) for attempts in range(12)]
    assert pauses == sorted(pauses)
    assert (pauses[0], pauses[-1]) == (1.0, 600.0)
