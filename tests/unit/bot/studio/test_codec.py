"""Requests as rows keep them."""

import json

import pytest

from bot.storage.files import content_key
from bot.studio.codec import UnreadableRequest, decode_request, encode_request, file_keys
from engine.api import (
    ImageToImage,
    LoraReference,
    PromptPart,
    Request,
    Sampler,
    Span,
    StyleReference,
    Stylize,
    TextToImage,
    Upscale,
    plain,
)

PROMPT = (PromptPart((Span("a "), Span("fox", 1.3)), 2.0), PromptPart((Span("text"),), -0.5))
REQUESTS: list[Request] = [
    TextToImage(model="tiny", prompt=PROMPT, seed=2**32 - 1, sampler=Sampler.DPMPP_2M, tile=True),
    TextToImage(model="tiny", prompt=plain("雪"), seed=0, loras=(LoraReference("ink", 0.5),)),
    ImageToImage(
        model="tiny",
        prompt=PROMPT,
        seed=1,
        source=b"source",
        style_references=(StyleReference(image=b"look", weight=2.0), StyleReference(preset="wave")),
        variation_seed=5,
        variation_strength=0.2,
    ),
    Upscale(source=b"small", factor=4),
    Stylize(content=b"same", styles=(StyleReference(image=b"same"),), mask=b"mask"),
]


@pytest.mark.parametrize("request_", REQUESTS, ids=lambda request: type(request).__name__)
def test_a_request_comes_back_equal(request_: Request) -> None:
    stored, files = encode_request(request_)
    text = json.dumps(stored)
    assert decode_request(json.loads(text), files) == request_


def test_pictures_are_kept_apart_under_their_content() -> None:
    stored, files = encode_request(REQUESTS[4])
    assert set(files.values()) == {b"same", b"mask"}
    assert set(file_keys(stored)) == set(files) == {content_key(b"same"), content_key(b"mask")}


def test_fields_of_other_versions_are_filled_in_or_left_out() -> None:
    stored, files = encode_request(REQUESTS[0])
    del stored["fields"]["chaos"]
    stored["fields"]["invented_later"] = 1
    assert decode_request(stored, files) == REQUESTS[0]


@pytest.mark.parametrize(
    "stored",
    [{}, {"kind": "Dream", "fields": {}}, {"kind": "TextToImage", "fields": {"seed": "x"}}],
)
def test_what_cannot_be_read_is_named(stored: dict[str, object]) -> None:
    with pytest.raises(UnreadableRequest):
        decode_request(stored, {})


def test_a_value_out_of_range_is_named_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    stored, files = encode_request(REQUESTS[0])
    stored["fields"]["steps"] = 10_000
    with pytest.raises(UnreadableRequest, match="ask for it again"):
        decode_request(stored, files)
    assert "steps" in caplog.text


def test_the_log_says_which_field_cannot_be_read_and_tells_no_prompt(
    caplog: pytest.LogCaptureFixture,
) -> None:
    stored, files = encode_request(REQUESTS[1])
    stored["fields"]["prompt"][0]["spans"][0] = {"text": {"secret": "words"}, "weight": "secret"}
    with pytest.raises(UnreadableRequest):
        decode_request(stored, files)
    assert "prompt.0.spans.0.text: Input should be a valid string" in caplog.text
    assert "secret" not in caplog.text
