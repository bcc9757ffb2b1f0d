"""What is said of a result whose prompt asked for more than could have an effect."""

import pytest

from bot.studio.remarks import remark_on
from bot.wording import translated
from engine.api import ImageToImage, StyleReference, TextToImage, plain

DRAWN = {"model": "atelier-pack", "prompt": plain("a fox"), "seed": 1, "width": 64, "height": 64}


@pytest.mark.parametrize(
    ("prompt", "says"),
    [
        ("a fox --strength 0.5", "--strength had no effect"),
        ("a fox --iw 2 --strength 0.5", "--strength --iw had no effect"),
        ("a fox --sw 200", "--sw had no effect"),
        ("a fox --seed 5", ""),
    ],
)
def test_flags_that_have_nothing_to_act_on_are_named(prompt: str, says: str) -> None:
    assert str(remark_on(TextToImage(**DRAWN), prompt)).startswith(says)
    assert bool(remark_on(TextToImage(**DRAWN), prompt)) == bool(says)


def test_flags_that_have_an_effect_are_not_remarked_on() -> None:
    drawn = ImageToImage(**DRAWN, source=b"png")
    assert remark_on(drawn, "a fox --strength 0.5 --iw 2") == ""
    styled = TextToImage(**DRAWN, style_references=(StyleReference(preset="udnie"),))
    assert remark_on(styled, "a fox --sref udnie --sw 200") == ""


def test_a_remark_is_said_in_chinese_too() -> None:
    assert "没有作用" in translated(remark_on(TextToImage(**DRAWN), "a fox --iw 2"), "zh")
