"""What is kept of whoever uses the web studio: all of it in one archive, or none any more."""

from typing import Literal

from aiohttp import web

from bot.faces.web.answers import Erased
from bot.faces.web.context import caller_of, studio_of
from bot.faces.web.images import send_archive
from bot.faces.web.shapes import Body
from bot.faces.web.submissions import body_of
from bot.studio.contract import Caller


class Erase(Body):
    """`POST /api/privacy/delete`."""

    confirmed: Literal[True]


async def export(request: web.Request) -> web.StreamResponse:
    """`GET /api/privacy/export.zip`: pictures, uploads, prompts and settings."""
    return await archive(request, caller_of(request))


async def archive(request: web.Request, caller: Caller) -> web.StreamResponse:
    """Send all that is kept of a caller as one archive."""
    response = web.StreamResponse(
        headers={
            "Content-Type": "application/zip",
            "Content-Disposition": 'attachment; filename="atelier-export.zip"',
            "Cache-Control": "no-store",
            "X-Robots-Tag": "noindex",
        }
    )
    return await send_archive(request, response, studio_of(request).export(caller))


async def erase(request: web.Request) -> web.Response:
    """`POST /api/privacy/delete`: forget all that is the web studio's, for good."""
    await body_of(request, Erase)
    erased = await studio_of(request).erase(caller_of(request))
    told: Erased = {"jobs": erased.jobs, "images": erased.images, "files": erased.files}
    return web.json_response(told)
