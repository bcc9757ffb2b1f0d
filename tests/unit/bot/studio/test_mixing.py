"""The words of what is made of pictures."""

import pytest

from bot.studio.mixing import blend_words
from bot.studio.restyling import A_PICTURE


@pytest.mark.parametrize(
    ("shown", "words"),
    [
        (["a fox", "an owl"], "a fox and an owl, blended"),
        (["a fox", A_PICTURE], "a fox and a picture, blended"),
        ([A_PICTURE, A_PICTURE], "a picture, blended"),
        (["a dream", "a dream"], "a dream, blended"),
    ],
)
def test_a_blend_names_what_it_mixes_once(shown, words):
    assert blend_words(shown, "") == words
    assert blend_words(shown, "a hill --seed 1") == "a hill --seed 1"
