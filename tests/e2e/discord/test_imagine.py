"""From /imagine to the grid, over the wire: progress, uploads, refusals."""

import asyncio
import io

from PIL import Image

from tests.e2e.loopback.client import (
    attached,
    image_of,
    labels,
    parts,
    picture_file,
    shown,
    text,
)
from tests.e2e.loopback.world import EPHEMERAL


async def test_imagine_ends_in_a_grid_with_buttons_and_alt_text(loopback, alice):
    message = await alice.imagines("a red fox")
    assert "a red fox" in text(message)
    assert labels(message)[:8] == ["U1", "U2", "U3", "U4", "V1", "V2", "V3", "V4"]
    [item] = shown(message)
    assert "Grid of 4 pictures" in item["description"]
    grid = image_of(await loopback.fetch(item["media"]["url"]))
    assert grid.size == (2 * 256 + 4, 2 * 256 + 4)
    assert "a red fox" in grid.text["parameters"]


async def test_one_interaction_has_one_message(alice):
    message = await alice.imagines()
    assert [seen["id"] for seen in await alice.sees()] == [message["id"]]


async def test_progress_shows_a_preview_and_can_be_cancelled(loopback, alice):
    deed = await alice.types("imagine", prompt="a held fox")
    seen = await deed.until(
        lambda seen: seen["original"] and "Cancel" in labels(seen["original"]), "progress"
    )
    seen = await deed.until(lambda seen: shown(seen["original"]), "a preview")
    [item] = shown(seen["original"])
    assert "Unfinished preview" in item["description"]
    assert image_of(await loopback.fetch(item["media"]["url"])).size == (64, 64)
    await alice.presses(seen["original"], "Cancel")
    assert "Cancelled" in text(await deed.result())


async def test_progress_keeps_within_discords_rate_of_edits(loopback, alice):
    deed = await alice.types("imagine", prompt="a held fox")
    await deed.until(lambda seen: seen["original"] and shown(seen["original"]), "a preview")
    await alice.types("cancel")
    await deed.result()
    report = await loopback.report()
    assert 429 not in [request["status"] for request in report["requests"]]


async def test_an_attachment_is_what_the_picture_starts_from(alice):
    message = await alice.imagines("a fox", image=picture_file(side=512), count=1)
    [item] = shown(message)
    assert (item["media"]["width"], item["media"]["height"]) == (256, 256)


async def test_an_attachment_that_is_gone_is_explained_where_the_member_waits(loopback, alice):
    await loopback.fault("GET", r"/attachments/.*", status=404)
    deed = await alice.types("imagine", prompt="a fox", image=picture_file())
    await deed.says("can't be fetched")


async def test_a_broken_picture_is_explained(alice):
    broken = attached("photo.png", b"\x89PNG nothing")
    deed = await alice.types("imagine", prompt="a fox", image=broken)
    await deed.says("🖼️")


async def test_a_broken_prompt_is_explained(alice):
    deed = await alice.types("imagine", prompt="a fox --caos 3")
    await deed.says("--chaos")


async def test_a_preset_that_is_none_is_explained_after_the_deferral(alice):
    deed = await alice.types("imagine", prompt="a fox", preset="nonsense")
    message = await deed.says("nonsense")
    assert not message["flags"] & (1 << 7), "it still says that the bot is thinking"


async def test_a_job_that_fails_says_why_and_offers_to_try_again(alice):
    message = await alice.imagines("a doomed fox")
    assert "the brushes are worn out" in text(message)
    assert "Try again" in labels(message)


async def test_each_expansion_gets_a_message_of_its_own(alice):
    deed = await alice.types("imagine", prompt="a {red, blue} fox")
    seen = await deed.until(lambda seen: len(seen["followups"]) == 2, "two results")
    first_lines = sorted(text(message).splitlines()[0] for message in seen["followups"])
    assert first_lines == ["**a blue fox**", "**a red fox**"]
    await deed.says("2 of 2")


async def test_many_jobs_are_asked_about_first_and_keep_their_upload(loopback, alice):
    prompt = "a {red, blue, green, black, white} fox --images 1"
    deed = await alice.types("imagine", prompt=prompt, image=picture_file(side=512))
    question = await deed.says("5 jobs")
    confirmed = await alice.presses(question, "Start 5 jobs")
    seen = await confirmed.until(lambda seen: len(seen["followups"]) == 5, "five results")
    details = await alice.presses(seen["followups"][0], "info:")
    # What began with an upload says how far it left it.
    await details.says("Denoising strength")


async def test_many_jobs_start_once_though_the_button_is_pressed_twice(alice):
    prompt = "a {red, blue, green, black, white} fox --images 1"
    question = await (await alice.types("imagine", prompt=prompt)).says("5 jobs")
    presses = [await alice.presses(question, "Start 5 jobs") for _ in range(2)]

    async def results() -> int:
        return sum([len((await press.seen())["followups"]) for press in presses])

    while await results() < 5:
        await asyncio.sleep(0.1)
    await asyncio.sleep(2.0)
    assert await results() == 5


async def test_a_private_picture_is_seen_by_its_owner_alone(alice, bob):
    message = await alice.imagines("a fox", private=True)
    assert message["flags"] & EPHEMERAL
    assert await bob.sees() == []


async def test_private_by_preference_exchanges_the_public_answer_for_a_private_one(alice, bob):
    await (await alice.types("settings", private=True)).says("Saved")
    deed = await alice.types("imagine", prompt="a fox")
    await deed.until(
        lambda seen: seen["followups"] and "seed" in text(seen["followups"][0]), "a private result"
    )
    assert (await deed.seen())["original"]["is_deleted"]
    assert await bob.sees() == []


async def test_a_direct_message_brings_a_picture_to_its_member_alone(alice, bob):
    at_home = alice.elsewhere(alice.direct_id)
    message = await at_home.imagines("a fox")
    assert message["channel_id"] == alice.direct_id
    assert shown(message)


async def test_missing_permissions_are_named_before_any_work(loopback, alice, channel):
    await loopback.change_channel(channel, app_permissions=((1 << 50) - 1) & ~(1 << 15))
    deed = await alice.types("imagine", prompt="a fox")
    message = await deed.says("Attach Files")
    assert message["flags"] & EPHEMERAL


async def test_where_only_the_member_installed_the_bot_it_answers_all_the_same(
    loopback, alice, channel
):
    await loopback.change_channel(channel, is_installed=False)
    assert shown(await alice.imagines("a fox"))


async def test_a_chinese_member_is_answered_in_chinese(loopback, channel):
    member = await loopback.actor(f"wei-{channel}", channel, locale="zh-CN")
    message = await member.imagines("一只狐狸")
    assert {"重新绘制", "收藏", "删除"} <= set(labels(message))


async def test_the_longest_message_is_within_all_limits(alice):
    message = await alice.imagines("x" * 2900 + " --images 8")
    assert labels(message)[:16] == [f"U{n}" for n in range(1, 9)] + [f"V{n}" for n in range(1, 9)]
    assert len(parts(message)) <= 40


async def test_what_is_attached_is_a_png_that_can_be_read_back(loopback, alice):
    message = await alice.imagines("a fox --seed 77", count=1)
    [item] = shown(message)
    data = await loopback.fetch(item["media"]["url"])
    with Image.open(io.BytesIO(data)) as image:
        assert image.format == "PNG"
        assert "Seed: 77" in image.text["parameters"]
