"""Signed links to pictures: what a chat shows when a picture is too large to be uploaded there.

    {public_url}/p/{image id}/{owner id}/{signature}.png    or .webp, .mp4 for one that moves

    {public_url}/p/export/{owner id}/{seconds since 1970}/{signature}.zip

Whoever has such a link sees that one picture without a login, as its owner would; it lasts until
the picture is deleted or the token of the configuration changes. That of an export gives out all
that is kept of a member, and lasts an hour.
"""

import hashlib
import hmac
import time
from collections.abc import Callable

from aiohttp import web

from bot.errors import NotFound
from bot.faces.web.config import WebConfig
from bot.faces.web.context import CONFIG, studio_of
from bot.faces.web.images import video_part
from bot.faces.web.login import PICTURE_LINKS
from bot.faces.web.privacy import archive
from bot.studio.contract import Caller, ImageView

ROUTE = (
    PICTURE_LINKS + r"{id:[0-9a-z]+}/{owner:\d{1,20}}/{signature:[0-9a-f]+}.{suffix:png|webp|mp4}"
)

EXPORT_ROUTE = PICTURE_LINKS + r"export/{owner:\d{1,20}}/{until:\d{1,12}}/{signature:[0-9a-f]+}.zip"
EXPORT_LASTS_S = 3600


def picture_links(config: WebConfig) -> Callable[[ImageView], str] | None:
    """Makes the link of an image; None where nobody outside could follow it."""
    if not _may_be_followed(config):
        return None
    return lambda image: _link(config, f"{image.id}/{image.owner_id}", image.suffix)


def export_links(config: WebConfig) -> Callable[[int], str] | None:
    """Makes the link of a member's export; None where nobody outside could follow it."""
    if not _may_be_followed(config):
        return None
    return lambda owner_id: _link(
        config, f"export/{owner_id}/{int(time.time()) + EXPORT_LASTS_S}", "zip"
    )


def _may_be_followed(config: WebConfig) -> bool:
    return bool(config.public_url and config.token)


def _link(config: WebConfig, what: str, suffix: str) -> str:
    base = config.public_url.rstrip("/")
    return f"{base}{PICTURE_LINKS}{what}/{_signature(config.token, what)}.{suffix}"


async def signed_picture(request: web.Request) -> web.Response:
    """`GET /p/...`: the original of a signed link; of a video the part that is asked for."""
    image_id, owner_id = request.match_info["id"], int(request.match_info["owner"])
    if not _is_signed(request, f"{image_id}/{owner_id}"):
        raise NotFound("there is no such picture")
    studio, caller = studio_of(request), Caller(owner_id=owner_id)
    image = await studio.image(caller, image_id)
    body = await studio.image_file(caller, image_id)
    headers = {"Cache-Control": "private, max-age=3600", "X-Robots-Tag": "noindex"}
    if image.is_video:
        return video_part(request, body, headers)
    return web.Response(body=body, content_type=f"image/{image.suffix}", headers=headers)


async def signed_export(request: web.Request) -> web.StreamResponse:
    """`GET /p/export/...`: all that is kept of the member of a signed link."""
    owner_id, until = (int(request.match_info[part]) for part in ("owner", "until"))
    if not _is_signed(request, f"export/{owner_id}/{until}") or until < time.time():
        raise NotFound("this link is over; ask for the export again")
    return await archive(request, Caller(owner_id=owner_id))


def _is_signed(request: web.Request, what: str) -> bool:
    token = request.app[CONFIG].token
    return bool(token) and hmac.compare_digest(
        request.match_info["signature"], _signature(token, what)
    )


def _signature(token: str, what: str) -> str:
    key = hashlib.sha256(b"atelier picture link\0" + token.encode()).digest()
    return hmac.new(key, what.encode(), "sha256").hexdigest()[:32]
