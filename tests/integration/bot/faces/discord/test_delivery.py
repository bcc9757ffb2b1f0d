"""Results find their member whatever became of the interaction, the channel or Discord."""

import asyncio
import io
from dataclasses import replace

import pytest
from PIL import Image
from simcord import interactions

from bot.faces.discord.addresses import ChatAddress
from bot.faces.discord.delivery import DiscordDeliverer
from bot.studio.contract import Caller
from tests.integration.bot.faces.discord.stage import (
    attached,
    gallery_items,
    has_ending,
    labels,
    text,
)

QUARTER_S = 15 * 60


async def begun(stage, channel=None, **options):
    """A job that runs until `engine.stuck` is taken away."""
    stage.engine.stuck = True
    options.setdefault("prompt", "a fox")
    result = await stage.alice.slash(channel or stage.channel, "imagine", **options)
    await stage.until(lambda: "%" in text(result.response))
    return result


async def ended_late(stage, **options):
    """A job that ended when its interaction was over."""
    result = await begun(stage, **options)
    await stage.env.advance_time(QUARTER_S)
    stage.engine.stuck = False
    return result


def direct_messages(stage, member):
    channel_id = stage.env.backend.dm_channels.get(member.id)
    return stage.messages(channel_id) if channel_id else []


async def test_after_fifteen_minutes_the_result_is_a_message_in_the_channel(stage):
    result = await ended_late(stage)
    await stage.until(lambda: has_ending(stage.messages()[-1]))
    posted = stage.messages()[-1]
    assert posted.id != result.response.id
    assert "U1" in labels(posted)
    await stage.answered(result, "further down")
    assert labels(result.response) == []


async def test_a_late_result_tells_its_owner_and_nobody_else(stage):
    await ended_late(stage, prompt="@everyone <@1> a fox")
    await stage.until(lambda: has_ending(stage.messages()[-1]))
    posts = [
        r.json for r in stage.env.http_requests if r.path.endswith(f"{stage.channel.id}/messages")
    ]
    [allowed] = [post["allowed_mentions"] for post in posts]
    assert allowed == {"parse": [], "users": [stage.alice.id]}


async def test_a_result_that_took_a_minute_is_a_message_that_tells_its_owner(stage):
    before = (await begun(stage)).response.id
    await stage.env.advance_time(90)
    stage.engine.stuck = False
    await stage.until(lambda: has_ending(stage.messages()[-1]))
    posted = stage.messages()[-1]
    assert posted.id != before
    assert f"<@{stage.alice.id}>" in text(posted)
    await stage.until(lambda: before not in {message.id for message in stage.messages()})


async def test_a_job_that_is_cancelled_after_a_minute_ends_where_it_was(stage):
    result = await begun(stage)
    await stage.env.advance_time(90)
    await stage.alice.click(result.response, label="Cancel")
    await stage.answered(result, "Cancelled")
    assert [message.id for message in stage.messages()] == [result.response.id]


async def test_a_result_that_was_quick_takes_the_place_of_its_progress(stage):
    result = await begun(stage)
    await stage.env.advance_time(20)
    stage.engine.stuck = False
    await stage.until(lambda: has_ending(stage.messages()[-1]))
    assert stage.messages()[-1].id == result.response.id


async def test_where_the_bot_may_not_post_a_slow_result_takes_the_place_too(stage):
    channel = stage.guild.create_text_channel("read-only")
    result = await begun(stage, channel)
    await stage.env.advance_time(90)
    stage.env.inject_error(
        "POST", f"/channels/{channel.id}/messages", status=403, code=50013, times=None
    )
    stage.engine.stuck = False
    await stage.until(lambda: has_ending(stage.messages(channel.id)[-1]))
    assert stage.messages(channel.id)[-1].id == result.response.id


async def test_a_private_result_that_is_late_is_a_direct_message(stage):
    await ended_late(stage, private=True)
    await stage.until(lambda: direct_messages(stage, stage.alice))
    [message] = direct_messages(stage, stage.alice)
    assert "U1" in labels(message)
    assert not any(has_ending(message) for message in stage.messages())


async def test_where_the_bot_may_not_post_any_more_the_result_is_a_direct_message(stage):
    channel = stage.guild.create_text_channel("closing")
    await begun(stage, channel)
    await stage.env.advance_time(QUARTER_S)
    stage.env.inject_error(
        "POST", f"/channels/{channel.id}/messages", status=403, code=50013, times=None
    )
    stage.engine.stuck = False
    await stage.until(lambda: direct_messages(stage, stage.alice))
    assert "U1" in labels(direct_messages(stage, stage.alice)[0])


async def test_a_member_who_takes_no_messages_finds_the_result_in_the_gallery(stage, caplog):
    stage.env.inject_error("POST", "/channels/*/messages", status=403, code=50007, times=None)
    await ended_late(stage)
    await stage.until(lambda: "in the gallery alone" in caplog.text)
    jobs, _ = await stage.studio.history(Caller(owner_id=stage.alice.id))
    assert len(jobs[0].images) == 4


async def test_an_answer_that_was_deleted_meanwhile_is_posted_anew(stage):
    result = await begun(stage)
    stage.env.backend.delete_message(stage.channel.id, result.response.id)
    stage.engine.stuck = False
    await stage.until(lambda: stage.messages() and has_ending(stage.messages()[-1]))


async def test_when_discord_fails_the_result_is_shown_later(stage):
    result = await begun(stage)
    stage.env.inject_error("PATCH", "/webhooks/*", status=500, times=1)
    stage.engine.stuck = False
    await stage.delivered(result)


async def test_a_file_that_discord_finds_too_large_is_sent_smaller(stage):
    result = await begun(stage)
    stage.env.inject_error("PATCH", "/webhooks/*", status=413, code=40005, times=1)
    stage.engine.stuck = False
    await stage.delivered(result)


async def test_a_picture_over_the_limit_becomes_a_webp_within_it(stage):
    job, pngs = await finished_job(stage)
    limit = 20_000
    await redelivered(stage, job, pngs, limit_bytes=limit)
    message = stage.messages()[0]
    assert attached(stage, message).format == "WEBP"
    assert message.attachments[0].size <= limit


async def test_a_picture_over_the_limit_is_a_link_where_the_web_studio_has_one(stage):
    stage.options = stage.replaced_options(
        picture_link=lambda image: f"https://atelier.example/i/{image.id}"
    )
    await stage.connect()
    job, pngs = await finished_job(stage)
    await redelivered(stage, job, pngs, limit_bytes=2000)
    message = stage.messages()[0]
    assert f"https://atelier.example/i/{job.images[0].id}" in text(message)
    assert message.attachments == []
    assert "U1" in labels(message)


MOVING = ["Reroll", "Restyle", "Favourite", "Delete", "", "All private or public"]


@pytest.mark.parametrize(
    ("command", "typed", "count"),
    [
        ("stylize", {"style": "udnie", "variations": 4}, 4),
        ("style blend", {"first": "udnie", "second": "great-wave"}, 5),
    ],
)
async def test_each_of_several_animations_is_shown(stage, command, typed, count):
    message = await several_moving(stage, command, **typed)
    shown = [opened(stage, one) for one in message.attachments]
    assert [(one.format, one.n_frames) for one in shown] == [("WEBP", 4)] * count
    items = gallery_items(message)
    assert [item["media"]["url"] for item in items] == [one.url for one in message.attachments]
    numbered = [f"{number} of {count} animations. " for number in range(1, count + 1)]
    told = [item["description"] for item in items]
    assert [one[: len(begins)] for one, begins in zip(told, numbered, strict=True)] == numbered
    assert all("in the style of Udnie" in one for one in told)
    assert labels(message) == MOVING
    which = await stage.alice.click(message, label="Restyle")
    assert labels(which.response) == [str(number) for number in range(1, count + 1)]


async def test_several_animations_are_within_the_limit_together(stage):
    await several_moving(stage, "stylize", style="udnie", variations=4)
    job, files = await newest_job(stage)
    limit = sum(map(len, files)) - 1
    await redelivered(stage, job, files, limit_bytes=limit)
    message = stage.messages()[0]
    assert [opened(stage, one).n_frames for one in message.attachments] == [4] * 4
    assert sum(one.size for one in message.attachments) <= limit
    await redelivered(stage, job, files, limit_bytes=400)
    message = stage.messages()[0]
    assert message.attachments == []
    assert "too large for this chat" in text(message)
    assert labels(message) == MOVING


async def test_delivering_twice_changes_nothing(stage):
    job, pngs = await finished_job(stage)
    before = [text(message) for message in stage.messages()]
    await redelivered(stage, job, pngs)
    await redelivered(stage, job, pngs)
    assert [text(message) for message in stage.messages()] == before


async def test_a_result_is_never_hidden_by_progress_that_was_on_its_way(stage):
    stage.engine.step_delay_s = 0.02
    for seed in range(3):
        message = await stage.imagine(prompt=f"a fox --seed {seed} --images 1")
        for client in stage.clients:
            await client_is_quiet(client)
        assert has_ending(message)


async def test_no_message_pings_anybody(stage):
    await stage.imagine(prompt="@everyone <@1> a fox")
    sent = [r.json for r in stage.env.http_requests if isinstance(r.json, dict)]
    mentions = [body["allowed_mentions"] for body in sent if "allowed_mentions" in body]
    assert mentions
    assert all(allowed.get("parse") == [] for allowed in mentions)


async def client_is_quiet(client):
    for follower in client.followers:
        await follower


async def several_moving(stage, command, **typed):
    """The message of a GIF restyled several times."""
    frames = [Image.new("RGB", (40, 30), (37 * number, 9, 9)) for number in range(4)]
    file = io.BytesIO()
    frames[0].save(file, "GIF", save_all=True, append_images=frames[1:], duration=50)
    result = await stage.alice.slash(
        stage.channel, command, content=("cat.gif", file.getvalue()), **typed
    )
    await stage.until(lambda: "Restyle" in labels(result.response))
    return result.response


def opened(stage, attachment):
    return Image.open(io.BytesIO(stage.env.backend.cdn.get(attachment.url)))


async def finished_job(stage):
    await stage.imagine()
    return await newest_job(stage)


async def newest_job(stage):
    """The newest job of Alice's, and the files of its images."""
    caller = Caller(owner_id=stage.alice.id)
    jobs, _ = await stage.studio.history(caller, limit=1)
    files = [await stage.studio.image_file(caller, image.id) for image in jobs[0].images]
    return jobs[0], tuple(files)


async def redelivered(stage, job, pngs, **changes):
    """Deliver a job once more, as after a crash, to a changed address."""
    address = {**job.destination.address, **changes}
    changed = replace(job, destination=replace(job.destination, address=address))
    deliverer = DiscordDeliverer(stage.clients[-1])
    await stage.outside.run(asyncio.ensure_future, deliverer.deliver(changed, pngs))


async def test_what_discord_never_takes_is_told_without_its_picture(stage):
    job, pngs = await finished_job(stage)
    stage.env.inject_error("PATCH", "/webhooks/*", status=413, code=40005, times=3)
    await redelivered(stage, job, pngs)
    message = stage.messages()[0]
    assert "too large for this chat" in text(message)
    assert gallery_items(message) == []


async def test_one_request_is_never_larger_than_discord_takes(stage, monkeypatch):
    original = interactions.base_payload

    def boosted(*args, **kwargs):
        record, payload = original(*args, **kwargs)
        return record, payload | {"attachment_size_limit": 100 * 2**20}

    monkeypatch.setattr(interactions, "base_payload", boosted)
    job, _ = await finished_job(stage)
    limit = ChatAddress.read(job.destination).limit_bytes
    assert 24 * 2**20 < limit < 25 * 2**20


async def test_a_board_whose_answer_is_over_says_where_the_results_are(stage):
    stage.engine.stuck = True
    result = await stage.alice.slash(
        stage.channel, "imagine", prompt="a {red, blue, green} fox --images 1"
    )
    await stage.until(lambda: "jobs have ended" in text(result.response))
    await stage.env.advance_time(QUARTER_S)
    stage.engine.stuck = False
    await stage.answered(result, "further down")
    assert labels(result.response) == []


async def test_cancelling_what_has_ended_gets_an_answer(stage):
    stage.engine.stuck = True
    board = await stage.alice.slash(stage.channel, "imagine", prompt="a {red, blue} fox --images 1")
    await stage.until(lambda: len(labels(board.response)) == 2)
    await stage.env.advance_time(QUARTER_S)
    stage.env.inject_error("PATCH", "/channels/*", status=403, code=50013, times=100)
    stage.engine.stuck = False
    await stage.until(lambda: sum(map(has_ending, stage.messages())) == 2)
    pressed = await stage.alice.click(board.response, label=labels(board.response)[0])
    assert ["finished" in text(told) for told in pressed.followups] == [True]
