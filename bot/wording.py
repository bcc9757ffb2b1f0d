"""Texts for members that remember how they were made, so that they can be said in Chinese too.

English is written where the text is made; the catalogue `wording.zh-CN.toml` has its Chinese under
the English. A text without values is its own name there.
"""

import tomllib
from collections.abc import Mapping
from functools import cache, reduce
from importlib import resources
from typing import Any

from engine.api import Said, said

__all__ = ["Said", "as_plain", "chinese", "from_plain", "joined", "said", "translated"]

CHINESE = "zh-CN"


def joined(*texts: str) -> str:
    """Texts one after the other; those that say nothing are left out."""
    told = [said(text) for text in texts if text]
    if not told:
        return ""
    return reduce(lambda first, second: Said("{first} {second}", first=first, second=second), told)


def translated(text: str, locale: str) -> str:
    """A text in the language of a locale; in English where it has no translation."""
    if not locale.lower().startswith("zh"):
        return str(text)
    if not isinstance(text, Said):
        return chinese().get(text, text)
    template = chinese().get(text.template, text.template)
    if not text.values:
        return template
    values = {
        name: translated(value, locale) if isinstance(value, Said) else value
        for name, value in text.values.items()
    }
    return template.format(**values)


def as_plain(text: str) -> dict[str, Any] | None:
    """How a text was made, as JSON values; None for one that does not remember."""
    if not isinstance(text, Said):
        return None
    values = {
        name: as_plain(value) if isinstance(value, Said) else value
        for name, value in text.values.items()
    }
    return {"template": text.template, "values": values}


def from_plain(made: Mapping[str, Any]) -> Said:
    """The text of which `as_plain` told how it was made."""
    values = {
        name: from_plain(value) if isinstance(value, Mapping) else value
        for name, value in made["values"].items()
    }
    return Said(made["template"], **values)


@cache
def chinese() -> Mapping[str, str]:
    """The Chinese of templates and whole texts, by their English."""
    file = resources.files(__package__) / f"wording.{CHINESE}.toml"
    return tomllib.loads(file.read_text(encoding="utf-8"))
