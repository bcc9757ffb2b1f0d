"""Texts for members, in English and Chinese."""

import ast
import json
import pickle
import string
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import bot
import engine
from bot.errors import ConfirmationNeeded, NotFound
from bot.faces.web.refusals import MISTAKE, NOTHING_HERE, OTHER_METHODS, TOO_LARGE
from bot.faces.web.shape_errors import OTHERWISE, REASONS
from bot.prompts import PromptError, parse
from bot.wording import Said, as_plain, chinese, from_plain, translated
from engine.api import InvalidRequest, ModelUnavailable, UnknownModel, UnreadableImage

ROOT = Path(bot.__file__).parent
ENGINE = Path(engine.__file__).parent
TRAINING = ENGINE / "training"  # only operators ever run it
# Where errors are made whose texts members read; faces take theirs from catalogues of their own.
PLACES = [ROOT / name for name in ("prompts", "studio", "storage", "faces/web", "errors.py")]
ERRORS = {
    "UserError",
    "PromptError",
    "NotFound",
    "NotAllowed",
    "LimitReached",
    "NameTaken",
    "UnusablePicture",
    "StorageUnavailable",
    "DiskFull",
    "UnreadableRequest",
}
# The reasons of ModelUnavailable, UnsafeCheckpoint and BadCatalogue are for operators alone.
ENGINE_ERRORS = {
    "EngineError",
    "InvalidRequest",
    "UnreadableImage",
    "Unsupported",
    "OutOfMemory",
    "NotANumber",
    "WorkerDied",
}
REQUIREMENTS = {"_require", "_require_range", "_require_seed", "_require_side", "_between"}
PICTURES = {"opened", "clean", "cleaned"}  # what names a picture in its errors
OPERATORS = (
    "can't be opened",
    "can't be locked",
    "there is no kind of device",
    "this machine has no",
)


def sources() -> Iterator[ast.Module]:
    for path in PLACES:
        for file in path.rglob("*.py") if path.is_dir() else [path]:
            yield ast.parse(file.read_text(encoding="utf-8"))


def engine_sources() -> Iterator[ast.Module]:
    for file in ENGINE.rglob("*.py"):
        if not file.is_relative_to(TRAINING):
            yield ast.parse(file.read_text(encoding="utf-8"))


def calls(source: ast.Module) -> Iterator[tuple[str, ast.Call]]:
    for node in ast.walk(source):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name | ast.Attribute):
            yield ast.unparse(node.func).rpartition(".")[2], node


def meanings(node: ast.expr, source: ast.Module) -> Iterator[ast.expr]:
    """What an argument is, or what its name stands for in its file."""
    if not isinstance(node, ast.Name):
        yield node
        return
    for other in ast.walk(source):
        if isinstance(other, ast.Assign) and ast.unparse(other.targets[0]) == node.id:
            yield other.value


def arguments(
    sources: Callable[[], Iterator[ast.Module]], made_by: set[str]
) -> Iterator[tuple[str, ast.expr]]:
    """Who is called, and each argument, for all calls of some names."""
    for source in sources():
        for name, call in calls(source):
            if name in made_by:
                for argument in call.args:
                    yield from ((name, meaning) for meaning in meanings(argument, source))


def texts(sources: Callable[[], Iterator[ast.Module]], made_by: set[str]) -> set[str]:
    """All templates and whole texts that some names are called with."""
    return {
        node.value
        for _, node in arguments(sources, made_by)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value
    }


def fields(template: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(template) if name}


def is_for_members(text: str) -> bool:
    return not any(one in text for one in OPERATORS)


def filled_in_for_good(sources: Callable[[], Iterator[ast.Module]], made_by: set[str]) -> list[str]:
    """Errors whose text does not remember how it was made."""
    found = [
        f"{name}({ast.unparse(node)})"
        for name, node in arguments(sources, made_by)
        if isinstance(node, ast.JoinedStr)
    ]
    return [one for one in found if is_for_members(one)]


def test_an_error_never_fills_in_its_text_without_remembering_how() -> None:
    assert filled_in_for_good(sources, {"_fail", *ERRORS}) == []
    assert filled_in_for_good(engine_sources, ENGINE_ERRORS | REQUIREMENTS) == []


def test_every_text_has_its_chinese() -> None:
    found = texts(sources, {"Said", "_fail", *ERRORS})
    assert len(found) > 100
    assert found - set(chinese()) == set()


def test_every_text_of_the_engine_has_its_chinese() -> None:
    found = texts(engine_sources, {"Said", *ENGINE_ERRORS, *REQUIREMENTS})
    found |= texts(engine_sources, PICTURES) | texts(sources, PICTURES)
    assert len(found) > 60
    assert {text for text in found - set(chinese()) if is_for_members(text)} == set()


def test_chinese_fills_in_the_same_values() -> None:
    templates = texts(sources, {"Said"}) | texts(engine_sources, {"Said"})
    known = templates & set(chinese())
    assert len(known) > 100
    assert {text for text in known if fields(text) != fields(chinese()[text])} == set()


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


def test_a_range_is_explained_in_chinese() -> None:
    with pytest.raises(PromptError) as refused:
        parse("a fox --size 500x10")
    told = translated(refused.value.text, "zh")
    assert "可用范围：64x64..2048x2048，8 的倍数，例如 --size 512x512。" in told


def test_a_text_survives_pickling_with_its_values() -> None:
    error = pickle.loads(pickle.dumps(NotFound(Said("you keep no style called {name}", name="x"))))
    assert str(error) == "you keep no style called x"
    assert translated(error.text, "zh-CN") == "你没有名为 x 的风格"


def test_what_has_no_translation_stays_english() -> None:
    assert translated("brand new", "zh-CN") == "brand new"
    assert translated(ConfirmationNeeded(5).text, "en-US") == str(ConfirmationNeeded(5))


@pytest.mark.parametrize(
    ("error", "english", "told"),
    [
        (
            InvalidRequest(
                "frames", Said("must be in {low}..{high}, not {given}", low=2, high=96, given=999)
            ),
            "frames must be in 2..96, not 999",
            "帧数必须在 2 到 96 之间，不能是 999",
        ),
        (
            UnreadableImage(
                "the picture", Said("is too large; send a file of at most {most:g} MiB", most=20)
            ),
            "the picture is too large; send a file of at most 20 MiB",
            "这张图片太大；请发送不超过 20 MiB 的文件",
        ),
        (
            UnknownModel("prompt", "pack"),
            "there is no model called prompt; did you mean pack?",
            "没有名为 prompt 的模型；是不是 pack？",
        ),
        (
            ModelUnavailable("dream", "dream.ckpt is a pickle"),
            "dream can't be loaded here: choose another one; the operator's log says why",
            "dream 在这里无法加载，请换一个；原因在运营者的日志里",
        ),
    ],
)
def test_what_the_engine_refuses_is_told_in_chinese_from_another_process_and_from_storage(
    error: InvalidRequest, english: str, told: str
) -> None:
    here = pickle.loads(pickle.dumps(error))
    assert here.text == english
    stored = json.loads(json.dumps(as_plain(here.text)))
    assert from_plain(stored) == english
    assert translated(from_plain(stored), "zh-CN") == told


def test_what_the_web_face_refuses_has_its_chinese() -> None:
    told = {TOO_LARGE, MISTAKE, NOTHING_HERE, OTHER_METHODS, OTHERWISE, *REASONS.values()}
    for file in (ROOT / "faces/web").glob("*.py"):
        source = ast.parse(file.read_text(encoding="utf-8"))
        told |= {text for name, call in calls(source) for text in answers_of(name, call)}
        told |= {text for node in ast.walk(source) for text in complaints_of(node)}
    assert len(told) > 35
    assert told - set(chinese()) == set()


def answers_of(name: str, call: ast.Call) -> Iterator[str]:
    """The text of an HTTP error of aiohttp."""
    for keyword in call.keywords:
        if name.startswith("HTTP") and keyword.arg == "text":
            yield ast.literal_eval(keyword.value)


def complaints_of(node: ast.AST) -> Iterator[str]:
    """What a validator says is wrong."""
    if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "msg":
        yield ast.literal_eval(node.value)


def test_only_texts_are_translated_never_the_names_in_them() -> None:
    assert chinese()["prompt"] == "提示词"
    error = NotFound(Said("you keep no style called {name}", name="prompt"))
    assert translated(error.text, "zh") == "你没有名为 prompt 的风格"
