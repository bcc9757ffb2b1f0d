import pytest

from bot.prompts import expand, format_prompt, parse


@pytest.mark.parametrize(
    ("text", "formatted"),
    [
        ("a  fox", "a fox"),
        ("a fox —ar 3：2 --C 5", "a fox --ar 3:2 --chaos 5"),
        ("((a)) [b:2] at 10:30", "(a:1.21) (b:2:0.909091) at 10:30"),
        ("cat::2 dog::-.5", "cat::2 --no dog"),
        ("cat::2 dog::-.4", "cat::2 dog::-0.4"),
        (r"a \--tile", r"a \--tile"),
        ("a --no x, (y:2)", "a --no x, (y:2)"),
        (r"a --no x\, y", r"a --no x\, y"),
        ('a --sref "b c" --model "d e"', 'a --sref "b c"::1 --model "d e"'),
        ("https://a.example/b__c__.png a", "https://a.example/b__c__.png a"),
        ("a https://a.example/b", "a https://a.example/b"),
    ],
)
def test_a_prompt_is_written_in_one_way(text, formatted):
    assert format_prompt(parse(text)) == formatted
    assert format_prompt(parse(formatted)) == formatted


@pytest.mark.parametrize(
    "words",
    [
        "{a, b}",
        "__list__",
        "a::2",
        ":::",
        "(a:1.2)",
        "[a]",
        "--tile",
        "猫，--tile",
        "cat.--b",
        "—tile",
        "<lora:x:1>",
        "https://a.example/b.png",
        "<https://a.example/b.png>",
        "back\\slash \\",
        "a:",
        "_ __ ___",
    ],
)
def test_words_that_look_like_syntax_come_back_as_words(words):
    typed = "".join("\\" + c if c in r"\()[]{}<>|,:$_-–—" else c for c in words)
    parsed = parse(f"a {typed}")
    assert parsed.prompt == f"a {words}"
    formatted = format_prompt(parsed)
    assert expand(formatted) == [formatted]
    assert parse(formatted) == parsed
