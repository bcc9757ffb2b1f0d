"""The shipped models draw what a member types, from the command to the picture in the channel."""

from pathlib import Path

import pytest

from tests.e2e.discord.conftest import connected
from tests.e2e.loopback.client import image_of, open_loopback, shown
from tests.e2e.loopback.pace import paced
from tests.e2e.loopback.page import page_of
from tests.e2e.loopback.processes import BotProcess, ServerProcess

ARTEFACTS = Path(__file__).parents[3] / "artefacts"
DRAWN_WITHIN_S = paced(60.0)


@pytest.mark.slow
@pytest.mark.timeout(paced(150))
async def test_the_shipped_models_draw_what_a_member_types(tmp_path: Path):
    server = ServerProcess()
    bot = BotProcess(server.address, tmp_path, LOOPBACK_ENGINE="real")
    try:
        bot.start()
        async with open_loopback(server.address) as loopback:
            await connected(loopback, bot)
            alice = await loopback.actor("alice", await loopback.channel())
            deed = await alice.types("imagine", prompt="a red fox, glossy 3D --seed 7", count=2)
            message = await deed.result(DRAWN_WITHIN_S)
            data = await loopback.fetch(shown(message)[0]["media"]["url"])
            page = await page_of(loopback, message)
            violations = (await loopback.report())["violations"]
    finally:
        bot.close()
        server.close()
    colours = image_of(data).convert("RGB").getcolors(2**18) or []
    assert len(colours) > 1000, "no picture has so few colours"
    assert not violations
    ARTEFACTS.mkdir(exist_ok=True)
    (ARTEFACTS / "discord-result.html").write_text(page, encoding="utf-8")
    (ARTEFACTS / "discord-result.png").write_bytes(data)
