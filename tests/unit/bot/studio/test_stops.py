"""What a morph passes through and how pictures weigh, as it is typed."""

import pytest

from bot.errors import LimitReached
from bot.studio.contract import Caller, MorphStop
from bot.studio.stops import read_weights, stops_of

CALLER = Caller(owner_id=1)
FOX, BIRD = MorphStop(prompt="a fox"), MorphStop(prompt="a {red|blue} bird")


@pytest.mark.parametrize(
    ("text", "stops"),
    [
        ("", []),
        ("a fox", [FOX]),
        ("a fox | 7", [FOX, MorphStop(seed=7)]),
        ("a {red|blue} bird | 7", [BIRD, MorphStop(seed=7)]),
        ("a fox|a {red|blue} bird||", [FOX, BIRD]),
        ("{a|{b|c}} d | a fox", [MorphStop(prompt="{a|{b|c}} d"), FOX]),
        (r"a \| b | a fox", [MorphStop(prompt=r"a \| b"), FOX]),
        (r"a \{ | a fox", [MorphStop(prompt=r"a \{"), FOX]),
        (r"a \\| a fox", [MorphStop(prompt="a \\\\"), FOX]),
        ("a } | a fox", [MorphStop(prompt="a }"), FOX]),
        ("a { b | c", [MorphStop(prompt="a { b | c")]),
    ],
)
async def test_stops_are_cut_outside_of_braces_alone(text, stops):
    assert await stops_of(None, CALLER, text) == stops


def test_weights_are_read_from_what_is_typed():
    assert read_weights(" 2:1, 0.5") == (2.0, 1.0, 0.5)
    assert read_weights("") == ()


@pytest.mark.parametrize("text", ["two", "inf:1", "nan:1", "-1:2", "1e39:1", "0:0"])
def test_what_is_no_weight_is_refused_at_once(text):
    with pytest.raises(LimitReached, match="such as 2:1:1"):
        read_weights(text)
