"""What the command line says before any studio is opened."""

import pytest
from typer.testing import CliRunner

from bot.faces.console.main import commands


def said(*args: str) -> tuple[int, str]:
    done = CliRunner().invoke(commands, args, env={"COLUMNS": "200", "TERM": "dumb"})
    return done.exit_code, " ".join(done.output.replace("\u2502", " ").split())


def test_it_tells_its_version() -> None:
    code, text = said("--version")
    assert code == 0
    assert text.startswith("atelier ")


@pytest.mark.parametrize(
    ("args", "shown"),
    [
        (("a fox", "--ar", "16:9"), '"a fox --ar 16:9"'),
        (("a", "fox", "--seed=5"), '"a fox --seed=5"'),
        (("a fox", "--out", "x.png", "--tile"), '"a fox --tile"'),
        (("--s", "250"), '"--s 250"'),
    ],
)
def test_a_flag_outside_of_the_quotes_is_told_where_it_belongs(args, shown) -> None:
    code, text = said("imagine", *args)
    assert code == 2
    assert f"flags belong inside the quotes: {shown}" in text


def test_other_unknown_options_are_answered_as_usual() -> None:
    code, text = said("imagine", "a fox", "--sorce", "x.png")
    assert code == 2
    assert "No such option: --sorce" in text
    assert "quotes" not in text


@pytest.mark.parametrize("command", [("dream",), ("imagine",), ("style", "show")])
def test_the_help_of_out_says_what_is_replaced(command) -> None:
    code, text = said(*command, "--help")
    assert code == 0
    assert "is replaced" in text
