"""Results find their way: tokens that end, limits on files, lost answers, too many requests."""

import pytest

from tests.e2e.loopback.client import has_ended, image_of, labels, shown, text

MINUTE_S = 60.0


@pytest.fixture
async def held(alice):
    """A job that waits for the gate, shown as progress."""
    deed = await alice.types("imagine", prompt="a held fox")
    await deed.until(
        lambda seen: seen["original"] and "Cancel" in labels(seen["original"]), "progress"
    )
    return deed


async def ended_messages(loopback, member, count=1, channel_id=""):
    async def look():
        return [seen for seen in await member.sees(channel_id) if has_ended(seen)]

    return await loopback.until(look, lambda seen: len(seen) >= count, f"{count} results")


async def test_after_fifteen_minutes_the_result_comes_through_the_channel(
    loopback, alice, bot, held
):
    await loopback.ask("clock", forward_s=16 * MINUTE_S)
    bot.gate.touch()
    [message] = await ended_messages(loopback, alice)
    assert shown(message)
    old = (await held.seen())["original"]
    assert message["id"] != old["id"]
    await held.says("further down")


async def test_the_bot_itself_knows_that_a_token_ends(loopback, alice):
    # The answer is acknowledged; but the token ends within seconds.
    deed = await alice.types("imagine", deed={"age_s": 15 * MINUTE_S - 10}, prompt="a fox")
    [message] = await ended_messages(loopback, alice)
    report = await loopback.report()
    edits = [r for r in report["requests"] if r["method"] == "PATCH" and "webhooks" in r["path"]]
    assert message["id"] != (await deed.seen())["original"]["id"]
    assert not edits, "a token that is about to end was used"


async def test_a_late_private_result_is_written_to_its_member(loopback, alice, bob, bot):
    deed = await alice.types("imagine", prompt="a held fox", private=True)
    await deed.until(
        lambda seen: seen["original"] and "Cancel" in labels(seen["original"]), "progress"
    )
    await loopback.ask("clock", forward_s=16 * MINUTE_S)
    bot.gate.touch()
    [message] = await ended_messages(loopback, alice, channel_id=alice.direct_id)
    assert shown(message)
    assert await bob.sees() == []


async def test_a_late_result_where_the_bot_is_no_guest_is_written_to_its_member(
    loopback, alice, bot, channel
):
    await loopback.change_channel(channel, is_installed=False)
    deed = await alice.types("imagine", prompt="a held fox")
    await deed.until(
        lambda seen: seen["original"] and "Cancel" in labels(seen["original"]), "progress"
    )
    await loopback.ask("clock", forward_s=16 * MINUTE_S)
    bot.gate.touch()
    assert await ended_messages(loopback, alice, channel_id=alice.direct_id)


async def test_a_late_result_for_nobody_who_can_be_told_waits_in_the_gallery(
    loopback, alice, bot, channel, held
):
    await loopback.change_channel(channel, app_permissions=0)
    await loopback.change_channel(alice.direct_id, is_closed=True)
    await loopback.ask("clock", forward_s=16 * MINUTE_S)
    bot.gate.touch()
    await loopback.until(
        loopback.report,
        lambda report: [
            request
            for request in report["requests"]
            if request["path"] == f"/channels/{alice.direct_id}/messages"
        ],
        "an attempt to write",
    )
    await loopback.change_channel(channel, app_permissions=(1 << 50) - 1)
    await (await alice.types("gallery")).says("4 pictures")


@pytest.mark.parametrize(
    ("limit_bytes", "kind"), [(10**7, "PNG"), (60_000, "WEBP"), (6_000, "WEBP")]
)
async def test_a_picture_is_made_to_fit_the_limit_of_its_interaction(
    loopback, alice, channel, limit_bytes, kind
):
    await loopback.change_channel(channel, limit_bytes=limit_bytes)
    message = await alice.imagines("a fox")
    data = await loopback.fetch(shown(message)[0]["media"]["url"])
    assert len(data) <= limit_bytes
    assert image_of(data).format == kind


async def test_a_picture_that_fits_no_limit_is_named_as_too_large(loopback, alice, channel):
    await loopback.change_channel(channel, limit_bytes=100)
    message = await alice.imagines("a fox")
    assert "too large" in text(message)
    assert shown(message) == []


async def test_a_refused_file_is_sent_smaller(loopback, alice, channel):
    await loopback.change_channel(channel, limit_bytes=200_000)
    await loopback.fault("PATCH", r"/webhooks/.*", status=413, code=40005, is_upload_only=True)
    message = await alice.imagines("a fox", count=1)
    assert shown(message)


async def test_too_many_requests_are_waited_for(loopback, alice):
    await loopback.fault("PATCH", r"/webhooks/.*", status=429, retry_after=0.2, times=2)
    message = await alice.imagines("a fox")
    assert shown(message)
    statuses = [request["status"] for request in (await loopback.report())["requests"]]
    assert statuses.count(429) == 2


async def test_an_answer_that_was_lost_makes_no_second_message(loopback, alice, held, bot):
    await loopback.fault("PATCH", r"/webhooks/.*", is_after=True)
    bot.gate.touch()
    message = await held.result()
    await (await alice.types("history")).says("finished")
    assert [seen["id"] for seen in await alice.sees() if has_ended(seen)] == [message["id"]]


async def test_a_post_whose_answer_was_lost_makes_no_second_message(loopback, alice, held, bot):
    await loopback.ask("clock", forward_s=16 * MINUTE_S)
    await loopback.fault("POST", r"/channels/\d+/messages", is_after=True)
    bot.gate.touch()
    await loopback.until(
        loopback.report,
        lambda report: (
            sum(
                request["method"] == "POST"
                and request["path"].endswith(f"{alice.channel_id}/messages")
                for request in report["requests"]
            )
            >= 2
        ),
        "a second attempt",
    )
    assert len(await ended_messages(loopback, alice)) == 1


async def test_trouble_at_discord_delays_a_result(loopback, alice, held, bot):
    await loopback.fault("PATCH", r"/webhooks/.*", status=503, code=0, times=1)
    bot.gate.touch()
    assert shown(await held.result())
