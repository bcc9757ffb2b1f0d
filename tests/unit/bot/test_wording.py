"""Texts for members, in English and Chinese."""

import ast
import pickle
import string
from collections.abc import Iterator
from pathlib import Path

import pytest

import bot
from bot.errors import ConfirmationNeeded, NotFound
from bot.prompts import PromptError
from bot.wording import Said, chinese, translated

ROOT = Path(bot.__file__).parent
# Where errors are made whose texts members read; faces take theirs from catalogues of their own.
PLACES = ("prompts", "studio", "storage", "errors.py")
ERRORS = {
    "UserError",
    "PromptError",
    "NotFound",
    "NotAllowed",
    "LimitReached",
    "UnusablePicture",
    "StorageUnavailable",
    "DiskFull",
}
OPERATORS = ("can't be opened",)  # what only operators ever read


def sources() -> Iterator[ast.Module]:
    for place in PLACES:
        path = ROOT / place
        for file in path.rglob("*.py") if path.is_dir() else [path]:
            yield ast.parse(file.read_text(encoding="utf-8"))


def calls(source: ast.Module) -> Iterator[tuple[str, ast.Call]]:
    for node in ast.walk(source):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            yield node.func.id, node


def literals(node: ast.expr, source: ast.Module) -> Iterator[str]:
    """The text that an argument is, or those that its name stands for in its file."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value:
        yield node.value
    if isinstance(node, ast.Name):
        for other in ast.walk(source):
            if isinstance(other, ast.Assign) and ast.unparse(other.targets[0]) == node.id:
                yield from literals(other.value, ast.Module([], []))


def texts(*made_by: str) -> set[str]:
    """All templates and whole texts that some classes are called with."""
    return {
        text
        for source in sources()
        for name, call in calls(source)
        if name in made_by
        for argument in call.args
        for text in literals(argument, source)
    }


def fields(template: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(template) if name}


def test_an_error_never_fills_in_its_text_without_remembering_how() -> None:
    formatted = [
        ast.unparse(call)
        for source in sources()
        for name, call in calls(source)
        if name in ERRORS and any(isinstance(argument, ast.JoinedStr) for argument in call.args)
    ]
    assert [text for text in formatted if not any(one in text for one in OPERATORS)] == []


def test_every_text_has_its_chinese() -> None:
    found = texts("Said", *ERRORS)
    assert len(found) > 100
    assert found - set(chinese()) == set()


def test_chinese_fills_in_the_same_values() -> None:
    templates = texts("Said")
    assert {text for text in templates if fields(text) != fields(chinese()[text])} == set()


@pytest.mark.parametrize("locale", ["zh-CN", "zh-TW", "zh"])
def test_a_prompts_mistake_is_explained_in_chinese(locale: str) -> None:
    error = PromptError(
        2,
        6,
        Said("there is no flag --{flag}", flag="zoom"),
        Said("Did you mean {near}?", near="--no"),
    )
    assert str(error) == "At character 3: there is no flag --zoom. Did you mean --no?"
    assert translated(error.text, locale) == "第 3 个字符：没有 --zoom 这个参数。是不是 --no？"


def test_a_text_survives_pickling_with_its_values() -> None:
    error = pickle.loads(pickle.dumps(NotFound(Said("you keep no style called {name}", name="x"))))
    assert str(error) == "you keep no style called x"
    assert translated(error.text, "zh-CN") == "你没有名为 x 的风格"


def test_what_has_no_translation_stays_english() -> None:
    assert translated("brand new", "zh-CN") == "brand new"
    assert translated(ConfirmationNeeded(5).text, "en-US") == str(ConfirmationNeeded(5))
