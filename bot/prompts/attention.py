"""Words with attention brackets and multi-prompt separators, read into weighted spans.

Brackets as AUTOMATIC1111's studio reads them: `(a)` counts 1.1 times as much, `[a]` 1 / 1.1 times,
`(a:1.3)` 1.3 times, nesting multiplies, a bracket left open reaches to the end, one too many is an
ordinary character. All in one pass each to find brackets and to sum up, so that time grows with
the length of the text whatever the nesting.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from bot.prompts.errors import PromptError
from bot.prompts.lexical import ESCAPE, NUMBER, is_visible, one_space
from bot.prompts.parsed import LoraReference, PromptPart, Span
from bot.wording import Said, said

MORE = 1.1  # what one round bracket multiplies by, one square bracket divides by
MAX_ATTENTION = 10.0
MAX_PART_WEIGHT = 1000.0
MAX_LORA_WEIGHT = 4.0
_DIGITS = 6  # decimals kept of a weight

# Of a LoRA's two weights, of the text encoder and the U-Net, the last counts for both.
_COMMON = rf"""
    (?P<escape>{ESCAPE})
  | (?P<lora><lora:(?P<lora_name>[^<>:\n]{{1,200}})
    (?::{NUMBER}(?=:))?(?::(?P<lora_weight>{NUMBER}))?>)
  | (?P<exact>:\s*(?P<weight>{NUMBER})\s*\))
  | (?P<bracket>[()\[\]])
"""
# After :: a number must end there: `a::2nd` has no weight, and `nan` is meant as one.
_PART_END = rf"::(?P<part_weight>(?:{NUMBER}|[+-]?(?i:nan|inf(?:inity)?))(?!\.?\w))?"
_WORDS = re.compile(
    rf"(?P<part>{_PART_END})|{_COMMON}|(?P<words>[^\\()\[\]:<]+|.)", re.VERBOSE | re.DOTALL
)
_LIST = re.compile(
    rf"(?P<part>[,，、])|{_COMMON}|(?P<words>[^\\()\[\]:<,，、]+|.)", re.VERBOSE | re.DOTALL
)


@dataclass(frozen=True, slots=True)
class Prose:
    """The words of a prompt, read."""

    parts: tuple[PromptPart, ...]
    loras: tuple[LoraReference, ...]


@dataclass(slots=True)
class _Opening:
    """A bracket, and what it multiplies by once its end is known."""

    kind: str  # "(" or "["
    factor: float


@dataclass(frozen=True, slots=True)
class _Closing:
    """The end of a bracket."""

    kind: str


@dataclass(frozen=True, slots=True)
class _Words:
    text: str
    position: int


@dataclass(frozen=True, slots=True)
class _PartEnd:
    weight: float


_Token = _Opening | _Closing | _Words | _PartEnd


def read_words(text: str, position: int) -> Prose:
    """Read the words before the flags; `::` ends a part and gives its weight.

    `position` is where `text` begins, for errors.
    Raises: PromptError for weights that are no finite numbers or out of range.
    """
    loras: list[LoraReference] = []
    tokens = _tokens(_WORDS, text, position, loras)
    return Prose(tuple(_parts(tokens, last_weight=1.0)), tuple(loras))


def read_list(text: str, position: int, weight: float) -> Prose:
    """Read what --no lists: parts of one `weight`, separated by commas.

    Raises: PromptError as `read_words`.
    """
    loras: list[LoraReference] = []
    tokens = _tokens(_LIST, text, position, loras)
    parts = (PromptPart(part.spans, weight) for part in _parts(tokens, last_weight=weight))
    return Prose(tuple(parts), tuple(loras))


def checked_weight(number: str, limit: float, what: str, position: int) -> float:
    """Read a weight between -limit and limit.

    Raises: PromptError where it is out of range or no finite number.
    """
    weight = float(number)
    if not abs(weight) <= limit:  # so that nan fails too
        reason = Said("{what} can't be {weight}", what=said(what), weight=number[:20])
        cure = Said("Use {low:g} to {high:g}.", low=-limit, high=limit)
        raise PromptError(position, len(number), reason, cure)
    return weight


def _tokens(
    grammar: re.Pattern[str], text: str, position: int, loras: list[LoraReference]
) -> list[_Token]:
    tokens: list[_Token] = []
    open_brackets: dict[str, list[_Opening]] = {"(": [], "[": []}
    for match in grammar.finditer(text):
        at = position + match.start()
        if match["part"] is not None:
            tokens.append(_part_end(match, position))
        elif match["lora"] is not None:
            loras.append(_lora(match, position))
        elif match["escape"] is not None:
            tokens.append(_Words(match["escape"][1:], at))
        elif match["exact"] is not None and open_brackets["("]:
            # The range is checked where brackets are multiplied; `1e309` is infinite here.
            open_brackets["("].pop().factor = float(match["weight"])
            tokens.append(_Closing("("))
        elif match["bracket"] is not None:
            tokens.append(_bracket(match["bracket"], at, open_brackets))
        else:
            tokens.append(_Words(match[0], at))
    return tokens


def _part_end(match: re.Match[str], position: int) -> _PartEnd:
    number = match.groupdict().get("part_weight")
    if number is None:
        return _PartEnd(1.0)
    at = position + match.start("part_weight")
    return _PartEnd(checked_weight(number, MAX_PART_WEIGHT, "the weight after ::", at))


def _lora(match: re.Match[str], position: int) -> LoraReference:
    number = match["lora_weight"] or "1"
    at = position + match.start()
    weight = checked_weight(number, MAX_LORA_WEIGHT, "the weight of a LoRA", at)
    return LoraReference(match["lora_name"], weight)


def _bracket(character: str, at: int, open_brackets: dict[str, list[_Opening]]) -> _Token:
    if character in "([":
        opening = _Opening(character, MORE if character == "(" else 1 / MORE)
        open_brackets[character].append(opening)
        return opening
    kind = "(" if character == ")" else "["
    if not open_brackets[kind]:
        return _Words(character, at)
    open_brackets[kind].pop()
    return _Closing(kind)


def _parts(tokens: list[_Token], last_weight: float) -> Iterator[PromptPart]:
    """Sum up brackets and cut at part ends. Brackets may reach over part ends."""
    # Each kind is properly nested in itself, but the two kinds may overlap: a stack for each.
    factors = {"(": [1.0], "[": [1.0]}
    spans: list[tuple[str, float]] = []
    for token in tokens:
        match token:
            case _Opening(kind, factor):
                factors[kind].append(factors[kind][-1] * factor)
            case _Closing(kind):
                factors[kind].pop()
            case _Words(text, at):
                spans.append((text, _attention(factors["("][-1] * factors["["][-1], text, at)))
            case _PartEnd(weight):
                yield from _part(spans, weight)
                spans = []
    yield from _part(spans, last_weight)


def _attention(weight: float, text: str, position: int) -> float:
    if not abs(weight) <= MAX_ATTENTION:
        reason = Said("the brackets here multiply to {weight:.3g}", weight=weight)
        cure = Said("Use fewer, or a weight from -{most:g} to {most:g}.", most=MAX_ATTENTION)
        raise PromptError(position, len(text), reason, cure)
    return round(weight, _DIGITS)


def _part(words: list[tuple[str, float]], weight: float) -> Iterator[PromptPart]:
    spans = _trim(_merge(words))
    if is_visible("".join(span.text for span in spans)):
        yield PromptPart(spans, weight)


def _merge(words: list[tuple[str, float]]) -> list[Span]:
    """Join neighbours of equal weight; every run of white space becomes one space."""
    texts: list[list[str]] = []
    weights: list[float] = []
    for text, weight in words:
        if not weights or weights[-1] != weight:
            texts.append([])
            weights.append(weight)
        texts[-1].append(text)
    joined = (one_space("".join(pieces)) for pieces in texts)
    return [Span(text, weight) for text, weight in zip(joined, weights, strict=True)]


def _trim(spans: list[Span]) -> tuple[Span, ...]:
    """Take the white space from both ends, and spans that were nothing else."""
    first, last = 0, len(spans)
    while first < last and not spans[first].text.strip():
        first += 1
    while last > first and not spans[last - 1].text.strip():
        last -= 1
    kept = spans[first:last]
    if kept:
        kept[0] = Span(kept[0].text.lstrip(), kept[0].weight)
        kept[-1] = Span(kept[-1].text.rstrip(), kept[-1].weight)
    return tuple(kept)
