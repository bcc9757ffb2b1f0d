"""Threads: pictures in one, in one that was archived or locked meanwhile, without permission."""

import pytest

from tests.e2e.loopback.client import has_ended, labels, shown, text

THREADS, SEND = 1 << 38, 1 << 11
ALL = (1 << 50) - 1


@pytest.fixture
async def thread(loopback, channel):
    return await loopback.channel("sketches", parent_id=channel)


@pytest.fixture
def there(alice, thread):
    """A member who sits in the thread."""
    return alice.elsewhere(thread)


async def held_in(there):
    deed = await there.types("imagine", prompt="a held fox")
    await deed.until(
        lambda seen: seen["original"] and "Cancel" in labels(seen["original"]), "progress"
    )
    return deed


async def ended(loopback, member, channel_id):
    async def look():
        return [seen for seen in await member.sees(channel_id) if has_ended(seen)]

    return await loopback.until(look, bool, "a result")


async def test_a_picture_is_drawn_in_a_thread_and_its_buttons_work_there(there, thread):
    message = await there.imagines("a fox", count=1)
    assert message["channel_id"] == thread
    assert shown(message)
    again = await (await there.presses(message, "reroll:")).result()
    assert again["channel_id"] == thread


async def test_in_a_thread_another_permission_counts(loopback, there, thread):
    await loopback.change_channel(thread, app_permissions=ALL & ~SEND)
    assert shown(await there.imagines("a fox", count=1))
    await loopback.change_channel(thread, app_permissions=ALL & ~THREADS)
    refused = await there.types("imagine", prompt="a fox")
    assert "thread" in text(await refused.says("can't show pictures")).lower()


async def test_the_result_opens_a_thread_that_was_archived_meanwhile(loopback, there, thread, bot):
    held = await held_in(there)
    await loopback.change_channel(thread, is_archived=True)
    bot.gate.touch()
    [message] = await ended(loopback, there, thread)
    assert shown(message)
    assert message["id"] != (await held.seen())["original"]["id"], "no edit is let in"


async def test_the_result_of_a_thread_that_was_locked_meanwhile_goes_to_its_member(
    loopback, there, thread, bot
):
    await held_in(there)
    await loopback.change_channel(thread, is_archived=True, is_locked=True)
    bot.gate.touch()
    [message] = await ended(loopback, there, there.direct_id)
    assert shown(message)
    assert not [seen for seen in await there.sees() if has_ended(seen)]
