"""The page's files against each other: words, icons, imports; and what the policy forbids."""

import json
import re
from pathlib import Path

import pytest

from bot.faces.web.pages import STATIC
from bot.studio.contract import Operation

SCRIPTS = sorted(STATIC.glob("*.js"))
MARKUP = sorted(STATIC.glob("*.html"))
ALL_CODE = "\n".join(path.read_text() for path in (*SCRIPTS, *MARKUP))


def words() -> dict[str, tuple[str, str]]:
    source = (STATIC / "words.js").read_text()
    table = source[source.index("const WORDS = {") : source.index("\n};")]
    entries = re.findall(
        r'^  (?:"([\w-]+)"|(\w+)): \[("(?:\\.|[^"])*"), ("(?:\\.|[^"])*")\],$', table, re.MULTILINE
    )
    return {quoted or plain: (json.loads(en), json.loads(zh)) for quoted, plain, en, zh in entries}


def test_every_line_of_the_table_of_words_is_understood():
    source = (STATIC / "words.js").read_text()
    table = source[source.index("const WORDS = {") : source.index("\n};")]
    assert len(words()) == len(re.findall(r"\[\"", table))


def test_every_word_the_page_asks_for_exists_in_both_languages():
    asked = set(re.findall(r'\bt\("([\w-]+)"', ALL_CODE))
    asked |= set(re.findall(r'data-word(?:-label)?="([\w-]+)"', ALL_CODE))
    asked |= {f"op-{operation.value}" for operation in Operation}
    assert asked - words().keys() == set()


def test_no_word_is_left_that_nobody_asks_for():
    unused = {
        key
        for key in words()
        if f'"{key}"' not in ALL_CODE.split("const STORED")[1] + ALL_CODE.split("const WORDS")[0]
    }
    unused = {key for key in unused if not key.startswith("op-") and not key.endswith("Hint")}
    assert unused == set()


@pytest.mark.parametrize("key", sorted(words()))
def test_both_languages_have_the_same_places_to_fill(key):
    english, chinese = words()[key]
    places = [set(re.findall(r"\{(\w+)\}", text)) for text in (english, chinese)]
    assert english
    assert chinese
    assert key.startswith("example") or places[0] == places[1]


def test_every_icon_exists():
    drawn = set(re.findall(r'<symbol id="(\w+)"', (STATIC / "icons.svg").read_text()))
    asked = set(re.findall(r'\bicon\("(\w+)"\)', ALL_CODE))
    asked |= set(re.findall(r'\bbutton\("(\w+)"', ALL_CODE))
    asked |= set(re.findall(r"icons\.svg#(\w+)\"", ALL_CODE))
    assert asked
    assert asked - drawn == set()


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_every_import_names_a_file_and_something_it_exports(path: Path):
    for names, file in re.findall(r'import \{([^}]+)\} from "\./([\w.]+)"', path.read_text()):
        source = (STATIC / file).read_text()
        exported = set(re.findall(r"export (?:async )?(?:const|function|class) (\w+)", source))
        assert {name.strip() for name in names.split(",")} - exported == set()


@pytest.mark.parametrize("path", [*SCRIPTS, *MARKUP], ids=lambda path: path.name)
def test_nothing_comes_from_elsewhere_and_no_text_becomes_markup(path: Path):
    source = path.read_text()
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", source)
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(", source)


@pytest.mark.parametrize("path", MARKUP, ids=lambda path: path.name)
def test_markup_holds_no_inline_code_or_style(path: Path):
    source = path.read_text()
    assert not re.search(r"<style|\sstyle=|\son\w+=|<script>|javascript:", source)


def test_the_manifest_makes_the_page_installable():
    manifest = json.loads((STATIC / "manifest.webmanifest").read_text())
    sizes = {icon["sizes"] for icon in manifest["icons"]}
    assert {"192x192", "512x512"} <= sizes
    assert manifest["display"] == "standalone"
    for icon in manifest["icons"]:
        assert (STATIC / Path(icon["src"]).name).is_file()
