"""The real bot process and the Discord on loopback that it is led to."""

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.e2e.loopback.client import Actor, Loopback, open_loopback
from tests.e2e.loopback.processes import BotProcess, ServerProcess


@pytest.fixture(scope="session")
def server() -> Iterator[ServerProcess]:
    """One server for all tests; what they leave in it does not meet."""
    process = ServerProcess()
    yield process
    process.close()


@pytest.fixture(scope="session")
def shared_bot(
    server: ServerProcess, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[BotProcess]:
    """The bot of all tests that do not harm it."""
    bot = BotProcess(server.address, tmp_path_factory.mktemp("bot"))
    bot.start()
    yield bot
    bot.close()


async def connected(loopback: Loopback, bot: BotProcess) -> None:
    """Return once the bot is here; where it never comes, say what it said."""
    try:
        await loopback.connected(lambda: bot.is_running)
    except AssertionError as error:
        report = await loopback.report()
        pytest.fail(f"{error}\n{report['violations']}\n{bot.log[-4000:]}")


@pytest.fixture
async def loopback(
    server: ServerProcess, shared_bot: BotProcess, request: pytest.FixtureRequest
) -> AsyncIterator[Loopback]:
    """The server's control; whatever rule the bot or the server broke fails the test."""
    async with open_loopback(server.address) as opened:
        await connected(opened, shared_bot)
        await opened.report(is_cleared=True)
        yield opened
        await opened.ask("calm")
        report = await opened.report(is_cleared=True)
    assert not report["violations"], "\n".join(report["violations"])


@pytest.fixture
def bot(shared_bot: BotProcess) -> Iterator[BotProcess]:
    """The bot, to be killed and started again; it runs when the test has ended."""
    yield shared_bot
    shared_bot.gate.unlink(missing_ok=True)
    if not shared_bot.is_running:
        shared_bot.start()


@pytest.fixture
async def channel(loopback: Loopback) -> str:
    """A channel of this test's own."""
    return await loopback.channel()


@pytest.fixture
async def alice(loopback: Loopback, channel: str) -> Actor:
    return await loopback.actor(f"alice-{channel}", channel)


@pytest.fixture
async def bob(loopback: Loopback, channel: str) -> Actor:
    return await loopback.actor(f"bob-{channel}", channel)
