"""What every handler of the web studio can reach: the studio, the settings, who is asking."""

from aiohttp import web

from bot.faces.web.config import WebConfig
from bot.studio.contract import LOCAL_OWNER, Caller, Destination, Studio

STUDIO: web.AppKey[Studio] = web.AppKey("studio")
CONFIG: web.AppKey[WebConfig] = web.AppKey("config")

FACE = "web"
KEY_HEADER = "Idempotency-Key"
KEY_MAX = 80  # characters


def studio_of(request: web.Request) -> Studio:
    """The use-cases."""
    return request.app[STUDIO]


def caller_of(request: web.Request) -> Caller:
    """The operator: whoever gets past the login (or sits at this machine) is one person."""
    return Caller(owner_id=LOCAL_OWNER, name="web", is_admin=True, locale=locale_of(request))


def destination_of(request: web.Request) -> Destination:
    """Where results go, and by which key the request may come again."""
    return Destination(face=FACE, key=key_of(request))


def key_of(request: web.Request) -> str:
    """What makes a request one of a kind; empty: nothing.

    Raises:
        HTTPBadRequest: it is too long, or no text.
    """
    key = request.headers.get(KEY_HEADER, "").strip()
    if len(key) > KEY_MAX:
        raise web.HTTPBadRequest(text="an Idempotency-Key has at most 80 characters")
    try:
        key.encode()
    except UnicodeEncodeError:  # bytes that are no text come as halves of surrogate pairs
        raise web.HTTPBadRequest(text="an Idempotency-Key must be a text in UTF-8") from None
    return key


def locale_of(request: web.Request) -> str:
    """The first language that is asked for, of those the studio speaks.

    The query's `language` goes before what the browser says: an event stream sends no headers.
    """
    asked = (request.query.get("language", ""), request.headers.get("Accept-Language", ""))
    wanted = ",".join(asked).split(",")
    for language in wanted:
        if language.strip().lower().startswith("zh"):
            return "zh-CN"
        if language.strip().lower().startswith("en"):
            return "en-US"
    return "en-US"
