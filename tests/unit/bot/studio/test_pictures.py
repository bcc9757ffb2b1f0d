"""What pictures show, as it is kept and as it is told in other languages."""

import pytest

from bot.studio.contract import Operation
from bot.studio.pictures import MAX_ALT_TEXT, alt_text, recalled
from bot.wording import translated


@pytest.mark.parametrize("operation", Operation)
def test_what_is_kept_of_a_picture_is_told_in_chinese_too(operation: Operation) -> None:
    kept = alt_text("a red fox --seed 3", operation)
    told = recalled(str(kept), operation)
    assert told == kept
    assert "a red fox" in translated(told, "zh-CN")
    assert translated(told, "zh-CN") != kept
    assert translated(told, "en-US") == kept


def test_a_picture_without_words_is_called_so_in_both_languages() -> None:
    kept = alt_text("--seed 3", Operation.BLEND)
    assert kept == "Several pictures mixed into one: a picture"
    assert translated(recalled(kept, Operation.BLEND), "zh") == "多张图片混合成一张：一张图片"


def test_what_an_older_version_kept_is_told_as_it_is() -> None:
    assert translated(recalled("A fox.", Operation.IMAGINE), "zh-CN") == "A fox."


def test_a_long_prompt_is_cut_to_what_can_be_kept() -> None:
    kept = alt_text("fox " * 500, Operation.IMAGINE)
    assert (len(kept), kept[-1]) == (MAX_ALT_TEXT, "…")
