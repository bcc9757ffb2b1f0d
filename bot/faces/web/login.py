"""The one login: a token from the configuration, as a cookie for browsers, a header for programs.

A cookie is `expiry.signature`, signed with a key derived from the token: nothing is stored, and a
changed token ends every session.
"""

import hashlib
import hmac
import logging
import re
import time
from collections import deque
from pathlib import Path
from typing import NoReturn

from aiohttp import web

from bot.faces.web.config import WebConfig
from bot.faces.web.context import CONFIG

log = logging.getLogger(__name__)

COOKIE = "atelier_session"
FAILURES_MAX = 10  # wrong tokens of everybody together within the window
FAILURES_WINDOW_S = 60.0

PICTURE_LINKS = "/p/"  # signed one by one
_OPEN_PATHS = frozenset({"/login", "/logout", "/healthz", "/manifest.webmanifest", "/favicon.ico"})
_HOME = "/"
_PLACES = re.compile(r"/(?:gallery|status|i/[0-9a-z:]+)?")  # of the page, where a login may lead
_PAGE = Path(__file__).with_name("static") / "login.html"


class FailedLogins:
    """Wrong tokens of the last minute; too many slow down whoever sends further ones.

    The right one always passes, or whoever guesses could keep its owner out. That a guess may be
    made at any time is no danger to a token of the length that `WebConfig` demands.
    """

    def __init__(self) -> None:
        self._times: deque[float] = deque()

    def note(self, now_s: float) -> None:
        """Remember a failure."""
        self._times.append(now_s)

    def are_too_many(self, now_s: float) -> bool:
        """Whether the next wrong one is told to wait."""
        while self._times and self._times[0] < now_s - FAILURES_WINDOW_S:
            self._times.popleft()
        return len(self._times) >= FAILURES_MAX


FAILED_LOGINS: web.AppKey[FailedLogins] = web.AppKey("failed logins")


def is_logged_in(request: web.Request) -> bool:
    """Whether the request may pass: no token is demanded, or it carries a proof of knowing it."""
    config = request.app[CONFIG]
    if not config.demands_login or _is_open(request.path):
        return True
    if _same(_bearer_token(request), config.token):
        return True
    return is_valid_session(request.cookies.get(COOKIE, ""), config.token, time.time())


def login_needed(request: web.Request) -> NoReturn:
    """Ask for the token: a page for people, 401 for programs, 429 for those that guess."""
    if _bearer_token(request) and not _may_fail_again(request):
        raise web.HTTPTooManyRequests(
            text="too many wrong tokens; wait a minute",
            headers={"Retry-After": str(round(FAILURES_WINDOW_S))},
        )
    if request.method == "GET" and "text/html" in request.headers.get("Accept", ""):
        raise web.HTTPSeeOther(_door(_place(request.path)))
    raise web.HTTPUnauthorized(
        text="log in at /login, or send the header Authorization: Bearer TOKEN",
        headers={"WWW-Authenticate": "Bearer"},
    )


async def login_page(_request: web.Request) -> web.FileResponse:
    """`GET /login`."""
    return web.FileResponse(_PAGE, headers={"Cache-Control": "no-store"})


async def log_in(request: web.Request) -> web.Response:
    """`POST /login` with the field `token`; sets the cookie and leads to the query's place `to`."""
    config = request.app[CONFIG]
    place = _place(request.query.get("to", _HOME))
    if not (config.demands_login and _same(await _typed_token(request), config.token)):
        raise web.HTTPSeeOther(_door(place, "wrong" if _may_fail_again(request) else "wait"))
    answer = web.HTTPSeeOther(place)
    lifetime_s = config.login_days * 86_400
    answer.set_cookie(
        COOKIE,
        session_value(config.token, time.time() + lifetime_s),
        max_age=lifetime_s,
        httponly=True,
        samesite="Lax",  # links of other sites find one logged in; they only ever read
        secure=_is_encrypted(request, config),
        path="/",
    )
    raise answer


async def log_out(_request: web.Request) -> web.Response:
    """`POST /logout`: forget the cookie."""
    answer = web.HTTPSeeOther("/login")
    answer.del_cookie(COOKIE, path="/")
    raise answer


def session_value(token: str, expires_s: float) -> str:
    """The cookie of a session that ends at `expires_s` (seconds of the Unix clock)."""
    expiry = str(int(expires_s))
    return f"{expiry}.{_signature(token, expiry)}"


def is_valid_session(value: str, token: str, now_s: float) -> bool:
    """Whether a cookie was made with this token and has not ended."""
    expiry, _, signature = value.partition(".")
    if not _same(signature, _signature(token, expiry)):
        return False
    return int(expiry) > now_s  # signed by us, so it is a number


def _signature(token: str, expiry: str) -> str:
    key = hashlib.sha256(b"atelier web session\0" + token.encode()).digest()
    return hmac.new(key, expiry.encode(), "sha256").hexdigest()


def _same(given: str, expected: str) -> bool:
    """Compare in constant time."""
    # Headers and forms may hold bytes that are no text; they come as halves of surrogate pairs.
    return hmac.compare_digest(given.encode(errors="surrogatepass"), expected.encode())


def _bearer_token(request: web.Request) -> str:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


async def _typed_token(request: web.Request) -> str:
    """What the form holds; nothing where it can't be read."""
    try:
        return str((await request.post()).get("token", "")).strip()
    # What aiohttp raises for broken boundaries, charsets that nobody knows, strange encodings.
    except (ValueError, AssertionError, LookupError, RuntimeError) as error:
        log.info("a login can't be read: %s", type(error).__name__)
        return ""


def _may_fail_again(request: web.Request) -> bool:
    """Note a wrong token; False: there were too many before."""
    failures, now_s = request.app[FAILED_LOGINS], time.monotonic()
    if failures.are_too_many(now_s):
        return False
    failures.note(now_s)
    return True


def _place(path: str) -> str:
    """A path of the page; the home of what is none."""
    return path if _PLACES.fullmatch(path) else _HOME


def _door(place: str, *reasons: str) -> str:
    """The address of the login page that leads on to a place."""
    told = (*reasons, *([f"to={place}"] if place != _HOME else ()))
    return f"/login?{'&'.join(told)}" if told else "/login"


def _is_open(path: str) -> bool:
    return path in _OPEN_PATHS or path.startswith(("/static/", PICTURE_LINKS))


def _is_encrypted(request: web.Request, config: WebConfig) -> bool:
    return request.secure or config.public_url.startswith("https:")
