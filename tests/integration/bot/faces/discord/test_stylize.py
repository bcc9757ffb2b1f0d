"""/stylize, /style, and restyling by menus and buttons."""

import io

import pytest
from PIL import Image

from bot.storage.files import content_key
from bot.studio.contract import Caller, JobState, Operation
from engine.api import KeepColour, StyleMethod, Stylize
from tests.integration.bot.faces.discord.stage import (
    attached,
    gallery_items,
    labels,
    parts,
    png_bytes,
    text,
)

PHOTO = ("photo.png", png_bytes(48))


def choices(message) -> list[str]:
    """The values of a message's menu."""
    [menu] = [part for part in parts(message) if part["type"] == 3]
    return [option["value"] for option in menu["options"]]


def menu_id(message) -> str:
    [menu] = [part for part in parts(message) if part["type"] == 3]
    return menu["custom_id"]


async def newest(stage, member):
    [job] = (await stage.studio.history(Caller(owner_id=member.id), limit=1))[0]
    return job


async def test_stylize_shows_the_picture_in_another_look_with_buttons_and_alt_text(stage):
    result = await stage.alice.slash(
        stage.channel, "stylize", content=PHOTO, style="starry-night", strength=0.7, seed=5
    )
    message = await stage.delivered(result)
    assert attached(stage, message).size == (48, 48)
    assert "in the style of The Starry Night" in text(message)
    assert "restyled" in text(message)
    [item] = gallery_items(message)
    assert item["description"].startswith("Restyled image")
    assert "Restyle" in labels(message)
    [request] = stage.engine.requests
    assert isinstance(request, Stylize)
    assert (request.styles[0].preset, request.strength, request.seed) == ("starry-night", 0.7, 5)


async def test_every_option_reaches_the_engine(stage):
    await stage.studio.save_style(Caller(owner_id=stage.alice.id), "wave", png_bytes())
    result = await stage.alice.slash(
        stage.channel,
        "stylize",
        content=PHOTO,
        style="wave:2",
        style_image=("look.png", png_bytes(32)),
        style2="Udnie:0.4",
        method="optimise",
        keep_colour="luminance",
        detail="draft",
        size=96,
        variations=2,
        mask=("mask.png", png_bytes(16, "white")),
    )
    message = await stage.delivered(result)
    assert len((await newest(stage, stage.alice)).images) == 2
    [request] = stage.engine.requests
    assert isinstance(request, Stylize)
    assert [style.weight for style in request.styles] == [2, 0.4, 1]
    assert (request.method, request.keep_colour) == (StyleMethod.OPTIMISE, KeepColour.LUMINANCE)
    assert (request.size, request.image_count, request.iterations) == (96, 2, 60)
    assert request.mask
    assert labels(message)[:5] == ["U1", "U2", "V1", "V2", "Restyle"]


async def test_an_image_of_the_gallery_is_restyled_by_its_id(stage):
    await stage.imagine(prompt="a fox", count=2)
    fox = (await newest(stage, stage.alice)).images[1]
    result = await stage.alice.slash(
        stage.channel, "stylize", id=f"`{fox.id}`", style="starry-night"
    )
    await stage.delivered(result)
    assert (await newest(stage, stage.alice)).parent_id == fox.id


async def test_weights_go_to_names_first_then_to_attached_pictures(stage):
    await stage.delivered(
        await stage.alice.slash(
            stage.channel,
            "stylize",
            content=PHOTO,
            style_image=("look.png", png_bytes(32)),
            style_image2=("other.png", png_bytes(32, "blue")),
            style2="udnie",
            weights="60:40:0.5",
        )
    )
    [request] = stage.engine.requests
    assert [style.weight for style in request.styles] == [60, 40, 0.5]
    assert [bool(style.image) for style in request.styles] == [False, True, True]


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({}, "name a style"),
        ({"style": "udnie", "weights": "1:2"}, "one for each style: 1 here, not 2"),
        ({"style": "udnie", "weights": "much"}, "weights are numbers"),
        ({"style": "nosuch"}, "no style called nosuch"),
        ({"style": "udnie:0"}, "above 0 and at most 1,000,000"),
        ({"style": "udnie", "style2": "great-wave", "weights": "1:0"}, "above 0"),
        ({"style": "udnie", "mask": ("mask.png", png_bytes()[:50])}, "the mask is damaged"),
        ({"style_image": ("look.png", b"no picture")}, "the style is no PNG"),
        ({"style": "udnie", "id": "zzzzzzzzzz"}, "content and id exclude each other"),
        ({"style": "udnie", "content": None}, "give the id of one"),
    ],
)
async def test_what_cannot_be_done_is_answered_with_a_cure(stage, given, says):
    given = {"content": PHOTO} | given
    options = {name: value for name, value in given.items() if value}
    result = await stage.alice.slash(stage.channel, "stylize", **options)
    assert says in text(result.response)
    assert stage.engine.requests == []


async def test_a_private_restyle_is_seen_by_its_owner_alone(stage):
    options = {"content": PHOTO, "style": "udnie", "private": True}
    result = await stage.alice.slash(stage.channel, "stylize", **options)
    message = await stage.delivered(result)
    assert message.ephemeral
    assert (await newest(stage, stage.alice)).is_private


async def test_styles_are_completed_by_name_and_title_and_keep_their_weight(stage):
    await stage.studio.save_style(Caller(owner_id=stage.alice.id), "my wave", png_bytes())

    async def typed(value):
        found = await stage.alice.autocomplete(
            stage.channel, "stylize", "style", value, content=PHOTO
        )
        return [choice["value"] for choice in found]

    assert (await typed("wave")) == ["my-wave", "great-wave"]
    assert (await typed("My Wa")) == ["my-wave"]
    assert (await typed("gogh:0.4")) == ["starry-night:0.4"]
    assert len(await typed("")) == 9


async def test_the_library_saves_lists_shows_shares_and_deletes(stage):
    saved = await stage.alice.slash(
        stage.channel, "style save", name="My Wave", picture=("wave.png", png_bytes())
    )
    assert "my-wave" in text(saved.response)
    assert saved.ephemeral
    listed = text((await stage.alice.slash(stage.channel, "style list")).response)
    assert "`my-wave`" in listed
    assert "Vincent van Gogh" in listed
    sheets = (await stage.alice.slash(stage.channel, "style list")).response.attachments
    assert [sheet.filename for sheet in sheets] == ["own.webp", "shipped.webp"]
    painting = await stage.bob.slash(stage.channel, "style show", name="Udnie")
    assert attached(stage, painting.response).size == (128, 128)
    assert "Francis Picabia" in text(painting.response)
    shown = await stage.alice.slash(stage.channel, "style show", name="my-wave")
    assert attached(stage, shown.response).size == (64, 64)
    refused = await stage.bob.slash(stage.channel, "style show", name="my-wave")
    assert "no style called" in text(refused.response)
    await stage.alice.slash(stage.channel, "style share", name="my-wave")
    shown = await stage.bob.slash(stage.channel, "style show", name="my-wave")
    assert attached(stage, shown.response).size == (64, 64)
    assert "shared with this server" in text(
        (await stage.bob.slash(stage.channel, "style list")).response
    )
    await stage.alice.slash(stage.channel, "style delete", name="my-wave")
    gone = await stage.alice.slash(stage.channel, "style show", name="my-wave")
    assert "no style called" in text(gone.response)


async def test_an_admin_takes_back_what_a_member_shared(stage):
    await stage.alice.slash(
        stage.channel, "style save", name="wave", picture=("wave.png", png_bytes())
    )
    await stage.alice.slash(stage.channel, "style share", name="wave")
    offered = await stage.admin.autocomplete(stage.channel, "style share", "name", "")
    assert [choice["value"] for choice in offered] == ["wave"]
    assert await stage.bob.autocomplete(stage.channel, "style share", "name", "") == []
    refused = await stage.bob.slash(stage.channel, "style share", name="wave", shared=False)
    assert "keep no style" in text(refused.response)
    taken = await stage.admin.slash(stage.channel, "style share", name="wave", shared=False)
    assert "can't use `wave` any more" in text(taken.response)
    gone = await stage.bob.slash(stage.channel, "style show", name="wave")
    assert "no style called" in text(gone.response)


async def test_a_list_of_many_styles_keeps_discords_limit_and_counts_the_rest(stage):
    caller = Caller(owner_id=stage.alice.id)
    for number in range(90):
        await stage.studio.save_style(caller, f"{'w' * 36}-{number:02}", png_bytes(8))
    listed = text((await stage.alice.slash(stage.channel, "style list")).response)
    assert len(listed) <= 4000
    assert f"`{'w' * 36}-89`" in listed  # the newest comes first
    assert "more; type a part of a name" in listed
    assert "Vincent van Gogh" in listed


async def test_a_style_whose_picture_is_gone_keeps_no_other_from_being_listed(stage, tmp_path):
    caller = Caller(owner_id=stage.alice.id)
    for name, colour in (("wave", "blue"), ("rose", "red")):
        await stage.studio.save_style(caller, name, png_bytes(8, colour))
    key = content_key(await stage.studio.style_png(caller, "wave"))
    for file in (tmp_path / "images").glob(f"??/??/{key}*"):
        file.unlink()
    listed = await stage.alice.slash(stage.channel, "style list")
    assert "`wave`" in text(listed.response)
    assert [sheet.filename for sheet in listed.response.attachments] == ["own.webp", "shipped.webp"]


async def test_own_styles_come_before_shared_ones_where_there_are_more_than_fit(stage):
    here = {"guild_id": stage.guild.id}
    bob = Caller(owner_id=stage.bob.id, **here)
    for number in range(26):
        await stage.studio.save_style(bob, f"a{number}", png_bytes(8))
        await stage.studio.share_style(bob, f"a{number}", on=True)
    for name in ("z1", "z2"):
        await stage.studio.save_style(Caller(owner_id=stage.alice.id, **here), name, png_bytes(8))
    completed = await stage.alice.autocomplete(stage.channel, "style delete", "name", "")
    assert [choice["value"] for choice in completed] == ["z1", "z2"]
    posted = await stage.alice.send(stage.channel, attachments=[PHOTO])
    question = await stage.alice.context_menu(stage.channel, "Restyle", posted)
    assert choices(question.response)[:3] == ["z2", "z1", "a25"]
    assert len(choices(question.response)) == 25
    assert "leaves out 12 of the saved styles" in text(question.response)


async def test_a_blend_is_a_grid_of_five_steps(stage):
    result = await stage.alice.slash(
        stage.channel, "style blend", first="udnie", second="great-wave", share=0.3, content=PHOTO
    )
    message = await stage.delivered(result)
    assert "Grid of 5 pictures" in gallery_items(message)[0]["description"]
    [request] = stage.engine.requests
    assert isinstance(request, Stylize)
    assert request.image_weights[2] == (0.7, 0.3)
    components = list(parts(message))
    assert len(components) <= 40


async def test_a_button_under_a_result_asks_for_the_look_and_works_after_a_restart(stage):
    drawn = await stage.imagine(prompt="a red fox", count=1)
    await stage.connect()
    question = await stage.bob.click(drawn, label="Restyle")
    assert question.ephemeral
    offered = choices(question.response)
    assert offered[0] == "starry-night"
    assert offered[-1] == "random"
    chosen = await stage.bob.select(
        question.response, ["great-wave"], custom_id=menu_id(question.response)
    )
    message = await stage.delivered(chosen)
    assert not message.ephemeral
    job = await newest(stage, stage.bob)
    assert (job.operation, job.state) == (Operation.STYLIZE, JobState.FINISHED)
    assert job.prompt == "a red fox, in the style of The Great Wave off Kanagawa"
    assert job.parent_id


async def test_under_a_grid_it_is_asked_which_picture_is_meant(stage):
    grid = await stage.imagine(prompt="a red fox")
    which = await stage.alice.click(grid, label="Restyle")
    assert labels(which.response) == ["1", "2", "3", "4"]
    question = await stage.alice.click(which.response, label="3")
    chosen = await stage.alice.select(
        question.response, ["udnie"], custom_id=menu_id(question.response)
    )
    await stage.delivered(chosen)
    job = await newest(stage, stage.alice)
    third = await stage.studio.image(Caller(owner_id=stage.alice.id), job.parent_id)
    assert third.index == 2


async def test_the_context_menu_restyles_a_picture_that_somebody_posted(stage):
    posted = await stage.alice.send(stage.channel, attachments=[PHOTO])
    question = await stage.bob.context_menu(stage.channel, "Restyle", posted)
    assert attached(stage, question.response).size == (48, 48)
    chosen = await stage.bob.select(question.response, ["udnie"], custom_id="look:upload")
    message = await stage.delivered(chosen)
    assert attached(stage, message).size == (48, 48)


async def test_the_context_menu_restyles_a_result_with_its_lineage(stage):
    drawn = await stage.imagine(prompt="a red fox", count=1)
    question = await stage.bob.context_menu(stage.channel, "Restyle", drawn.message)
    chosen = await stage.bob.select(
        question.response, ["udnie"], custom_id=menu_id(question.response)
    )
    await stage.delivered(chosen)
    assert (await newest(stage, stage.bob)).parent_id


async def test_a_private_image_is_restyled_for_its_owner_alone(stage):
    result = await stage.alice.slash(stage.channel, "imagine", prompt="a fox --private", count=1)
    drawn = await stage.delivered(result)
    question = await stage.alice.click(drawn, label="Restyle")
    chosen = await stage.alice.select(
        question.response, ["udnie"], custom_id=menu_id(question.response)
    )
    await stage.answered(chosen, "in the style of Udnie")
    assert chosen.ephemeral


async def test_a_style_is_trained_for_its_owner_and_named_afterwards(stage):
    result = await stage.alice.slash(
        stage.channel, "style train", name="My Wave", picture=("wave.png", png_bytes())
    )
    await stage.until(lambda: "Favourite" in labels(result.response))
    message = result.response
    assert message.ephemeral
    assert "learned" in text(message)
    assert labels(message) == ["Favourite", "Delete", "", "Private or public"], "to look at"
    assert attached(stage, message).size == (96, 96)
    listed = await stage.alice.slash(stage.channel, "style list")
    assert "`my-wave` (learned)" in text(listed.response)
    await stage.delivered(
        await stage.alice.slash(stage.channel, "stylize", content=PHOTO, style="my-wave")
    )
    assert stage.engine.requests[-1].styles[0].learnt


async def test_a_kept_style_is_learned_renamed_and_forgotten_after_a_question(stage):
    await stage.imagine(prompt="a fox", count=1)
    fox = (await newest(stage, stage.alice)).images[0]
    refused = await stage.alice.slash(stage.channel, "style save", name="fox")
    assert "give the id of one" in text(refused.response)
    refused = await stage.alice.slash(stage.channel, "style train", name="fox")
    await stage.answered(refused, "send the picture")
    await stage.alice.slash(stage.channel, "style save", name="fox", id=f"`{fox.id}`")
    trained = await stage.alice.slash(stage.channel, "style train", name="fox")
    await stage.until(lambda: "Favourite" in labels(trained.response))
    renamed = await stage.alice.slash(stage.channel, "style rename", name="fox", new_name="Red Fox")
    assert "`red-fox`" in text(renamed.response)
    listed = await stage.alice.slash(stage.channel, "style list")
    assert "`red-fox` (learned)" in text(listed.response)
    for label, says in (("No", "`red-fox` stays"), ("Forget it", "`red-fox` is forgotten")):
        asked = await stage.alice.slash(stage.channel, "style delete", name="red-fox")
        assert "can't be brought back" in text(asked.response)
        await stage.connect()
        await stage.alice.click(asked.response, label=label)
        await stage.answered(asked, says)
        named = await stage.studio.style_names(Caller(owner_id=stage.alice.id))
        assert named == (() if label == "Forget it" else ("red-fox",))


async def test_a_learned_style_is_replaced_only_when_that_is_said(stage):
    old, new = ("wave.png", png_bytes()), ("wave.png", png_bytes(32, "blue"))
    result = await stage.alice.slash(stage.channel, "style train", name="wave", picture=old)
    await stage.until(lambda: "Favourite" in labels(result.response))
    refused = await stage.alice.slash(stage.channel, "style save", name="wave", picture=new)
    assert "was learned from another picture" in text(refused.response)
    saved = await stage.alice.slash(
        stage.channel, "style save", name="wave", picture=new, replace=True
    )
    assert "what was learned from the old one is gone" in text(saved.response)


async def test_four_strengths_are_one_job_of_which_one_is_chosen_even_after_a_restart(stage):
    result = await stage.alice.slash(
        stage.channel, "stylize", content=PHOTO, style="udnie", strengths=True
    )
    strip = await stage.delivered(result)
    assert attached(stage, strip).size[0] > 48, "all side by side"
    [request] = stage.engine.requests
    assert request.image_strengths == (0.25, 0.5, 0.75, 1.0)
    job = await newest(stage, stage.alice)
    assert choices(strip) == [*(image.id for image in job.images), "all"]
    assert "Style strength: 0.5," in job.images[1].parameters
    await stage.connect()
    half = job.images[1].id

    def now():
        return next(message for message in stage.messages() if message.id == strip.id)

    def controls():
        return [part["custom_id"] for part in parts(now()) if "custom_id" in part]

    all_controls, all_items = controls(), gallery_items(now())
    await stage.alice.select(strip, [half], custom_id=menu_id(strip))
    await stage.until(lambda: attached(stage, now()).size == (48, 48))
    assert "Upscale 2×" in labels(now())
    assert choices(now())[1] == half, "another may be chosen"
    await stage.alice.select(now(), ["all"], custom_id=menu_id(strip))
    await stage.until(lambda: attached(stage, now()).size[0] > 48)
    assert controls() == all_controls
    assert gallery_items(now())[0]["description"] == all_items[0]["description"]
    seen = await stage.bob.select(now(), [half], custom_id=menu_id(strip))
    [own] = seen.followups
    assert own.ephemeral, "who else looks changes nothing of Alice's message"
    assert attached(stage, own).size == (48, 48)
    assert len(stage.engine.requests) == 1


async def test_of_several_strengths_one_is_deleted_and_the_others_stay_to_choose_from(stage):
    result = await stage.alice.slash(
        stage.channel, "stylize", content=PHOTO, style="udnie", strengths=True
    )
    strip = await stage.delivered(result)
    first, *others = [image.id for image in (await newest(stage, stage.alice)).images]

    def now():
        return next(message for message in stage.messages() if message.id == strip.id)

    await stage.alice.select(strip, [first], custom_id=menu_id(strip))
    deleted = await stage.alice.click(now(), label="Delete")
    [told] = deleted.followups
    assert told.ephemeral
    assert f"`{first}` is deleted" in text(told)
    assert choices(now()) == [*others, "all"]
    assert attached(stage, now()).size[0] > 48, "the others side by side"
    await stage.alice.click(told, label="Undo")
    await stage.alice.select(now(), ["all"], custom_id=menu_id(strip))
    assert choices(now()) == [first, *others, "all"]
    for image_id in (first, *others):
        await stage.alice.select(now(), [image_id], custom_id=menu_id(strip))
        await stage.alice.click(now(), label="Delete")
    assert f"`{others[-1]}` is deleted" in text(now())
    assert labels(now()) == ["Undo"]


async def test_who_looks_at_strengths_of_somebody_else_goes_on_in_a_message_of_their_own(stage):
    result = await stage.alice.slash(
        stage.channel, "stylize", content=PHOTO, style="udnie", strengths=True
    )
    strip = await stage.delivered(result)
    first, second, *_ = [image.id for image in (await newest(stage, stage.alice)).images]
    [own] = (await stage.bob.select(strip, [first], custom_id=menu_id(strip))).followups
    seen = await stage.bob.select(own, [second], custom_id=menu_id(strip))
    assert not seen.followups
    assert choices(stage.messages()[0]) == choices(strip)


async def test_a_strength_that_was_made_private_is_shown_to_its_owner_alone(stage):
    result = await stage.alice.slash(
        stage.channel, "stylize", content=PHOTO, style="udnie", strengths=True
    )
    strip = await stage.delivered(result)
    secret, other = [image.id for image in (await newest(stage, stage.alice)).images[:2]]
    owner = Caller(owner_id=stage.alice.id, guild_id=stage.guild.id)
    await stage.studio.publish(owner, secret, is_private=True)
    for value in (secret, "all"):
        shown = await stage.alice.select(strip, [value], custom_id=menu_id(strip))
        [own] = shown.followups
        assert own.ephemeral
    refused = await stage.bob.select(strip, [secret], custom_id=menu_id(strip))
    assert [own.attachments for own in refused.followups] == [[]]
    await stage.alice.select(strip, [other], custom_id=menu_id(strip))
    assert attached(stage, stage.messages()[0]).size == (48, 48)


async def test_a_button_under_a_restyle_shows_its_strengths(stage):
    result = await stage.alice.slash(stage.channel, "stylize", content=PHOTO, style="udnie")
    restyled = await stage.delivered(result)
    await stage.connect()
    strip = await stage.delivered(await stage.bob.click(restyled, label="Strengths"))
    assert len(choices(strip)) == 5
    own = await stage.delivered(await stage.alice.click(restyled, label="Strengths"))
    assert len(choices(own)) == 5
    first, second, third = stage.engine.requests
    assert second.styles == third.styles == first.styles
    assert (third.content, second.content == first.content) == (first.content, False)
    assert second.image_strengths
    plain = await stage.alice.slash(stage.channel, "imagine", prompt="a red fox", count=1)
    assert "Strengths" not in labels(await stage.delivered(plain))


async def test_strengths_of_what_has_none_are_refused_with_the_way_out(stage):
    refused = await stage.alice.slash(
        stage.channel, "stylize", content=PHOTO, style="udnie", strengths=True, variations=3
    )
    await stage.answered(refused, "not for both")
    slow = await stage.alice.slash(
        stage.channel, "stylize", content=PHOTO, style="udnie", strengths=True, method="optimise"
    )
    await stage.answered(slow, "fast method")
    assert stage.engine.requests == []


async def test_an_animation_comes_back_as_one(stage):
    frames = [Image.new("RGB", (40, 30), (37 * number, 9, 9)) for number in range(4)]
    file = io.BytesIO()
    frames[0].save(file, "GIF", save_all=True, append_images=frames[1:], duration=50)
    result = await stage.alice.slash(
        stage.channel, "stylize", content=("cat.gif", file.getvalue()), style="udnie"
    )
    await stage.until(lambda: "restyled" in text(result.response))
    shown = attached(stage, result.response)
    assert (shown.format, shown.n_frames) == ("WEBP", 4)


async def test_a_name_as_long_as_the_command_takes_is_taken(stage):
    saved = await stage.alice.slash(
        stage.channel, "style save", name="a" * 40, picture=("wave.png", png_bytes())
    )
    assert "a" * 40 in text(saved.response)
    assert "can't be called" not in text(saved.response)
