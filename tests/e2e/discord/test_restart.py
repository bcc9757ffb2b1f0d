"""Kill -9 and start again: jobs go on, old buttons work, commands are not sent twice."""

from pathlib import Path

from tests.e2e.discord.conftest import connected
from tests.e2e.loopback.client import START_S, has_ended, labels, shown, text
from tests.e2e.loopback.processes import BotProcess


async def test_a_job_of_a_killed_bot_ends_in_its_own_message(loopback, alice, bot):
    old = await alice.imagines("an old fox --seed 4")
    deed = await alice.types("imagine", prompt="a held fox --seed 5")
    await deed.until(
        lambda seen: seen["original"] and "Cancel" in labels(seen["original"]), "progress"
    )
    bot.kill()
    await loopback.until(
        loopback.report, lambda report: not report["is_connected"], "the end of the bot"
    )
    bot.gate.touch()
    bot.start()
    await connected(loopback, bot)
    message = await deed.result()
    assert shown(message)
    assert "seed 5" in text(message)
    assert len([seen for seen in await alice.sees() if has_ended(seen)]) == 2

    # The same start: commands are known, and buttons and questions of before work.
    report = await loopback.report()
    assert [r for r in report["requests"] if r["method"] == "PUT"] == []
    assert "varied" in text(await (await alice.presses(old, "V1")).result())
    opened = await alice.presses(old, "Remix")
    await opened.answered()
    assert "a new fox" in text(await (await alice.sends(opened, prompt="a new fox")).result())


async def test_the_bot_ends_when_it_is_asked_to(loopback, bot):
    assert bot.stop() == 0
    assert "Atelier has stopped" in bot.log
    assert "Traceback" not in bot.log.split("stopping")[-1]


async def test_a_wrong_token_is_told_to_the_operator(loopback, server, tmp_path: Path):
    stranger = BotProcess(server.address, tmp_path, DISCORD_TOKEN="wrong")
    stranger.start()
    try:
        await loopback.until(loopback.report, lambda _: not stranger.is_running, "its end", START_S)
    finally:
        stranger.close()
    assert "DISCORD_TOKEN" in stranger.log
    assert "Traceback" not in stranger.log
