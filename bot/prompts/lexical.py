"""The small words of the grammar: escapes, numbers, links, and where a flag begins."""

import difflib
import re
import unicodedata
from collections.abc import Collection
from dataclasses import dataclass

# A backslash makes each of these an ordinary character; before anything else it is itself one.
SPECIAL = r"\()[]{}<>|,:$_-–—\"，、"
ESCAPE = r"\\[" + re.escape(SPECIAL) + "]"
# No two parts of a pattern may match the same characters: time must grow with the text's length.
NUMBER = r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?"
LINK = r"https?://[^\s<>{}|\\^`\",][^\s<>{}|\\^`\"]*"

_ESCAPED = re.compile(r"\\([" + re.escape(SPECIAL) + "])")
# Chinese, Japanese and Korean words and marks, behind and before which nobody types a space.
UNSPACED = r"\u3000-\u30ff\u3400-\u9fff\uac00-\ud7af\uff00-\uffef"
# Some type none behind a comma either.
GLUE = rf"[,.;?!)\]}}\"'”’{UNSPACED}]"
MARKS = ",，、。；"  # that may stand between flags
# Phones and word processors make one long dash of two short ones, Chinese keyboards a pair of them.
_FLAG = re.compile(
    rf"(?:^|(?<=\s)|(?<=(?P<glue>{GLUE})))(?P<dash>--|——?|–)(?P<name>[^\W\d_][\w-]*)"
)
# NUL and its kind can't be stored by PostgreSQL, half surrogates not be encoded at all.
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_SURROGATE = re.compile(r"[\ud800-\udfff]")
_SPACES = re.compile(r"\s+")
# Characters without a shape of their own: zero-width ones, marks of direction, selectors.
_INVISIBLE = re.compile(
    r"[\s\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e"
    r"\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\U000e0000-\U000e0fff]"
)
# What stands right behind a flag's name and can be its value alone.
_GLUED_NUMBERS = re.compile(r"\d+(?:x\d+)?")


@dataclass(frozen=True, slots=True)
class FlagStart:
    """Where a flag begins in a text, and its name as it was typed."""

    position: int
    name: str
    end: int  # just behind the name


def clean(text: str) -> str:
    """Replace, one for one, characters that can't be stored; positions stay true."""
    return _SURROGATE.sub("\N{REPLACEMENT CHARACTER}", _UNPRINTABLE.sub(" ", text))


def unescape(text: str) -> str:
    """Take the backslash from escaped characters."""
    return _ESCAPED.sub(r"\1", text)


def one_space(text: str) -> str:
    """Make one space of every run of white space."""
    return _SPACES.sub(" ", text)


def is_visible(text: str) -> bool:
    """Tell whether there is anything to see in a text."""
    return bool(_INVISIBLE.sub("", text))


def says_something(text: str) -> bool:
    """Tell whether there is a letter, digit, emoji or another symbol in a text, or marks alone."""
    return any(_is_saying(character) for character in text)


def _is_saying(character: str) -> bool:
    kind = unicodedata.category(character)
    is_symbol = kind in ("So", "Sc", "Me") or (kind[0] == "S" and not character.isascii())
    return kind[0] in "LN" or is_symbol


def find_flag(text: str, start: int, known: Collection[str]) -> FlagStart | None:
    """Find the first flag at or after `start`.

    A long dash also belongs to prose, so that it begins a flag only before a name that is `known`
    or nearly so. So do two short ones right behind a word or mark: there the name must be known.
    """
    for match in _FLAG.finditer(text, start):
        name = match["name"]
        is_short = match["dash"] == "--"
        if match["glue"]:
            is_flag = is_short and _is_known(name.lower(), known)
        else:
            is_flag = is_short or _is_nearly_known(name.lower(), known)
        if is_flag:
            return FlagStart(match.start(), name, match.end())
    return None


def _is_known(name: str, known: Collection[str]) -> bool:
    return name in known or _has_glued_number(name, known)


def _is_nearly_known(name: str, known: Collection[str]) -> bool:
    if _is_known(name, known):
        return True
    # A slip of the finger seldom changes the beginning; most words of prose end here.
    alike = [other for other in known if len(other) > 3 and other[:2] == name[:2]]
    return bool(alike and nearest(name, alike, cutoff=0.8))


def _has_glued_number(name: str, known: Collection[str]) -> bool:
    """Tell a known name with a number right behind it; `r2` may be a name in prose."""
    return any(
        len(other) > 1 and name.startswith(other) and _GLUED_NUMBERS.fullmatch(name[len(other) :])
        for other in known
    )


def nearest(name: str, names: Collection[str], *, cutoff: float = 0.6) -> str:
    """Give the one of `names` most like `name`, or an empty string."""
    if len(name) > 40:  # no name is that long, and comparing costs the product of the lengths
        return ""
    return next(iter(difflib.get_close_matches(name, names, n=1, cutoff=cutoff)), "")
