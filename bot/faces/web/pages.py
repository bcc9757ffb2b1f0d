"""The page itself: plain files, no build step, nothing from other hosts."""

from pathlib import Path

from aiohttp import web

STATIC = Path(__file__).with_name("static")

FRESH = {"Cache-Control": "no-cache"}  # asks each time, gets 304 while nothing changed


async def studio_page(_request: web.Request) -> web.FileResponse:
    """`GET /`, `/gallery`, `/status` and `/i/{id}`: one page, that reads its own address."""
    return web.FileResponse(STATIC / "studio.html", headers=FRESH)


async def manifest(_request: web.Request) -> web.FileResponse:
    """`GET /manifest.webmanifest`: what makes the page installable."""
    headers = FRESH | {"Content-Type": "application/manifest+json"}
    return web.FileResponse(STATIC / "manifest.webmanifest", headers=headers)


async def icon(_request: web.Request) -> web.FileResponse:
    """`GET /favicon.ico`: browsers ask for it unasked."""
    return web.FileResponse(STATIC / "icon-192.png", headers=FRESH)
