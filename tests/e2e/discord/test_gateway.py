"""The connection: told to reconnect, cut, forgotten; nobody's command is lost."""

import pytest

from tests.e2e.loopback.client import shown


async def counts(loopback):
    return (await loopback.report())["gateway"]


async def until_counted(loopback, what, more_than):
    await loopback.until(
        loopback.report,
        lambda report: report["gateway"][what] > more_than and report["is_connected"],
        what,
    )


@pytest.mark.parametrize("action", ["reconnect", "cut"])
async def test_a_lost_connection_is_resumed_with_what_was_missed(loopback, alice, action):
    before = await counts(loopback)
    await loopback.ask("gateway", action=action)
    deed = await alice.types("imagine", deed={"is_patient": True}, prompt="a fox", count=1)
    assert shown(await deed.result())
    after = await counts(loopback)
    assert after["resume"] == before["resume"] + 1
    assert after["identify"] == before["identify"]


@pytest.mark.parametrize("action", ["invalidate", "forget"])
async def test_a_session_that_is_over_is_begun_anew(loopback, alice, action):
    before = await counts(loopback)
    await loopback.ask("gateway", action=action)
    await until_counted(loopback, "identify", before["identify"])
    assert shown(await alice.imagines("a fox", count=1))


async def test_commands_are_answered_before_the_guild_is_known(loopback, alice):
    before = await counts(loopback)
    await loopback.ask("gateway", action="delay the guild")
    await loopback.ask("gateway", action="invalidate")
    await until_counted(loopback, "identify", before["identify"])
    message = await alice.imagines("a fox", count=1)
    assert shown(message)
    await (await alice.types("gallery", whose="guild")).says("of this server")
    await loopback.ask("gateway", action="tell the guild")
    assert shown(await (await alice.presses(message, "reroll:")).result())


async def test_a_heart_beats(loopback):
    before = await counts(loopback)
    await until_counted(loopback, "heartbeat", before["heartbeat"])
