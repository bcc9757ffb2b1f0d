"""/gallery, its pages and filters, and /show."""

import pytest

from bot.faces.discord.commands import gallery
from bot.storage.files import content_key
from bot.studio.contract import Caller
from tests.integration.bot.faces.discord.stage import gallery_items, labels, parts, text


@pytest.fixture
async def twenty(stage):
    """Twenty pictures of Alice's, the newest with seed 23."""
    for seed in (0, 10, 20):
        count = 8 if seed < 20 else 4
        await stage.imagine(prompt=f"fox {seed} --seed {seed} --images {count}")
    return stage


def menu(message, name):
    return next(p for p in parts(message) if str(p.get("custom_id", "")).startswith(name))


def first_picture(message):
    return menu(message, "open")["options"][0]["value"]


async def test_an_empty_gallery_says_how_to_fill_it(stage):
    result = await stage.alice.slash(stage.channel, "gallery")
    assert result.ephemeral
    assert "/imagine" in text(result.response)


async def test_a_page_shows_nine_pictures_with_alt_text_and_the_number_of_all(twenty):
    result = await twenty.alice.slash(twenty.channel, "gallery")
    items = gallery_items(result.response)
    assert len(items) == 9
    assert all("fox" in item["description"] for item in items)
    assert "20 pictures · page 1" in text(result.response)


async def test_pages_turn_forward_and_back_also_after_a_restart(twenty):
    result = await twenty.alice.slash(twenty.channel, "gallery", search="fox")
    first = first_picture(result.response)
    await twenty.alice.click(result.response, label="Older")
    await twenty.connect()
    await twenty.alice.click(result.response, label="Older")
    assert "page 3" in text(result.response)
    assert len(gallery_items(result.response)) == 2
    assert labels(result.response) == ["Newer"]
    await twenty.alice.click(result.response, label="Newer")
    assert "page 2" in text(result.response)
    pages = menu(result.response, "pages:")
    assert [option["label"] for option in pages["options"]] == ["Page 1", "Page 2"]
    first_page = pages["options"][0]["value"]
    await twenty.alice.select(result.response, [first_page], custom_id=pages["custom_id"])
    assert first_picture(result.response) == first
    assert "fox" in text(result.response)


async def test_a_page_opens_a_picture_with_all_its_buttons(twenty):
    result = await twenty.alice.slash(twenty.channel, "gallery")
    image_id = first_picture(result.response)
    opened = await twenty.alice.select(result.response, [image_id], custom_id="open")
    assert opened.ephemeral
    assert image_id in text(opened.response)
    assert "Vary a little" in labels(opened.response)


async def test_more_pictures_than_are_counted_are_said_to_be_more(twenty, monkeypatch):
    monkeypatch.setattr("bot.storage.images.COUNT_CAP", 10)
    monkeypatch.setattr("bot.studio.gallery.COUNT_CAP", 10)
    result = await twenty.alice.slash(twenty.channel, "gallery")
    assert "more than 10 pictures" in text(result.response)


async def test_the_gallery_can_be_searched(twenty):
    result = await twenty.alice.slash(twenty.channel, "gallery", search="20")
    assert "4 pictures" in text(result.response)
    nothing = await twenty.alice.slash(twenty.channel, "gallery", search="zebra")
    assert "fewer words" in text(nothing.response)
    by_seed = await twenty.alice.slash(twenty.channel, "gallery", search="seed:23")
    assert "1 picture " in text(by_seed.response)


async def test_favourites_alone_can_be_shown(twenty):
    result = await twenty.alice.slash(twenty.channel, "gallery")
    caller = Caller(owner_id=twenty.alice.id, guild_id=twenty.guild.id)
    await twenty.studio.favourite(caller, first_picture(result.response), on=True)
    favourites = await twenty.alice.slash(twenty.channel, "gallery", favourites=True)
    assert "1 picture " in text(favourites.response)


async def test_favourites_are_those_of_everybodys_pictures_unless_a_member_is_named(stage):
    await stage.imagine(stage.bob, count=1)
    caller = Caller(owner_id=stage.alice.id, guild_id=stage.guild.id)
    jobs, _ = await stage.studio.history(Caller(owner_id=stage.bob.id))
    await stage.studio.favourite(caller, jobs[0].images[0].id, on=True)
    favourites = await stage.alice.slash(stage.channel, "gallery", favourites=True)
    assert "Your favourites" in text(favourites.response)
    assert len(gallery_items(favourites.response)) == 1
    own = await stage.alice.slash(stage.channel, "gallery", favourites=True, whose="mine")
    assert "0 pictures" in text(own.response)


async def test_a_members_gallery_hides_what_is_private(stage):
    await stage.imagine(stage.alice, prompt="open fox", count=1)
    result = await stage.alice.slash(
        stage.channel, "imagine", prompt="hidden fox", count=1, private=True
    )
    await stage.delivered(result)
    seen = await stage.bob.slash(stage.channel, "gallery", member=stage.alice)
    assert "1 picture " in text(seen.response)
    own = await stage.alice.slash(stage.channel, "gallery")
    assert "2 pictures" in text(own.response)


async def test_the_servers_gallery_shows_everybodys_pictures(stage):
    await stage.imagine(stage.alice, count=1)
    await stage.imagine(stage.bob, count=1)
    result = await stage.admin.slash(stage.channel, "gallery", whose="guild")
    assert "2 pictures" in text(result.response)


async def test_in_a_direct_message_there_is_no_server(stage):
    user = stage.env.create_user("dora")
    result = await user.slash("gallery", whose="guild")
    assert "no server" in text(result.response)


async def test_a_picture_whose_file_is_gone_leaves_the_others_of_its_page(stage, tmp_path):
    await stage.imagine(count=3)
    jobs, _ = await stage.studio.history(Caller(owner_id=stage.alice.id))
    lost = jobs[0].images[1].id
    png = await stage.studio.image_png(Caller(owner_id=stage.alice.id), lost)
    for file in (tmp_path / "images").glob(f"??/??/{content_key(png)}*"):
        file.unlink()
    result = await stage.alice.slash(stage.channel, "gallery")
    assert len(gallery_items(result.response)) == 3
    assert f"grey squares stand for them: `{lost}`" in text(result.response)


async def test_show_brings_a_picture_by_its_id(stage):
    await stage.imagine(count=1)
    jobs, _ = await stage.studio.history(Caller(owner_id=stage.alice.id))
    image = jobs[0].images[0]
    by_id = await stage.bob.slash(stage.channel, "show", id=image.id)
    assert not by_id.ephemeral
    assert len(gallery_items(by_id.response)) == 1
    by_place = await stage.bob.slash(stage.channel, "show", id=f"{jobs[0].id}:0")
    assert image.id in text(by_place.response)


async def test_show_refuses_what_is_not_there_or_not_to_be_seen(stage):
    missing = await stage.bob.slash(stage.channel, "show", id="nothing0here")
    assert missing.ephemeral
    assert "🔍" in text(missing.response)
    result = await stage.alice.slash(stage.channel, "imagine", prompt="a fox", private=True)
    await stage.delivered(result)
    jobs, _ = await stage.studio.history(Caller(owner_id=stage.alice.id))
    hidden = await stage.bob.slash(stage.channel, "show", id=jobs[0].images[0].id)
    assert "🔍" in text(hidden.response)


async def test_a_private_picture_is_shown_to_its_owner_alone(stage):
    result = await stage.alice.slash(stage.channel, "imagine", prompt="a fox", private=True)
    await stage.delivered(result)
    jobs, _ = await stage.studio.history(Caller(owner_id=stage.alice.id))
    shown = await stage.alice.slash(stage.channel, "show", id=jobs[0].images[0].id)
    assert shown.ephemeral


async def test_show_answers_in_time_and_to_its_member_where_the_database_is_slow(
    stage, monkeypatch
):
    await stage.imagine(count=1)
    image = (await stage.studio.history(Caller(owner_id=stage.alice.id)))[0][0].images[0]
    monkeypatch.setattr(gallery, "LOOKED_UP_S", 0)
    shown = await stage.alice.slash(stage.channel, "show", id=image.id)
    assert shown.ephemeral
    assert gallery_items(shown.response)
