"""Who may come in and what browsers may do: hosts, origins, headers.

The studio listens on loopback by default and asks nobody there for a password, so other sites open
in the same browser must be kept out: by the Host header (a foreign name that points to 127.0.0.1,
"DNS rebinding"), and for writes by Origin and Sec-Fetch-Site (forged requests).
"""

from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Handler

from bot.faces.web.config import LOOPBACK_NAMES, WebConfig, is_loopback
from bot.faces.web.context import CONFIG
from bot.faces.web.login import is_logged_in, login_needed
from bot.faces.web.pages import FRESH

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data: blob:",
        "media-src 'self' blob:",
        "connect-src 'self'",
        "font-src 'self'",
        "manifest-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}


async def add_headers(request: web.Request, response: web.StreamResponse) -> None:
    """Put the protecting headers on every answer, event streams and errors included."""
    # After an upgrade no browser may go on with the old half of the page.
    static = FRESH if request.path.startswith("/static/") else {}
    for name, value in (HEADERS | static).items():
        response.headers.setdefault(name, value)


@web.middleware
async def check_host(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse names that are not ours, where only this machine should ask."""
    if request.path != "/healthz" and not _is_our_host(request.host, request.app[CONFIG]):
        raise web.HTTPForbidden(
            text="the studio does not answer to this name; open it as 127.0.0.1, "
            "or set ATELIER_WEB__PUBLIC_URL"
        )
    return await handler(request)


@web.middleware
async def check_origin(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse writes that another site makes a browser send; programs send neither header."""
    if request.method not in SAFE_METHODS and not _is_same_origin(request):
        raise web.HTTPForbidden(
            text="this request comes from another site; if it is the studio's own behind a "
            "proxy, set ATELIER_WEB__PUBLIC_URL"
        )
    return await handler(request)


@web.middleware
async def check_login(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Let in who has the token, where one is demanded."""
    if not is_logged_in(request):
        login_needed(request)
    return await handler(request)


def _is_our_host(host: str, config: WebConfig) -> bool:
    name = _host_name(host)
    if config.public_url and name == urlsplit(config.public_url).hostname:
        return True
    if not config.is_loopback:
        return True  # reached under names that nobody can list; the token protects it
    return name in LOOPBACK_NAMES or is_loopback(name)


def _host_name(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _is_same_origin(request: web.Request) -> bool:
    site = request.headers.get("Sec-Fetch-Site")
    if site == "same-origin":
        return True  # no page can forge it, while a proxy may have put another Host
    if site not in (None, "none"):
        return False
    origin = request.headers.get("Origin")
    if origin is None:
        return True
    public = urlsplit(request.app[CONFIG].public_url).netloc
    try:
        return urlsplit(origin).netloc in {request.host, public} - {""}
    except ValueError:
        return False
