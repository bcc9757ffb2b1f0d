"""What the page needs while one types: checks of prompts, models, presets, flags, parameters."""

import re
from typing import Any

from aiohttp import web

from bot.faces.web.context import locale_of, studio_of
from bot.faces.web.refusals import refusal_json
from bot.faces.web.submissions import Typed, Upload, body_of
from bot.faces.web.views import flag_json, model_json, preset_json
from bot.prompts import FLAGS, PromptError, count_expansions, expand, load_presets, parse
from bot.wording import Said
from engine.api import Ability, Catalogue, GenerationParameters, UnknownModel, read_parameters

_SHAPE = r"(--|—)(ar|aspect|size)\b"
CHECKED_EXPANSIONS = 20  # of one text; more are not looked at until it is sent


async def models(request: web.Request) -> web.Response:
    """`GET /api/models`: what can draw words, and what can dream."""
    catalogue = studio_of(request).catalogue
    default = catalogue.default.name
    infos = catalogue.models()
    listed = [
        model_json(info, is_default=info.name == default)
        for info in infos
        if Ability.TEXT_TO_IMAGE in info.abilities
    ]
    dreamers = [
        {"name": info.name, "title": info.title, "looks": list(info.looks)}
        for info in infos
        if Ability.DREAM in info.abilities
    ]
    return web.json_response({"models": listed, "dreamers": dreamers})


async def presets(_request: web.Request) -> web.Response:
    """`GET /api/presets`: looks, as words to add to a prompt."""
    return web.json_response({"presets": [preset_json(preset) for preset in load_presets()]})


async def flags(_request: web.Request) -> web.Response:
    """`GET /api/flags`: the flags of the grammar and their help."""
    return web.json_response({"flags": [flag_json(flag) for flag in FLAGS]})


async def check(request: web.Request) -> web.Response:
    """`POST /api/check`: how many jobs a text makes, or what is wrong with it and where."""
    body = await body_of(request, Typed)
    return web.json_response(
        check_text(body.text, studio_of(request).catalogue, locale_of(request))
    )


async def parameters(request: web.Request) -> web.Response:
    """`POST /api/parameters`: what a picture says about how it was made."""
    body = await body_of(request, Upload)
    found = read_parameters(body.picture)  # looks at text chunks alone, decodes nothing
    if found is None:
        return web.json_response({"text": "", "prompt": ""})
    prompt = prompt_of(found, studio_of(request).catalogue)
    return web.json_response({"text": found.to_text(), "prompt": prompt})


def prompt_of(found: GenerationParameters, catalogue: Catalogue) -> str:
    """A prompt that asks for the same; what its own flags say already is not said again."""
    text = " ".join(found.prompt.split())
    wanted: dict[str, object] = {"no": " ".join(found.negative_prompt.split()), "seed": found.seed}
    if found.width and found.height and not re.search(_SHAPE, text):
        wanted["size"] = f"{found.width}x{found.height}"
    if found.model in catalogue.names():
        wanted["model"] = found.model
    missing = (
        f"--{name} {value}"
        for name, value in wanted.items()
        if value not in (None, "") and not re.search(rf"(--|—){name}\b", text)
    )
    return " ".join((text, *missing))


def check_text(text: str, catalogue: Catalogue, locale: str = "en") -> dict[str, Any]:
    """The answer of `check`; an empty text is no error, for nothing is typed yet."""
    if not text.strip():
        return {"count": 0, "problem": None}
    try:
        count = count_expansions(text, seed=0)
        if count == 1:
            _check_model(text, parse(text, seed=0, allow_empty=True).flags.model, catalogue)
        elif count <= CHECKED_EXPANSIONS:
            _check_expansions(text, catalogue)
    except PromptError as error:
        return {"count": 0, "problem": refusal_json(error, locale)}
    return {"count": count, "problem": None}


def _check_expansions(text: str, catalogue: Catalogue) -> None:
    for concrete in expand(text, seed=0, limit=CHECKED_EXPANSIONS):
        try:
            _check_model(concrete, parse(concrete, seed=0, allow_empty=True).flags.model, catalogue)
        except PromptError as error:
            raise _located(error, concrete, text) from None


def _located(error: PromptError, concrete: str, text: str) -> PromptError:
    """The same error where its words stand in the typed text; at no place if they don't."""
    words = concrete[error.position : error.position + error.length]
    position = text.find(words)
    length = len(words) if position >= 0 else 0
    return PromptError(max(position, 0), length, error.reason, error.suggestion)


def _check_model(text: str, name: str | None, catalogue: Catalogue) -> None:
    """Find a model's name that nobody knows, before the studio has to refuse the job."""
    if name is None:
        return
    try:
        catalogue.info(name)
    except UnknownModel as error:
        place = re.search(rf"model[\s=:]+({re.escape(name)})", text, re.IGNORECASE)
        position = place.start(1) if place else 0
        cure = Said("Did you mean {near}?", near=error.suggestion) if error.suggestion else ""
        reason = Said("there is no model called {name}", name=name)
        raise PromptError(position, len(name) if place else 0, reason, cure) from None
