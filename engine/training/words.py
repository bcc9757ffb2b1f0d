"""The vocabulary file of a text encoder: one word piece a line, the line's number is its id."""

from collections.abc import Sequence
from pathlib import Path


def write_vocabulary(folder: Path, pieces: Sequence[str]) -> None:
    """Write `vocabulary.txt`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocabulary.txt").write_text("\n".join(pieces) + "\n", encoding="utf-8")


def read_words(folder: Path) -> list[str]:
    """The word pieces of `vocabulary.txt`."""
    return (folder / "vocabulary.txt").read_text(encoding="utf-8").splitlines()
