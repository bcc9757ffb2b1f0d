import pytest

from bot import errors
from bot.faces.web.refusals import refusal_json, status_of
from bot.prompts import PromptError, parse
from engine import api


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (errors.NotFound("x"), 404),
        (errors.NotAllowed("x"), 403),
        (errors.LimitReached("x"), 400),
        (errors.OutOfRange("frames", "must be in 2..96"), 400),
        (errors.TooManyWaiting("x"), 429),
        (errors.ConfirmationNeeded(5), 409),
        (errors.UnusablePicture("x"), 400),
        (errors.StorageUnavailable("x"), 503),
        (errors.UserError("x"), 400),
        (PromptError(1, 2, "x"), 400),
        (api.InvalidRequest("width", "is odd"), 400),
        (api.UnreadableImage("source", "is broken"), 400),
        (api.UnknownModel("x"), 400),
        (api.WorkerDied("x"), 503),
    ],
)
def test_each_error_has_the_status_that_tells_whose_turn_it_is(error, status):
    assert status_of(error) == status


def test_a_prompt_error_tells_where_and_what_instead():
    told = refusal_json(PromptError(4, 7, "there is no flag --choas", "Did you mean --chaos?"))
    assert told["position"] == 4
    assert told["length"] == 7
    assert told["suggestion"] == "Did you mean --chaos?"


def test_a_refusal_is_told_in_the_browsers_language():
    with pytest.raises(PromptError) as refused:
        parse("a fox --choas 3")
    told = refusal_json(refused.value, "zh-CN,zh;q=0.9,en;q=0.8")
    assert told["error"] == "没有 --choas 这个参数。"
    assert told["suggestion"] == "是不是 --chaos？"


def test_a_question_tells_the_count():
    assert refusal_json(errors.ConfirmationNeeded(5))["count"] == 5


def test_every_error_is_told_in_words():
    assert refusal_json(errors.LimitReached("you have 20 jobs waiting"))["error"] == (
        "you have 20 jobs waiting"
    )
