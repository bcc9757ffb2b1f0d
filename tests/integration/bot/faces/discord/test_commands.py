"""What Discord is told about the commands: when, in which languages, within which limits."""

import re
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import discord
import pytest
from simcord import interactions

from bot.faces.discord.localisation import CHINESE
from tests.integration.bot.faces.discord.stage import gallery_items, text

# As Discord documents it; \w stands for its letters and digits of any script.
NAME = re.compile(r"[-_'\w]{1,32}")
SLASH, MESSAGE = 1, 3


def syncs(stage) -> list[Any]:
    requests = stage.env.http_requests
    return [r for r in requests if r.method == "PUT" and r.path.endswith("/commands")]


def sent_commands(stage) -> list[dict[str, Any]]:
    return syncs(stage)[-1].json


def nodes(commands: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Commands, subcommands, options and choices."""
    for command in commands:
        yield command
        yield from nodes(command.get("options") or [])
        yield from nodes(command.get("choices") or [])


async def test_commands_are_sent_once_and_again_only_when_they_changed(stage):
    assert len(syncs(stage)) == 1
    await stage.connect()
    assert len(syncs(stage)) == 1
    (stage.options.state_dir / "discord-commands.json").write_text("{}")
    await stage.connect()
    assert len(syncs(stage)) == 2


async def test_a_broken_state_file_costs_one_more_sync(stage):
    (stage.options.state_dir / "discord-commands.json").write_text("no JSON")
    await stage.connect()
    assert len(syncs(stage)) == 2


async def test_commands_can_go_to_one_guild_alone(stage):
    stage.options = stage.replaced_options(test_guild_id=stage.guild.id)
    await stage.connect()
    [_, sent, withdrawn] = syncs(stage)
    assert f"/guilds/{stage.guild.id}/commands" in sent.path
    assert (withdrawn.json, "guilds" in withdrawn.path) == ([], False)


async def refuse(*_args: object, **_options: object) -> None:
    """What is sent is not taken."""
    answer = SimpleNamespace(status=403, reason="Forbidden")
    raise discord.Forbidden(answer, {"code": 50001, "message": "Missing Access"})


@pytest.mark.parametrize(
    ("guild_id", "says"),
    [
        (42, "to guild 42 (ATELIER_DISCORD__TEST_GUILD_ID): invite the bot there, or mend the id"),
        (None, "to Discord: the next start tries again"),
    ],
)
async def test_commands_that_are_refused_keep_nobody_from_connecting(
    stage, monkeypatch, caplog, guild_id, says
):
    state = stage.options.state_dir / "discord-commands.json"
    state.write_text("{}")

    for where in ("guild", "global"):
        monkeypatch.setattr(f"discord.http.HTTPClient.bulk_upsert_{where}_commands", refuse)
    stage.options = stage.replaced_options(test_guild_id=guild_id)
    await stage.connect()
    assert stage.clients[-1].is_ready()
    assert f"commands could not be sent {says}" in caplog.text
    assert "Missing Access" in caplog.text
    assert state.read_text() == "{}", "the next start tries again"


async def test_all_commands_of_the_face_are_there(stage):
    slash = {c["name"] for c in sent_commands(stage) if c.get("type", SLASH) == SLASH}
    assert slash >= {
        "imagine",
        "gallery",
        "show",
        "history",
        "queue",
        "cancel",
        "settings",
        "info",
        "help",
        "admin",
    }
    menus = {c["name"] for c in sent_commands(stage) if c.get("type") == MESSAGE}
    assert menus >= {"Make again", "Use as style", "Info"}


async def test_names_descriptions_and_choices_keep_discords_limits_in_every_language(stage):
    for node in nodes(sent_commands(stage)):
        is_choice = "value" in node
        is_menu = node.get("type") == MESSAGE and "options" not in node and not is_choice
        names = [node["name"], *(node.get("name_localizations") or {}).values()]
        assert all(len(name) <= (100 if is_choice else 32) for name in names)
        if not is_choice and not is_menu:
            assert all(NAME.fullmatch(name) and name == name.lower() for name in names)
            texts = [node["description"], *(node.get("description_localizations") or {}).values()]
            assert all(1 <= len(text) <= 100 for text in texts)
        assert len(node.get("options") or []) <= 25
        assert len(node.get("choices") or []) <= 25


async def test_each_command_stays_under_eight_thousand_characters(stage):
    for command in sent_commands(stage):
        size = 0
        for node in nodes([command]):
            size += longest(node, "name") + longest(node, "description")
            size += len(str(node.get("value", "")))
        assert size <= 8000


def longest(node: dict[str, Any], key: str) -> int:
    """The length of a text in the language that needs most."""
    localised = (node.get(f"{key}_localizations") or {}).values()
    return max(map(len, [node.get(key, ""), *localised]))


async def test_required_options_come_first(stage):
    for node in nodes(sent_commands(stage)):
        required = [bool(option.get("required")) for option in node.get("options") or []]
        assert required == sorted(required, reverse=True)


async def test_commands_have_chinese_names_and_descriptions(stage):
    for command in sent_commands(stage):
        assert CHINESE in command["name_localizations"]
        if command.get("type", SLASH) == SLASH:
            assert CHINESE in command["description_localizations"]
    imagine = next(c for c in sent_commands(stage) if c["name"] == "imagine")
    assert imagine["name_localizations"][CHINESE] == "想象"
    assert all(CHINESE in o["description_localizations"] for o in imagine["options"])


async def test_pictures_can_be_asked_for_in_direct_messages_and_by_members_who_bring_the_bot(stage):
    imagine = next(c for c in sent_commands(stage) if c["name"] == "imagine")
    assert sorted(imagine["contexts"]) == [0, 1, 2]
    assert sorted(imagine["integration_types"]) == [0, 1]
    admin = next(c for c in sent_commands(stage) if c["name"] == "admin")
    assert int(admin["default_member_permissions"]) == discord.Permissions.manage_guild.flag


async def test_commands_can_be_kept_to_servers_that_invited_the_bot(stage):
    stage.options = stage.replaced_options(is_servers_only=True)
    await stage.connect()
    assert {tuple(c["contexts"]) for c in sent_commands(stage)} == {(0,)}
    assert {tuple(c["integration_types"]) for c in sent_commands(stage)} == {(0,)}
    shown = await stage.admin.slash(stage.channel, "admin show")
    assert "**Limits**" in text(shown.response)
    await stage.imagine()
    stage.options = stage.replaced_options(is_servers_only=False)
    await stage.connect()
    imagine = next(c for c in sent_commands(stage) if c["name"] == "imagine")
    assert sorted(imagine["contexts"]) == [0, 1, 2], "others are not limited with them"


async def test_the_bot_asks_for_no_privileged_intent(stage):
    intents = stage.clients[-1].intents
    assert [name for name, is_on in intents if is_on] == ["guilds"]


@pytest.mark.parametrize(
    ("locale", "words"), [("zh-CN", "种子"), ("zh-TW", "种子"), ("de", "seed")]
)
async def test_answers_come_in_the_language_of_the_member(stage, monkeypatch, locale, words):
    speak(monkeypatch, locale)
    assert words in await read(stage)


async def test_what_pictures_show_is_told_in_the_language_of_the_member(stage, monkeypatch):
    speak(monkeypatch, "zh-CN")
    result = await stage.imagine(prompt="a red fox")
    pages = await stage.alice.slash(stage.channel, "gallery")
    for message in (result, pages.response):
        assert "由文字画出的图片：a red fox" in gallery_items(message)[0]["description"]


def speak(monkeypatch, locale: str) -> None:
    """Let interactions of the simulation say another language than English."""
    original = interactions.base_payload

    def localised(*args, **kwargs):
        record, payload = original(*args, **kwargs)
        return record, payload | {"locale": locale}

    monkeypatch.setattr(interactions, "base_payload", localised)


async def read(stage) -> str:
    return text(await stage.imagine())


async def test_commands_are_in_one_place_when_they_move_to_a_test_server_and_back(stage):
    backend = stage.env.backend

    def places():
        return {place: len(known) for place, known in backend.commands.items() if known}

    for guild_id in (stage.guild.id, None):
        stage.options = stage.replaced_options(test_guild_id=guild_id)
        await stage.connect()
        assert list(places()) == [guild_id]


async def test_commands_stay_where_they_are_where_a_test_server_refuses_them(stage, monkeypatch):
    monkeypatch.setattr("discord.http.HTTPClient.bulk_upsert_guild_commands", refuse)
    stage.options = stage.replaced_options(test_guild_id=stage.guild.id)
    await stage.connect()
    await stage.imagine()
