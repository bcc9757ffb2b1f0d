"""From a ParsedPrompt back to a text that reads as the same prompt."""

import re

from bot.prompts.flags import FLAGS, FlagKind, FlagSpec, FlagValue, number_text
from bot.prompts.lexical import GLUE, LINK
from bot.prompts.parsed import DEFAULT_NO_WEIGHT, ParsedPrompt, PromptPart, Span

# What reads as something else than itself: brackets, runs of underscores, two colons, `<lora:`,
# links at the front, and dashes that would begin a flag.
_SYNTAX = re.compile(
    r"\\|[()\[\]{}]|_(?=_)|(?<=_)_|:(?=:|\Z)|(?<=:):|<(?=lora:)"
    r"|(?:(?<=\Ahttp)|(?<=\Ahttps)|(?<=\A<http)|(?<=\A<https)):"
    rf"|(?:^|(?<=\s))(?:-(?=-)|[—–])|(?<={GLUE})-(?=-)"
)
_COMMA = re.compile(r"[,，、]")
_SAFE_NAME = re.compile(rf"{LINK}|[^\W_](?:[\w./+@#~]|-(?!-))*")
_QUOTED_SYNTAX = re.compile(r"[\\\"{}_]")


def format_prompt(prompt: ParsedPrompt) -> str:
    """Write a prompt so that parsing the text gives an equal prompt.

    Holds for every value that `parse` returns; flags come out in the order of their table.
    """
    kept, avoided = _split_off_no(prompt.parts)
    pieces = [*prompt.image_prompts, *_parts(kept)]
    for spec in FLAGS:
        pieces += _flag(spec, prompt, avoided)
    return " ".join(pieces)


def _split_off_no(
    parts: tuple[PromptPart, ...],
) -> tuple[tuple[PromptPart, ...], tuple[PromptPart, ...]]:
    """Split where the trailing parts have just the weight that --no gives."""
    first = len(parts)
    while first > 0 and parts[first - 1].weight == DEFAULT_NO_WEIGHT:
        first -= 1
    return parts[:first], parts[first:]


def _parts(parts: tuple[PromptPart, ...]) -> list[str]:
    if len(parts) == 1 and parts[0].weight == 1:
        return [_spans(parts[0])]
    return [f"{_spans(part)}::{number_text(part.weight)}" for part in parts]


def _spans(part: PromptPart, *, in_list: bool = False) -> str:
    return "".join(_span(span, in_list=in_list) for span in part.spans)


def _span(span: Span, *, in_list: bool) -> str:
    text = _SYNTAX.sub(r"\\\g<0>", span.text)
    if in_list:
        text = _COMMA.sub(r"\\\g<0>", text)
    return text if span.weight == 1 else f"({text}:{number_text(span.weight)})"


def _flag(spec: FlagSpec, prompt: ParsedPrompt, avoided: tuple[PromptPart, ...]) -> list[str]:
    match spec.kind:
        case FlagKind.PARTS:
            items = ", ".join(_spans(part, in_list=True) for part in avoided)
            return [f"--{spec.name} {items}"] if items else []
        case FlagKind.STYLES:
            refs = [f"{_name(s.ref)}::{number_text(s.weight)}" for s in prompt.style_references]
            return [f"--{spec.name}", *refs] if refs else []
        case FlagKind.LORA:
            return [f"--{spec.name} {_name(x.name)}:{number_text(x.weight)}" for x in prompt.loras]
        case _:
            return _single(spec, getattr(prompt.flags, spec.field))


def _single(spec: FlagSpec, value: FlagValue | None) -> list[str]:
    if value is None:
        return []
    match spec.kind, value:
        case FlagKind.SWITCH, _:
            return [f"--{spec.name}"] if value == spec.constant else []
        case FlagKind.ASPECT, (width, height):
            return [f"--{spec.name} {width}:{height}"]
        case FlagKind.SIZE, (width, height):
            return [f"--{spec.name} {width}x{height}"]
        case FlagKind.NAME | FlagKind.PRESET, str():
            return [f"--{spec.name} {_name(value)}"]
        case _, int() | float():
            return [f"--{spec.name} {number_text(value)}"]
        case _:
            raise TypeError(f"--{spec.name} can't hold {value!r}")


def _name(name: str) -> str:
    """Quote a name unless it is plainly one word."""
    if _SAFE_NAME.fullmatch(name) and "__" not in name.split("://", maxsplit=1)[0]:
        return name
    return '"' + _QUOTED_SYNTAX.sub(r"\\\g<0>", name) + '"'
