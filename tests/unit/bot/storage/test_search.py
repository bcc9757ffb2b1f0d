"""Words of prompts as they are stored and searched for."""

import pytest

from bot.storage.search import postgres_match, search_terms, search_words, sqlite_match


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("A Red-Fox, 3D!", "a red fox 3d"),
        ("Café ÜBER", "cafe uber"),
        ("小狗 dog狗", "小 狗 dog 狗"),
        ("snake_case", "snake case"),
        ("", ""),
    ],
)
def test_words_are_split_and_folded(text: str, words: str) -> None:
    assert search_words(text) == words


def test_a_chinese_word_is_a_phrase_of_its_characters() -> None:
    terms = search_terms("小狗 red")
    assert terms == (("小", "狗"), ("red",))
    assert sqlite_match(terms) == '"小 狗" AND "red"*'
    assert postgres_match(terms) == "('小' <-> '狗') & ('red':*)"


def test_a_search_has_a_bounded_number_of_terms() -> None:
    assert len(search_terms(" ".join(map(str, range(1000))))) == 16
