"""Among members of a group chat, where some of them brought the bot along."""

import pytest
from simcord import interactions

from bot.studio.contract import Caller, GalleryQuery
from tests.integration.bot.faces.discord.stage import parts, png_bytes


@pytest.fixture
def in_group(stage, monkeypatch):
    """What Alice types outside of servers comes from a group chat."""
    original = interactions.base_payload

    def grouped(*args, **kwargs):
        record, payload = original(*args, **kwargs)
        if kwargs.get("guild_id") is None:
            owners = {"1": str(stage.alice.id)}
            payload = payload | {"context": 2, "authorizing_integration_owners": owners}
            group = {"type": 3, "name": None, "icon": None, "owner_id": str(stage.alice.id)}
            payload["channel"] = payload["channel"] | group
        return record, payload

    monkeypatch.setattr(interactions, "base_payload", grouped)


@pytest.fixture
async def secret(stage):
    """The id of a private picture of Alice's."""
    await stage.imagine(prompt="my secret fox", count=1, private=True)
    page = await stage.studio.gallery(Caller(owner_id=stage.alice.id), GalleryQuery())
    return page.images[0].id


async def shown(stage, result, begins="remix:"):
    """The answer of an interaction, perhaps a secret one in its place, with the result."""

    def answer():
        return next((one for one in (result.response, *result.followups) if one), None)

    await stage.until(lambda: answer() and any(b.startswith(begins) for b in buttons(answer())))
    return answer()


def buttons(message):
    """The custom_ids of a message."""
    return [str(part["custom_id"]) for part in parts(message) if "custom_id" in part]


async def restyling(stage, message):
    """The menu of looks for the picture of a message."""
    [button] = [one for one in buttons(message) if one.startswith("restyle")]
    return await stage.alice.user.click(message, custom_id=button)


async def chosen(stage, menu):
    """The answer of a look that is chosen."""
    [select] = [part for part in parts(menu.response) if part["type"] == 3]
    return await stage.alice.user.select(menu.response, ["udnie"], custom_id=select["custom_id"])


@pytest.mark.usefixtures("in_group")
@pytest.mark.parametrize(
    ("command", "id_option", "others"),
    [
        ("upscale", "id", {}),
        ("stylize", "id", {"style": "udnie"}),
        ("imagine", "image_id", {"prompt": "like it"}),
        ("blend", "ids", {"image1": ("owl.png", png_bytes())}),
    ],
)
async def test_what_is_made_of_a_private_picture_is_shown_to_its_owner_alone(
    stage, secret, command, id_option, others
):
    result = await stage.alice.user.slash(command, **{id_option: secret}, **others)
    assert (await shown(stage, result)).ephemeral


@pytest.mark.usefixtures("in_group")
async def test_what_is_drawn_from_words_is_shown_to_the_group(stage):
    result = await stage.alice.user.slash("imagine", prompt="a fox")
    assert not (await shown(stage, result)).ephemeral


@pytest.mark.usefixtures("in_group")
async def test_a_restyle_is_as_visible_as_what_it_was_asked_for_on(stage, secret):
    viewer = await stage.alice.user.slash("show", id=secret)
    menu = await restyling(stage, viewer.response)
    made = await chosen(stage, menu)
    assert (await shown(stage, made)).ephemeral
    drawn = await shown(stage, await stage.alice.user.slash("imagine", prompt="a fox --images 1"))
    menu = await restyling(stage, drawn)
    made = await chosen(stage, menu)
    assert not (await shown(stage, made)).ephemeral


@pytest.mark.usefixtures("in_group")
@pytest.mark.parametrize(
    ("command", "typed"),
    [
        ("imagine", {"prompt": "a fox --private"}),
        (
            "blend",
            {
                "image1": ("owl.png", png_bytes()),
                "image2": ("fox.png", png_bytes(colour="red")),
                "prompt": "a fox --private",
            },
        ),
        ("morph", {"from": "a fox --private", "to": "an owl", "frames": 3}),
    ],
)
async def test_what_a_prompt_makes_private_is_shown_to_its_owner_alone(stage, command, typed):
    result = await stage.alice.user.slash(command, **typed)
    assert (await shown(stage, result, "reroll:")).ephemeral


@pytest.mark.usefixtures("in_group")
async def test_a_prompt_that_is_made_private_in_a_remix_is_shown_to_its_owner_alone(stage):
    drawn = await shown(stage, await stage.alice.user.slash("imagine", prompt="a fox --images 1"))
    [button] = [one for one in buttons(drawn) if one.startswith("remix")]
    for prompt, is_secret in (("an owl --private", True), ("an owl", False)):
        form = await stage.alice.user.click(drawn, custom_id=button)
        remixed = await stage.alice.user.submit_modal(form, {"prompt": prompt})
        assert (await shown(stage, remixed)).ephemeral is is_secret


@pytest.mark.usefixtures("in_group", "secret")
async def test_steps_between_styles_on_a_picture_that_nobody_named_are_shown_to_its_owner_alone(
    stage,
):
    steps = {"first": "udnie", "second": "great-wave"}
    result = await stage.alice.user.slash("style blend", **steps)
    assert (await shown(stage, result)).ephemeral
    attached = ("owl.png", png_bytes())
    result = await stage.alice.user.slash("style blend", **steps, content=attached)
    assert not (await shown(stage, result)).ephemeral


@pytest.mark.usefixtures("in_group")
@pytest.mark.parametrize(
    ("command", "typed"),
    [
        ("stylize", {"content": ("owl.png", png_bytes()), "style": "udnie", "style2": "{}:0.5"}),
        ("style blend", {"content": ("owl.png", png_bytes()), "first": "udnie", "second": "{}"}),
        ("imagine", {"prompt": "a fox —sref udnie {}::2 --ar 1:1"}),
        ("morph", {"from": "a fox --sref {}", "to": "12", "frames": 3}),
    ],
)
async def test_what_takes_the_look_of_a_private_picture_is_shown_to_its_owner_alone(
    stage, secret, command, typed
):
    options = {
        name: value.replace("{}", secret) if isinstance(value, str) else value
        for name, value in typed.items()
    }
    result = await stage.alice.user.slash(command, **options)
    assert (await shown(stage, result, "reroll:")).ephemeral


@pytest.mark.usefixtures("in_group")
async def test_a_remix_that_takes_the_look_of_a_private_picture_is_shown_to_its_owner_alone(
    stage, secret
):
    drawn = await shown(stage, await stage.alice.user.slash("imagine", prompt="a fox --images 1"))
    [button] = [one for one in buttons(drawn) if one.startswith("remix")]
    form = await stage.alice.user.click(drawn, custom_id=button)
    sent = await stage.alice.user.submit_modal(form, {"prompt": f"a fox --sref {secret}"})
    assert (await shown(stage, sent)).ephemeral


@pytest.mark.usefixtures("in_group")
async def test_a_default_look_that_is_a_private_picture_is_shown_to_its_owner_alone(stage, secret):
    await stage.alice.user.slash("settings", flags=f"--sref {secret}")
    drawn = await stage.alice.user.slash("imagine", prompt="a fox --images 1")
    assert (await shown(stage, drawn)).ephemeral
    dreamt = await stage.alice.user.slash("dream", count=1)
    assert not (await shown(stage, dreamt)).ephemeral, "no prompt, no look"


@pytest.mark.usefixtures("in_group")
@pytest.mark.parametrize("defaults", [{"flags": "--private"}, {"private": True}])
async def test_what_is_private_by_default_is_shown_to_its_owner_alone(stage, defaults):
    drawn = await shown(stage, await stage.alice.user.slash("imagine", prompt="a fox --images 1"))
    assert not drawn.ephemeral
    await stage.alice.user.slash("settings", **defaults)
    [reroll] = [one for one in buttons(drawn) if one.startswith("reroll")]
    again = await stage.alice.user.click(drawn, custom_id=reroll)
    assert (await shown(stage, again)).ephemeral
    new = await stage.alice.user.slash("imagine", prompt="an owl --images 1")
    assert (await shown(stage, new)).ephemeral
    said = await stage.alice.user.slash("imagine", prompt="an owl --images 1 --public")
    assert not (await shown(stage, said)).ephemeral
