"""What a morph passes through, as it is typed: a seed, an image's id, or words.

123456        the dream of a seed
k3j9x0a2bd    an image of the gallery, where there is one of that id
a red fox     words; flags may follow
"""

import re

from bot.errors import LimitReached, NotFound
from bot.studio.contract import Caller, MorphStop, Studio
from bot.wording import Said

SEPARATOR = "|"
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
    return [await stop_of(studio, caller, part) for part in text.split(SEPARATOR) if part.strip()]


def read_weights(text: str) -> tuple[float, ...]:
    """Weights as typed, `2:1:1` or `2 1 1`; none of an empty text.

    Raises:
        LimitReached: it holds something else.
    """
    parts = re.split(r"[:,;\s]+", text.strip()) if text.strip() else []
    try:
        return tuple(float(part) for part in parts)
    except ValueError:
        raise LimitReached(
            Said("weights are numbers such as 2:1:1, not {given}", given=text[:40])
        ) from None
