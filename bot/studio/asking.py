"""From what a member typed, and what is set for them, to requests of the engine.

text --expand--> prompts --parse--> ParsedPrompt + Preferences + ModelInfo --> Request
"""

import difflib
import re
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import TypeVar

from bot.errors import LimitReached, NotFound, OutOfRange
from bot.prompts import (
    NONE,
    Flags,
    ParsedPrompt,
    Wildcards,
    count_expansions,
    parse,
    parse_each,
    with_look,
    without_flags,
)
from bot.prompts import LoraReference as Asked
from bot.studio.contract import Preferences
from bot.wording import Said
from engine.api import (
    MAX_SEED,
    Ability,
    Catalogue,
    Diffusion,
    EngineError,
    ImageToImage,
    InvalidRequest,
    LoraReference,
    ModelInfo,
    Prompt,
    PromptPart,
    Request,
    Sampler,
    Span,
    StyleReference,
    TextToImage,
    UnknownModel,
)

DEFAULT_IMAGE_COUNT = 4
CONFIRMED_FROM = 5  # jobs of one prompt that are asked about first
AVOIDED_WEIGHT = -0.5  # of what a model's entry wants avoided, as of an item of --no
MAX_STEPS = 150
NOTHING_SET = Flags()
USUAL_STRENGTH = 0.6  # of a prompt that begins with a picture

_JOINTS = re.compile(r"[\s_-]")  # between the words of a sampler's name

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Wish:
    """One concrete prompt, read, with its seed decided."""

    text: str  # as typed, expansions and repetitions done
    parsed: ParsedPrompt  # preferences and preset taken in
    seed: int
    usual_shape: Flags = NOTHING_SET  # what is set of it; a picture's own shape counts more
    usual_loras: tuple[Asked, ...] = ()  # that are set; those that fit the model count

    @property
    def is_private(self) -> bool | None:
        """What the flags say; None where they say nothing."""
        return self.parsed.flags.is_private

    @property
    def is_relaxed(self) -> bool:
        """It may wait until nothing is in a hurry."""
        return self.parsed.flags.speed == "relax"


@dataclass(frozen=True, slots=True)
class Sources:
    """Pictures that came with a wish, cleaned, and the shape they give the result."""

    source: bytes = b""  # PNG
    source_size: tuple[int, int] | None = None  # pixels
    styles: tuple[StyleReference, ...] = ()


def read_wishes(
    text: str,
    preferences: Preferences,
    *,
    cap: int,
    wildcards: Wildcards = NONE,
    has_picture: bool = False,
) -> list[Wish]:
    """All prompts that a text makes, `--repeat` included.

    Raises:
        PromptError: the text can't be read.
        LimitReached: it makes more than `cap` jobs.
    """
    draw = secrets.randbits(32)  # one draw, so that counting and expanding see the same text
    count = count_expansions(text, wildcards=wildcards, seed=draw)
    require_cap(count, cap)
    shape, loras = usual_shape(preferences), usual_loras(preferences)
    prompts = parse_each(text, wildcards=wildcards, seed=draw, limit=count, allow_empty=has_picture)
    require_cap(sum(typed.flags.repeat or 1 for _, typed in prompts), cap)
    wishes = []
    for prompt, typed in prompts:
        parsed = with_preferences(typed, preferences)
        alone = without_flags(prompt, "repeat")
        seeds = _seeds(parsed, typed.flags.repeat or 1)
        wishes += [
            Wish(_with_seed(alone, typed.flags, seed), parsed, seed, shape, loras) for seed in seeds
        ]
    return wishes


def with_preferences(parsed: ParsedPrompt, preferences: Preferences) -> ParsedPrompt:
    """Add what is set to what was typed; what was typed counts more.

    Not the shape and the LoRAs (see `usual_shape` and `usual_loras`), and not who may see the
    result, which is for `hides` to say.
    """
    flags = parsed.flags
    if preferences.flags:
        usual = parse(preferences.flags, allow_empty=True)
        flags = merged_flags(flags, replace(usual.flags, visibility=None, aspect=None, size=None))
        parsed = replace(
            parsed,
            parts=(*parsed.parts, *(part for part in usual.parts if part.weight < 0)),
            style_references=parsed.style_references or usual.style_references,
        )
    usual_flags = Flags(model=preferences.model, images=preferences.image_count)
    parsed = replace(parsed, flags=merged_flags(flags, usual_flags))
    return with_look(parsed, preferences.preset)


def usual_shape(preferences: Preferences) -> Flags:
    """The aspect or size that is set; default flags count more than the default aspect."""
    typed = parse(preferences.flags or "", allow_empty=True).flags
    aspect = read_aspect(preferences.aspect) if preferences.aspect else None
    return merged_flags(Flags(aspect=typed.aspect, size=typed.size), Flags(aspect=aspect))


def usual_loras(preferences: Preferences) -> tuple[Asked, ...]:
    """The LoRAs of the default flags."""
    return parse(preferences.flags or "", allow_empty=True).loras


def merged_flags(typed: Flags, usual: Flags) -> Flags:
    """The flags of `typed`, and those of `usual` that it does not give."""
    given = {
        field.name: getattr(usual, field.name)
        for field in fields(Flags)
        if getattr(typed, field.name) is None
    }
    if typed.size is not None:
        given["aspect"] = None
    if typed.aspect is not None:
        given["size"] = None
    return replace(typed, **given)


def read_aspect(text: str) -> tuple[int, int]:
    """Read an aspect such as 3:2.

    Raises:
        PromptError: it is none.
    """
    aspect = parse(f"a --ar {text}").flags.aspect
    assert aspect is not None
    return aspect


def model_of(wish: Wish, catalogue: Catalogue) -> ModelInfo:
    """The model that a wish names, else the default; for a draft, the one that draws its drafts.

    Raises:
        NotFound: there is no such model.
    """
    info = model_named(wish.parsed.flags.model, catalogue)
    is_draft = bool(wish.parsed.flags.draft and info.draft_model)
    return catalogue.info(info.draft_model) if is_draft else info


def quick(wish: Wish, catalogue: Catalogue) -> Wish:
    """The wish as a draft, where its model has one that draws drafts and it does not say no."""
    flags = wish.parsed.flags
    if flags.draft is not None or not model_of(wish, catalogue).draft_model:
        return wish
    return replace(wish, parsed=replace(wish.parsed, flags=replace(flags, draft=True)))


def model_named(name: str | None, catalogue: Catalogue) -> ModelInfo:
    """A model of the catalogue; the default for None.

    Raises:
        NotFound: there is no such model.
    """
    try:
        return catalogue.info(name) if name else catalogue.default
    except UnknownModel as error:
        raise NotFound(error.text) from error


def request_of(wish: Wish, sources: Sources, catalogue: Catalogue) -> Request:
    """The request that a wish makes.

    Raises:
        UserError: a flag asks for what the model can't do; says what to change.
    """
    flags = wish.parsed.flags
    info = model_of(wish, catalogue)
    _require_able(info, flags)
    width, height = _size(wish, info, sources.source_size)
    common = TextToImage(
        model=info.name,
        prompt=_prompt(wish.parsed, info),
        seed=wish.seed,
        width=width,
        height=height,
        steps=_steps(flags, info),
        guidance_scale=_guidance(flags, info),
        sampler=_sampler(flags.sampler, info),
        schedule=info.schedule,
        image_count=_or(flags.images, DEFAULT_IMAGE_COUNT),
        stop=_or(flags.stop, 100),
        tile=bool(flags.tile),
        chaos=_or(flags.chaos, 0),
        weird=_or(flags.weird, 0),
        stylize=_or(flags.stylize, 100),
        loras=_loras(wish, info, catalogue),
        style_references=sources.styles,
        style_weight=_or(flags.style_weight, 100),
    )
    return from_source(common, sources.source, strength_of(flags)) if sources.source else common


def _require_able(info: ModelInfo, flags: Flags) -> None:
    """Refuse at once what the model would refuse later."""
    if Ability.TEXT_TO_IMAGE not in info.abilities:
        reason = "{model} draws dreams only: choose another model"
        raise LimitReached(Said(reason, model=info.title))
    if flags.tile and Ability.TILE not in info.abilities:
        reason = "{model} can't make seamless tiles: leave out --tile"
        raise LimitReached(Said(reason, model=info.title))


def from_source(request: Diffusion, source: bytes, strength: float) -> ImageToImage:
    """The same request, but beginning with a picture."""
    values = {field.name: getattr(request, field.name) for field in fields(Diffusion)}
    return ImageToImage(**values, source=source, strength=strength)


def valid(build: Callable[[], T]) -> T:
    """What `build` makes; what the engine refuses in it is the member's to change.

    Raises:
        LimitReached: says what; `OutOfRange` where it is one field.
    """
    try:
        return build()
    except InvalidRequest as error:
        raise OutOfRange(error.field, error.reason) from error
    except EngineError as error:
        raise LimitReached(error.text) from error


def new_seed() -> int:
    """A seed at random."""
    return secrets.randbelow(MAX_SEED + 1)


def require_cap(count: int, cap: int) -> None:
    """See that a prompt makes no more jobs than may be made at once.

    Raises:
        LimitReached: it does.
    """
    if count > cap:
        raise LimitReached(
            Said(
                "this prompt makes {count} jobs, and {most} may be made at once; leave options out",
                count=count,
                most=cap,
            )
        )


def _seeds(parsed: ParsedPrompt, repeat: int) -> Sequence[int]:
    """A seed for each repetition; from a given one they go on so that no two images are alike."""
    first = parsed.flags.seed
    if first is None:
        return [new_seed() for _ in range(repeat)]
    count = _or(parsed.flags.images, DEFAULT_IMAGE_COUNT)
    return [(first + i * count) % (MAX_SEED + 1) for i in range(repeat)]


def _with_seed(text: str, typed: Flags, seed: int) -> str:
    """The text of one of several repetitions: where a seed was typed, with its own."""
    if typed.seed in (None, seed):
        return text
    return f"{without_flags(text, 'seed')} --seed {seed}"


def _prompt(parsed: ParsedPrompt, info: ModelInfo) -> Prompt:
    parts = tuple(
        PromptPart(tuple(Span(span.text, span.weight) for span in part.spans), part.weight)
        for part in parsed.parts
    )
    if not any(part.weight > 0 for part in parts):
        parts = (PromptPart((Span(""),)), *parts)  # a picture may say enough
    if info.negative_prompt and not any(part.weight < 0 for part in parts):
        parts = (*parts, PromptPart((Span(info.negative_prompt),), AVOIDED_WEIGHT))
    return parts


def _size(wish: Wish, info: ModelInfo, source_size: tuple[int, int] | None) -> tuple[int, int]:
    """The shape that is typed, else a picture's own, else what is set, else the model's."""
    pictured = info.size_for(*source_size) if source_size else None
    return (
        _shape(wish.parsed.flags, info)
        or pictured
        or _usual_shape(wish.usual_shape, info)
        or (info.width, info.height)
    )


def _shape(flags: Flags, info: ModelInfo) -> tuple[int, int] | None:
    if flags.size is not None:
        return checked_size(flags.size, info)
    return info.size_for(*flags.aspect) if flags.aspect is not None else None


def _usual_shape(usual: Flags, info: ModelInfo) -> tuple[int, int] | None:
    """What is set of the shape; of a size that this model can't draw, its aspect."""
    try:
        return _shape(usual, info)
    except LimitReached:
        return _shape(Flags(aspect=usual.size), info)


def checked_size(size: tuple[int, int], info: ModelInfo) -> tuple[int, int]:
    """A size in pixels that a model can draw.

    Raises:
        LimitReached: it can't; says what it can.
    """
    width, height = size
    multiple = info.size_multiple
    if max(size) > info.max_side or width * height > info.max_pixels:
        raise LimitReached(
            Said(
                "--size {size} is too large for {model}: at most {side} pixels a side and "
                "{pixels:,} in all; draw smaller and upscale",
                size=f"{width}x{height}",
                model=info.title,
                side=info.max_side,
                pixels=info.max_pixels,
            )
        )
    if width % multiple or height % multiple:
        near = f"{max(1, round(width / multiple)) * multiple}x"
        near += f"{max(1, round(height / multiple)) * multiple}"
        raise LimitReached(
            Said(
                "both sides of --size must be multiples of {multiple} for {model}; try {near}",
                multiple=multiple,
                model=info.title,
                near=near,
            )
        )
    return size


def _steps(flags: Flags, info: ModelInfo) -> int:
    usual = info.draft_steps if flags.draft else info.steps
    steps = flags.steps if flags.steps is not None else round(usual * _or(flags.quality, 1.0))
    return min(max(steps, 1), MAX_STEPS)


def _guidance(flags: Flags, info: ModelInfo) -> float:
    usual = info.draft_guidance_scale if flags.draft else info.guidance_scale
    return _or(flags.guidance_scale, usual)


def _sampler(name: str | None, info: ModelInfo) -> Sampler:
    if name is None:
        return info.sampler
    if found := sampler_named(name):
        return found
    known = [sampler.value for sampler in Sampler]
    close = difflib.get_close_matches(name.strip().lower(), known, n=1)
    hint = Said("use {names}", names=", ".join(known))
    if close:
        hint = Said("did you mean {near}?", near=close[0])
    raise NotFound(Said("there is no sampler called {name}; {hint}", name=name, hint=hint))


def sampler_named(name: str) -> Sampler | None:
    """A sampler as any studio writes it, such as `DPM++ 2M Karras`; None where there is none."""
    wanted = _JOINTS.sub("", name.lower()).removesuffix("karras")
    return next((one for one in Sampler if _JOINTS.sub("", one.value) == wanted), None)


def _loras(wish: Wish, info: ModelInfo, catalogue: Catalogue) -> tuple[LoraReference, ...]:
    """The LoRAs that are typed, else of those that are set what fits the model."""
    fitting = catalogue.lora_names(info.family)
    usual = [one for one in wish.usual_loras if one.name.strip().lower() in fitting]
    found = []
    for wanted in wish.parsed.loras or usual:
        name = _lora_name(wanted.name, catalogue)
        if name not in fitting:
            raise NotFound(
                Said(
                    "the LoRA {name} does not fit the model {model}",
                    name=name,
                    model=info.title,
                )
            )
        found.append(LoraReference(name, wanted.weight))
    return tuple(found)


def _lora_name(typed: str, catalogue: Catalogue) -> str:
    try:
        return catalogue.lora(typed).name
    except UnknownModel as error:
        unknown = Said("there is no LoRA called {name}", name=error.name)
        if error.suggestion:
            reason = "{unknown}; did you mean {near}?"
            unknown = Said(reason, unknown=unknown, near=error.suggestion)
        raise NotFound(unknown) from error


def require_known(usual: ParsedPrompt, catalogue: Catalogue) -> None:
    """See that there is what default flags name: a model, a sampler, LoRAs.

    Raises:
        NotFound: one of them is unknown.
    """
    _sampler(usual.flags.sampler, model_named(usual.flags.model, catalogue))
    for one in usual.loras:
        _lora_name(one.name, catalogue)


def strength_of(flags: Flags, usual: float = USUAL_STRENGTH) -> float:
    """`--strength`, else from `--iw`: 1 stands for 0.6, more keeps more of the picture."""
    if flags.strength is not None:
        return flags.strength
    return usual if flags.image_weight is None else 1 / (1 + 2 / 3 * flags.image_weight)


def _or(value: T | None, default: T) -> T:
    return default if value is None else value
