"""What is kept of whoever uses the web studio: all of it in one archive, or none any more."""

from typing import Literal

from aiohttp import web

from bot.faces.web.answers import Erased
from bot.faces.web.context import caller_of, studio_of
from bot.faces.web.shapes import Body
from bot.faces.web.submissions import body_of
from bot.studio.archives import write_archive
from bot.studio.contract import Caller


class Erase(Body):
    """`POST /api/privacy/delete`."""

    confirmed: Literal[True]


async def export(request: web.Request) -> web.StreamResponse:
    """`GET /api/privacy/export.zip`: pictures, uploads, prompts and settings."""
    return await archive(request, caller_of(request))


async def archive(request: web.Request, caller: Caller) -> web.StreamResponse:
    """Send all that is kept of a caller as one archive."""
    pieces = write_archive(studio_of(request).export(caller))
    first = await anext(pieces)  # what refuses does so before anything is answered
    response = web.StreamResponse(
        headers={
            "Content-Type": "application/zip",
            "Content-Disposition": 'attachment; filename="atelier-export.zip"',
            "Cache-Control": "no-store",
            "X-Robots-Tag": "noindex",
        }
    )
    await response.prepare(request)
    await response.write(first)
    async for piece in pieces:
        await response.write(piece)
    return response


async def erase(request: web.Request) -> web.Response:
    """`POST /api/privacy/delete`: forget all that is the web studio's, for good."""
    await body_of(request, Erase)
    erased = await studio_of(request).erase(caller_of(request))
    told: Erased = {"jobs": erased.jobs, "images": erased.images, "files": erased.files}
    return web.json_response(told)
