"""What a member sees while a job waits and runs, and how it is cancelled."""

from bot.faces.discord import progress
from bot.studio.contract import Caller, JobState
from engine.api import NotANumber
from tests.integration.bot.faces.discord.stage import attached, labels, text


async def begun(stage, prompt="a fox"):
    """A job that runs and does not end."""
    stage.engine.stuck = True
    result = await stage.alice.slash(stage.channel, "imagine", prompt=prompt)
    await stage.until(lambda: "%" in text(result.response))
    return result


async def job_of(stage, member):
    jobs, _ = await stage.studio.history(Caller(owner_id=member.id), limit=1)
    return jobs[0]


async def restart(stage):
    """Let everything end that the old connection had under way, and connect again."""
    for follower in stage.clients[-1].followers:
        follower.cancel()
    await stage.connect()


async def test_progress_shows_percentage_preview_and_a_cancel_button(stage):
    stage.engine.step_delay_s = 0.2
    result = await begun(stage)
    await stage.until(lambda: result.response.attachments)
    assert "a fox" in text(result.response)
    assert labels(result.response) == ["Cancel"]
    assert attached(stage, result.response).format == "WEBP"


async def test_a_waiting_job_shows_its_place(stage):
    await begun(stage)
    await begun(stage)
    third = await stage.alice.slash(stage.channel, "imagine", prompt="an owl")
    await stage.answered(third, "place 1")


async def test_its_owner_cancels_a_job(stage):
    result = await begun(stage)
    await stage.alice.click(result.response, label="Cancel")
    await stage.answered(result, "Cancelled")
    assert (await job_of(stage, stage.alice)).state is JobState.CANCELLED
    assert "Try again" in labels(result.response)


async def test_a_cancelled_job_keeps_its_last_preview(stage):
    stage.engine.step_delay_s = 0.2
    result = await begun(stage)
    await stage.until(lambda: result.response.attachments)
    await stage.alice.click(result.response, label="Cancel")
    await stage.answered(result, "Cancelled")
    assert attached(stage, result.response).format == "WEBP"
    assert labels(result.response) == ["Try again", "Remix"]


async def test_nobody_cancels_somebody_elses_job_but_an_admin(stage):
    result = await begun(stage)
    refused = await stage.bob.click(result.response, label="Cancel")
    assert "owner" in text(refused.followups[0])
    assert refused.followups[0].ephemeral
    assert (await job_of(stage, stage.alice)).state is JobState.RUNNING
    await stage.admin.click(result.response, label="Cancel")
    await stage.answered(result, "Cancelled")


async def test_the_cancel_button_works_after_a_restart(stage):
    result = await begun(stage)
    await stage.connect()
    await stage.alice.click(result.response, label="Cancel")
    await stage.answered(result, "Cancelled")


async def test_a_job_that_ends_after_a_restart_still_gets_its_message(stage):
    result = await begun(stage)
    await stage.connect()
    stage.engine.stuck = False
    await stage.delivered(result)


async def test_progress_goes_on_after_a_restart(stage):
    stage.engine.step_delay_s = 0.3
    result = await stage.alice.slash(stage.channel, "imagine", prompt="a fox --steps 60")
    await stage.until(lambda: "%" in text(result.response))
    await restart(stage)
    before = text(result.response)
    await stage.until(lambda: text(result.response) != before and "%" in text(result.response))


async def test_the_board_of_several_jobs_goes_on_after_a_restart(stage):
    stage.engine.stuck = True
    asked = await stage.alice.slash(stage.channel, "imagine", prompt="a {red, blue} fox")
    await stage.until(lambda: stage.engine.running == 2)
    await stage.answered(asked, "0 of 2")
    await restart(stage)
    stage.engine.stuck = False
    await stage.answered(asked, "2 of 2")


async def test_other_progress_goes_on_after_a_restart_beside_a_board_of_older_jobs(
    stage, monkeypatch
):
    monkeypatch.setattr(progress, "MOST_ON_A_BOARD", 1)
    stage.engine.stuck = True
    asked = await stage.alice.slash(stage.channel, "imagine", prompt="a {red, blue} fox")
    await stage.answered(asked, "0 of 2")
    newer = await stage.alice.slash(stage.channel, "imagine", prompt="an owl")
    await restart(stage)
    stage.engine.stuck = False
    await stage.delivered(newer)
    [follower] = stage.clients[-1].followers
    await follower


async def test_a_failed_job_says_why_and_offers_another_try(stage, engine):
    engine.error = NotANumber("the pictures came out broken")
    result = await stage.alice.slash(stage.channel, "imagine", prompt="a fox")
    message = await stage.delivered(result)
    assert "did not work" in text(message)
    assert str(engine.error) in text(message)
    engine.error = None
    again = await stage.alice.click(message, label="Try again")
    assert "U1" in labels(await stage.delivered(again))


async def test_edits_are_few_however_fast_the_engine_is(stage):
    stage.options = stage.replaced_options(edit_interval_s=30)
    await stage.connect()
    stage.engine.step_delay_s = 0.01
    await stage.imagine()
    edits = [r for r in stage.env.http_requests if r.method == "PATCH"]
    assert len(edits) <= 2  # one of progress at most, and the result
