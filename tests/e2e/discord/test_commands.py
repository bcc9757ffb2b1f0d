"""Commands as Discord is told of them, and what the others of them answer."""

import pytest

from tests.e2e.loopback.client import labels, picture_file, shown, text
from tests.e2e.loopback.world import EPHEMERAL


async def test_commands_are_told_to_discord_in_both_languages(loopback):
    commands = {command["name"]: command for command in (await loopback.report())["commands"]}
    assert {"imagine", "gallery", "show", "history", "queue", "settings", "help"} <= set(commands)
    assert {"Make again", "Use as style", "Info"} <= set(commands)
    imagine = commands["imagine"]
    assert imagine["description_localizations"]["zh-CN"]
    assert imagine["contexts"] == [0, 1, 2]
    assert commands["admin"]["default_member_permissions"] == str(1 << 5)


async def test_no_privileged_intent_is_asked_for(loopback):
    assert (await loopback.report())["intents"] == 1


async def test_models_and_presets_complete_what_is_typed(loopback, alice, channel):
    models = await alice.completions("imagine", "model", "pack", prompt="a")
    assert "atelier-pack" in [choice["value"] for choice in models]
    presets = await alice.completions("imagine", "preset", "pix", prompt="a")
    assert "pixel-art" in [choice["value"] for choice in presets]
    member = await loopback.actor(f"wei-{channel}", channel, locale="zh-CN")
    chinese = await member.completions("imagine", "preset", "像素", prompt="a")
    assert [choice["value"] for choice in chinese] == ["pixel-art"]


async def test_own_jobs_complete_the_option_of_cancel(alice):
    deed = await alice.types("imagine", prompt="a held fox")
    await deed.until(
        lambda seen: seen["original"] and "Cancel" in labels(seen["original"]), "progress"
    )
    [choice] = await alice.completions("cancel", "job", "held")
    await (await alice.types("cancel", job=choice["value"])).says("job is")
    assert "Cancelled" in text(await deed.result())


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("help", "Atelier draws"),
        ("info", "Models"),
        ("queue", "Queue"),
        ("settings", "Your defaults"),
        ("history", "Your jobs"),
        ("gallery", "no pictures"),
        ("cancel", "no waiting"),
    ],
)
async def test_a_command_answers_its_member_alone(alice, command, words):
    message = await (await alice.types(command)).says(words)
    assert message["flags"] & EPHEMERAL


async def test_admin_is_for_members_who_may_manage_the_server(loopback, alice, channel):
    await (await alice.types("admin show")).says("manage the server")
    admin = await loopback.actor(f"ada-{channel}", channel, is_admin=True)
    await (await admin.types("admin show")).says("Limits")


async def test_history_and_queue_show_a_members_jobs(alice):
    await alice.imagines("a quiet fox", count=1)
    await (await alice.types("history")).says("a quiet fox")
    deed = await alice.types("imagine", prompt="a held fox")
    await deed.until(
        lambda seen: seen["original"] and "Cancel" in labels(seen["original"]), "progress"
    )
    queue = await (await alice.types("queue")).says("a held fox")
    await alice.presses(queue, "cancel:")
    assert "Cancelled" in text(await deed.result())


async def test_gallery_pages_turn_both_ways_and_open_pictures(alice):
    for word in ("one", "two", "three"):
        await alice.imagines(f"a fox {word}")
    first = await (await alice.types("gallery", search="fox")).says("12 pictures")
    assert len(shown(first)) == 9
    second = await _turned(alice, first, "Older", "page 2")
    assert len(shown(second)) == 3
    assert "fox" in text(second)
    back = await _turned(alice, second, "Newer", "page 1")
    assert len(shown(back)) == 9
    opened = await alice.presses(back, "open", values=[_pictures(back)[0]])
    picture = await opened.says("a fox")
    assert len(shown(picture)) == 1
    assert "Vary a little" in labels(picture)


async def test_make_again_makes_the_same_picture_from_our_own_message(loopback, alice, bob):
    first = await alice.imagines("a fox --seed 9", count=1)
    again = await (await bob.chooses("Make again", first)).result()
    assert "made again" in text(again)
    pictures = [
        await loopback.fetch(shown(message)[0]["media"]["url"]) for message in (first, again)
    ]
    assert len(pictures[0]) == pytest.approx(len(pictures[1]), rel=0.05)


async def test_use_as_style_saves_a_picture_that_a_member_posted(alice, bob):
    posted = await bob.posts("look", picture_file(side=128))
    saved = await (await alice.chooses("Use as style", posted)).says("Saved as a style")
    opened = await alice.presses(saved, "Draw in this style")
    await opened.answered()
    deed = await alice.sends(opened, prompt="a fox --images 1")
    assert "--sref" in text(await deed.result())


async def test_use_as_style_finds_the_picture_in_a_message_of_components(alice, bob):
    made = await alice.imagines("a fox")
    await (await bob.chooses("Use as style", made)).says("Saved as a style")


async def test_info_tells_of_the_picture_in_a_message(alice, bob):
    made = await alice.imagines("a fox --seed 31")
    await (await bob.chooses("Info", made)).says("Seed: 31")


async def _turned(member, page, button, words):
    turned = await member.presses(page, button)
    seen = await turned.until(
        lambda seen: seen["original"] and words in text(seen["original"]), words
    )
    return seen["original"]


def _pictures(page):
    from tests.e2e.loopback.client import parts

    [menu] = [part for part in parts(page) if part.get("custom_id") == "open"]
    return [option["value"] for option in menu["options"]]
