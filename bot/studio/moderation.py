"""Who may not make pictures, and which words may not be in prompts. Pure.

Words are found whole, whatever their case and accents: `nude` in "Nüde!", not in "denuded". Of
scripts that put no spaces between words each character counts as a word, so that they are found
anywhere.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from bot.errors import LimitReached, NotAllowed
from bot.studio.contract import Caller, GuildRules
from bot.wording import Said
from engine.api import Diffusion, Morph, Prompt, Request, Stylize

# Accents, and what has no shape of its own; vowel signs of Indic scripts are not among them.
_MARKS = re.compile(r"[\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe00-\ufe2f]")
# Thai, Lao, Myanmar and Khmer; kana and Chinese characters.
_UNSPACED = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\u9fff\uf900-\ufaff]")
_WORD = re.compile(r"[^\W_]+")


@dataclass(frozen=True, kw_only=True, slots=True)
class OperatorRules:
    """What the operator forbids everywhere."""

    blocked_members: frozenset[int] = frozenset()
    forbidden_words: tuple[str, ...] = ()


NOTHING_FORBIDDEN = OperatorRules()


def require_welcome(caller: Caller, rules: GuildRules, everywhere: OperatorRules) -> None:
    """Refuse members whom the operator or the guild's admins have blocked.

    Raises:
        NotAllowed: says who decided it, and may be asked.
    """
    if caller.owner_id in everywhere.blocked_members:
        raise NotAllowed("you are blocked from making pictures here; ask whoever runs this bot")
    if caller.owner_id in rules.blocked_members:
        raise NotAllowed("you are blocked from making pictures in this server; ask its admins")


def require_allowed_words(
    texts: Iterable[str], rules: GuildRules, everywhere: OperatorRules
) -> None:
    """Refuse texts with a word that the operator or the guild's admins forbid.

    Raises:
        NotAllowed: names the word.
    """
    forbidden = (*everywhere.forbidden_words, *rules.forbidden_words)
    if not forbidden:
        return
    read = {_as_words(text) for text in texts}
    for word in forbidden:
        wanted = _as_words(word)
        if any(wanted in text for text in read):
            raise NotAllowed(Said("the word {word} is forbidden here; leave it out", word=word))


def require_findable(words: Iterable[str]) -> None:
    """Refuse what could be found in no prompt, because it is no word.

    Raises:
        LimitReached: names it.
    """
    for word in words:
        if not _WORD.search(word):
            raise LimitReached(
                Said("{word!r} can't be forbidden; name words of letters or digits", word=word[:40])
            )


def drawn_words(request: Request) -> Iterator[str]:
    """The words that a request is drawn from, its look and defaults included."""
    match request:
        case Diffusion() | Stylize():
            yield _shown(request.prompt)
        case Morph():
            yield from (_shown(stop.prompt) for stop in request.stops)
        case _:
            pass


def _shown(prompt: Prompt) -> str:
    """The words of a prompt but for those that it avoids, which a model's entry adds, too."""
    return ", ".join(part.text for part in prompt if part.weight > 0)


def _as_words(text: str) -> str:
    """The words of a text in a form to be compared, each between spaces."""
    apart = _MARKS.sub("", unicodedata.normalize("NFKD", text))
    shaped = "".join(one for one in apart if unicodedata.category(one) != "Cf")
    plain = unicodedata.normalize("NFKC", shaped).casefold()
    words = _WORD.findall(_UNSPACED.sub(r" \g<0> ", plain))
    return f" {' '.join(words)} "
