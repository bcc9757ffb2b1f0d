"""/history, /queue and /cancel."""

from bot.studio.contract import Caller, JobState
from tests.integration.bot.faces.discord.stage import labels, text


async def states(stage, member):
    jobs, _ = await stage.studio.history(Caller(owner_id=member.id))
    return [job.state for job in jobs]


async def test_the_history_lists_own_jobs_newest_first(stage):
    await stage.imagine(prompt="a fox", count=1)
    await stage.imagine(prompt="an owl", count=1)
    await stage.imagine(stage.bob, prompt="a bear", count=1)
    result = await stage.alice.slash(stage.channel, "history")
    lines = text(result.response).splitlines()
    assert result.ephemeral
    assert "an owl" in lines[1]
    assert "a fox" in lines[2]
    assert len(lines) == 3


async def test_the_history_has_pages(stage):
    await stage.connect()
    prompt = "a {red, blue, green, black} fox --repeat 3 --images 1"
    asked = await stage.alice.slash(stage.channel, "imagine", prompt=prompt)
    if "10" in text(asked.response):  # more than the cap of one prompt
        prompt = "a {red, blue, green} fox --repeat 3 --images 1"
        asked = await stage.alice.slash(stage.channel, "imagine", prompt=prompt)
    await stage.alice.click(asked.response, label="Start 9 jobs")
    await stage.imagine(count=1)
    await stage.imagine(count=1)
    result = await stage.alice.slash(stage.channel, "history")
    assert len(text(result.response).splitlines()) == 11
    await stage.alice.click(result.response, label="Older")
    assert len(text(result.response).splitlines()) == 2


async def test_the_queue_shows_own_jobs_with_buttons_to_cancel_them(stage):
    stage.engine.stuck = True
    for _ in range(3):
        await stage.alice.slash(stage.channel, "imagine", prompt="a fox")
    result = await stage.alice.slash(stage.channel, "queue")
    assert text(result.response).count("a fox") == 3
    assert len(labels(result.response)) == 3
    pressed = await stage.alice.click(result.response, label=labels(result.response)[2])
    assert "cancelled" in text(pressed.followups[0])
    others = await stage.bob.slash(stage.channel, "queue")
    assert "None of them is yours" in text(others.response)


async def test_the_queue_shows_prompts_without_markdown(stage):
    stage.engine.stuck = True
    await stage.alice.slash(stage.channel, "imagine", prompt="**a** `fox` ||asleep||")
    result = await stage.alice.slash(stage.channel, "queue")
    assert r"\*\*a\*\* \`fox\` \|\|asleep\|\|" in text(result.response)


async def test_an_admin_sees_whose_jobs_wait_and_stops_a_private_one(stage):
    stage.engine.stuck = True
    await stage.alice.slash(stage.channel, "imagine", prompt="a secret fox", private=True)
    await stage.admin.slash(stage.channel, "imagine", prompt="an owl")
    result = await stage.admin.slash(stage.channel, "queue")
    own, others = text(result.response).split("Of others in this server:")
    assert "an owl" in own
    assert f"<@{stage.alice.id}>" in others
    assert "fox" not in text(result.response)
    assert len(labels(result.response)) == 2
    pressed = await stage.admin.click(result.response, label=labels(result.response)[1])
    assert "cancelled" in text(pressed.followups[0])
    assert await states(stage, stage.alice) == [JobState.CANCELLED]
    for member in (stage.alice, stage.bob):
        seen = await member.slash(stage.channel, "queue")
        assert "Of others" not in text(seen.response)


async def test_cancel_without_a_job_ends_all_of_ones_own(stage):
    stage.engine.stuck = True
    await stage.bob.slash(stage.channel, "imagine", prompt="a bear")
    for _ in range(2):
        await stage.alice.slash(stage.channel, "imagine", prompt="a fox")
    result = await stage.alice.slash(stage.channel, "cancel")
    assert "2" in text(result.response)
    assert await states(stage, stage.alice) == [JobState.CANCELLED] * 2
    assert JobState.CANCELLED not in await states(stage, stage.bob)
    again = await stage.alice.slash(stage.channel, "cancel")
    assert "no waiting or running jobs" in text(again.response)


async def test_cancel_completes_own_jobs_and_refuses_others(stage):
    stage.engine.stuck = True
    await stage.alice.slash(stage.channel, "imagine", prompt="a fox")
    choices = await stage.alice.autocomplete(stage.channel, "cancel", "job", "fox")
    assert len(choices) == 1
    job_id = choices[0]["value"]
    refused = await stage.bob.slash(stage.channel, "cancel", job=job_id)
    assert "owner" in text(refused.response)
    await stage.alice.slash(stage.channel, "cancel", job=job_id)
    assert await states(stage, stage.alice) == [JobState.CANCELLED]
