"""The buttons under a result: whoever presses them, and whenever."""

import pytest

from bot.errors import NotFound
from bot.faces.discord.components import reroll
from bot.studio.contract import Caller, Operation
from tests.integration.bot.faces.discord.stage import (
    attached,
    gallery_items,
    has_ending,
    labels,
    parts,
    text,
)

ALL_LOCKED = "All private or public"


async def newest_job(stage, member):
    jobs, _ = await stage.studio.history(Caller(owner_id=member.id), limit=1)
    return jobs[0]


async def test_upscale_makes_one_larger_picture(stage):
    grid = await stage.imagine()
    single = await stage.delivered(await stage.alice.click(grid.message, label="U2"))
    assert attached(stage, single).size == (512, 512)
    assert "Upscale 2×" in labels(single)
    assert "Reroll" not in labels(single)
    assert "seed" not in text(single)
    assert (await newest_job(stage, stage.alice)).operation is Operation.UPSCALE


async def test_vary_makes_four_pictures_near_one(stage):
    grid = await stage.imagine()
    varied = await stage.delivered(await stage.alice.click(grid.message, label="V3"))
    assert labels(varied)[:4] == ["U1", "U2", "U3", "U4"]
    assert (await newest_job(stage, stage.alice)).operation is Operation.VARY_STRONG


async def test_a_menu_under_a_grid_varies_one_of_it_a_little_even_after_a_restart(stage):
    grid = await stage.imagine()
    await stage.connect()
    [menu] = [part for part in parts(grid) if part["type"] == 3]
    assert menu["placeholder"] == "Vary one a little"
    assert [option["label"] for option in menu["options"]][2] == "Picture 3, a little"
    third = menu["options"][2]["value"]
    chosen = await stage.bob.select(grid, [third], custom_id=menu["custom_id"])
    varied = await stage.delivered(chosen)
    assert labels(varied)[:4] == ["U1", "U2", "U3", "U4"]
    job = await newest_job(stage, stage.bob)
    assert (job.operation, job.parent_id) == (Operation.VARY_SUBTLE, third)
    drawn, near = stage.engine.requests
    assert near.seed == drawn.seed + 2
    assert near.variation_strength == 0.25


async def test_a_reroll_has_the_same_prompt_and_another_seed(stage):
    grid = await stage.imagine(prompt="a fox --seed 5")
    await stage.delivered(await stage.alice.click(grid.message, label="Reroll"))
    first, second = stage.engine.requests
    assert first.prompt == second.prompt
    assert first.seed != second.seed


async def test_a_remix_opens_a_form_with_the_prompt_and_takes_the_edited_one(stage):
    grid = await stage.imagine(prompt="a fox --images 2")
    shown = await stage.alice.click(grid.message, label="Remix")
    box = shown.modal["components"][0]["component"]
    assert box["value"] == "a fox --images 2"
    sent = await stage.alice.submit_modal(shown, {"prompt": "an owl --images 1"})
    remixed = await stage.delivered(sent)
    assert "an owl" in text(remixed)
    assert (await newest_job(stage, stage.alice)).operation is Operation.REMIX


async def test_a_form_that_was_open_during_a_restart_is_still_taken(stage):
    grid = await stage.imagine()
    shown = await stage.alice.click(grid.message, label="Remix")
    await stage.connect()
    remixed = await stage.delivered(await stage.alice.submit_modal(shown, {"prompt": "an owl"}))
    assert "an owl" in text(remixed)


async def test_buttons_of_an_old_message_work_after_a_restart(stage):
    grid = await stage.imagine()
    await stage.connect()
    for label in ("U1", "V1", "Reroll"):
        await stage.delivered(await stage.alice.click(grid, label=label))


async def test_what_another_member_makes_from_a_public_result_belongs_to_them(stage):
    grid = await stage.imagine(stage.alice)
    await stage.delivered(await stage.bob.click(grid.message, label="V1"))
    job = await newest_job(stage, stage.bob)
    assert job.owner_id == stage.bob.id


async def test_buttons_of_a_private_result_answer_privately(stage):
    grid = await stage.imagine(private=True)
    varied = await stage.delivered(await stage.alice.click(grid, label="V1"))
    assert varied.ephemeral


async def test_buttons_in_direct_messages_make_private_pictures(stage):
    user = stage.env.create_user("dora")
    result = await user.slash("imagine", prompt="a fox --public", count=1)
    single = await stage.delivered(result)
    for label in ("Vary", "Upscale 2×", "Reroll"):
        await stage.delivered(await user.click(single, label=label))
        assert (await newest_job(stage, user)).is_private


async def test_earlier_buttons_in_direct_messages_make_nothing_where_servers_alone_are_served(
    stage,
):
    user = stage.env.create_user("dora")
    single = await stage.delivered(await user.slash("imagine", prompt="a fox", count=1))
    question = await user.slash("imagine", prompt="a {fox, owl, bear, cat, dog}")
    await stage.answered(question, "5 jobs")
    stage.options = stage.replaced_options(is_servers_only=True)
    await stage.connect()
    for message, label in ((single, "Vary"), (question.response, "Start 5 jobs")):
        refused = await user.click(message, label=label)
        assert "servers alone" in text(refused.response)
    favourite = await user.click(single, label="Favourite")
    assert "favourite" in text(favourite.response)


async def test_a_public_button_of_a_picture_made_private_answers_its_owner_alone(stage):
    grid = await stage.imagine(count=1)
    image = (await newest_job(stage, stage.alice)).images[0]
    caller = Caller(owner_id=stage.alice.id, guild_id=stage.guild.id)
    await stage.studio.publish(caller, image.id, is_private=True)
    varied = await stage.alice.click(grid.message, label="Vary")
    await stage.until(lambda: varied.followups and has_ending(varied.followups[0]))
    assert varied.followups[0].ephemeral
    assert varied.response.attachments == []


async def test_a_favourite_is_marked_and_unmarked_for_who_presses(stage):
    grid = await stage.imagine(count=1)
    image = (await newest_job(stage, stage.alice)).images[0]
    marked = await stage.bob.click(grid.message, label="Favourite")
    assert marked.ephemeral
    assert "is one of your favourites" in text(marked.response)
    assert (
        await stage.studio.image(Caller(owner_id=stage.bob.id, guild_id=stage.guild.id), image.id)
    ).is_favourite
    assert not (await stage.studio.image(Caller(owner_id=stage.alice.id), image.id)).is_favourite
    unmarked = await stage.bob.click(grid.message, label="Favourite")
    assert "no favourite any more" in text(unmarked.response)


async def test_a_grid_asks_which_picture_is_the_favourite(stage):
    grid = await stage.imagine()
    asked = await stage.alice.click(grid.message, label="Favourite")
    assert labels(asked.response) == ["1", "2", "3", "4"]
    marked = await stage.alice.click(asked.response, label="3")
    assert "is one of your favourites" in text(marked.response)
    images = (await newest_job(stage, stage.alice)).images
    caller = Caller(owner_id=stage.alice.id)
    favourites = [(await stage.studio.image(caller, i.id)).is_favourite for i in images]
    assert favourites == [False, False, True, False]


async def test_a_deleted_picture_goes_from_its_message_and_can_be_brought_back(stage):
    single = await stage.imagine(count=1)
    await stage.alice.click(single.message, label="Delete")
    emptied = stage.messages()[-1]
    assert emptied.id == single.id
    assert "is deleted" in text(emptied)
    assert emptied.attachments == []
    assert gallery_items(emptied) == []
    assert labels(emptied) == ["Undo"]
    await stage.alice.click(emptied, label="Undo")
    back = stage.messages()[-1]
    assert back.id == single.id
    assert len(gallery_items(back)) == 1
    assert {"Delete", "Reroll", "Favourite"} <= set(labels(back))


async def test_a_picture_that_became_private_comes_back_without_being_shown(stage):
    single = await stage.imagine(count=1)
    [image] = (await newest_job(stage, stage.alice)).images
    owner = Caller(owner_id=stage.alice.id)
    await stage.studio.publish(owner, image.id, is_private=True)
    await stage.alice.click(single.message, label="Delete")
    await stage.alice.click(stage.messages()[-1], label="Undo")
    back = stage.messages()[-1]
    assert "back in the gallery" in text(back)
    assert (labels(back), gallery_items(back)) == ([], [])
    assert await stage.studio.image(owner, image.id)


async def test_a_picture_too_large_for_the_message_comes_back_in_words(stage, monkeypatch):
    single = await stage.imagine(count=1)
    await stage.alice.click(single.message, label="Delete")

    async def none_fits(*_, **__):
        return None

    monkeypatch.setattr("bot.faces.discord.components.gallery_pages.fitting_upload", none_fits)
    await stage.alice.click(stage.messages()[-1], label="Undo")
    assert "back in the gallery" in text(stage.messages()[-1])


async def test_only_who_may_delete_a_picture_brings_it_back(stage):
    single = await stage.imagine(stage.alice, count=1)
    await stage.alice.click(single.message, label="Delete")
    refused = await stage.bob.click(stage.messages()[-1], label="Undo")
    assert "no deleted image" in text(refused.followups[0])
    assert refused.followups[0].ephemeral
    assert labels(stage.messages()[0]) == ["Undo"]


async def test_what_an_admin_deleted_is_brought_back_by_admins_alone(stage):
    single = await stage.imagine(stage.alice, count=1)
    await stage.admin.click(single.message, label="Delete")
    refused = await stage.alice.click(stage.messages()[0], label="Undo")
    assert "only an admin may bring it back" in text(refused.followups[0])
    assert refused.followups[0].ephemeral
    assert labels(stage.messages()[0]) == ["Undo"]
    await stage.admin.click(stage.messages()[0], label="Undo")
    assert len(gallery_items(stage.messages()[0])) == 1


async def test_a_grid_stays_until_the_last_of_its_pictures_is_deleted(stage):
    grid = await stage.imagine(count=2)
    which = await stage.alice.click(grid.message, label="Delete")
    first = await stage.alice.click(which.response, label="1")
    assert first.ephemeral
    assert "The message with the grid still shows it" in text(first.response)
    assert labels(first.response) == ["Undo"]
    assert len(gallery_items(stage.messages()[0])) == 1
    last = await stage.alice.click(which.response, label="2")
    assert "grid" not in text(last.response)
    emptied = stage.messages()[0]
    assert "are deleted" in text(emptied)
    assert (labels(emptied), emptied.attachments) == ([], [])
    back = await stage.alice.click(last.response, label="Undo")
    assert "back in the gallery" in text(back.response or last.response)


async def test_a_grid_goes_with_the_last_picture_that_an_admin_deletes(stage):
    grid = await stage.imagine(count=2)
    which = await stage.admin.click(grid.message, label="Delete")
    for label in ("1", "2"):
        last = await stage.admin.click(which.response, label=label)
    assert "is deleted" in text(last.response)
    assert "are deleted" in text(stage.messages()[0])


async def test_all_pictures_of_a_grid_go_at_once_and_come_back(stage):
    grid = await stage.imagine(stage.alice, prompt="a fox --images 8")
    images = (await newest_job(stage, stage.alice)).images
    caller = Caller(owner_id=stage.alice.id, guild_id=stage.guild.id)
    which = await stage.bob.click(grid.message, label="Delete")
    refused = await stage.bob.click(which.response, label="All of them")
    assert "only its owner or an admin" in text(refused.followups[0])
    assert len((await stage.studio.job(caller, images[0].job_id)).images) == 8
    which = await stage.admin.click(grid.message, label="Delete")
    gone = await stage.admin.click(which.response, label="All of them")
    assert "8 pictures are deleted" in text(which.response)
    emptied = stage.messages()[0]
    assert "are deleted" in text(emptied)
    assert (labels(emptied), emptied.attachments) == ([], [])
    assert (await stage.studio.job(caller, images[0].job_id)).images == ()
    again = await stage.admin.click(which.response, label="Undo")
    assert "8 pictures are back" in text(again.response or gone.response or which.response)
    assert (await stage.studio.job(caller, images[0].job_id)).images == images


@pytest.mark.parametrize("pressed", [["All of them"], ["1", "2"]])
async def test_a_grid_in_a_direct_message_goes_with_its_pictures(stage, pressed):
    user = stage.env.create_user("dora")
    result = await user.slash("imagine", prompt="a fox", count=2)
    which = await user.click(await stage.delivered(result), label="Delete")
    for label in pressed:
        await user.click(which.response, label=label)
    assert "are deleted" in text(result.response)
    assert (labels(result.response), gallery_items(result.response)) == ([], [])


async def test_all_pictures_of_a_grid_are_made_private_and_taken_off_its_message(stage):
    grid = await stage.imagine(stage.alice, count=4)
    job = await newest_job(stage, stage.alice)
    neighbour = Caller(owner_id=stage.bob.id, guild_id=stage.guild.id)
    refused = await stage.bob.click(grid.message, label=ALL_LOCKED)
    assert "only its owner may change" in text(refused.response)
    locked = await stage.alice.click(grid.message, label=ALL_LOCKED)
    assert locked.ephemeral
    assert "All 4 pictures are private now" in text(locked.response)
    assert "shows it to everybody" in text(locked.response)
    for image in job.images:
        with pytest.raises(NotFound):
            await stage.studio.image(neighbour, image.id)
    with pytest.raises(NotFound):
        await stage.studio.job(neighbour, job.id)
    await stage.connect()
    await stage.alice.click(locked.response, label="Take it off that message")
    emptied = stage.messages()[0]
    assert "This is private" in text(emptied)
    assert (labels(emptied), emptied.attachments, gallery_items(emptied)) == ([], [], [])


async def test_all_pictures_of_a_grid_are_made_public_again_once_all_are_private(stage):
    grid = await stage.imagine(stage.alice, count=2)
    first, second = (await newest_job(stage, stage.alice)).images
    owner = Caller(owner_id=stage.alice.id, guild_id=stage.guild.id)
    neighbour = Caller(owner_id=stage.bob.id, guild_id=stage.guild.id)
    await stage.studio.publish(owner, first.id, is_private=True)
    locked = await stage.alice.click(grid.message, label=ALL_LOCKED)
    with pytest.raises(NotFound):
        await stage.studio.job(neighbour, first.job_id)
    offered = await stage.alice.click(grid.message, label=ALL_LOCKED)
    assert "are private now" in text(offered.response), "what others see is no secret by a slip"
    opened = await stage.alice.click(locked.response, label=ALL_LOCKED)
    assert "All 2 pictures are public now" in text(opened.response)
    assert len((await stage.studio.job(neighbour, first.job_id)).images) == 2
    for image in (first, second):
        await stage.studio.delete(owner, image.id)
    for label in (ALL_LOCKED, "Favourite", "Delete", "Restyle"):
        gone = await stage.alice.click(grid.message, label=label)
        assert "no picture of it left" in text(gone.response)


async def test_a_picture_deleted_where_it_was_opened_says_that_other_messages_stay(stage):
    single = await stage.imagine(count=1)
    image = (await newest_job(stage, stage.alice)).images[0]
    page = await stage.alice.slash(stage.channel, "gallery")
    opened = await stage.alice.select(page.response, [image.id], custom_id="open")
    await stage.alice.click(opened.response, label="Delete")
    assert "that shows it stays" in text(opened.response)
    assert len(gallery_items(stage.messages()[0])) == 1
    assert single.id == stage.messages()[0].id


async def test_a_picture_is_made_private_and_public_again_by_its_owner(stage):
    single = await stage.imagine(count=1)
    image = (await newest_job(stage, stage.alice)).images[0]
    bob = Caller(owner_id=stage.bob.id, guild_id=stage.guild.id)
    refused = await stage.bob.click(single.message, label="Private or public")
    assert "only its owner" in text(refused.response)
    locked = await stage.alice.click(single.message, label="Private or public")
    assert locked.ephemeral
    assert "is private now: you alone" in text(locked.response)
    assert "shows it to everybody" in text(locked.response)
    with pytest.raises(NotFound):
        await stage.studio.image(bob, image.id)
    again = await stage.alice.click(single.message, label="Private or public")
    assert "is private now" in text(again.response)
    opened = await stage.alice.click(again.response, label="Private or public")
    assert "is public now" in text(opened.response)
    assert not (await stage.studio.image(bob, image.id)).is_private


async def test_others_neither_see_nor_rerun_what_its_owner_made_private(stage):
    single = await stage.imagine(count=1, prompt="a secret fox")
    job = await newest_job(stage, stage.alice)
    await stage.alice.click(single.message, label="Private or public")
    told = await stage.bob.slash(stage.channel, "info", id=job.id)
    assert "no such job" in text(told.response)
    for label in ("Reroll", "Remix"):
        refused = await stage.bob.click(single.message, label=label)
        assert "no such job" in text(refused.response)
    assert len(stage.engine.requests) == 1


async def test_a_picture_made_private_is_taken_off_the_message_that_showed_it(stage):
    single = await stage.imagine(count=1)
    locked = await stage.alice.click(single.message, label="Private or public")
    await stage.alice.click(locked.response, label="Take it off that message")
    assert "off that message" in text(locked.response)
    emptied = stage.messages()[0]
    assert "This is private" in text(emptied)
    assert (labels(emptied), emptied.attachments, gallery_items(emptied)) == ([], [], [])


async def test_nobody_deletes_somebody_elses_picture_but_an_admin(stage):
    grid = await stage.imagine(stage.alice, count=1)
    refused = await stage.bob.click(grid.message, label="Delete")
    assert refused.followups[0].ephemeral
    assert "owner" in text(refused.followups[0])
    assert len(gallery_items(stage.messages()[0])) == 1
    await stage.admin.click(grid.message, label="Delete")
    assert "is deleted" in text(stage.messages()[0])


async def test_info_tells_seeds_ids_and_parameters(stage):
    grid = await stage.imagine(prompt="a fox --seed 40")
    told = await stage.bob.click(grid.message, custom_id=_info_id(grid))
    assert told.ephemeral
    assert "seed 43" in text(told.response)
    assert "Steps:" in text(told.response)


async def test_a_button_of_a_deleted_picture_explains_itself(stage):
    single = await stage.imagine(count=1)
    image = (await newest_job(stage, stage.alice)).images[0]
    await stage.studio.delete(Caller(owner_id=stage.alice.id), image.id)
    result = await stage.alice.click(single.message, label="Vary")
    assert "🔍" in text(result.response)


def _info_id(message):
    ids = [str(part.get("custom_id", "")) for part in parts(message)]
    return next(i for i in ids if i.startswith(("info:", "details:")))


async def test_a_remix_keeps_all_of_a_prompt_whose_options_became_flags(stage):
    long = await stage.imagine(prompt=("fox " * 749).strip(), count=1, seed=4242)
    shown = await stage.alice.click(long.message, label="Remix")
    box = shown.modal["components"][0]["component"]
    assert box["value"].endswith("--images 1 --seed 4242")
    assert box["max_length"] >= len(box["value"])


async def test_a_prompt_that_no_form_holds_is_not_remixed_in_part(stage, monkeypatch):
    grid = await stage.imagine(prompt="a fox in a wood")
    monkeypatch.setattr(reroll, "REMIXED_MAX", 10)
    refused = await stage.alice.click(grid.message, label="Remix")
    assert "longer than the 10 characters" in text(refused.response)
