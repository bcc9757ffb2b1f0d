"""Each button under a result, pressed over the wire."""

import pytest

from tests.e2e.loopback.client import Impossible, labels, shown, text
from tests.e2e.loopback.world import EPHEMERAL


@pytest.fixture
async def grid(alice):
    return await alice.imagines("a red fox --seed 5")


@pytest.mark.parametrize(
    ("button", "told", "count"),
    [("U2", "upscaled", 1), ("V3", "varied", 4), ("Reroll", "rerolled", 4)],
)
async def test_a_button_makes_more_pictures(alice, grid, button, told, count):
    message = await (await alice.presses(grid, button)).result()
    assert told in text(message)
    assert message["id"] != grid["id"]
    [item] = shown(message)
    side = 512 if button == "U2" else 2 * 256 + 4
    assert (item["media"]["width"], item["media"]["height"]) == (side, side)
    assert (len(labels(message)) == 10) == (count == 1)


async def test_the_viewer_of_one_picture_varies_and_enlarges_it(alice):
    single = await alice.imagines("a red fox", count=1)
    assert "varied a little" in text(await (await alice.presses(single, "Vary a little")).result())
    large = await (await alice.presses(single, "Upscale 4×")).result()
    assert shown(large)[0]["media"]["width"] == 1024


async def test_remix_opens_a_form_with_the_prompt_filled_in(alice, grid):
    opened = await alice.presses(grid, "Remix")
    form = (await opened.answered())["answer"]["data"]
    box = form["components"][0]["component"]
    assert box["value"] == "a red fox --seed 5"
    message = await (await alice.sends(opened, prompt="a blue owl --images 1")).result()
    assert "a blue owl" in text(message)
    assert "remixed" in text(message)


async def test_a_form_that_was_dismissed_can_be_opened_again(alice, grid):
    await (await alice.presses(grid, "Remix")).answered()
    opened = await alice.presses(grid, "Remix")
    await opened.answered()
    assert "a red fox" in text(await (await alice.sends(opened)).result())


async def test_a_favourite_is_marked_and_found(alice, grid):
    choice = await (await alice.presses(grid, "pick:favourite")).says("Which picture")
    assert choice["flags"] & EPHEMERAL
    await (await alice.presses(choice, "2")).says("is one of your favourites")
    gallery = await (await alice.types("gallery", favourites=True)).says("1 picture ")
    assert len(shown(gallery)) == 1


async def test_a_deleted_picture_comes_back(alice, grid):
    choice = await (await alice.presses(grid, "pick:delete")).says("Which picture shall go")
    gone = await (await alice.presses(choice, "1")).says("is deleted")
    await (await alice.types("gallery")).says("3 pictures")
    await (await alice.presses(gone, "Undo")).says("is back")
    await (await alice.types("gallery")).says("4 pictures")


async def test_a_grid_goes_with_the_last_of_its_pictures(alice):
    pair = await alice.imagines("a red fox", count=2)
    choice = await (await alice.presses(pair, "pick:delete")).says("Which picture shall go")
    await (await alice.presses(choice, "1")).says("The message with the grid still shows it")
    await (await alice.presses(choice, "2")).says("is deleted")
    told = await alice.loopback.ask("message", id=pair["id"])
    assert "are deleted" in text(told["history"][-1])
    assert shown(told["history"][-1]) == []


async def test_a_picture_made_private_is_taken_off_its_message(alice, bob):
    single = await alice.imagines("a red fox", count=1)
    refused = await (await bob.presses(single, "lock:")).says("⛔")
    assert refused["flags"] & EPHEMERAL
    locked = await (await alice.presses(single, "lock:")).says("is private now")
    await (await alice.presses(locked, "Take it off that message")).says("off that message")
    told = await alice.loopback.ask("message", id=single["id"])
    assert "This is private" in text(told["history"][-1])
    assert shown(told["history"][-1]) == []


async def test_info_tells_the_ids_and_the_parameters(alice, grid):
    message = await (await alice.presses(grid, "details:")).says("Seed: 5")
    assert message["flags"] & EPHEMERAL
    picture_id = message["content"].split("1. `")[1].split("`")[0]
    picture = await (await alice.types("show", id=picture_id)).says("a red fox")
    assert len(shown(picture)) == 1
    await (await alice.presses(picture, "info:")).says("Picture")


async def test_others_may_make_more_of_a_public_picture_which_is_then_theirs(alice, bob, grid):
    message = await (await bob.presses(grid, "V1")).result()
    assert f"<@{bob.id}>" in text(message)


async def test_others_may_not_delete_a_picture(alice, bob, grid):
    choice = await (await bob.presses(grid, "pick:delete")).says("Which picture")
    message = await (await bob.presses(choice, "1")).says("⛔")
    assert message["flags"] & EPHEMERAL
    await (await alice.types("gallery")).says("4 pictures")


async def test_others_may_not_cancel_a_job(alice, bob):
    deed = await alice.types("imagine", prompt="a held fox")
    seen = await deed.until(
        lambda seen: seen["original"] and "Cancel" in labels(seen["original"]), "progress"
    )
    refused = await (await bob.presses(seen["original"], "Cancel")).says("⛔")
    assert refused["flags"] & EPHEMERAL
    await (await alice.types("cancel")).says("1")
    assert "Cancelled" in text(await deed.result())


async def test_only_the_member_who_was_asked_may_start_many_jobs(alice, bob):
    prompt = "a {red, blue, green, black, white} fox"
    question = await (await alice.types("imagine", prompt=prompt)).says("5 jobs")
    await (await bob.presses(question, "Start 5 jobs")).says("was asked")
    dismissed = await alice.presses(question, "No")
    assert "Nothing was done" in text((await dismissed.answered())["original"])


async def test_what_nobody_expected_is_answered_with_a_number_that_is_in_the_log(alice, bot, grid):
    for word in ("one", "two", "three"):
        await alice.imagines(f"fox {word}")
    page = await (await alice.types("gallery")).says("16 pictures")
    page = await _turned(alice, page, "Older")
    # Nobody's own client sends such a value.
    with pytest.raises(Impossible):
        await alice.presses(page, "no such button")
    told = await (await alice.presses(page, "pages:", values=["none"])).says("Something went wrong")
    number = told["content"].split("`")[1]
    assert f"error {number}" in bot.log


async def _turned(member, page, button):
    turned = await member.presses(page, button)
    seen = await turned.until(
        lambda seen: seen["original"] and "page 2" in text(seen["original"]), "page 2"
    )
    return seen["original"]
