"""Texts for members that remember how they were made, so that they can be said in Chinese too.

English is written where the text is made; the catalogue `wording.zh-CN.toml` has its Chinese under
the English. A text without values is its own name there.
"""

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any, Self

CHINESE = "zh-CN"


class Said(str):
    """An English text made of a template and values: `Said("there is no flag --{name}", name=x)`.

    A value may be such a text itself.
    """

    template: str
    values: Mapping[str, Any]

    __slots__ = ("template", "values")

    def __new__(cls, template: str, **values: Any) -> Self:
        """Fill the template in, as `str.format` does."""
        said = super().__new__(cls, template.format(**values))
        said.template = template
        said.values = values
        return said

    def __getnewargs_ex__(self) -> tuple[tuple[str], dict[str, Any]]:
        return (self.template,), dict(self.values)


def translated(text: str, locale: str) -> str:
    """A text in the language of a locale; in English where it has no translation."""
    if not locale.lower().startswith("zh"):
        return str(text)
    if not isinstance(text, Said):
        return chinese().get(text, text)
    values = {
        name: translated(value, locale) if isinstance(value, str) else value
        for name, value in text.values.items()
    }
    return chinese().get(text.template, text.template).format(**values)


@cache
def chinese() -> Mapping[str, str]:
    """The Chinese of templates and whole texts, by their English."""
    file = resources.files(__package__) / f"wording.{CHINESE}.toml"
    return tomllib.loads(file.read_text(encoding="utf-8"))
