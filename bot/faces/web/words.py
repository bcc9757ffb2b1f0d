"""What the page needs while one types: checks of prompts, models, presets, flags, parameters."""

import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass

from aiohttp import web

from bot.errors import NotFound, UserError
from bot.faces.web.answers import Checked, Dreamer, Flags, Models, Parameters, Presets, Refusal
from bot.faces.web.context import CONFIG, caller_of, locale_of, studio_of
from bot.faces.web.refusals import refusal_json
from bot.faces.web.submissions import Typed, Upload, body_of
from bot.faces.web.views import flag_json, model_json, preset_json
from bot.prompts import (
    FLAGS,
    HIGHEST_LIMIT,
    NONE,
    PromptError,
    Wildcards,
    count_expansions,
    expand,
    format_prompt,
    load_presets,
    parse,
    parse_each,
)
from bot.studio.asking import require_cap
from bot.studio.contract import Caller, Studio
from bot.studio.house import RANDOM
from bot.studio.retelling import told_by
from bot.wording import Said
from engine.api import Ability, Catalogue, GenerationParameters, UnknownModel, read_parameters

CHECKED_EXPANSIONS = 20  # of one text; more are not looked at until it is sent


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a text asks for."""

    jobs: int
    styles: tuple[str, ...]  # names after --sref


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
    dreamers: list[Dreamer] = [
        {"name": info.name, "title": info.title, "looks": list(info.looks)}
        for info in infos
        if Ability.DREAM in info.abilities
    ]
    told: Models = {"models": listed, "dreamers": dreamers}
    return web.json_response(told)


async def presets(_request: web.Request) -> web.Response:
    """`GET /api/presets`: looks, as words to add to a prompt."""
    told: Presets = {"presets": [preset_json(preset) for preset in load_presets()]}
    return web.json_response(told)


async def flags(_request: web.Request) -> web.Response:
    """`GET /api/flags`: the flags of the grammar and their help."""
    told: Flags = {"flags": [flag_json(flag) for flag in FLAGS]}
    return web.json_response(told)


async def check(request: web.Request) -> web.Response:
    """`POST /api/check`: how many jobs a text makes, or what is wrong with it and where.

    An empty text is no error, for nothing is typed yet.
    """
    text = (await body_of(request, Typed)).text
    if not text.strip():
        return _checked(0)
    studio = studio_of(request)
    try:
        wanted = read_wanted(
            text, studio.catalogue, request.app[CONFIG].jobs_max, wildcards=studio.wildcards
        )
        for name in wanted.styles:
            await _check_style(studio, caller_of(request), name, text)
    except UserError as error:
        return _checked(0, refusal_json(error, locale_of(request)))
    return _checked(wanted.jobs)


def _checked(count: int, problem: Refusal | None = None) -> web.Response:
    told: Checked = {"count": count, "problem": problem}
    return web.json_response(told)


async def parameters(request: web.Request) -> web.Response:
    """`POST /api/parameters`: what a picture says about how it was made."""
    body = await body_of(request, Upload)
    told: Parameters = {"text": "", "prompt": ""}
    found = read_parameters(body.picture)  # looks at text chunks alone, decodes nothing
    if found is not None:
        prompt = prompt_of(found, studio_of(request).catalogue)
        told = {"text": found.to_text(), "prompt": prompt}
    return web.json_response(told)


def prompt_of(found: GenerationParameters, catalogue: Catalogue) -> str:
    """A prompt that asks for the same, as far as it can be drawn here."""
    return format_prompt(told_by(found, catalogue, catalogue.default).parsed)


def read_wanted(
    text: str,
    catalogue: Catalogue,
    jobs_max: int | None = None,
    *,
    wildcards: Wildcards = NONE,
) -> Wanted:
    """What a text asks for, `--repeat` included.

    Raises:
        PromptError: it can't be read, or names a model that nobody knows.
        LimitReached: it makes more than `jobs_max` jobs.
    """
    count = count_expansions(text, wildcards=wildcards, seed=0)
    _require_few(count, jobs_max)
    if count > CHECKED_EXPANSIONS:
        jobs = count * _first_repeat(text, count, wildcards)
        _require_few(jobs, jobs_max)
        return Wanted(jobs, ())
    read = parse_each(text, wildcards=wildcards, seed=0, limit=count, allow_empty=True)
    for concrete, parsed in read:
        try:
            _check_model(concrete, parsed.flags.model, catalogue)
        except PromptError as error:
            raise _located(error, concrete, text) from None
    jobs = sum(parsed.flags.repeat or 1 for _, parsed in read)
    _require_few(jobs, jobs_max)
    references = (style.ref for _, parsed in read for style in parsed.style_references)
    return Wanted(jobs, tuple(dict.fromkeys(_names(references))))


def _first_repeat(text: str, count: int, wildcards: Wildcards) -> int:
    if count > HIGHEST_LIMIT:
        return 1
    [first, *_] = expand(text, wildcards=wildcards, seed=0, limit=count)
    return parse(first, seed=0, allow_empty=True).flags.repeat or 1


def _require_few(jobs: int, most: int | None) -> None:
    if most is not None:
        require_cap(jobs, most)


def _names(references: Iterable[str]) -> Iterable[str]:
    return (ref for ref in references if "://" not in ref and ref.strip().casefold() != RANDOM)


async def _check_style(studio: Studio, caller: Caller, name: str, text: str) -> None:
    """Find a name of no style and no image, as the studio would when it is sent."""
    try:
        await studio.style_thumbnail(caller, name)
    except NotFound as error:
        with suppress(NotFound):
            await studio.image(caller, name)
            return
        position = text.find(name, max(text.find("sref"), 0))
        length = len(name) if position >= 0 else 0
        raise PromptError(max(position, 0), length, error.text) from None


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
