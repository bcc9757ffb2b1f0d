"""Words of prompts, prepared so that both databases find them fast, Chinese included.

SQLite's FTS5 and PostgreSQL's text search both split at spaces, and neither knows Chinese words.
So prompts are stored as words that are split here: lower case, without accents, and each
ideograph, kana or Hangul syllable by itself. A search for 小狗 then looks for 小 followed by 狗.
Words match by their beginning ("cat" finds "cats"). Emoji are no words, and are looked for in the
prompts themselves.
"""

import re
import unicodedata
from collections.abc import Iterable

_WORD = re.compile(r"[^\W_]+")
# Scripts written without spaces: ideographs, kana, Hangul, Thai.
_LONE = re.compile(
    "[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff"
    "\U00020000-\U0003ffff]"
)
MAX_WORD = 60  # characters kept of one word
MAX_TERMS = 16  # terms of one search that count


def search_words(*texts: str) -> str:
    """The words of some texts, as they are stored: split by single spaces."""
    return " ".join(piece for text in texts for piece in _pieces(text))


def search_terms(text: str) -> tuple[tuple[str, ...], ...]:
    """The terms of a search; each is a phrase of one or more words, and all must be found."""
    terms = (tuple(_split_lone(word)) for word in _words(text))
    return tuple(dict.fromkeys(term for term in terms if term))[:MAX_TERMS]


def search_symbols(text: str) -> tuple[str, ...]:
    """The emoji and their like of a search; all must be found."""
    symbols = (one for one in text if unicodedata.category(one) == "So")
    return tuple(dict.fromkeys(symbols))[:MAX_TERMS]


def sqlite_match(terms: Iterable[tuple[str, ...]]) -> str:
    """The terms as an FTS5 expression."""
    return " AND ".join(f'"{" ".join(term)}"' + _star(term, "*") for term in terms)


def postgres_match(terms: Iterable[tuple[str, ...]]) -> str:
    """The terms as the text of a PostgreSQL tsquery."""
    return " & ".join(
        "(" + " <-> ".join(f"'{word}'" for word in term) + _star(term, ":*") + ")" for term in terms
    )


def _star(term: tuple[str, ...], mark: str) -> str:
    return "" if _LONE.fullmatch(term[-1]) else mark


def _words(text: str) -> Iterable[str]:
    plain = unicodedata.normalize("NFKD", text.casefold())
    kept = "".join(c for c in plain if not unicodedata.combining(c))
    return _WORD.findall(unicodedata.normalize("NFC", kept))


def _pieces(text: str) -> Iterable[str]:
    for word in _words(text):
        yield from _split_lone(word)


def _split_lone(word: str) -> Iterable[str]:
    spaced = _LONE.sub(lambda match: f" {match.group()} ", word)
    return (piece[:MAX_WORD] for piece in spaced.split())
