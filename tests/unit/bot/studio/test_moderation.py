"""Which words are found in a prompt, and which are not."""

import pytest

from bot.errors import LimitReached, NotAllowed
from bot.studio.contract import Caller, GuildRules
from bot.studio.moderation import (
    NOTHING_FORBIDDEN,
    OperatorRules,
    drawn_words,
    require_allowed_words,
    require_findable,
    require_welcome,
)
from engine.api import Morph, PromptPart, Span, TextToImage, Waypoint


def is_refused(text: str, *words: str) -> bool:
    try:
        require_allowed_words([text], GuildRules(forbidden_words=words), NOTHING_FORBIDDEN)
    except NotAllowed:
        return True
    return False


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("a nude, in oil", "nude"),
        ("a NUDE!", "nude"),
        ("un nu dénudé", "denude"),
        ("Straße", "strasse"),
        ("nu\u200bd\u00ade", "nude"),
        ("n\u0336u\u0336d\u0336e\u0336", "nude"),
        ("ｎｕｄｅ", "nude"),
        ("a_nude_figure", "nude"),
        ("two words,  together", "words together"),
        ("画一个裸体少女", "裸体"),
        ("が", "が"),
        ("ภาพเปลือยสวย", "เปลือย"),
    ],
)
def test_a_word_is_found_whatever_its_case_accents_and_disguise(text: str, word: str) -> None:
    assert is_refused(text, word)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("a denuded hill", "nude"),
        ("the town of Scunthorpe", "cunt"),
        ("an assassin", "ass"),
        ("words, and together", "words together"),
        ("か", "が"),
        ("a fox", "..."),
        ("", "nude"),
    ],
)
def test_parts_of_other_words_are_no_false_alarm(text: str, word: str) -> None:
    assert not is_refused(text, word)


def test_the_word_is_named_as_it_was_forbidden() -> None:
    everywhere = OperatorRules(forbidden_words=("Nude",))
    with pytest.raises(NotAllowed, match="the word Nude is forbidden here"):
        require_allowed_words(["a fox", "nudé"], GuildRules(), everywhere)


def test_what_is_no_word_can_not_be_forbidden() -> None:
    require_findable(["nude", "裸体", "4chan"])
    with pytest.raises(LimitReached, match=r"'\.\.'"):
        require_findable(["nude", ".."])


def test_words_are_those_of_all_parts_but_what_is_avoided() -> None:
    parts = (
        PromptPart((Span("a na", 1.2), Span("ked fox"))),
        PromptPart((Span("blood"),), -0.5),
    )
    drawing = TextToImage(model="tiny", prompt=parts, seed=1)
    assert list(drawn_words(drawing)) == ["a naked fox"]
    morph = Morph(stops=(Waypoint(prompt=parts), Waypoint(seed=1)), drawing=drawing, dreams="tiny")
    assert "a naked fox" in list(drawn_words(morph))


def test_a_block_says_who_decided_it() -> None:
    rules = GuildRules(blocked_members=(5,))
    with pytest.raises(NotAllowed, match="ask its admins"):
        require_welcome(Caller(owner_id=5, guild_id=9), rules, NOTHING_FORBIDDEN)
    everywhere = OperatorRules(blocked_members=frozenset({6}))
    with pytest.raises(NotAllowed, match="whoever runs this bot"):
        require_welcome(Caller(owner_id=6), rules, everywhere)
    require_welcome(Caller(owner_id=7), rules, everywhere)
