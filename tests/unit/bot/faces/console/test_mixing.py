"""Stops of a morph as they are typed on the command line."""

from pathlib import Path

import pytest

from bot.errors import UserError
from bot.faces.console.mixing import read_stop


def test_a_stop_is_a_file_or_what_was_typed(tmp_path: Path) -> None:
    file = tmp_path / "photo"
    file.write_bytes(b"photo")
    assert read_stop(str(file)) == b"photo"
    for text in ("42", "a1b2c3d4e5", "cats/dogs", "a fox on a sign that says fox.png", "a " * 400):
        assert read_stop(text) == text


def test_a_picture_that_is_not_there_is_no_word() -> None:
    with pytest.raises(UserError, match=r"nofile\.PNG can't be read: No such file"):
        read_stop("nofile.PNG")
