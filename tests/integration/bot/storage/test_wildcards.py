from pathlib import Path

import pytest

from bot.errors import BadConfiguration
from bot.storage.wildcards import wildcard_texts


def test_lists_are_named_by_their_files_and_folders(tmp_path: Path) -> None:
    (tmp_path / "places").mkdir()
    (tmp_path / "animals.txt").write_text("fox\nowl\n", encoding="utf-8-sig")
    (tmp_path / "places" / "cities.txt").write_text("Paris\n", encoding="utf-8")
    (tmp_path / "notes.md").write_text("not a list", encoding="utf-8")
    assert wildcard_texts(tmp_path) == {"animals": "fox\nowl\n", "places/cities": "Paris\n"}


def test_without_a_folder_there_are_no_lists(tmp_path: Path) -> None:
    assert wildcard_texts(tmp_path / "nowhere") == {}


def test_a_list_that_is_no_text_is_named(tmp_path: Path) -> None:
    (tmp_path / "broken.txt").write_bytes(b"\xff\xfe\xff")
    with pytest.raises(BadConfiguration, match=r"broken\.txt"):
        wildcard_texts(tmp_path)
