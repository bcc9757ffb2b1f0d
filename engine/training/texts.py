"""Texts: what the text encoder learns from, and prompts for sample sheets."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import numpy as np

from engine.training.captions import BACKGROUND_WORDS, LOOK_WORDS, plural
from engine.training.pictures import read_pictures
from engine.training.subjects import read_nouns

_PATTERNS = ("{}", "a {}", "a picture of a {}", "two {}", "{} at night")


def sheet_prompts() -> list[str]:
    """Thirty-two prompts that show at a glance what a denoiser can draw."""
    text = (files("engine.training") / "sheet_prompts.txt").read_text(encoding="utf-8")
    return text.splitlines()


def lesson_texts(
    captions: Sequence[str], pieces: Sequence[str], data: Path, seed: int
) -> list[str]:
    """Captions, names and keywords of the pictures, and every whole word in small phrases."""
    rng = np.random.default_rng([seed, 5])
    texts = set(captions)
    for noun in read_nouns():
        for word in (noun.name, *noun.synonyms):
            texts.update(pattern.format(word) for pattern in _PATTERNS)
    for picture in read_pictures(data):
        keywords = [word.strip() for word in picture.columns.get("keywords", "").split(",")]
        texts.update((picture.name, *keywords))
    texts.update(_phrases([piece for piece in pieces if piece.isalpha() and len(piece) > 2], rng))
    texts.discard("")
    return sorted(texts)


def _phrases(words: Sequence[str], rng: np.random.Generator) -> list[str]:
    looks = [word for group in LOOK_WORDS.values() for word in group]
    grounds = [word.format(c="blue") for group in BACKGROUND_WORDS.values() for word in group]
    numbers = ("one", "two", "three", "four", "five", "many")
    phrases = []
    for word in words:
        other = words[int(rng.integers(len(words)))]
        look, ground = str(rng.choice(looks)), str(rng.choice(grounds))
        phrases += [word, f"a {word}"]
        phrases.append(
            (
                f"{word} {other}",
                f"a {word} {ground}, {look}",
                f"{look} of a {word} and a {other}",
                f"{rng.choice(numbers)} {plural(word)} {ground}",
            )[int(rng.integers(4))]
        )
    return phrases


def read_table(path: Path) -> list[dict[str, str]]:
    """Rows of a tab-separated file with a header."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return list(csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE))


@dataclass(frozen=True, slots=True)
class PagePrompt:
    """A prompt of the page by which people judge the pack, and its caption in Latin letters."""

    prompt: str
    caption: str


def page_prompts() -> list[PagePrompt]:
    """The sixty-four prompts of the page; where a line has a tab, the caption follows it."""
    text = (files("engine.training") / "page_prompts.txt").read_text(encoding="utf-8")
    parts = [line.partition("\t") for line in text.splitlines()]
    return [PagePrompt(prompt, caption or prompt) for prompt, _, caption in parts]
