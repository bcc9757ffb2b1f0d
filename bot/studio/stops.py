"""What a morph passes through, as it is typed: a seed, an image's id, or words.

123456        the dream of a seed
k3j9x0a2bd    an image of the gallery, where there is one of that id
a red fox     words; flags may follow

Between stops stands `|`; within braces, or behind a backslash, it belongs to the words.
"""

import re

from bot.errors import LimitReached, NotFound
from bot.studio.contract import Caller, MorphStop, Studio
from bot.wording import Said

SEPARATOR = "|"
MOST_WEIGHT = 1_000_000  # as the engine takes it
_MARK = re.compile(r"\\.|[{}|]", re.DOTALL)
_SEED = re.compile(r"\d{1,10}")
_IMAGE = re.compile(r"[0-9a-z]{8,12}(:\d)?")


async def stop_of(studio: Studio, caller: Caller, text: str) -> MorphStop:
    """The stop that a text names."""
    typed = text.strip()
    if _SEED.fullmatch(typed):
        return MorphStop(seed=int(typed))
    if _IMAGE.fullmatch(typed):
        try:
            return MorphStop(image=(await studio.image(caller, typed)).id)
        except NotFound:
            return MorphStop(prompt=typed)
    return MorphStop(prompt=typed)


async def stops_of(studio: Studio, caller: Caller, text: str) -> list[MorphStop]:
    """The stops of a text that separates them by `|`; none of an empty one."""
    return [await stop_of(studio, caller, part) for part in parts_of(text) if part.strip()]


def parts_of(text: str) -> list[str]:
    """Cut a text at each `|` that stands outside of braces and is not escaped."""
    parts, begin, depth = [], 0, 0
    for mark in _MARK.finditer(text):
        if mark[0] == "{":
            depth += 1
        elif mark[0] == "}":
            depth = max(depth - 1, 0)
        elif mark[0] == SEPARATOR and not depth:
            parts.append(text[begin : mark.start()])
            begin = mark.end()
    return [*parts, text[begin:]]


def ids_of(text: str) -> list[str]:
    """Ids of images as typed or copied: behind spaces or commas, perhaps within backticks."""
    return [part for part in re.split(r"[`,;\s]+", text) if part]


def read_weights(text: str) -> tuple[float, ...]:
    """Weights as typed, `2:1:1` or `2 1 1`; none of an empty text.

    Raises:
        LimitReached: it holds something else.
    """
    parts = re.split(r"[:,;\s]+", text.strip()) if text.strip() else []
    try:
        weights = tuple(float(part) for part in parts)
    except ValueError:
        weights = ()
    is_usable = any(weights) and all(0 <= weight <= MOST_WEIGHT for weight in weights)
    if parts and not is_usable:
        raise LimitReached(Said("weights are numbers such as 2:1:1, not {given}", given=text[:40]))
    return weights
