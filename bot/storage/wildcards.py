"""Wildcard lists as an operator keeps them: text files in a folder.

animals.txt          an entry a line; `__animals__` in a prompt draws one
places/cities.txt    `__places/cities__`
"""

from pathlib import Path

from bot.errors import BadConfiguration


def wildcard_texts(folder: Path) -> dict[str, str]:
    """The contents of all lists in a folder by their names; none where there is no folder.

    Raises:
        BadConfiguration: a list can't be read; says which.
    """
    texts = {}
    for path in sorted(folder.rglob("*.txt")):
        name = path.relative_to(folder).with_suffix("").as_posix()
        try:
            texts[name] = path.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            reason = f"{path} can't be read ({error}); it must be a text file in UTF-8"
            raise BadConfiguration("ATELIER_WILDCARDS_DIR", reason) from error
    return texts
