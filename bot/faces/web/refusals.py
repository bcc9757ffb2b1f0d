"""From an error to the JSON answer that tells what to change.

error, kind                    what to say, and the error's class
field, reason                  of a value that can't be
position, length, suggestion   of a prompt's mistake
count                          of jobs to be confirmed
"""

import logging

from aiohttp import web
from aiohttp.typedefs import Handler
from pydantic import ValidationError

from bot.errors import (
    AskedBefore,
    BadConfiguration,
    ConfirmationNeeded,
    LimitReached,
    NameTaken,
    NotAllowed,
    NotFound,
    OutOfRange,
    StorageUnavailable,
    TooManyWaiting,
    UnusablePicture,
    UserError,
)
from bot.faces.web.answers import Refusal
from bot.faces.web.context import locale_of
from bot.faces.web.observation import METRICS
from bot.faces.web.shape_errors import field_and_reason
from bot.prompts import PromptError
from bot.wording import Said, said, translated
from engine.api import EngineError, InvalidRequest, UnknownModel

log = logging.getLogger(__name__)

TOO_LARGE = "this is larger than the studio accepts; send a smaller picture"
MISTAKE = "the studio made a mistake; its log says which. Nothing was lost."
NOTHING_HERE = "there is nothing at this address"
OTHER_METHODS = "this address takes {methods} alone"
RETRY_S = 5  # what clients are told to wait when the database is away

_STATUS: dict[type[Exception], int] = {
    NotFound: 404,
    NotAllowed: 403,
    LimitReached: 400,
    NameTaken: 409,
    TooManyWaiting: 429,
    ConfirmationNeeded: 409,
    AskedBefore: 409,
    UnusablePicture: 400,
    StorageUnavailable: 503,
    BadConfiguration: 503,
    UserError: 400,
    InvalidRequest: 400,
    UnknownModel: 400,
    EngineError: 503,
}


def status_of(error: UserError | EngineError) -> int:
    """The HTTP status of an error: that of its nearest class in the table."""
    return next(_STATUS[kind] for kind in type(error).__mro__ if kind in _STATUS)


def refusal_json(error: UserError | EngineError, locale: str = "en") -> Refusal:
    """What the caller is told, in the language of a locale."""
    told: Refusal = {"error": translated(error.text, locale), "kind": type(error).__name__}
    match error:
        case PromptError():
            told["error"] = translated(Said("{reason}.", reason=said(error.reason)), locale)
            told["position"], told["length"] = error.position, error.length
            told["suggestion"] = translated(error.suggestion, locale)
        case ConfirmationNeeded():
            told["count"] = error.count
        case InvalidRequest() | OutOfRange():
            told["field"] = error.field
            told["reason"] = translated(said(error.reason), locale)
        case UnknownModel():
            told["suggestion"] = error.suggestion
        case _:
            pass
    return told


def refusal(error: UserError | EngineError, locale: str) -> web.Response:
    """The whole answer."""
    status = status_of(error)
    headers = {"Retry-After": str(RETRY_S)} if status in (429, 503) else {}
    return web.json_response(refusal_json(error, locale), status=status, headers=headers)


def invalid(error: ValidationError, locale: str) -> web.Response:
    """Answer 400 for a body or query of the wrong shape, naming the first wrong field."""
    field, reason = field_and_reason(error)
    text = Said("{field}: {reason}", field=field, reason=reason) if field else reason
    told: Refusal = {
        "error": translated(text, locale),
        "kind": "WrongShape",
        "field": field,
        "reason": translated(reason, locale),
    }
    return web.json_response(told, status=400)


@web.middleware
async def answer_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn whatever a handler raises into an answer; the one place of this face that does."""
    try:
        return await handler(request)
    except (UserError, EngineError) as error:
        request.app[METRICS].errors.labels(type(error).__name__).inc()
        return refusal(error, locale_of(request))
    except ValidationError as error:
        return invalid(error, locale_of(request))
    except web.HTTPException as error:
        is_for_programs = request.path.startswith("/api/") or error.status in (401, 429)
        if error.status < 400 or not is_for_programs:
            raise
        told: Refusal = {
            "error": translated(_reason(error), locale_of(request)),
            "kind": _kind(error),
        }
        return web.json_response(told, status=error.status, headers=_kept(error))
    except Exception as error:
        request.app[METRICS].errors.labels(type(error).__name__).inc()
        log.exception("%s %s failed", request.method, request.path)
        told = {"error": translated(MISTAKE, locale_of(request)), "kind": "Mistake"}
        return web.json_response(told, status=500)


def _reason(error: web.HTTPException) -> str:
    match error:
        case web.HTTPRequestEntityTooLarge():
            return TOO_LARGE
        case web.HTTPMethodNotAllowed():
            return Said(OTHER_METHODS, methods=", ".join(sorted(error.allowed_methods)))
        case web.HTTPNotFound():
            return NOTHING_HERE
        case _:
            return error.text or error.reason


def _kind(error: web.HTTPException) -> str:
    return type(error).__name__.removeprefix("HTTP")


def _kept(error: web.HTTPException) -> dict[str, str]:
    told = ("Allow", "Retry-After", "WWW-Authenticate")
    return {name: error.headers[name] for name in told if name in error.headers}
