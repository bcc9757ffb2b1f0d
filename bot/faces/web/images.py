"""Images over HTTP: the gallery, the files, and every operation on one image."""

import logging
import re
from collections.abc import AsyncIterator, Sequence
from typing import Annotated
from urllib.parse import quote

from aiohttp import web
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from bot.errors import NotAllowed, NotFound, UserError
from bot.faces.web.answers import Deleted
from bot.faces.web.context import caller_of, destination_of, locale_of, studio_of
from bot.faces.web.jobs import accepted
from bot.faces.web.restyles import restyle as started_restyle
from bot.faces.web.shapes import Cursor, Moment
from bot.faces.web.submissions import (
    Favourite,
    Nothing,
    Publish,
    Remix,
    Restyle,
    Tags,
    Upscale,
    Vary,
    body_of,
    query_of,
)
from bot.faces.web.views import image_json, page_json
from bot.studio.archives import write_archive
from bot.studio.contract import GalleryQuery, GalleryScope, ImageView
from bot.studio.gallery import MAX_PAGE
from engine.api import VIDEO_SUFFIX

log = logging.getLogger(__name__)

ARCHIVE_MAX = 200  # images of one download
LOST_FILE = "MISSING.txt"  # in an archive: what it lacks

# Of the files that an image has, by the kind that is asked for.
_SUFFIXES = {"png": "png", "webp": "webp", "animation": "webp", "video": VIDEO_SUFFIX}

# An image never changes under its id, but it may be deleted or made private.
_FILE_HEADERS = {"Cache-Control": "private, max-age=3600"}


def _identifiers(value: object) -> object:
    return tuple(value.split(",")) if isinstance(value, str) else value


class PageQuery(BaseModel):
    """The query of `GET /api/images`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    scope: GalleryScope | None = None  # None: own images; with `favourite` all
    q: Annotated[str, Field(max_length=500)] = ""
    model: str = ""
    favourite: bool = False
    after: Moment | None = None
    before: Moment | None = None
    cursor: Cursor | None = None
    limit: Annotated[int, Field(ge=1, le=MAX_PAGE)] = 40


class ArchiveQuery(BaseModel):
    """The query of `GET /api/images.zip`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    ids: Annotated[
        tuple[str, ...], Field(min_length=1, max_length=ARCHIVE_MAX), BeforeValidator(_identifiers)
    ]


async def page(request: web.Request) -> web.Response:
    """`GET /api/images`: a page of the gallery, newest first."""
    query = query_of(request, PageQuery)
    usual = GalleryScope.ALL if query.favourite else GalleryScope.MINE
    wanted = GalleryQuery(
        scope=query.scope or usual,
        text=query.q,
        model=query.model,
        favourites_only=query.favourite,
        after=query.after,
        before=query.before,
        cursor=query.cursor,
        limit=query.limit,
    )
    try:
        found = await studio_of(request).gallery(caller_of(request), wanted)
    except NotFound as error:  # a term of the search, not the gallery
        raise UserError(error.text) from error
    return web.json_response(page_json(found, locale_of(request)))


async def show(request: web.Request) -> web.Response:
    """`GET /api/images/{id}`: one image."""
    return web.json_response(image_json(await _image(request), locale_of(request)))


async def png(request: web.Request) -> web.Response:
    """`GET /api/images/{id}.png`: the original, parameters included; `?download` to save it."""
    return await _file(request, "png")


async def thumbnail(request: web.Request) -> web.Response:
    """`GET /api/images/{id}.webp`: a small one."""
    return await _file(request, "webp")


async def animation(request: web.Request) -> web.Response:
    """`GET /api/images/{id}/animation.webp`: all frames of an image that moves."""
    return await _file(request, "animation")


async def video(request: web.Request) -> web.Response:
    """`GET /api/images/{id}/video.mp4`: the same as a video; players ask for it in parts."""
    return await _file(request, "video")


async def archive(request: web.Request) -> web.StreamResponse:
    """`GET /api/images.zip?ids=a,b`: originals in one file, sent while it is written."""
    query = query_of(request, ArchiveQuery)
    studio, caller = studio_of(request), caller_of(request)
    images = [await studio.image(caller, image_id) for image_id in dict.fromkeys(query.ids)]
    response = web.StreamResponse(
        headers={
            "Content-Type": "application/zip",
            "Content-Disposition": 'attachment; filename="atelier.zip"',
        }
    )
    return await send_archive(request, response, _originals(request, images))


async def send_archive(
    request: web.Request, response: web.StreamResponse, files: AsyncIterator[tuple[str, bytes]]
) -> web.StreamResponse:
    """Send files as one archive while it is written; leaves quietly when the client goes.

    Raises:
        UserError: the first can't be had; nothing is answered then.
    """
    pieces = write_archive(files)
    first = await anext(pieces)
    try:
        await response.prepare(request)
        await response.write(first)
        async for piece in pieces:
            await response.write(piece)
    except ConnectionError as error:  # a download that is stopped ends so
        log.debug("an archive ended early: %s", type(error).__name__)
    return response


async def _originals(
    request: web.Request, images: Sequence[ImageView]
) -> AsyncIterator[tuple[str, bytes]]:
    """The files of some images by their names; what is gone is told by a last file."""
    studio, caller = studio_of(request), caller_of(request)
    lost = []
    for image in images:
        try:
            yield file_name(image), await studio.image_file(caller, image.id)
        except NotFound as error:
            log.warning("image %s is left out of an archive: %s", image.id, error)
            lost.append(file_name(image))
    if lost:
        yield LOST_FILE, "\n".join(["The files of these pictures are gone:", *lost, ""]).encode()


async def vary(request: web.Request) -> web.Response:
    """`POST /api/images/{id}/vary`: new images near this one."""
    body = await body_of(request, Vary)
    return accepted(
        request,
        await studio_of(request).vary(
            caller_of(request),
            request.match_info["id"],
            destination_of(request),
            is_strong=body.strong,
        ),
    )


async def compare_strengths(request: web.Request) -> web.Response:
    """`POST /api/images/{id}/strengths`: this restyle in several strengths, as one job."""
    await body_of(request, Nothing)
    studio, image_id = studio_of(request), request.match_info["id"]
    return accepted(
        request,
        await studio.compare_strengths(caller_of(request), image_id, destination_of(request)),
    )


async def upscale(request: web.Request) -> web.Response:
    """`POST /api/images/{id}/upscale`: a larger version."""
    body = await body_of(request, Upscale)
    return accepted(
        request,
        await studio_of(request).upscale(
            caller_of(request),
            request.match_info["id"],
            destination_of(request),
            factor=body.factor,
            detail=body.detail,
        ),
    )


async def restyle(request: web.Request) -> web.Response:
    """`POST /api/images/{id}/restyle`: the image in another look."""
    body = await body_of(request, Restyle)
    image_id = request.match_info["id"]
    return accepted(
        request, await started_restyle(request, body, image_id, is_private=body.private)
    )


async def reroll(request: web.Request) -> web.Response:
    """`POST /api/images/{id}/reroll`: this image's job with a new seed."""
    await body_of(request, Nothing)
    return await _rerolled(request, None)


async def remix(request: web.Request) -> web.Response:
    """`POST /api/images/{id}/remix`: this image's job with a new seed and new words."""
    body = await body_of(request, Remix)
    return await _rerolled(request, body.text)


async def make_again(request: web.Request) -> web.Response:
    """`POST /api/images/{id}/again`: the same picture once more, same seed."""
    await body_of(request, Nothing)
    studio, caller = studio_of(request), caller_of(request)
    picture = await studio.image_png(caller, request.match_info["id"])
    return accepted(request, await studio.make_again(caller, picture, destination_of(request)))


async def favourite(request: web.Request) -> web.Response:
    """`POST /api/images/{id}/favourite`: mark or unmark."""
    body = await body_of(request, Favourite)
    image = await studio_of(request).favourite(
        caller_of(request), request.match_info["id"], on=body.on
    )
    return web.json_response(image_json(image, locale_of(request)))


async def publish(request: web.Request) -> web.Response:
    """`POST /api/images/{id}/publish`: change who may see it."""
    body = await body_of(request, Publish)
    image = await studio_of(request).publish(
        caller_of(request), request.match_info["id"], is_private=body.private
    )
    return web.json_response(image_json(image, locale_of(request)))


async def tag(request: web.Request) -> web.Response:
    """`POST /api/images/{id}/tags`: replace the tags."""
    body = await body_of(request, Tags)
    studio, caller = studio_of(request), caller_of(request)
    try:
        image = await studio.tag(caller, request.match_info["id"], body.tags)
    except NotAllowed as error:
        if (await _image(request)).owner_id != caller.owner_id:
            raise
        raise UserError(error.text) from error  # they may, but these can't be tags
    return web.json_response(image_json(image, locale_of(request)))


async def delete(request: web.Request) -> web.Response:
    """`POST /api/images/{id}/delete`: out of the gallery; `restore` brings it back."""
    await body_of(request, Nothing)
    await studio_of(request).delete(caller_of(request), request.match_info["id"])
    told: Deleted = {"id": request.match_info["id"], "deleted": True}
    return web.json_response(told)


async def restore(request: web.Request) -> web.Response:
    """`POST /api/images/{id}/restore`: undo `delete`."""
    await body_of(request, Nothing)
    image = await studio_of(request).restore(caller_of(request), request.match_info["id"])
    return web.json_response(image_json(image, locale_of(request)))


def file_name(image: ImageView, suffix: str = "") -> str:
    """What the image is called on a member's disk: some words of the prompt, and the id.

    Without a suffix it is that of the original.
    """
    words = re.sub(r"[^\w]+", "-", re.split(r"(?:^|\s)(?:--|—)", image.prompt)[0]).strip("-_")
    return f"{words[:40].rstrip('-') or 'image'}-{image.id}.{suffix or image.suffix}"


async def _image(request: web.Request) -> ImageView:
    return await studio_of(request).image(caller_of(request), request.match_info["id"])


async def _rerolled(request: web.Request, text: str | None) -> web.Response:
    image = await _image(request)
    return accepted(
        request,
        await studio_of(request).reroll(
            caller_of(request), image.job_id, destination_of(request), text=text
        ),
    )


async def _file(request: web.Request, kind: str) -> web.Response:
    """The picture as PNG, WebP, animation or video, or 304 where the browser still has it."""
    image = await _image(request)  # also checks that the caller may see it
    if kind == "animation" and not image.is_animated:
        raise NotFound("this picture does not move")
    if kind == "video" and not image.is_video:
        raise NotFound("this picture has no video")
    tag = f"{image.id}.{kind}"
    headers = _FILE_HEADERS | {"ETag": f'"{tag}"'}
    if any(known.value in (tag, "*") for known in request.if_none_match or ()):
        return web.Response(status=304, headers=headers)
    studio, caller = studio_of(request), caller_of(request)
    if kind == "webp":
        body = await studio.thumbnail(caller, image.id)
    elif kind == "animation":
        body = await studio.image_animation(caller, image.id)
    elif kind == "video":
        body = await studio.image_file(caller, image.id)
    else:
        body = await studio.image_png(caller, image.id)
    if "download" in request.query:
        headers["Content-Disposition"] = _attachment(file_name(image, _SUFFIXES[kind]))
    if kind == "video":
        return video_part(request, body, headers)
    return web.Response(body=body, content_type=f"image/{_SUFFIXES[kind]}", headers=headers)


def video_part(request: web.Request, video: bytes, headers: dict[str, str]) -> web.Response:
    """A video, or the part that a player asks for: some play nothing without."""
    headers["Accept-Ranges"] = "bytes"
    try:
        wanted = request.http_range
    except ValueError:  # of other units, of several parts or none: to be taken for not asked
        wanted = slice(None, None, 1)
    if wanted == slice(None, None, 1):
        return web.Response(body=video, content_type="video/mp4", headers=headers)
    start, stop, _ = wanted.indices(len(video))
    if start >= stop:
        headers["Content-Range"] = f"bytes */{len(video)}"
        return web.Response(status=416, headers=headers)
    headers["Content-Range"] = f"bytes {start}-{stop - 1}/{len(video)}"
    part = video[start:stop]
    return web.Response(status=206, body=part, content_type="video/mp4", headers=headers)


def _attachment(name: str) -> str:
    ascii_name = name.encode("ascii", "ignore").decode().lstrip("-") or "image.png"
    return f"attachment; filename=\"{ascii_name}\"; filename*=UTF-8''{quote(name, safe='')}"
