"""Restyling over HTTP: the looks on offer, and jobs that give a picture one of them."""

from dataclasses import replace

from aiohttp import web

from bot.faces.web.answers import SavedStyle, Style, Styles
from bot.faces.web.context import caller_of, destination_of, locale_of, studio_of
from bot.faces.web.submissions import Lesson, Look, NamedStyle, NewName, Restyle, body_of
from bot.faces.web.views import jobs_json
from bot.studio.contract import Detail, JobView, Restyling, StyleChoice, StyleView
from bot.studio.restyling import BLEND_STEPS
from bot.wording import translated
from engine.api import KeepColour, StyleMethod


async def restyle(
    request: web.Request,
    asked: Restyle,
    content: bytes | str,
    *,
    is_private: bool | None,
) -> JobView:
    """Start the job that a body asks for; with `blend` the steps between two looks.

    Raises:
        UserError: something can't be used; says what to change.
    """
    studio, caller = studio_of(request), caller_of(request)
    styles = [_choice(look) for look in asked.styles]
    restyling = Restyling(
        strength=asked.strength,
        strengths=asked.strengths,
        method=asked.method,
        detail=asked.detail,
        loss=asked.loss,
        start=asked.start,
        keep_colour=asked.keep_colour,
        size=asked.size,
        seed=asked.seed,
        variations=asked.variations,
        model=asked.model,
        mask=asked.mask or b"",
        cells=asked.cells,
        is_private=is_private,
    )
    if asked.blend is None:
        return await studio.stylize(caller, content, styles, destination_of(request), restyling)
    first, second = styles
    return await studio.blend_styles(
        caller, content, (first, second), destination_of(request), restyling, share=asked.blend
    )


async def list_styles(request: web.Request) -> web.Response:
    """`GET /api/styles`: saved looks, then the paintings that ship.

    Titled in the `language` of the query, else in the browser's.
    """
    return web.json_response(await _styles_json(request))


async def save_style(request: web.Request) -> web.Response:
    """`POST /api/styles`: keep a picture's look under a name."""
    body = await body_of(request, NamedStyle)
    assert body.look is not None
    lost = await studio_of(request).save_style(
        caller_of(request), body.name, body.look, replacing=body.replace
    )
    remark = translated(lost, locale_of(request))
    told: SavedStyle = {**await _styles_json(request), "remark": remark}
    return web.json_response(told)


async def train_style(request: web.Request) -> web.Response:
    """`POST /api/styles/train`: a job after which the fast method knows a picture's look."""
    body = await body_of(request, Lesson)
    studio, caller = studio_of(request), caller_of(request)
    job = await studio.train_style(
        caller, body.name, body.look, destination_of(request), replacing=body.replace
    )
    return web.json_response(jobs_json((job,), locale_of(request)), status=202)


async def rename_style(request: web.Request) -> web.Response:
    """`POST /api/styles/{name}/rename`: call a saved look otherwise."""
    body = await body_of(request, NewName)
    name = request.match_info["name"]
    await studio_of(request).rename_style(caller_of(request), name, body.name)
    return await list_styles(request)


async def delete_style(request: web.Request) -> web.Response:
    """`DELETE /api/styles/{name}`: forget a saved look."""
    await studio_of(request).delete_style(caller_of(request), request.match_info["name"])
    return await list_styles(request)


async def style_png(request: web.Request) -> web.Response:
    """`GET /api/styles/{name}.png`: the picture of a saved look."""
    png = await studio_of(request).style_png(caller_of(request), request.match_info["name"])
    return web.Response(body=png, content_type="image/png")


async def style_thumbnail(request: web.Request) -> web.Response:
    """`GET /api/styles/{name}.webp`: a small picture of a look."""
    name = request.match_info["name"]
    webp = await studio_of(request).style_thumbnail(caller_of(request), name)
    return web.Response(body=webp, content_type="image/webp")


def _choice(look: Look) -> StyleChoice:
    return StyleChoice(upload=look.picture or b"", name=look.name, weight=look.weight)


async def _styles_json(request: web.Request) -> Styles:
    caller = caller_of(request)
    caller = replace(caller, locale=request.query.get("language", caller.locale))
    styles = await studio_of(request).styles(caller)
    return {
        "styles": [_style_json(style) for style in styles],
        "methods": list(StyleMethod),
        "colours": list(KeepColour),
        "details": list(Detail),
        "blend_steps": BLEND_STEPS,
    }


def _style_json(style: StyleView) -> Style:
    return {
        "name": style.name,
        "title": style.title,
        "preset": style.is_preset,
        "shared": style.is_shared,
        "trained": style.is_trained,
        "outdated": style.is_outdated,
        "picture": f"/api/styles/{style.name}.webp",
        "colours": style.colours,
    }
