import base64

import pytest
from pydantic import ValidationError

from bot.faces.web.shape_errors import field_and_reason
from bot.faces.web.submissions import Imagine, Upscale
from bot.wording import translated

PNG = "data:image/png;base64," + base64.b64encode(b"abc").decode()


def test_a_data_url_becomes_bytes():
    assert Imagine.model_validate({"text": "a", "source": PNG}).source == b"abc"


@pytest.mark.parametrize(
    "url",
    ["", "abc", "data:image/png,abc", "data:image/png;base64", "http://x/y.png", "data:;base64,"],
)
def test_anything_else_is_refused(url):
    with pytest.raises(ValidationError):
        Imagine.model_validate({"text": "a", "source": url})


def test_a_prompt_may_be_empty_for_a_picture_may_say_enough():
    assert Imagine.model_validate({"text": ""}).text == ""


@pytest.mark.parametrize("factor", [1, 3, 5, "x", None])
def test_a_factor_out_of_range_is_refused(factor):
    with pytest.raises(ValidationError) as refused:
        Upscale.model_validate({"factor": factor})
    assert field_and_reason(refused.value) == ("factor", "must be one of 2, 4")


def test_two_wishes_at_once_are_named_in_both_languages():
    with pytest.raises(ValidationError) as refused:
        Imagine.model_validate({"text": "a fox", "upscale": {"image": "a"}})
    _, reason = field_and_reason(refused.value)
    assert reason == "send one of these alone: text, upscale"
    assert translated(reason, "zh") == "以下只能发送一项：text, upscale"


@pytest.mark.parametrize(
    ("body", "unused"),
    [
        ({"text": "a fox", "content": PNG}, "content"),
        ({"dream": {}, "source": PNG}, "source"),
        ({"stylize": {}, "source_image": "abcdefgh12"}, "source_image"),
    ],
)
def test_a_picture_that_would_be_left_unused_is_refused(body, unused):
    with pytest.raises(ValidationError) as refused:
        Imagine.model_validate(body)
    _, reason = field_and_reason(refused.value)
    assert reason.startswith(f"{unused} is not used here")
    assert translated(reason, "zh").startswith(f"这里用不到 {unused}")
