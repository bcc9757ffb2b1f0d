"""Progress and ending take turns on a message."""

import asyncio

from bot.faces.discord.turns import KEPT, MessageTurns


async def test_progress_may_be_shown_before_the_ending_and_not_after():
    turns = MessageTurns()
    async with turns.progress("a") as is_allowed:
        assert is_allowed
    async with turns.ending("a"):
        pass
    async with turns.progress("a") as is_allowed:
        assert not is_allowed
    async with turns.progress("b") as is_allowed:
        assert is_allowed


async def test_the_ending_waits_for_progress_on_its_way():
    turns = MessageTurns()
    order = []

    async def end():
        async with turns.ending("a"):
            order.append("ending")

    async with turns.progress("a"):
        ending = asyncio.create_task(end())
        await asyncio.sleep(0.01)
        order.append("progress")
    await ending
    assert order == ["progress", "ending"]


async def test_old_jobs_are_forgotten():
    turns = MessageTurns()
    for number in range(KEPT + 50):
        async with turns.ending(str(number)):
            pass
    async with turns.progress("0") as is_allowed:
        assert is_allowed
