"""English and Simplified Chinese: one catalogue of texts per language.

A text is named by its path in the catalogue, `result.by`, and filled with `str.format`. Commands
carry `locale_str` values that name their text, so that Discord shows them in the member's language.
"""

import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import resources
from typing import Any

import discord
from discord import app_commands

ENGLISH = "en"
CHINESE = "zh-CN"
LANGUAGES = (ENGLISH, CHINESE)


@cache
def catalogue(language: str) -> Mapping[str, str]:
    """All texts of a language by their dotted names."""
    file = resources.files(__package__) / "locales" / f"{language}.toml"
    return dict(_flattened(tomllib.loads(file.read_text(encoding="utf-8"))))


def language_of(locale: str) -> str:
    """The language in which to answer somebody whose Discord is set to `locale`."""
    return CHINESE if locale.lower().startswith("zh") else ENGLISH


class Words:
    """The texts of one language."""

    def __init__(self, locale: str) -> None:
        self.language = language_of(locale)
        self._texts = catalogue(self.language)

    def __call__(self, name: str, /, **values: object) -> str:
        """One text, filled in."""
        text = self._texts[name]
        return text.format(**values) if values else text


def phrase(name: str) -> app_commands.locale_str:
    """A text for a command's name, description or option; English with a way to the others."""
    return app_commands.locale_str(catalogue(ENGLISH)[name], key=name)


def described(command: str, *options: str) -> dict[str, app_commands.locale_str]:
    """Descriptions of a command's options, for `app_commands.describe`."""
    return {option: phrase(f"commands.{command}.options.{option}") for option in options}


class CommandTranslator(app_commands.Translator):
    """Gives Discord the Chinese of commands, options and choices."""

    async def translate(
        self,
        string: app_commands.locale_str,
        locale: discord.Locale,
        context: app_commands.TranslationContextTypes,  # noqa: ARG002
    ) -> str | None:
        """The text in `locale`, where there is a translation that differs."""
        key: Any = string.extras.get("key")
        if key is None or locale is not discord.Locale.chinese:
            return None
        return catalogue(CHINESE).get(key)


def duration(words: Words, seconds: float) -> str:
    """A rough length of time in words."""
    if seconds < 90:
        return words("time.seconds", count=max(1, round(seconds)))
    if seconds < 5400:
        return words("time.minutes", count=round(seconds / 60))
    return words("time.hours", count=round(seconds / 3600))


def _flattened(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield from _flattened(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", str(value)
