"""From what a picture says of how it was made to a prompt that asks for the same."""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from bot.errors import LimitReached
from bot.prompts import (
    MAX_LORA_WEIGHT,
    MAX_STYLE_WEIGHT,
    Flags,
    LoraReference,
    ParsedPrompt,
    PromptError,
    PromptPart,
    Span,
    StyleReference,
    clean,
    parse,
    with_look,
)
from bot.studio.asking import AVOIDED_WEIGHT, MAX_STEPS, checked_size, merged_flags, sampler_named
from bot.wording import Said
from engine.api import Ability, Catalogue, GenerationParameters, ModelInfo, style_presets

MAX_GUIDANCE = 30.0
NAMED = 10  # of what is missing; a file may say anything
_WORD = re.compile(r"[\w.:+-]{1,60}")  # the value of one flag, and nothing behind it
_WEIGHED = re.compile(r"\s*(?P<name>[^:]+):(?P<weight>-?\d{1,3}(?:\.\d{1,9})?)\s*")
_SHARE = re.compile(r"0?\.\d{1,9}|1")


@dataclass(frozen=True, slots=True)
class Told:
    """What a picture tells of itself, as far as it can be drawn here."""

    parsed: ParsedPrompt
    variation: tuple[int, float] | None = None  # its seed and strength, which no flag can say
    looks: tuple[StyleReference, ...] = ()  # styles that ship, whose look it has
    missing: tuple[str, ...] = ()  # LoRAs and styles that are not here

    @property
    def remark(self) -> Said | str:
        """What is to be said of a result that was drawn without something."""
        if not self.missing:
            return ""
        names = ", ".join(self.missing[:NAMED])
        if len(self.missing) > NAMED:
            names += ", …"
        return Said("What it was drawn with is not all here; left out: {names}.", names=names)


def told_by(parameters: GenerationParameters, catalogue: Catalogue, usual: ModelInfo) -> Told:
    """What parameters amount to; `usual` draws where they name no model that is known."""
    named = (parameters.model or "").strip().lower()
    info = catalogue.info(named) if named in catalogue.names() else usual
    others = dict(parameters.others)
    parsed = with_look(read_or_plain(parameters.prompt))
    loras = (*parsed.loras, *_loras(others.get("Loras", "")))
    fitting = catalogue.lora_names(info.family)
    # Of flags among the words, what the picture's own parameters may not say.
    typed = Flags(
        seed=parsed.flags.seed,
        aspect=parsed.flags.aspect,
        style_weight=parsed.flags.style_weight,
        visibility=parsed.flags.visibility,
    )
    flags = _flags(parameters, others, info)
    if named == info.name:
        flags = replace(flags, model=named)
    told = replace(
        parsed,
        parts=(*parsed.parts, *_avoided(parameters.negative_prompt)),
        flags=merged_flags(flags, typed),
        loras=tuple(lora for lora in loras if _key(lora) in fitting),
    )
    told_styles = _weighed(others.get("Style references", ""), 0, MAX_STYLE_WEIGHT)
    styles = [StyleReference(*one) for one in told_styles]
    looks = tuple(style for style in styles if style.ref in _shipped_styles())
    missing = [lora.name for lora in loras if _key(lora) not in fitting]
    missing += [style.ref for style in styles if style not in looks]
    if looks:
        flags = merged_flags(_flag("sw", others.get("Style weight")), told.flags)
        told = replace(told, flags=flags, style_references=(*told.style_references, *looks))
    return Told(told, _variation(others), looks, tuple(missing))


def _shipped_styles() -> set[str]:
    return {preset.name for preset in style_presets()}


def read_or_plain(text: str) -> ParsedPrompt:
    """A prompt that was not checked here: in our grammar, else as mere words."""
    try:
        return parse(text, allow_empty=True)
    except PromptError:
        words = " ".join(clean(text).split())
        return ParsedPrompt(parts=(PromptPart((Span(words),)),) if words else ())


def _avoided(text: str) -> tuple[PromptPart, ...]:
    """What to avoid, read as by --no, else as mere words."""
    words = " ".join(clean(text).split())
    try:
        return parse(f"--no {words}", allow_empty=True).parts if words else ()
    except PromptError:
        return (PromptPart((Span(words),), AVOIDED_WEIGHT),)


def _flags(parameters: GenerationParameters, others: dict[str, str], info: ModelInfo) -> Flags:
    """What is not as usual with a model."""
    steps, guidance = parameters.steps, parameters.guidance_scale
    sampler = sampler_named(parameters.sampler or "")
    values = {
        "seed": parameters.seed,
        "steps": None if steps in (None, info.steps) else min(max(steps, 1), MAX_STEPS),
        "guidance": None
        if guidance in (None, info.guidance_scale)
        else min(max(guidance, 1), MAX_GUIDANCE),
        "sampler": None if sampler in (None, info.sampler) else sampler.value,
        "chaos": others.get("Chaos"),
        "stylize": others.get("Stylize"),
        "weird": others.get("Weird"),
        "stop": others.get("Stop"),
    }
    flags = _shape(parameters, info)
    for name, value in values.items():
        flags = merged_flags(flags, _flag(name, value))
    is_tile = others.get("Tiling") == "True" and Ability.TILE in info.abilities
    return replace(flags, tile=True) if is_tile else flags


def _shape(parameters: GenerationParameters, info: ModelInfo) -> Flags:
    """The size of a picture, or its aspect where a model can't draw that size."""
    width, height = parameters.width or 0, parameters.height or 0
    if min(width, height) < 1 or (width, height) == (info.width, info.height):
        return Flags()
    flags = _flag("size", f"{width}x{height}")
    try:
        if flags.size:
            checked_size(flags.size, info)
            return flags
    except LimitReached:
        pass
    divisor = math.gcd(width, height)
    return _flag("ar", f"{width // divisor}:{height // divisor}")


def _flag(name: str, value: object) -> Flags:
    """One flag; nothing where it can't have that value."""
    text = str(value)
    if value is None or not _WORD.fullmatch(text):
        return Flags()
    try:
        return parse(f"--{name} {text}", allow_empty=True).flags
    except PromptError:
        return Flags()


def _loras(text: str) -> Iterator[LoraReference]:
    return (LoraReference(*one) for one in _weighed(text, -MAX_LORA_WEIGHT, MAX_LORA_WEIGHT))


def _weighed(text: str, least: float, most: float) -> Iterator[tuple[str, float]]:
    """Names with weights that can be asked for: "wave:1, night:0.4"."""
    for one in text.split(","):
        if (match := _WEIGHED.fullmatch(one)) and least <= float(match["weight"]) <= most:
            yield match["name"].strip(), float(match["weight"])


def _key(lora: LoraReference) -> str:
    return lora.name.strip().lower()


def _variation(others: dict[str, str]) -> tuple[int, float] | None:
    seed = _flag("seed", others.get("Variation seed")).seed
    share = others.get("Variation seed strength", "")
    return None if seed is None or not _SHARE.fullmatch(share) else (seed, float(share))
