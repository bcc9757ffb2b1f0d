"""What of a prompt and its options must be known before it is submitted."""

import pytest

from bot.errors import NotFound
from bot.faces.discord.commands.choices import known_preset
from bot.faces.discord.commands.imagine import with_flags
from bot.faces.discord.components.confirmation import expected_jobs, may_make_several
from bot.faces.discord.localisation import Words
from bot.faces.discord.submission import stated_privacy


@pytest.mark.parametrize(
    ("text", "is_private"),
    [
        ("a fox", None),
        ("a fox --private", True),
        ("a fox —private", True),
        ("a fox --PUBLIC", False),
        ("a private fox", None),
        ("a fox --private --public", False),
    ],
)
def test_flags_say_who_may_see_a_result(text, is_private):
    assert stated_privacy(text) is is_private


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("a fox", 1),
        ("a {red, blue} fox", 2),
        ("a {red, blue} fox --repeat 3", 6),
        ("a {red|blue} fox", 1),
        ("a fox --caos 3", 1),
        ("", 1),
        ("{" * 50, 1),
    ],
)
def test_the_number_of_jobs_is_known_beforehand(text, count):
    assert expected_jobs(text) == count


@pytest.mark.parametrize(
    ("text", "is_possible"),
    [
        ("a fox, an owl", False),
        ("a {fox|owl}, sunset", False),
        ("a {fox, owl}", True),
        ("a {bear|{fox, owl}}", True),
        ("a fox {|--repeat 3}", True),
        ("a __animal__ --r 2", True),
    ],
)
def test_several_jobs_are_reckoned_with_whatever_is_drawn(text, is_possible):
    assert may_make_several(text) is is_possible


def test_options_become_flags_and_absent_ones_do_not():
    flags = {"model": None, "ar": "3:2", "images": 2, "seed": 0}
    assert with_flags(" a fox ", flags) == "a fox --ar 3:2 --images 2 --seed 0"


def test_a_preset_is_known_by_name_and_title_or_is_none():
    for typed, name in (("Pixel Art", "pixel-art"), ("None", "none"), ("", None), (None, None)):
        assert known_preset(typed, Words("en")) == name
    with pytest.raises(NotFound, match="nonsense"):
        known_preset("nonsense", Words("en"))
