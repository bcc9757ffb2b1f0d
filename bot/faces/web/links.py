"""Signed links to pictures: what a chat shows when a picture is too large to be uploaded there.

    {public_url}/p/{image id}/{owner id}/{signature}.png    or .webp, .mp4 for one that moves

Whoever has such a link sees that one picture without a login, as its owner would; it lasts until
the picture is deleted or the token of the configuration changes.
"""

import hashlib
import hmac
from collections.abc import Callable

from aiohttp import web

from bot.errors import NotFound
from bot.faces.web.config import WebConfig
from bot.faces.web.context import CONFIG, studio_of
from bot.faces.web.images import video_part
from bot.faces.web.login import PICTURE_LINKS
from bot.studio.contract import Caller, ImageView

ROUTE = (
    PICTURE_LINKS + r"{id:[0-9a-z]+}/{owner:\d{1,20}}/{signature:[0-9a-f]+}.{suffix:png|webp|mp4}"
)


def picture_links(config: WebConfig) -> Callable[[ImageView], str] | None:
    """Makes the link of an image; None where nobody outside could follow it."""
    if not (config.public_url and config.token):
        return None

    def link(image: ImageView) -> str:
        signature = _signature(config.token, image.id, image.owner_id)
        base = config.public_url.rstrip("/")
        return f"{base}{PICTURE_LINKS}{image.id}/{image.owner_id}/{signature}.{image.suffix}"

    return link


async def signed_picture(request: web.Request) -> web.Response:
    """`GET /p/...`: the original of a signed link; of a video the part that is asked for."""
    image_id, owner_id = request.match_info["id"], int(request.match_info["owner"])
    token = request.app[CONFIG].token
    expected = _signature(token, image_id, owner_id)
    if not token or not hmac.compare_digest(request.match_info["signature"], expected):
        raise NotFound("there is no such picture")
    studio, caller = studio_of(request), Caller(owner_id=owner_id)
    image = await studio.image(caller, image_id)
    body = await studio.image_file(caller, image_id)
    headers = {"Cache-Control": "private, max-age=3600", "X-Robots-Tag": "noindex"}
    if image.is_video:
        return video_part(request, body, headers)
    return web.Response(body=body, content_type=f"image/{image.suffix}", headers=headers)


def _signature(token: str, image_id: str, owner_id: int) -> str:
    key = hashlib.sha256(b"atelier picture link\0" + token.encode()).digest()
    return hmac.new(key, f"{image_id}/{owner_id}".encode(), "sha256").hexdigest()[:32]
