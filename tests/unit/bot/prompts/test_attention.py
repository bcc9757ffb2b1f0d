import pytest

from bot.prompts import PromptError, Span, parse


def spans(text: str) -> list[tuple[str, float]]:
    (only,) = parse(text).parts
    return [(span.text, span.weight) for span in only.spans]


def test_nested_and_unclosed_brackets_multiply_as_the_published_example_says():
    expected = [
        ("a ", 1.0),
        ("house", 1.573),
        (" ", 1.1),
        ("on", 1.0),
        (" a ", 1.1),
        ("hill", 0.55),
        (", sun, ", 1.1),
        ("sky", 1.4641),
        (".", 1.1),
    ]
    assert spans("a (((house:1.3)) [on] a (hill:0.5), sun, (((sky))).") == [
        (text, pytest.approx(weight)) for text, weight in expected
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("(a)", [("a", 1.1)]),
        ("[a]", [("a", 0.909091)]),
        ("(a:1.3)", [("a", 1.3)]),
        ("(a: 1.3 )", [("a", 1.3)]),
        ("(a:-1)", [("a", -1.0)]),
        ("[(a)]", [("a", 1.0)]),
        ("(a [b) c]", [("a ", 1.1), ("b", 1.0), (" c", 0.909091)]),
        (r"\(a\) \[b\]", [("(a) [b]", 1.0)]),
        ("a) b]", [("a) b]", 1.0)]),
        ("(a", [("a", 1.1)]),
        ("at 10:30", [("at 10:30", 1.0)]),
        ("a:1.3)", [("a:1.3)", 1.0)]),
        ("(a: b)", [("a: b", 1.1)]),
        ("()a", [("a", 1.0)]),
        ("( a )", [("a", 1.1)]),
        ("x (a  b)\n(c)", [("x ", 1.0), ("a b", 1.1), (" ", 1.0), ("c", 1.1)]),
        (r"C:\Windows\con", [(r"C:\Windows\con", 1.0)]),
        ("a [b:1.5]", [("a ", 1.0), ("b:1.5", 0.909091)]),
    ],
)
def test_brackets_weigh_what_they_hold(text, expected):
    assert spans(text) == expected


def test_neighbours_of_equal_weight_are_one_span():
    (only,) = parse("(a)(b)").parts
    assert only.spans == (Span("ab", 1.1),)


@pytest.mark.parametrize("text", ["(a:1e309)", "(" * 30 + "a", "(a:11)", "((a:9):9)"])
def test_weights_beyond_ten_are_refused_where_the_words_are(text):
    with pytest.raises(PromptError, match="multiply to") as caught:
        parse(text)
    assert text[caught.value.position] == "a"


def test_deep_brackets_that_cancel_out_are_fine():
    assert spans("([" * 500 + "a" + "])" * 500) == [("a", pytest.approx(1.0))]
