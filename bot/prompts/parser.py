"""From one typed text to a ParsedPrompt."""

import re
from dataclasses import dataclass, field

from bot.prompts.attention import MAX_LORA_WEIGHT, checked_weight, read_list, read_words
from bot.prompts.errors import PromptError
from bot.prompts.expansion import DEFAULT_LIMIT, Concrete, concretes
from bot.prompts.flags import (
    FlagKind,
    FlagSpec,
    FlagValue,
    flag_named,
    flags_by_name,
    read_value,
)
from bot.prompts.lexical import (
    LINK,
    MARKS,
    NUMBER,
    FlagStart,
    clean,
    find_flag,
    says_something,
    unescape,
)
from bot.prompts.parsed import (
    DEFAULT_NO_WEIGHT,
    Flags,
    LoraReference,
    ParsedPrompt,
    PromptPart,
    StyleReference,
)
from bot.prompts.wildcards import NONE, Wildcards
from bot.wording import Said

MAX_STYLE_REFERENCES = 8
MAX_STYLE_WEIGHT = 100.0

_IMAGE_PROMPT = re.compile(rf"\s*(?:<(?P<bare>{LINK})>|(?P<link>{LINK}))(?=,?(?:\s|$)),?")
_VALUE = re.compile(
    r'\s*(?:=\s*)?(?:"(?P<quoted>(?:[^"\\]|\\.)*)"(?P<tail>\S*)|(?P<plain>\S+))', re.DOTALL
)
_WORD = re.compile(r"\S")
_STYLE_WEIGHT = re.compile(rf"(?P<ref>.*?)(?:::(?P<weight>{NUMBER})?)?", re.DOTALL)
_LORA_WEIGHT = re.compile(rf"(?P<ref>.*?)(?::(?P<weight>{NUMBER}))?", re.DOTALL)


def parse(
    text: str,
    *,
    wildcards: Wildcards = NONE,
    seed: int | None = None,
    allow_empty: bool = False,
) -> ParsedPrompt:
    """Read one prompt. Dynamic parts and wildcards are drawn by `seed`, anew each time for None.

    With `allow_empty` a text without words or links is accepted, for jobs whose picture says
    enough.
    Raises: PromptError, also where permutations make more than one prompt: `expand` them first.
    """
    ((_, parsed),) = parse_each(
        text, wildcards=wildcards, seed=seed, limit=1, allow_empty=allow_empty
    )
    return parsed


def parse_each(
    text: str,
    *,
    wildcards: Wildcards = NONE,
    seed: int | None = None,
    limit: int = DEFAULT_LIMIT,
    allow_empty: bool = False,
) -> list[tuple[str, ParsedPrompt]]:
    """Expand a text and read each of its prompts: what `expand` and then `parse` give.

    Errors point into `text` itself, not into one of its expansions.
    Raises: PromptError as `expand` and `parse`.
    """
    return [
        (concrete.text, _parse_concrete(concrete, allow_empty=allow_empty))
        for concrete in concretes(clean(text), wildcards, seed, limit)
    ]


def without_flags(text: str, *names: str) -> str:
    """One prompt, expansions done, without some of its flags; what can't be read stays as it is."""
    text = clean(text)
    reader = _Reader(text)
    try:
        reader.read(allow_empty=True)
    except PromptError:
        return text
    for spec, start, end in reversed(reader.places):
        if spec.name in names:
            text = f"{text[:start].rstrip()} {text[end:].lstrip(f' {MARKS}')}".strip()
    return text


def _parse_concrete(concrete: Concrete, *, allow_empty: bool) -> ParsedPrompt:
    try:
        return _Reader(concrete.text).read(allow_empty=allow_empty)
    except PromptError as error:
        start, length = concrete.typed(error.position, error.length)
        raise PromptError(start, length, error.reason, error.suggestion) from None


@dataclass(frozen=True, slots=True)
class _Value:
    """The value of a flag as typed, escapes resolved."""

    text: str
    tail: str  # what follows a quoted value without a space, such as ::2
    position: int
    is_quoted: bool


@dataclass(slots=True)
class _Reader:
    """Reads one concrete text from left to right."""

    text: str
    parts: list[PromptPart] = field(default_factory=list)
    loras: list[LoraReference] = field(default_factory=list)
    styles: list[StyleReference] = field(default_factory=list)
    values: dict[str, FlagValue] = field(default_factory=dict)  # by field of Flags
    named: dict[str, str] = field(default_factory=dict)  # field -> flag that set it
    places: list[tuple[FlagSpec, int, int]] = field(default_factory=list)  # flag, start, end

    def read(self, *, allow_empty: bool) -> ParsedPrompt:
        links, begin = self._image_prompts()
        start = find_flag(self.text, begin, flags_by_name())
        end = start.position if start else len(self.text)
        words = read_words(self.text[begin:end], begin)
        _check_sum(words.parts, begin, end)
        self.loras += words.loras
        self._flags(start)
        self._check_conflicts()
        says = any(says_something(span.text) for part in words.parts for span in part.spans)
        if not (says or links or self.styles or allow_empty):
            raise PromptError(0, len(self.text), "there is nothing to show", "Say what to draw.")
        return ParsedPrompt(
            parts=(*words.parts, *self.parts),
            image_prompts=links,
            flags=Flags(**self.values),  # type: ignore[arg-type]  # read_value keeps each field's type
            style_references=tuple(self.styles),
            loras=tuple(self.loras),
        )

    def _image_prompts(self) -> tuple[tuple[str, ...], int]:
        links: list[str] = []
        position = 0
        while match := _IMAGE_PROMPT.match(self.text, position):
            links.append((match["bare"] or match["link"]).rstrip(","))
            position = match.end()
        return tuple(links), position

    def _flags(self, start: FlagStart | None) -> None:
        while start is not None:
            spec = flag_named(start, self.text)
            end = self._flag(spec, start)
            self.places.append((spec, start.position, end))
            following = find_flag(self.text, end, flags_by_name())
            self._check_no_words(end, following)
            start = following

    def _flag(self, spec: FlagSpec, start: FlagStart) -> int:
        """Take in one flag; the position behind its value."""
        match spec.kind:
            case FlagKind.SWITCH:
                self._set(spec, spec.constant, start)
                return start.end
            case FlagKind.PARTS:
                return self._no(spec, start)
            case FlagKind.STYLES:
                return self._style_references(spec, start)
            case FlagKind.LORA:
                value, end = self._value(spec, start, start.end)
                self.loras.append(_lora(value))
                return end
            case _:
                value, end = self._value(spec, start, start.end)
                self._set(spec, read_value(spec, value.text + value.tail, value.position), start)
                return end

    def _set(self, spec: FlagSpec, value: FlagValue, start: FlagStart) -> None:
        length = start.end - start.position
        earlier = self.named.get(spec.field)
        if earlier == spec.name:
            reason = Said("--{flag} is given twice", flag=spec.name)
            raise PromptError(start.position, length, reason, "Keep one of them.")
        if earlier is not None:
            reason = Said("--{one} and --{other} exclude each other", one=earlier, other=spec.name)
            raise PromptError(start.position, length, reason, "Keep one of them.")
        self.values[spec.field] = value
        self.named[spec.field] = spec.name

    def _value(self, spec: FlagSpec, start: FlagStart, position: int) -> tuple[_Value, int]:
        match = _VALUE.match(self.text, position)
        if match is None or self._next_flag_at(match.start("plain")):
            length = start.end - start.position
            reason = Said("--{flag} needs a value", flag=spec.name)
            raise PromptError(start.position, length, reason, _usage(spec))
        if match["quoted"] is not None:
            quoted = unescape(match["quoted"])
            return _Value(quoted, match["tail"], match.start("quoted"), is_quoted=True), match.end()
        begin, end = match.span("plain")
        following = find_flag(self.text, begin + 1, flags_by_name())
        end = min(end, following.position) if following else end
        plain = unescape(self.text[begin:end].rstrip(MARKS))
        return _Value(plain, "", begin, is_quoted=False), end

    def _no(self, spec: FlagSpec, start: FlagStart) -> int:
        following = find_flag(self.text, start.end, flags_by_name())
        end = following.position if following else len(self.text)
        items = read_list(self.text[start.end : end], start.end, DEFAULT_NO_WEIGHT)
        if not items.parts:
            length = start.end - start.position
            reason = "--no needs something to avoid"
            raise PromptError(start.position, length, reason, _usage(spec))
        self.parts += items.parts
        self.loras += items.loras
        return end

    def _style_references(self, spec: FlagSpec, start: FlagStart) -> int:
        value, end = self._value(spec, start, start.end)
        self.styles.append(_style(value))
        while not self._is_end_of_flag(end):
            value, end = self._value(spec, start, end)
            self.styles.append(_style(value))
            if len(self.styles) > MAX_STYLE_REFERENCES:
                reason = Said("--sref takes {most} references at most", most=MAX_STYLE_REFERENCES)
                raise PromptError(value.position, len(value.text), reason, "Leave some out.")
        return end

    def _is_end_of_flag(self, position: int) -> bool:
        """Tell whether only white space lies between `position` and the next flag or the end."""
        word = _WORD.search(self.text, position)
        return word is None or self._next_flag_at(word.start())

    def _next_flag_at(self, position: int) -> bool:
        following = find_flag(self.text, position, flags_by_name()) if position >= 0 else None
        return following is not None and following.position == position

    def _check_no_words(self, end: int, following: FlagStart | None) -> None:
        stop = following.position if following else len(self.text)
        rest = self.text[end:stop]
        words = rest.strip(f" \t\r\n{MARKS}")
        if words.strip():
            at = end + rest.index(words)
            reason = Said("{words!r} comes after a flag", words=words[:40])
            cure = 'Put words before the first flag; put "quotes" around a name with spaces.'
            raise PromptError(at, len(words), reason, cure)

    def _check_conflicts(self) -> None:
        if "aspect" in self.values and "size" in self.values:
            reason = "--ar and --size exclude each other"
            raise PromptError(0, len(self.text), reason, "Keep one of them.")


def _usage(spec: FlagSpec) -> Said:
    return Said("Write {usage}.", usage=spec.usage)


def _check_sum(parts: tuple[PromptPart, ...], begin: int, end: int) -> None:
    if parts and not sum(part.weight for part in parts) > 0:
        reason = "the weights of the parts must sum to more than 0"
        raise PromptError(
            begin, end - begin, reason, "Raise a weight, or use --no for what to avoid."
        )


def _style(value: _Value) -> StyleReference:
    ref, weight, at = _weighted(value, _STYLE_WEIGHT, "::")
    if not ref.strip():
        raise PromptError(value.position, len(value.text), "this style reference has no name")
    number = checked_weight(weight, MAX_STYLE_WEIGHT, "the weight of a style", at)
    if number < 0:
        reason = Said("the weight of a style can't be {weight}", weight=weight)
        cure = Said("Use {low:g} to {high:g}.", low=0, high=MAX_STYLE_WEIGHT)
        raise PromptError(at, len(weight), reason, cure)
    return StyleReference(ref, number)


def _lora(value: _Value) -> LoraReference:
    name, weight, at = _weighted(value, _LORA_WEIGHT, ":")
    if not name.strip():
        raise PromptError(value.position, len(value.text), "this LoRA has no name")
    return LoraReference(name, checked_weight(weight, MAX_LORA_WEIGHT, "the weight of a LoRA", at))


def _weighted(value: _Value, grammar: re.Pattern[str], sign: str) -> tuple[str, str, int]:
    """Split a value in name, weight ("1" where none is given) and the weight's position."""
    weighed = value.tail if value.is_quoted else value.text
    match = grammar.fullmatch(weighed)
    if match is None or (value.is_quoted and match["ref"]):
        reason = Said("{words!r} after a quoted name is no weight", words=weighed[:40])
        cure = Said("Write {sign}2 for a weight of 2.", sign=sign)
        raise PromptError(value.position, len(value.text), reason, cure)
    at = value.position + (len(value.text) + 1 if value.is_quoted else 0) + match.start("weight")
    return (value.text if value.is_quoted else match["ref"]), match["weight"] or "1", at
