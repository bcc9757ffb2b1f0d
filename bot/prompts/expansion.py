"""From a text with permutations, dynamic parts and wildcards to concrete texts.

    {a, b}, {红，蓝}   permutation: a prompt for each, outer and inner ones multiply
    {a|b}, {2::a|b}   dynamic: one is drawn; a number before :: makes it likelier
    {2$$a|b|c}        two are drawn, joined by ", "; {1-2$$ and $$a|b} says how many and how joined
    __list__          an entry of the list is drawn; what it holds is drawn as well
    __places/*__      an entry of any list whose name fits

First everything dynamic is drawn, so that the permutations of one text share it and their number
is known before any is written out.
"""

import bisect
import heapq
import itertools
import math
import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from bot.prompts.errors import PromptError
from bot.prompts.lexical import ESCAPE, NUMBER, UNSPACED, clean
from bot.prompts.wildcards import NONE, Wildcards
from bot.wording import Said, said

DEFAULT_LIMIT = 10  # prompts one text may make
HIGHEST_LIMIT = 1000  # written out at once, whatever limit is asked for: they fill the memory
COUNT_CEILING = 10**9  # larger counts are reported as this
MAX_NESTING = 24  # braces in braces
MAX_WILDCARD_NESTING = 6  # lists whose entries name lists
MAX_DRAWN_CHARACTERS = 200_000

_COMMAS = ",，、"
_SPACED = rf"[^\W{UNSPACED}]"  # a character of other words
_TOKEN = re.compile(
    rf"(?P<escape>{ESCAPE})|(?P<link>https?://[^\s{{}}\\|]+)|(?P<mark>\$\$|[{{}}|{_COMMAS}])"
    # Words of scripts without spaces may stand right beside the underscores.
    rf"|(?<!{_SPACED})__(?P<list>[^\W_](?:[\w/*-]{{0,60}}?(?:[^\W_]|\*))?)__(?!{_SPACED})"
    rf"|(?P<words>[^\\{{}}|{_COMMAS}$_h]+|.)",
    re.DOTALL,
)
_COUNT = re.compile(r"\s*(?:(?P<exact>\d{1,4})|(?P<low>\d{0,4})\s*-\s*(?P<high>\d{0,4}))\s*")
_LIKELIHOOD = re.compile(rf"\s*(?P<number>{NUMBER})::")


@dataclass(frozen=True, slots=True)
class _Text:
    """Characters to write and where they were typed."""

    text: str
    position: int
    typed_length: int = -1  # where something shorter or longer was typed for them

    @property
    def source(self) -> tuple[int, int]:
        """Typed position and length."""
        return self.position, len(self.text) if self.typed_length < 0 else self.typed_length


@dataclass(frozen=True, slots=True)
class _Mark:
    """A separator within braces."""

    text: str  # "|", "$$" or a comma
    position: int


@dataclass(frozen=True, slots=True)
class _Listed:
    """A wildcard."""

    name: str
    position: int

    @property
    def length(self) -> int:
        return len(self.name) + 4  # underscores


@dataclass(frozen=True, slots=True)
class _Permutation:
    """Braces of which each option makes a prompt."""

    options: "tuple[_Sequence, ...]"
    position: int


@dataclass(frozen=True, slots=True)
class _Dynamic:
    """Braces of which some options are drawn."""

    options: "tuple[_Sequence, ...]"
    likelihoods: tuple[float, ...]
    least: int
    most: int
    joiner: "_Sequence"
    position: int


_Node: TypeAlias = _Text | _Listed | _Permutation | _Dynamic
_Sequence: TypeAlias = tuple[_Node, ...]


@dataclass(frozen=True, slots=True)
class Concrete:
    """A text without anything left to expand, and where each stretch of it was typed."""

    text: str
    starts: tuple[int, ...]  # offset in `text` where a stretch begins, ascending
    sources: tuple[tuple[int, int], ...]  # typed position and length of each stretch

    def typed(self, position: int, length: int) -> tuple[int, int]:
        """Typed position and length of a stretch of `text`."""
        start, _ = self._typed(position)
        end = self._typed(position + length - 1)[1] if length else start
        return start, max(0, end - start)

    def _typed(self, position: int) -> tuple[int, int]:
        """Where one character was typed: its begin and end."""
        index = max(bisect.bisect_right(self.starts, position) - 1, 0)
        if not self.starts:
            return position, position
        begin, length = self.sources[index]
        offset = position - self.starts[index]
        return begin + min(offset, length), begin + min(offset + 1, length)


def expand(
    text: str, *, wildcards: Wildcards = NONE, seed: int | None = None, limit: int = DEFAULT_LIMIT
) -> list[str]:
    """Write out the prompts a text makes, the leftmost permutation changing slowest.

    The same `seed` draws the same; None draws anew each time. No `limit` is taken for more than
    `HIGHEST_LIMIT`.
    Raises: PromptError where braces don't match, a list is unknown, or the count is over `limit`.
    """
    return [concrete.text for concrete in concretes(clean(text), wildcards, seed, limit)]


def count_expansions(text: str, *, wildcards: Wildcards = NONE, seed: int | None = None) -> int:
    """Count the prompts a text makes without writing them out; `COUNT_CEILING` at most.

    Raises: PromptError as `expand`, but never for the count.
    """
    return _count(_drawn(clean(text), wildcards, seed))


def concretes(text: str, wildcards: Wildcards, seed: int | None, limit: int) -> Iterator[Concrete]:
    """Write out the prompts of a cleaned text, each with where its characters were typed.

    Raises: PromptError as `expand`, before the first prompt.
    """
    nodes = _drawn(text, wildcards, seed)
    _check_count(nodes, min(limit, HIGHEST_LIMIT))
    return (_concrete(tuple(itertools.chain(*pieces))) for pieces in _alternatives(nodes))


def _check_count(nodes: _Sequence, limit: int) -> None:
    count = _count(nodes)
    if count > limit:
        first = next(node for node in nodes if _count((node,)) > 1)
        shown = Said("{count} or more", count=count) if count == COUNT_CEILING else str(count)
        reason = Said(
            "the braces make {count} prompts, and {most} may be made at once",
            count=shown,
            most=limit,
        )
        raise PromptError(first.position, 1, reason, "Leave some options out.")


def _concrete(pieces: Sequence[_Text]) -> Concrete:
    lengths = [len(piece.text) for piece in pieces]
    starts = tuple(itertools.accumulate(lengths, initial=0))[: len(pieces)]
    sources = tuple(piece.source for piece in pieces)
    return Concrete("".join(piece.text for piece in pieces), starts, sources)


def _count(nodes: _Sequence) -> int:
    total = 1
    for node in nodes:
        if isinstance(node, _Permutation):
            total = min(COUNT_CEILING, total * sum(_count(option) for option in node.options))
    return total


def _alternatives(nodes: _Sequence) -> Iterator[tuple[tuple[_Text, ...], ...]]:
    """For each prompt, the pieces of every node in order."""
    return itertools.product(*(_pieces(node) for node in nodes))


def _pieces(node: _Node) -> list[tuple[_Text, ...]]:
    match node:
        case _Text():
            return [(node,)]
        case _Permutation():
            return [
                tuple(itertools.chain(*choice))
                for option in node.options
                for choice in _alternatives(option)
            ]
        case _:
            raise AssertionError("everything dynamic has been drawn")


def _drawn(text: str, wildcards: Wildcards, seed: int | None) -> _Sequence:
    return _Draw(wildcards, random.Random(seed)).sequence(_read(text), 0)


@dataclass(slots=True)
class _Draw:
    """Draws everything dynamic of one text; keeps count of what is written."""

    wildcards: Wildcards
    rng: random.Random
    left: int = MAX_DRAWN_CHARACTERS

    def sequence(self, nodes: _Sequence, depth: int) -> _Sequence:
        return tuple(drawn for node in nodes for drawn in self._node(node, depth))

    def _node(self, node: _Node, depth: int) -> _Sequence:
        match node:
            case _Text():
                return (node,)
            case _Listed():
                return (self._entry(node, self.rng.choice(self._entries(node)), depth),)
            case _Permutation(options, position):
                drawn = tuple(self.sequence(option, depth) for option in options)
                return (_Permutation(drawn, position),)
            case _Dynamic():
                return self._dynamic(node, depth)

    def _entries(self, listed: _Listed) -> tuple[str, ...]:
        entries = self.wildcards.entries(listed.name)
        if not entries:
            near = self.wildcards.nearest(listed.name)
            known = ", ".join(self.wildcards.names[:10])
            cure: str = Said("There are: {names}.", names=known or Said("none"))
            if near:
                cure = Said("Did you mean {near}?", near=f"__{near}__")
            reason = Said("there is no list called {name}", name=listed.name[:40])
            raise PromptError(listed.position, listed.length, reason, cure)
        return entries

    def _entry(self, listed: _Listed, entry: str, depth: int) -> _Text:
        """Draw what an entry holds; permutations in a list are drawn as well, not multiplied."""
        if depth >= MAX_WILDCARD_NESTING:
            reason: str = Said("the list {name} leads to itself or too deep", name=listed.name)
            raise PromptError(listed.position, listed.length, reason, "Choose another list.")
        try:
            nodes = self.sequence(_read(clean(entry)), depth + 1)
        except PromptError as error:
            reason = Said(
                "an entry of the list {name} can't be used: {reason}",
                name=listed.name,
                reason=said(error.reason),
            )
            raise PromptError(listed.position, listed.length, reason, error.suggestion) from None
        text = "".join(self._any_text(nodes))
        self.left -= len(text)
        if self.left < 0:
            reason = "the lists make this prompt too long"
            raise PromptError(listed.position, listed.length, reason, "Use fewer of them.")
        return _Text(text, listed.position, listed.length)

    def _any_text(self, nodes: _Sequence) -> Iterator[str]:
        for node in nodes:
            match node:
                case _Text(text=text):
                    yield text
                case _Permutation(options):
                    yield from self._any_text(self.rng.choice(options))
                case _:
                    raise AssertionError("everything dynamic has been drawn")

    def _dynamic(self, node: _Dynamic, depth: int) -> _Sequence:
        options, likelihoods = self._options(node, depth)
        if node.least > len(options):
            reason = Said(
                "{wanted} can't be drawn from {count}", wanted=node.least, count=len(options)
            )
            raise PromptError(node.position, 1, reason, "Ask for fewer or add options.")
        count = self.rng.randint(node.least, max(node.least, min(node.most, len(options))))
        pieces: list[_Node] = []
        for index in self._indices(likelihoods, count):
            if pieces:
                pieces += node.joiner
            pieces += options[index]
        return self.sequence(tuple(pieces), depth)

    def _options(self, node: _Dynamic, depth: int) -> tuple[list[_Sequence], list[float]]:
        """Options of the braces; of a lone wildcard, its entries."""
        match node.options:
            case ((_Listed() as listed,),):
                entries = self._entries(listed)
                texts: list[_Sequence] = [
                    (self._entry(listed, entry, depth),)
                    for entry in self.rng.sample(entries, min(len(entries), max(1, node.most)))
                ]
                return texts, [1.0] * len(texts)
            case _:
                return list(node.options), list(node.likelihoods)

    def _indices(self, likelihoods: list[float], count: int) -> list[int]:
        """Draw without putting back (Efraimidis and Spirakis 2006: exponential clocks)."""
        clocks = [self.rng.expovariate(likelihood) for likelihood in likelihoods]
        return heapq.nsmallest(count, range(len(clocks)), key=clocks.__getitem__)


@dataclass(slots=True)
class _Level:
    """Braces that are still open, and what they hold so far."""

    position: int
    items: list[_Node | _Mark] = field(default_factory=list)


def _read(text: str) -> _Sequence:
    levels = [_Level(-1)]
    for match in _TOKEN.finditer(text):
        at = match.start()
        if match["mark"] == "{":
            levels.append(_Level(at))
            if len(levels) > MAX_NESTING:
                reason = "braces are nested too deep here"
                cure = Said("Nest {most} deep at most.", most=MAX_NESTING - 1)
                raise PromptError(at, 1, reason, cure)
        elif match["mark"] == "}":
            if len(levels) == 1:
                reason = "this } has no {"
                raise PromptError(at, 1, reason, r"Remove it, or write \} to mean it.")
            levels[-2].items.append(_braces(levels.pop()))
        else:
            levels[-1].items += _items(match, is_inside=len(levels) > 1)
    if len(levels) > 1:
        reason = "this { is never closed"
        raise PromptError(levels[-1].position, 1, reason, r"Add a }, or write \{ to mean it.")
    return tuple(_as_text(item) for item in levels[0].items)


def _items(match: re.Match[str], *, is_inside: bool) -> list[_Node | _Mark]:
    text, at = match[0], match.start()
    if match["mark"]:
        return [_Mark(text, at)] if is_inside else [_Text(text, at)]
    if match["list"]:
        return [_Listed(match["list"], at)]
    if match["escape"] in (r"\,", r"\，", r"\、", r"\|", r"\$") and is_inside:
        return [_Text(text[1:], at)]
    if match["link"] and is_inside:
        return _split_link(text, at)
    return [_Text(text, at)]


def _split_link(text: str, position: int) -> list[_Node | _Mark]:
    """In braces a comma ends a link."""
    items: list[_Node | _Mark] = []
    for piece in re.split(f"([{_COMMAS}])", text):
        if piece:
            items.append(_Mark(piece, position) if piece in _COMMAS else _Text(piece, position))
        position += len(piece)
    return items


def _as_text(item: _Node | _Mark) -> _Node:
    return _Text(item.text, item.position) if isinstance(item, _Mark) else item


def _is_mark(item: _Node | _Mark, marks: str) -> bool:
    return isinstance(item, _Mark) and item.text in marks


def _braces(level: _Level) -> _Node:
    if any(_is_mark(item, "|") or _is_mark(item, "$$") for item in level.items):
        return _dynamic(level)
    options = tuple(_stripped(option) for option in _split(level.items, _COMMAS))
    return _Permutation(options, level.position)


def _split(items: Sequence[_Node | _Mark], marks: str, most: int = -1) -> list[list[_Node | _Mark]]:
    options: list[list[_Node | _Mark]] = [[]]
    for item in items:
        if _is_mark(item, marks) and (most < 0 or len(options) <= most):
            options.append([])
        else:
            options[-1].append(item)
    return options


def _stripped(items: Sequence[_Node | _Mark]) -> _Sequence:
    """Nodes of an option without the white space around them."""
    nodes = [_as_text(item) for item in items]
    while nodes and isinstance(nodes[0], _Text):
        text = nodes[0].text.lstrip()
        if text:
            nodes[0] = _Text(text, nodes[0].position + len(nodes[0].text) - len(text))
            break
        nodes.pop(0)
    while nodes and isinstance(nodes[-1], _Text):
        text = nodes[-1].text.rstrip()
        if text:
            nodes[-1] = _Text(text, nodes[-1].position)
            break
        nodes.pop()
    return tuple(nodes)


def _dynamic(level: _Level) -> _Dynamic:
    *settings, rest = _split(level.items, "$$", most=2)
    least, most = _how_many(settings[0], level.position) if settings else (1, 1)
    joiner: _Sequence = (
        tuple(_as_text(item) for item in settings[1])
        if len(settings) > 1
        else (_Text(", ", level.position),)
    )
    likelihoods, options = zip(*map(_likelihood, _split(rest, "|")), strict=True)
    return _Dynamic(tuple(options), tuple(likelihoods), least, most, joiner, level.position)


def _how_many(items: Sequence[_Node | _Mark], position: int) -> tuple[int, int]:
    text = "".join(item.text if isinstance(item, _Text) else "?" for item in items)
    match = _COUNT.fullmatch(text)
    if match is None or not text.strip(" -"):
        reason = "before $$ there must be how many to draw"
        raise PromptError(position, 1, reason, r"Write {2$$a|b|c}, or \$ to mean a dollar.")
    if match["exact"]:
        return int(match["exact"]), int(match["exact"])
    low, high = int(match["low"] or 0), int(match["high"] or 9999)
    if low > high:
        reason = Said("{low} to {high} is no range", low=low, high=high)
        raise PromptError(position, 1, reason, "Put the smaller first.")
    return low, high


def _likelihood(items: Sequence[_Node | _Mark]) -> tuple[float, _Sequence]:
    nodes = _stripped(items)
    head = nodes[0] if nodes else None
    match = _LIKELIHOOD.match(head.text) if isinstance(head, _Text) else None
    if match is None or not isinstance(head, _Text):
        return 1.0, nodes
    likelihood = float(match["number"])
    if not 0 < likelihood <= 1e6 or math.isnan(likelihood):
        reason = Said("an option can't be {number} times as likely", number=match["number"][:20])
        raise PromptError(head.position, match.end(), reason, "Use a number above 0.")
    rest = _Text(head.text[match.end() :], head.position + match.end())
    return likelihood, _stripped((rest, *nodes[1:]))
