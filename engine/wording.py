"""Texts that remember how they were made, so that a caller can say them in another language."""

from collections.abc import Mapping
from typing import Any, Self


class Said(str):
    """An English text made of a template and values: `Said("there is no flag --{name}", name=x)`.

    A value may be such a text itself; any other value is a name or a number, the same in every
    language. Without values the template is the text, braces and all.
    """

    template: str
    values: Mapping[str, Any]

    __slots__ = ("template", "values")

    def __new__(cls, template: str, **values: Any) -> Self:
        """Fill the template in, as `str.format` does."""
        said = super().__new__(cls, template.format(**values) if values else template)
        said.template = template
        said.values = values
        return said

    def __getnewargs_ex__(self) -> tuple[tuple[str], dict[str, Any]]:
        return (self.template,), dict(self.values)


def said(text: str) -> Said:
    """The text itself where it remembers how it was made, else one that has no values."""
    return text if isinstance(text, Said) else Said(text)
