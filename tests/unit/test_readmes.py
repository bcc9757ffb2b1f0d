"""What the readmes name is there: pictures, files, settings, commands."""

import re
import tomllib
from pathlib import Path

import pytest
from typer.main import get_command

from bot.faces.console.main import commands
from bot.settings import setting_names

ROOT = Path(__file__).parents[2]
ENGLISH, CHINESE = "README.md", "README.zh-CN.md"
READMES = pytest.mark.parametrize("name", [ENGLISH, CHINESE])
UNTOLD = {
    "ATELIER_ENGINE__FLEET",
    "ATELIER_DISCORD_TOKEN",
}  # one value alone; told as DISCORD_TOKEN


def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def settings_in(told: str) -> set[str]:
    """`ATELIER_WEB__HOST`, `__PORT` names two of one section."""
    found = set()
    for first, others in re.findall(r"(ATELIER_[A-Z0-9_]+)((?:`, `__[A-Z0-9_]+)*)", told):
        section = first.rpartition("__")[0]
        found |= {first, *(section + other for other in re.findall(r"__[A-Z0-9_]+", others))}
    return found


@READMES
def test_every_file_and_picture_it_links_to_is_there(name: str) -> None:
    links = re.findall(r"\]\(([^)]+)\)", text(name))
    assert len(links) > 5
    headings = {
        re.sub(r"[^\w -]", "", line.lstrip("# ")).lower().replace(" ", "-")
        for line in text(ENGLISH).splitlines()
        if line.startswith("## ")
    }
    for link in links:
        file, _, heading = link.partition("#")
        assert (ROOT / file).exists(), link
        assert not heading or heading in headings, link


@READMES
def test_every_setting_it_names_is_one(name: str) -> None:
    assert settings_in(text(name)) <= set(setting_names())


def test_every_setting_is_told() -> None:
    assert set(setting_names()) - settings_in(text(ENGLISH)) == UNTOLD


@READMES
def test_every_command_it_names_is_one(name: str) -> None:
    told = text(name)
    known = tomllib.loads(text("bot/faces/discord/locales/en.toml"))["commands"]
    roots = {key.split("-")[0] for key in known}
    chat = set(re.findall(r"`/(\w+)", told)) - {"data", "stylize"}
    assert len(chat) > 4
    assert chat <= roots
    groups = re.findall(r"`atelier ([a-z|]+)", told)
    console = {command for group in groups for command in group.split("|")}
    assert console <= set(get_command(commands).commands)  # type: ignore[attr-defined]
    targets = set(re.findall(r"^([\w -]+):", text("Makefile"), flags=re.MULTILINE))
    rules = {rule for line in targets for rule in line.split()}
    assert set(re.findall(r"(?:`|^)make (\w+)", told, flags=re.MULTILINE)) <= rules


@READMES
def test_every_part_of_the_tree_it_names_is_there(name: str) -> None:
    for place in re.findall(r"`((?:bot|engine|tests|docs|migrations)/[\w./-]+)", text(name)):
        assert (ROOT / place).exists(), place
