"""From an error to the JSON answer that tells what to change: {error, position?, suggestion?}."""

import logging
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler
from pydantic import ValidationError

from bot.errors import (
    BadConfiguration,
    ConfirmationNeeded,
    LimitReached,
    NotAllowed,
    NotFound,
    StorageUnavailable,
    UnusablePicture,
    UserError,
)
from bot.faces.web.context import locale_of
from bot.faces.web.observation import METRICS
from bot.prompts import PromptError
from bot.wording import Said, said, translated
from engine.api import EngineError, InvalidRequest, UnknownModel

log = logging.getLogger(__name__)

TOO_LARGE = "this is larger than the studio accepts; send a smaller picture"
MISTAKE = "the studio made a mistake; its log says which. Nothing was lost."
RETRY_S = 5  # what clients are told to wait when the database is away

_STATUS: dict[type[Exception], int] = {
    NotFound: 404,
    NotAllowed: 403,
    LimitReached: 429,
    ConfirmationNeeded: 409,
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


def refusal_json(error: UserError | EngineError, locale: str = "en") -> dict[str, Any]:
    """What the caller is told, in the language of a locale."""
    told: dict[str, Any] = {"error": translated(error.text, locale), "kind": type(error).__name__}
    match error:
        case PromptError():
            told |= {
                "error": translated(Said("{reason}.", reason=said(error.reason)), locale),
                "position": error.position,
                "length": error.length,
                "suggestion": translated(error.suggestion, locale),
            }
        case ConfirmationNeeded():
            told["count"] = error.count
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


def invalid(error: ValidationError) -> web.Response:
    """Answer 400 for a body or query of the wrong shape, naming the first wrong field."""
    first = error.errors(include_url=False, include_input=False)[0]
    field = ".".join(str(step) for step in first["loc"])
    told = {"error": f"{field}: {first['msg']}" if field else first["msg"], "field": field}
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
        return invalid(error)
    except web.HTTPException as error:
        if error.status < 400 or not request.path.startswith("/api/"):
            raise
        return web.json_response(
            {"error": translated(_reason(error), locale_of(request))},
            status=error.status,
            headers=_kept(error),
        )
    except Exception as error:
        request.app[METRICS].errors.labels(type(error).__name__).inc()
        log.exception("%s %s failed", request.method, request.path)
        told = {"error": translated(MISTAKE, locale_of(request))}
        return web.json_response(told, status=500)


def _reason(error: web.HTTPException) -> str:
    if isinstance(error, web.HTTPRequestEntityTooLarge):
        return TOO_LARGE
    return error.text or error.reason


def _kept(error: web.HTTPException) -> dict[str, str]:
    return {name: error.headers[name] for name in ("Allow",) if name in error.headers}
