import json
import time
from collections.abc import Callable
from functools import partial

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bot.prompts import (
    FLAGS,
    PromptError,
    Wildcards,
    aspect_size,
    count_expansions,
    expand,
    format_prompt,
    parse,
)
from tests.shared_data import shared_file

WILDCARDS = Wildcards({"list": ["a", "{b|c}", "__list__", "(d:1.2) is long"]})

# Texts made of the grammar's own pieces find more than random characters do.
PIECES = st.sampled_from(
    [
        *"()[]{}|,:;-_\\\"'<>$ \n\t=",
        *["::", "$$", "--", "—", "__", "__list__", "https://", "https://a.b/c", "<lora:", "\\\\"],
        *[
            "::2",
            "::-.5",
            ":1.3)",
            "1",
            "0.5",
            "nan",
            "1e999",
            "2$$",
            "3::",
            "x",
            "fox",
            " ",
            " a ",
        ],
        *[f" {spec.usage} " for spec in FLAGS],
        *[f" --{name} " for spec in FLAGS for name in spec.aliases],
    ]
)
TEXTS = st.one_of(
    st.text(max_size=60),
    st.text(st.characters(), max_size=20),  # half surrogates too
    st.lists(PIECES, max_size=25).map("".join),
    st.lists(st.one_of(PIECES, st.text(max_size=4)), max_size=25).map("".join),
)


def refusal(read: Callable[[], object]) -> PromptError | None:
    """The error a text is refused with, or None where it is read."""
    try:
        read()
    except PromptError as error:
        return error
    return None


@settings(max_examples=400, deadline=None)
@given(TEXTS)
@example("__LIST__ --AR 1:1 __LIST__")  # what is drawn is longer than what was typed
def test_whatever_the_text_only_prompt_error_escapes_and_points_into_it(text):
    for read in (parse, expand, count_expansions):
        error = refusal(partial(read, text, wildcards=WILDCARDS, seed=1))
        if error is not None:
            assert 0 <= error.position <= len(text)
            assert 0 <= error.length <= len(text) - error.position
            assert str(error)


@settings(max_examples=400, deadline=None)
@given(TEXTS)
def test_what_was_parsed_reads_the_same_after_formatting(text):
    try:
        prompts = [parse(one, allow_empty=True) for one in expand(text, seed=1, limit=20)]
    except PromptError:
        return
    for parsed in prompts:
        formatted = format_prompt(parsed)
        assert parse(formatted, allow_empty=True) == parsed
        assert format_prompt(parse(formatted, allow_empty=True)) == formatted


@settings(max_examples=300, deadline=None)
@given(TEXTS)
def test_as_many_prompts_are_written_as_were_counted_and_none_expands_further(text):
    try:
        count = count_expansions(text, wildcards=WILDCARDS, seed=1)
        prompts = expand(text, wildcards=WILDCARDS, seed=1, limit=50)
    except PromptError:
        return
    assert len(prompts) == count
    for prompt in prompts:
        assert expand(prompt) == [prompt]


@settings(deadline=None)
@given(
    st.tuples(st.integers(1, 100), st.integers(1, 100)).filter(lambda a: max(a) <= 14 * min(a)),
    st.integers(128, 1024),
    st.sampled_from([8, 16, 64]),
)
def test_sizes_are_multiples_near_the_budget_and_the_shape(aspect, side, multiple):
    width, height = aspect_size(aspect, side * side, multiple)
    assert width % multiple == height % multiple == 0
    shorter = min(side * (aspect[0] / aspect[1]) ** 0.5, side * (aspect[1] / aspect[0]) ** 0.5)
    slack = 1 + multiple / max(shorter - multiple, multiple / 2)
    assert 1 / slack <= width / height / (aspect[0] / aspect[1]) <= slack
    assert 1 / slack <= (width * height) ** 0.5 / side <= slack


N = 100_000
LONG = {
    "open brackets": "(" * N,
    "deep brackets": "(" * 10_000 + "fox" + ")" * 10_000,
    "mixed brackets": "[(" * (N // 2) + "fox" + ")]" * (N // 2),
    "open braces": "{" * N,
    "many permutations": "{a,b}" * (N // 5),
    "many options": "{9999$$" + "|" * N + "}",
    "digits": "(a:" + "1" * N,
    "colons": ":" * N,
    "spaces after a flag": "a --ar" + " " * N,
    "open quote": 'a --model "' + "x " * (N // 2),
    "long dashes": "—che " * (N // 5),
    "unlike long dashes": " ".join(f"—ch{i}" for i in range(N // 8)),
    "lists": "/__a" * (N // 4),
    "underscores": "_" * N,
    "backslashes": "\\" * N,
    "links": "https://a.b " * (N // 12),
    "loras": "<lora:" * (N // 6),
    "references": "a --sref " + "::" * (N // 2),
    "no": "a --no " + "b, " * (N // 3),
}


@pytest.mark.parametrize("text", LONG.values(), ids=LONG)
def test_a_hundred_thousand_characters_are_read_or_refused_within_seconds(text):
    # A quadratic step would take minutes; the bound leaves room for a busy machine.
    started = time.process_time()
    error = refusal(lambda: format_prompt(parse(text)))
    assert len(str(error)) < 500
    assert time.process_time() - started < 10


@pytest.mark.shared
def test_every_hostile_prompt_is_read_and_written_or_refused_with_a_reason():
    path = shared_file("data/hostile_prompts.jsonl")
    texts = [json.loads(line)["prompt"] for line in path.read_text("utf-8").splitlines()]
    assert len(texts) > 50
    refusals = [refusal(partial(read_and_write, text)) for text in texts]
    assert refusals.count(None) > 40
    assert all(error.reason for error in refusals if error is not None)


def read_and_write(text: str) -> None:
    for one in expand(text, seed=1):
        parsed = parse(one)
        assert parse(format_prompt(parsed)) == parsed
