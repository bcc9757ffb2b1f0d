"""Named lists for `__name__` in a prompt."""

import difflib
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from types import MappingProxyType


class Wildcards:
    """Immutable lists of words by name; names are compared without regard to case."""

    def __init__(self, lists: Mapping[str, Iterable[str]]) -> None:
        self._lists = MappingProxyType(
            {name.casefold(): tuple(entries) for name, entries in lists.items()}
        )

    @classmethod
    def from_texts(cls, texts: Mapping[str, str]) -> "Wildcards":
        """Read lists as files hold them: an entry per line, blank and `#` lines left out."""
        return cls({name: _entries(text) for name, text in texts.items()})

    @property
    def names(self) -> tuple[str, ...]:
        """All names in alphabetical order."""
        return tuple(sorted(self._lists))

    def entries(self, name: str) -> tuple[str, ...]:
        """Entries of the list called `name`; none where there is no such list.

        A `*` stands for any part of a name: then they are those of all lists that are meant.
        """
        wanted = name.casefold()
        if "*" not in wanted:
            return self._lists.get(wanted, ())
        meant = (name for name in self.names if fnmatchcase(name, wanted))
        return tuple(entry for name in meant for entry in self._lists[name])

    def nearest(self, name: str) -> str:
        """Give the existing name most like `name`, or an empty string."""
        return next(iter(difflib.get_close_matches(name.casefold()[:40], self._lists, n=1)), "")


def _entries(text: str) -> list[str]:
    lines = (line.strip() for line in text.splitlines())
    return [line for line in lines if line and not line.startswith("#")]


NONE = Wildcards({})
