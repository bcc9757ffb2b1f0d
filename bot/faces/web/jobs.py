"""Jobs over HTTP: start, look, cancel, again."""

from typing import Annotated

from aiohttp import web
from aiohttp.typedefs import Handler
from pydantic import BaseModel, ConfigDict, Field

from bot.errors import AskedBefore, UserError
from bot.faces.web.answers import History
from bot.faces.web.context import caller_of, destination_of, key_of, locale_of, studio_of
from bot.faces.web.mixtures import mix
from bot.faces.web.restyles import restyle
from bot.faces.web.shapes import Cursor, told_cursor
from bot.faces.web.submissions import Imagine, Nothing, Remix, Upload, body_of, query_of
from bot.faces.web.views import job_json, jobs_json
from bot.studio.contract import JobView
from bot.studio.watching import MAX_HISTORY


class HistoryQuery(BaseModel):
    """The query of `GET /api/jobs`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    cursor: Cursor | None = None
    limit: Annotated[int, Field(ge=1, le=MAX_HISTORY)] = 20


def accepted(request: web.Request, *jobs: JobView) -> web.Response:
    """Answer 202: the jobs are committed and will end, whatever happens."""
    return web.json_response(jobs_json(jobs, locale_of(request)), status=202)


@web.middleware
async def answer_again(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer a request whose key is known with the jobs that it has made."""
    key = key_of(request) if request.method == "POST" else ""
    if not key:
        return await handler(request)
    studio, caller = studio_of(request), caller_of(request)
    if earlier := await studio.asked_before(caller, key):
        return accepted(request, *earlier)
    try:
        return await handler(request)
    except AskedBefore:  # its first one was under way
        return accepted(request, *await studio.asked_before(caller, key))


async def start(request: web.Request) -> web.Response:
    """`POST /api/jobs`: make jobs from a prompt, or of pictures."""
    body = await body_of(request, Imagine)
    if body.mixture is not None:
        return accepted(request, await mix(request, body.mixture, is_private=body.private))
    asked = body.restyle()
    if asked is not None:
        content = asked.content or asked.image
        if not content:
            raise UserError("there is nothing to restyle: send content, or an image's id")
        hidden = body.private if asked.private is None else asked.private
        return accepted(request, await restyle(request, asked, content, is_private=hidden))
    jobs = await studio_of(request).imagine(
        caller_of(request),
        body.text or "",
        destination_of(request),
        source=body.source or body.source_image,
        style=body.style or body.style_image,
        is_private=body.private,
        confirmed=body.confirmed,
    )
    return accepted(request, *jobs)


async def make_again(request: web.Request) -> web.Response:
    """`POST /api/again`: the job that an uploaded picture's parameters describe."""
    body = await body_of(request, Upload)
    studio = studio_of(request)
    return accepted(
        request, await studio.make_again(caller_of(request), body.picture, destination_of(request))
    )


async def history(request: web.Request) -> web.Response:
    """`GET /api/jobs`: the caller's jobs, newest first."""
    query = query_of(request, HistoryQuery)
    jobs, cursor = await studio_of(request).history(
        caller_of(request), cursor=query.cursor, limit=query.limit
    )
    told = [job_json(job, locale_of(request)) for job in jobs]
    page: History = {"jobs": told, "cursor": told_cursor(cursor)}
    return web.json_response(page)


async def show(request: web.Request) -> web.Response:
    """`GET /api/jobs/{id}`: one job, with its images once it is finished."""
    job = await studio_of(request).job(caller_of(request), request.match_info["id"])
    return web.json_response(job_json(job, locale_of(request)))


async def cancel(request: web.Request) -> web.Response:
    """`DELETE /api/jobs/{id}`: cancel a waiting or running job; an ended one stays as it is."""
    job = await studio_of(request).cancel(caller_of(request), request.match_info["id"])
    return web.json_response(job_json(job, locale_of(request)))


async def reroll(request: web.Request) -> web.Response:
    """`POST /api/jobs/{id}/reroll`: the same job with a new seed."""
    await body_of(request, Nothing)
    studio = studio_of(request)
    return accepted(
        request,
        await studio.reroll(caller_of(request), request.match_info["id"], destination_of(request)),
    )


async def remix(request: web.Request) -> web.Response:
    """`POST /api/jobs/{id}/remix`: the same job with a new seed and new words."""
    body = await body_of(request, Remix)
    studio = studio_of(request)
    return accepted(
        request,
        await studio.reroll(
            caller_of(request), request.match_info["id"], destination_of(request), text=body.text
        ),
    )
