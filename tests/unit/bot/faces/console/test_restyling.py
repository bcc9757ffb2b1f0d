"""Styles as they are typed on the command line."""

from pathlib import Path

import pytest

from bot.errors import UserError
from bot.faces.console import restyling
from bot.studio.contract import StyleChoice


def test_a_style_is_a_file_or_a_name_with_or_without_a_weight(tmp_path: Path) -> None:
    file = tmp_path / "wave.jpg"
    file.write_bytes(b"wave")
    assert restyling.read_style(str(file)) == StyleChoice(upload=b"wave")
    assert restyling.read_style(f"{file}:0.4") == StyleChoice(upload=b"wave", weight=0.4)
    assert restyling.read_style("starry night:0.4") == StyleChoice(name="starry night", weight=0.4)


@pytest.mark.parametrize("text", [":0.4", " ", ""])
def test_a_style_without_a_name_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="has no name"):
        restyling.read_style(text)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"wave\.jpg can't be read: No such file"):
        restyling.read_style(str(tmp_path / "wave.jpg"))


@pytest.mark.parametrize("name", ["wave.heic", "old/wave"])
def test_what_is_no_name_of_an_image_is_that_of_a_file(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match="can't be read: No such file"):
        restyling.read_content(name)


def test_an_empty_file_is_named(tmp_path: Path) -> None:
    file = tmp_path / "photo.png"
    file.touch()
    with pytest.raises(UserError, match=r"photo\.png is empty"):
        restyling.read_content(str(file))


def test_a_content_may_be_an_image_of_the_gallery(tmp_path: Path) -> None:
    file = tmp_path / "photo"
    file.write_bytes(b"photo")
    assert restyling.read_content(str(file)) == b"photo"
    assert restyling.read_content("a1b2c3d4e5") == "a1b2c3d4e5"
