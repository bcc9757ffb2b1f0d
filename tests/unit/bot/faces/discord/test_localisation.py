"""Both catalogues say the same things."""

import string

import discord
import pytest
from discord import app_commands

from bot.faces.discord.localisation import (
    CHINESE,
    ENGLISH,
    CommandTranslator,
    Words,
    catalogue,
    duration,
    language_of,
    phrase,
)


def fields(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def test_both_languages_have_the_same_texts():
    assert catalogue(ENGLISH).keys() == catalogue(CHINESE).keys()


def test_both_languages_fill_in_the_same_values():
    names = catalogue(ENGLISH).keys() - {"help.text"}  # whose braces are the grammar's
    differing = [
        name
        for name in names
        if fields(catalogue(ENGLISH)[name]) != fields(catalogue(CHINESE)[name])
    ]
    assert differing == []


@pytest.mark.parametrize("language", [ENGLISH, CHINESE])
def test_no_text_is_empty_and_button_labels_fit(language):
    texts = catalogue(language)
    assert all(text.strip() for text in texts.values())
    assert all(len(text) <= 80 for name, text in texts.items() if name.startswith("buttons."))
    assert len(texts["help.text"]) <= 4000


@pytest.mark.parametrize(
    ("locale", "language"),
    [("en-US", ENGLISH), ("zh-CN", CHINESE), ("zh-TW", CHINESE), ("de", ENGLISH), ("", ENGLISH)],
)
def test_members_are_answered_in_the_nearest_language(locale, language):
    assert language_of(locale) == language


def test_values_are_filled_in():
    assert Words("zh-CN")("result.seed", seed=7) == "种子 7"


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.2, "1 s"), (40, "40 s"), (300, "5 min"), (7200, "2 h")]
)
def test_durations_are_rough(seconds, text):
    assert duration(Words("en"), seconds) == text


async def test_discord_is_told_the_chinese_of_a_command():
    translator = CommandTranslator()
    context = app_commands.TranslationContext(
        app_commands.TranslationContextLocation.command_name, None
    )
    name = phrase("commands.help.name")
    assert await translator.translate(name, discord.Locale.chinese, context) == "帮助"
    assert await translator.translate(name, discord.Locale.german, context) is None
    plain = app_commands.locale_str("3:2")
    assert await translator.translate(plain, discord.Locale.chinese, context) is None
