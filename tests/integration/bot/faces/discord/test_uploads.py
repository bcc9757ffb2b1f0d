"""Links in prompts are fetched within a limit, from an HTTP server on loopback."""

from collections.abc import AsyncIterator

import aiohttp
import discord
import pytest
from aiohttp import web

from bot.errors import UnusablePicture
from bot.faces.discord.uploads import fetch_link
from tests.integration.bot.faces.discord.stage import png_bytes, text

SIZE = 300_000  # bytes, more than one read of a socket


@pytest.fixture
async def server() -> AsyncIterator[str]:
    async def picture(request: web.Request) -> web.Response:
        return web.Response(body=b"p" * SIZE)

    async def elsewhere(request: web.Request) -> web.Response:
        raise web.HTTPFound("/picture.png")

    app = web.Application()
    app.router.add_get("/picture.png", picture)
    app.router.add_get("/elsewhere.png", elsewhere)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


async def test_a_picture_is_fetched_whole(server):
    assert await fetch_link(f"{server}/picture.png", SIZE) == b"p" * SIZE


async def test_a_picture_over_the_limit_is_refused(server):
    with pytest.raises(UnusablePicture, match="larger"):
        await fetch_link(f"{server}/picture.png", SIZE - 1)


@pytest.mark.parametrize("path", ["gone.png", "elsewhere.png"])
async def test_what_is_gone_or_leads_elsewhere_is_refused(server, path):
    with pytest.raises(UnusablePicture, match="can't be fetched"):
        await fetch_link(f"{server}/{path}", SIZE)


async def test_a_server_out_of_reach_is_refused():
    with pytest.raises(UnusablePicture, match="can't be fetched"):
        await fetch_link("http://127.0.0.1:9/picture.png", SIZE)


async def test_what_can_not_be_fetched_is_told_in_the_language_of_the_member(stage):
    with pytest.raises(UnusablePicture, match="已经取不到了"):
        await stage.clients[-1].fetch_link("http://127.0.0.1:9/picture.png", "zh-CN")


@pytest.mark.parametrize("error", [aiohttp.ClientConnectionError(), TimeoutError()])
async def test_a_picture_that_breaks_off_on_its_way_is_to_be_attached_again(
    stage, monkeypatch, error
):
    async def read(attachment: discord.Attachment) -> bytes:
        raise error

    monkeypatch.setattr(discord.Attachment, "read", read)
    refused = await stage.alice.slash(stage.channel, "upscale", image=("owl.png", png_bytes()))
    assert "attach it again" in text(refused.response)
