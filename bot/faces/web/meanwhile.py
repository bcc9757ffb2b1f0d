"""What the web studio's address answers while the studio itself can't open yet."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from bot.faces.web.answers import Health
from bot.faces.web.config import WebConfig

RETRY_S = 5  # after which a browser, or whoever else asks, should ask again
DATABASE_AWAY = "the database does not answer"

_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Atelier</title>
<style>
body { background: Canvas; color: CanvasText; color-scheme: light dark; display: grid;
       font: 1.1rem system-ui, sans-serif; min-height: 90vh; place-content: center; }
p { margin: 0.4rem 1.5rem; text-align: center; }
</style>
<p>The studio opens as soon as its database answers. Nothing was lost.</p>
<p lang="zh-CN">数据库尚未就绪，恢复后画室会自动开放。没有任何数据丢失。</p>
"""


@asynccontextmanager
async def open_meanwhile(config: WebConfig) -> AsyncIterator[None]:
    """Answer 503 on all paths: what `/healthz` says, and a page that asks again by itself.

    Raises:
        OSError: the address is taken or not ours.
    """
    app = web.Application()
    app.router.add_get("/healthz", _health)
    app.router.add_route("*", "/{path:.*}", _page)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    try:
        await web.TCPSite(runner, config.host, config.port).start()
        yield
    finally:
        await runner.cleanup()


async def _health(_request: web.Request) -> web.Response:
    told: Health = {"status": "unwell", "problems": [DATABASE_AWAY]}
    return web.json_response(told, status=503)


async def _page(_request: web.Request) -> web.Response:
    headers = {"Retry-After": str(RETRY_S), "Refresh": str(RETRY_S), "Cache-Control": "no-store"}
    return web.Response(text=_PAGE, content_type="text/html", status=503, headers=headers)
