"""How the connection begins and is kept: against a server of our own on loopback."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from bot.errors import BadConfiguration
from bot.faces.discord.client import serve
from bot.faces.discord.options import DiscordOptions
from bot.studio.opening import open_studio
from engine.testing import FakeEngine

USER = {"id": "1", "username": "atelier", "discriminator": "0", "avatar": None, "bot": True}


class Doorkeeper:
    """Answers what a client asks before it is connected, and counts how often it comes."""

    def __init__(self) -> None:
        self.knows_token = True
        self.arrivals = 0

    async def me(self, request: web.Request) -> web.Response:
        self.arrivals += 1
        if not self.knows_token:
            return web.json_response({"message": "401: Unauthorized", "code": 0}, status=401)
        return _json(USER)

    async def application(self, request: web.Request) -> web.Response:
        return _json(
            {
                "id": "1",
                "name": "atelier",
                "flags": 0,
                "description": "",
                "icon": None,
                "bot_public": True,
                "bot_require_code_grant": False,
                "verify_key": "",
                "summary": "",
                "owner": USER,
                "team": None,
                "rpc_origins": None,
            }
        )

    async def gateway_bot(self, request: web.Request) -> web.Response:
        return web.json_response({"message": "404: Not Found", "code": 0}, status=404)


def _json(body: object) -> web.Response:
    response = web.json_response(body)
    response.headers["Content-Type"] = "application/json"  # discord.py knows no charset
    return response


@pytest.fixture
async def door(monkeypatch) -> AsyncIterator[Doorkeeper]:
    keeper = Doorkeeper()
    app = web.Application()
    app.router.add_get("/api/v10/users/@me", keeper.me)
    app.router.add_get("/api/v10/oauth2/applications/@me", keeper.application)
    app.router.add_get("/api/v10/gateway/bot", keeper.gateway_bot)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    monkeypatch.setattr("discord.http.Route.BASE", f"http://127.0.0.1:{port}/api/v10")
    yield keeper
    await runner.cleanup()


@pytest.fixture
async def studio(tmp_path: Path):
    url = f"sqlite+aiosqlite:///{tmp_path / 'atelier.db'}"
    async with open_studio(FakeEngine(), database_url=url, images_dir=tmp_path) as opened:
        yield opened


@pytest.fixture
def unsynced(tmp_path: Path) -> DiscordOptions:
    return DiscordOptions(token="secret-token", state_dir=tmp_path, sync_commands=False)


async def test_a_wrong_token_is_said_to_the_operator_without_repeating_it(door, studio, unsynced):
    door.knows_token = False
    with pytest.raises(BadConfiguration) as refusal:
        await serve(studio, unsynced)
    assert refusal.value.setting == "DISCORD_TOKEN"
    assert "developers/applications" in str(refusal.value)
    assert "secret-token" not in str(refusal.value)
    assert "secret-token" not in repr(unsynced)


async def test_a_missing_gateway_is_asked_for_again(door, studio, unsynced):
    serving = asyncio.create_task(serve(studio, unsynced, first_pause_s=0.01))
    async with asyncio.timeout(10):
        while door.arrivals < 3:
            await asyncio.sleep(0.02)
    assert not serving.done()
    serving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await serving


async def test_cancelling_while_a_connection_closes_leaves_no_socket_open(
    door, studio, unsynced, monkeypatch
):
    closing = asyncio.Event()
    connectors = []

    async def linger(state) -> None:
        connectors.append(state.http.connector)
        closing.set()
        await asyncio.Event().wait()

    monkeypatch.setattr("discord.state.ConnectionState.close", linger)
    serving = asyncio.create_task(serve(studio, unsynced, first_pause_s=0.01))
    async with asyncio.timeout(10):
        await closing.wait()
    assert not connectors[0].closed
    serving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await serving
    assert [connector.closed for connector in connectors] == [True]


async def test_discord_out_of_reach_is_tried_again(studio, unsynced, monkeypatch, caplog):
    monkeypatch.setattr("discord.http.Route.BASE", "http://127.0.0.1:9/api/v10")
    serving = asyncio.create_task(serve(studio, unsynced, first_pause_s=0.01))
    async with asyncio.timeout(20):
        while caplog.text.count("the connection to Discord failed") < 2:
            await asyncio.sleep(0.02)
    serving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await serving
