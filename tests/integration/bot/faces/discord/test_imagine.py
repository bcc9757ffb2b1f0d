"""From /imagine to the grid, and what is refused before any work."""

import contextlib
import sqlite3

import discord
import pytest

from bot.errors import NotFound
from bot.studio.contract import Caller, GalleryQuery, GalleryScope
from engine.api import ImageToImage
from tests.integration.bot.faces.discord.stage import (
    attached,
    gallery_items,
    has_ending,
    labels,
    parts,
    png_bytes,
    text,
)


async def test_imagine_ends_in_a_grid_with_buttons_and_alt_text(stage):
    message = await stage.imagine(prompt="a red fox")
    assert "a red fox" in text(message)
    assert labels(message)[:8] == ["U1", "U2", "U3", "U4", "V1", "V2", "V3", "V4"]
    [item] = gallery_items(message)
    assert "Grid of 4 pictures" in item["description"]
    assert "a red fox" in item["description"]
    assert attached(stage, message).size == (2 * 256 + 4, 2 * 256 + 4)


async def test_every_message_keeps_discords_limits_on_components(stage):
    message = await stage.imagine(prompt="x" * 2900 + " --images 8")
    components = list(parts(message))
    assert len(components) <= 40
    rows = [part for part in components if part["type"] == 1]
    assert all(1 <= len(row["components"]) <= 5 for row in rows)
    ids = [part["custom_id"] for part in components if "custom_id" in part]
    assert len(set(ids)) == len(ids)
    assert max(map(len, ids)) <= 100
    assert len(text(message)) <= 4000
    assert len(gallery_items(message)[0]["description"]) <= 1024


async def test_options_become_flags_of_the_prompt(stage):
    await stage.imagine(prompt="a fox --no text", aspect="3:2", count=2, seed=7)
    [request] = stage.engine.requests
    assert (request.image_count, request.seed) == (2, 7)
    assert request.width > request.height
    assert any(part.weight < 0 for part in request.prompt)


async def test_a_preset_adds_its_words_and_is_kept_as_a_flag(stage):
    message = await stage.imagine(prompt="a fox --seed 3", preset="pixel-art")
    [request] = stage.engine.requests
    assert request.seed == 3
    assert request.prompt[0].text.startswith("a fox, pixel art")
    assert "--seed 3 --preset pixel-art" in text(message)
    assert "pixel art" in gallery_items(message)[0]["description"]


async def test_a_preset_takes_the_place_of_the_usual_one_and_none_turns_it_off(stage):
    await stage.admin.slash(stage.channel, "admin defaults", preset="watercolor")
    await stage.imagine(prompt="a fox", preset="pixel-art")
    await stage.imagine(prompt="a fox", preset="none")
    await stage.alice.slash(stage.channel, "settings", preset="none")
    await stage.imagine(prompt="a fox")
    await stage.bob.slash(stage.channel, "imagine", prompt="a fox")
    await stage.until(lambda: len(stage.engine.requests) == 4)
    texts = [request.prompt[0].text for request in stage.engine.requests]
    assert texts[0].startswith("a fox, pixel art")
    assert "watercolor" not in texts[0]
    assert texts[1:3] == ["a fox", "a fox"]
    assert "watercolor" in texts[3]


async def test_what_a_preset_avoids_joins_what_the_member_avoids(stage):
    await stage.imagine(prompt="a fox --no trees", preset="photo")
    [request] = stage.engine.requests
    parts = [(part.text, part.weight) for part in request.prompt]
    assert parts[0][0].startswith("a fox, ")
    assert parts[1:] == [("trees", -0.5), ("drawing", -0.5)]


async def test_an_unknown_preset_is_refused_in_the_answer(stage):
    result = await stage.alice.slash(stage.channel, "imagine", prompt="a fox", preset="nonsense")
    assert "nonsense" in text(result.response)
    assert stage.engine.requests == []


async def test_an_attachment_is_what_the_picture_starts_from(stage):
    await stage.imagine(prompt="a fox", image=("photo.png", png_bytes()))
    [request] = stage.engine.requests
    assert isinstance(request, ImageToImage)


async def test_an_image_of_the_gallery_is_what_the_picture_starts_from(stage):
    await stage.imagine(stage.bob, prompt="an owl", count=2)
    [owl] = (await stage.studio.history(Caller(owner_id=stage.bob.id)))[0]
    await stage.imagine(prompt="a fox", image_id=f"`{owl.images[1].id}`")
    assert isinstance(stage.engine.requests[-1], ImageToImage)
    [fox] = (await stage.studio.history(Caller(owner_id=stage.alice.id)))[0]
    assert fox.parent_id == owl.images[1].id


async def test_one_picture_alone_is_started_from(stage):
    refused = await stage.alice.slash(
        stage.channel, "imagine", prompt="a", image=("p.png", png_bytes()), image_id="zzzzzzzzzz"
    )
    assert "image and image_id exclude each other" in text(refused.response)
    unknown = await stage.alice.slash(stage.channel, "imagine", prompt="a", image_id="zzzzzzzzzz")
    assert "🔍" in text(unknown.response)


async def test_a_private_picture_is_shown_to_its_owner_alone(stage):
    result = await stage.alice.slash(stage.channel, "imagine", prompt="a fox", private=True)
    message = await stage.delivered(result)
    assert message.ephemeral
    [job] = (await stage.studio.history(Caller(owner_id=stage.alice.id)))[0]
    assert job.is_private


async def test_the_flag_private_makes_the_answer_private_too(stage):
    result = await stage.alice.slash(stage.channel, "imagine", prompt="a fox --private")
    assert (await stage.delivered(result)).ephemeral


@pytest.mark.parametrize("defaults", [{"private": True}, {"flags": "--private"}])
async def test_private_by_preference_exchanges_the_public_answer_for_a_private_one(stage, defaults):
    await stage.alice.slash(stage.channel, "settings", **defaults)
    result = await stage.alice.slash(stage.channel, "imagine", prompt="a fox")
    await stage.until(lambda: result.followups and "seed" in text(result.followups[0]))
    assert result.followups[0].ephemeral
    assert result.response is None


async def test_a_mistake_takes_the_place_of_the_answer_that_was_made_private(stage):
    await stage.alice.slash(stage.channel, "settings", private=True)
    result = await stage.alice.slash(stage.channel, "imagine", prompt="a fox --caos 3")
    assert result.response is None
    [told] = result.followups
    assert told.ephemeral
    assert "chaos" in text(told)
    assert "On it" not in text(told)


async def test_what_turns_out_private_is_shown_to_its_owner_alone(stage):
    await stage.imagine(prompt="an owl", count=1, private=True)
    [owl] = (await stage.studio.history(Caller(owner_id=stage.alice.id)))[0]
    prompt = f"a fox --sref {owl.images[0].id}"
    result = await stage.alice.slash(stage.channel, "imagine", prompt=prompt)
    await stage.until(lambda: result.followups and has_ending(result.followups[0]))
    assert result.followups[0].ephemeral
    assert "private" in text(result.response)
    assert "fox" not in text(result.response)
    assert result.response.attachments == []


async def test_the_flag_of_a_prompt_counts_more_than_the_option(stage):
    result = await stage.alice.slash(
        stage.channel, "imagine", prompt="a fox --private", private=False
    )
    assert (await stage.delivered(result)).ephemeral


async def test_a_direct_message_is_private_by_default(stage):
    user = stage.env.create_user("dora")
    result = await user.slash("imagine", prompt="a fox")
    await stage.delivered(result)
    [job] = (await stage.studio.history(Caller(owner_id=user.id)))[0]
    assert job.is_private


@pytest.mark.parametrize(
    ("secret", "is_ephemeral"),
    [({"private": True}, True), ({"prompt": "a fox --private"}, True), ({}, False)],
)
async def test_among_members_without_the_bot_a_secret_is_shown_to_its_owner_alone(
    stage, monkeypatch, secret, is_ephemeral
):
    user = stage.env.create_user("dora")
    alone = await stage.delivered(await user.slash("imagine", prompt="a fox", private=True))
    assert not alone.ephemeral
    monkeypatch.setattr(discord.app_commands.AppCommandContext, "private_channel", True)
    options = {"prompt": "a fox"} | secret
    shown = await stage.delivered(await user.slash("imagine", **options))
    assert shown.ephemeral is is_ephemeral


async def test_private_by_preference_is_so_among_members_without_the_bot(stage, monkeypatch):
    user = stage.env.create_user("dora")
    await user.slash("settings", private=True)
    monkeypatch.setattr(discord.app_commands.AppCommandContext, "private_channel", True)
    result = await user.slash("imagine", prompt="a fox")
    await stage.until(lambda: result.followups and has_ending(result.followups[0]))
    assert result.followups[0].ephemeral


async def test_a_broken_prompt_is_explained_where_the_member_waits(stage):
    result = await stage.alice.slash(stage.channel, "imagine", prompt="a fox --caos 3")
    assert "--chaos" in text(result.response)
    assert stage.engine.requests == []


async def test_each_expansion_gets_a_message_of_its_own(stage):
    result = await stage.alice.slash(
        stage.channel, "imagine", prompt="a {red, blue} fox --images 1"
    )
    await stage.until(lambda: len(result.followups) == 2)
    shown = sorted(text(message).splitlines()[0] for message in result.followups)
    assert shown == ["**a blue fox --images 1**", "**a red fox --images 1**"]
    assert "2 of 2" in await stage.answered(result, "2 of 2")


async def test_private_expansions_are_answered_in_private(stage):
    result = await stage.alice.slash(
        stage.channel, "imagine", prompt="a {red, blue} fox --images 1", private=True
    )
    await stage.until(lambda: len(result.followups) == 2)
    assert all(message.ephemeral for message in result.followups)


async def test_while_the_database_is_gone_a_member_hears_so_and_may_ask_again(stage, tmp_path):
    with contextlib.closing(sqlite3.connect(tmp_path / "atelier.db")) as database:
        database.execute("ALTER TABLE jobs RENAME TO away")
        refused = await stage.alice.slash(stage.channel, "imagine", prompt="a fox")
        assert "💾 the database does not answer now; nothing was lost" in text(refused.response)
        database.execute("ALTER TABLE away RENAME TO jobs")
    assert await stage.imagine(prompt="a fox")


async def test_many_jobs_are_asked_about_first(stage):
    prompt = "a {red, blue, green, black, white} fox --images 1"
    result = await stage.alice.slash(
        stage.channel, "imagine", prompt=prompt, image=("photo.png", png_bytes())
    )
    assert "5 jobs" in text(result.response)
    assert stage.engine.requests == []
    confirmed = await stage.alice.click(result.response.message, label="Start 5 jobs")
    await stage.until(lambda: len(confirmed.followups) == 5)
    assert all(isinstance(request, ImageToImage) for request in stage.engine.requests)


@pytest.mark.parametrize("settings", [{"private": True}, {"flags": "--private"}])
async def test_a_question_about_private_jobs_is_asked_in_private(stage, settings):
    await stage.alice.slash(stage.channel, "settings", **settings)
    prompt = "a {red, blue, green, black, white} fox --images 1"
    result = await stage.alice.slash(
        stage.channel, "imagine", prompt=prompt, image=("photo.png", png_bytes())
    )
    assert not any("fox" in text(message) for message in stage.messages() if not message.ephemeral)
    [question] = result.followups
    assert question.ephemeral
    assert "fox" in text(question)
    confirmed = await stage.alice.click(question, label="Start 5 jobs")
    await stage.until(lambda: len(confirmed.followups) == 5)
    assert all(message.ephemeral for message in confirmed.followups)
    assert all(isinstance(request, ImageToImage) for request in stage.engine.requests)


async def test_the_question_about_many_jobs_survives_a_restart(stage):
    prompt = "a {red, blue, green, black, white} fox --images 1"
    result = await stage.alice.slash(stage.channel, "imagine", prompt=prompt)
    await stage.connect()
    confirmed = await stage.alice.click(result.response, label="Start 5 jobs")
    await stage.until(lambda: len(confirmed.followups) == 5)


async def test_the_question_about_many_jobs_remembers_the_image_of_the_gallery(stage):
    await stage.imagine(prompt="an owl", count=1)
    [owl] = (await stage.studio.history(Caller(owner_id=stage.alice.id)))[0]
    prompt = "a {red, blue, green, black, white} fox --images 1"
    result = await stage.alice.slash(
        stage.channel, "imagine", prompt=prompt, image_id=f"{owl.id}:0"
    )
    await stage.connect()
    confirmed = await stage.alice.click(result.response, label="Start 5 jobs")
    await stage.until(lambda: len(confirmed.followups) == 5)
    jobs, _ = await stage.studio.history(Caller(owner_id=stage.alice.id), limit=5)
    assert {job.parent_id for job in jobs} == {owl.images[0].id}


async def test_only_the_member_who_was_asked_may_start_many_jobs(stage):
    prompt = "a {red, blue, green, black, white} fox --images 1"
    result = await stage.alice.slash(stage.channel, "imagine", prompt=prompt)
    refused = await stage.bob.click(result.response.message, label="Start 5 jobs")
    assert refused.ephemeral
    assert "was asked" in text(refused.response)
    await stage.alice.click(result.response.message, label="No")
    assert "Nothing was done" in text(result.response)
    assert stage.engine.requests == []


async def test_missing_permissions_are_named_before_any_work(stage):
    everyone = stage.guild.default_role
    silent = stage.guild.create_text_channel(
        "silent", overwrites={everyone: discord.PermissionOverwrite(attach_files=False)}
    )
    result = await stage.alice.slash(silent, "imagine", prompt="a fox")
    assert result.ephemeral
    assert "Attach Files" in text(result.response)
    assert stage.engine.requests == []


async def test_an_upload_from_elsewhere_is_refused(stage, monkeypatch):
    monkeypatch.setattr("simcord.backend.cdn.CDN_BASE", "https://example.invalid")
    result = await stage.alice.slash(
        stage.channel, "imagine", prompt="a fox", image=("photo.png", png_bytes())
    )
    assert "Discord's servers" in text(result.response)


async def test_an_upload_that_is_no_picture_is_refused(stage):
    result = await stage.alice.slash(
        stage.channel, "imagine", prompt="a fox", image=("notes.txt", b"hello")
    )
    assert "notes.txt" in text(result.response)


async def test_a_broken_picture_is_explained(stage):
    result = await stage.alice.slash(
        stage.channel, "imagine", prompt="a fox", image=("photo.png", b"\x89PNG nothing")
    )
    assert "picture" in text(result.response)
    assert stage.engine.requests == []


async def test_models_and_presets_complete_what_is_typed(stage):
    models = await stage.alice.autocomplete(stage.channel, "imagine", "model", "pack", prompt="a")
    assert [choice["value"] for choice in models][:1] == ["atelier-pack"]
    presets = await stage.alice.autocomplete(stage.channel, "imagine", "preset", "pix", prompt="a")
    assert "pixel-art" in [choice["value"] for choice in presets]
    presets = await stage.alice.autocomplete(stage.channel, "imagine", "preset", "", prompt="a")
    assert presets[-1]["value"] == "none"


async def test_what_nobody_expected_is_answered_with_a_number_that_is_in_the_log(
    stage, caplog, monkeypatch
):
    async def broken(*args, **kwargs):
        raise ZeroDivisionError

    monkeypatch.setattr(stage.studio, "imagine", broken)
    result = await stage.alice.slash(stage.channel, "imagine", prompt="a fox")
    number = text(result.response).split("`")[1]
    assert any(number in record.getMessage() for record in caplog.records)
    with pytest.raises(BaseExceptionGroup):
        stage.require_no_surprises()
    stage.forgive()


async def test_pictures_can_be_kept_to_age_restricted_channels(stage):
    stage.options = stage.replaced_options(is_age_restricted_only=True)
    await stage.connect()
    result = await stage.alice.slash(stage.channel, "imagine", prompt="a fox")
    assert "age-restricted" in text(result.response)
    adult = stage.guild.create_text_channel("adult")
    stage.env.bot.get_channel(adult.id).nsfw = True  # the simulation knows no such channels
    allowed = await stage.alice.slash(adult, "imagine", prompt="a fox")
    await stage.delivered(allowed)


async def closed_channel(stage):
    """One for alice and the bot alone."""
    everyone, shown = stage.guild.default_role, discord.PermissionOverwrite(view_channel=True)
    hidden = discord.PermissionOverwrite(view_channel=False)
    overwrites = {everyone: hidden, stage.alice: shown, stage.guild.me: shown}
    return stage.guild.create_text_channel("staff", overwrites=overwrites)


async def age_restricted_channel(stage):
    adult = stage.guild.create_text_channel("adult")
    stage.env.bot.get_channel(adult.id).nsfw = True  # the simulation knows no such channels
    return adult


@pytest.mark.parametrize("secluded", [closed_channel, age_restricted_channel])
async def test_what_is_made_in_a_secluded_channel_is_shown_there_alone(stage, secluded):
    channel = await secluded(stage)
    result = await stage.alice.slash(channel, "imagine", prompt="a fox", count=1)
    shown = await stage.delivered(result)
    assert not shown.ephemeral
    assert len(gallery_items(shown)) == 1
    assert "not for everybody of the server" in text(shown)
    for told, words in (({}, "an owl --private"), ({"private": True}, "an owl")):
        hidden = await stage.alice.slash(channel, "imagine", prompt=words, count=1, **told)
        assert (await stage.delivered(hidden)).ephemeral
    public = await stage.alice.slash(channel, "imagine", prompt="a cat --public", count=1)
    assert "not for everybody" not in text(await stage.delivered(public))
    neighbour = Caller(owner_id=stage.bob.id, guild_id=stage.guild.id)
    page = await stage.studio.gallery(neighbour, GalleryQuery(scope=GalleryScope.GUILD))
    assert [image.prompt for image in page.images] == ["a cat --public --images 1"]


async def test_where_members_are_let_in_by_a_role_their_channels_are_open(stage):
    everyone, shown = stage.guild.default_role, discord.PermissionOverwrite(view_channel=True)
    hidden = discord.PermissionOverwrite(view_channel=False)
    role = stage.guild.create_role("Verified")
    ours = {everyone: hidden, role: shown, stage.alice: shown, stage.guild.me: shown}
    first, *_ = [stage.guild.create_text_channel(f"talk-{n}", overwrites=ours) for n in range(6)]
    result = await stage.alice.slash(first, "imagine", prompt="a fox", count=1)
    assert "not for everybody" not in text(await stage.delivered(result))
    closed = await closed_channel(stage)
    result = await stage.alice.slash(closed, "imagine", prompt="a cat", count=1)
    assert "not for everybody" in text(await stage.delivered(result))


@pytest.mark.parametrize("label", ["Private or public", "All private or public"])
async def test_a_picture_of_a_secluded_channel_can_be_made_private_there_too(stage, label):
    channel = await age_restricted_channel(stage)
    count = 2 if label.startswith("All") else 1
    result = await stage.alice.slash(channel, "imagine", prompt="a fox", count=count)
    shown = await stage.delivered(result)
    [job], _ = await stage.studio.history(Caller(owner_id=stage.alice.id), limit=1)
    neighbour = Caller(owner_id=stage.bob.id, guild_id=stage.guild.id, secluded_in=channel.id)
    assert await stage.studio.image(neighbour, job.images[0].id)
    refused = await stage.bob.click(shown.message, label=label)
    assert "only its owner" in text(refused.response)
    locked = await stage.alice.click(shown.message, label=label)
    assert "private now" in text(locked.response)
    for image in job.images:
        with pytest.raises(NotFound):
            await stage.studio.image(neighbour, image.id)


async def test_in_a_secluded_channel_a_message_shows_the_strength_that_is_chosen(stage):
    channel = await age_restricted_channel(stage)
    picture = ("owl.png", png_bytes())
    typed = {"content": picture, "style": "udnie", "strengths": True}
    shown = await stage.delivered(await stage.alice.slash(channel, "stylize", **typed))
    [menu] = [part for part in parts(shown) if part["type"] == 3]
    half = menu["options"][1]["value"]
    chosen = await stage.alice.select(shown.message, [half], custom_id=menu["custom_id"])
    assert chosen.followups == []
    [message] = stage.messages(channel.id)
    assert "Private or public" in labels(message)
    await stage.alice.click(message, label="Delete")
    message = stage.messages(channel.id)[0]
    assert "All private or public" in labels(message)
    assert gallery_items(message)


async def test_in_a_secluded_channel_a_deleted_picture_comes_back_where_it_was(stage):
    channel = await age_restricted_channel(stage)
    result = await stage.alice.slash(channel, "imagine", prompt="a fox", count=1)
    shown = await stage.delivered(result)
    await stage.alice.click(shown.message, label="Delete")
    await stage.alice.click(stage.messages(channel.id)[0], label="Undo")
    assert gallery_items(stage.messages(channel.id)[0])


async def test_a_secret_is_not_shown_in_a_secluded_channel_either(stage):
    channel = await age_restricted_channel(stage)
    secret = await stage.imagine(prompt="a secret", private=True, count=1)
    [image] = (await stage.studio.history(Caller(owner_id=stage.alice.id), limit=1))[0][0].images
    assert secret.ephemeral
    result = await stage.alice.slash(channel, "upscale", id=image.id)
    await stage.until(lambda: result.followups and gallery_items(result.followups[-1]))
    assert result.followups[-1].ephemeral
    assert gallery_items(result.response) == []


async def test_a_studio_for_age_restricted_channels_alone_has_one_gallery_for_all_of_them(stage):
    stage.options = stage.replaced_options(is_age_restricted_only=True)
    await stage.connect()
    adult = await age_restricted_channel(stage)
    await stage.delivered(await stage.alice.slash(adult, "imagine", prompt="a fox", count=1))
    neighbour = Caller(owner_id=stage.bob.id, guild_id=stage.guild.id)
    page = await stage.studio.gallery(neighbour, GalleryQuery(scope=GalleryScope.GUILD))
    assert page.total == 1


async def test_the_gallery_holds_what_was_imagined(stage):
    await stage.imagine(prompt="a fox")
    page = await stage.studio.gallery(Caller(owner_id=stage.alice.id), GalleryQuery())
    assert page.total == 4
