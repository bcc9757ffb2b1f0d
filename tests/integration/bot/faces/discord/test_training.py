"""/train in an in-memory Discord: a generator of the server's own, and who may reach it."""

import asyncio

import pytest

from engine.api import Dream, Morph
from tests.integration.bot.faces.discord.stage import PATIENCE_S, Stage, labels, parts, text
from tests.integration.bot.faces.discord.test_delivery import QUARTER_S, direct_messages
from tests.integration.bot.faces.discord.test_mixing import delivered
from tests.integration.bot.faces.discord.test_progress import restart

PROMPT = "a fox --size 64x64 --steps 1 --images 8"


async def draw(stage: Stage, actor, times: int = 2) -> None:
    for number in range(times):
        await stage.imagine(actor, prompt=f"{PROMPT} --seed {100 * number}")


def has_buttons(message) -> bool:
    return message is not None and any(
        str(part.get("custom_id", "")).startswith("info:") for part in parts(message)
    )


async def trained(stage: Stage, **options):
    result = await stage.admin.slash(stage.channel, "train gan", name="Red Foxes", **options)
    await stage.until(lambda: has_buttons(result.response))
    return result.response


async def test_an_admin_trains_a_generator_and_members_dream_with_it(stage: Stage) -> None:
    await draw(stage, stage.admin)
    message = await trained(stage)
    assert "It learnt from 16 pictures. The dreams are varied" in text(message)
    assert "trained" in text(message)
    assert not any(label.startswith("U") for label in labels(message))
    result = await stage.alice.slash(stage.channel, "dream", model="red-foxes")
    await stage.delivered(result)
    request = stage.engine.requests[-1]
    assert isinstance(request, Dream)
    assert request.weights == b"learnt"


async def test_sheets_and_figures_are_shown_while_it_learns(stage: Stage) -> None:
    await draw(stage, stage.admin)
    stage.engine.stuck = True
    asked = await stage.admin.slash(stage.channel, "train gan", name="Red Foxes")
    await stage.answered(asked, "40% of them met, variety 90%")
    assert len(asked.response.attachments) == 1
    stage.engine.stuck = False
    await stage.until(lambda: has_buttons(asked.response))
    assert "So far" not in text(asked.response)


@pytest.mark.parametrize("by_command", [True, False])
async def test_who_cancels_a_training_is_told_that_it_ends_with_what_it_has_learned(
    stage: Stage, monkeypatch, *, by_command: bool
) -> None:
    monkeypatch.setattr("bot.studio.training.LEAST_STEPS", 1)
    await draw(stage, stage.admin)
    stage.engine.stuck = True
    asked = await stage.admin.slash(stage.channel, "train gan", name="Red Foxes")
    await stage.answered(asked, "40% of them met")
    if by_command:
        told = (await stage.admin.slash(stage.channel, "cancel")).response
    else:
        [told] = (await stage.admin.click(asked.response, label="Cancel")).followups
    assert told.ephemeral
    assert "ends now with what it has learned" in text(told)
    stage.engine.stuck = False
    await stage.until(lambda: has_buttons(asked.response))


async def shown_late(stage: Stage):
    """The first sheet after fifteen minutes of a training that goes on."""
    await draw(stage, stage.admin)
    stage.engine.stuck, stage.engine.step_delay_s = True, 0.5
    await stage.admin.slash(stage.channel, "train gan", name="Red Foxes")
    await stage.until(lambda: stage.engine.running)
    await stage.env.advance_time(QUARTER_S)
    await stage.until(lambda: direct_messages(stage, stage.admin))
    [sheets] = direct_messages(stage, stage.admin)
    async with asyncio.timeout(PATIENCE_S):
        while not await is_remembered(stage, sheets.id):
            await asyncio.sleep(0.02)
    return sheets


async def is_remembered(stage: Stage, message_id: int) -> bool:
    jobs = await stage.studio.open_jobs("discord")
    return any(job.destination.address["sheets_id"] == message_id for job in jobs)


async def test_after_fifteen_minutes_the_sheets_go_on_in_a_message_of_our_own(
    stage: Stage,
) -> None:
    sheets = await shown_late(stage)
    assert "So far: distance" in text(sheets)
    assert len(sheets.attachments) == 1
    assert "Cancel" in labels(sheets)
    stage.engine.stuck = False
    await stage.until(lambda: len(direct_messages(stage, stage.admin)) == 2)
    closed, result = direct_messages(stage, stage.admin)
    assert "It learnt from 16" in text(result)
    await stage.until(lambda: "further down" in text(direct_messages(stage, stage.admin)[0]))
    assert closed.id == sheets.id


async def test_after_a_restart_the_sheets_go_on_in_the_same_message(stage: Stage) -> None:
    sheets = await shown_late(stage)
    stage.engine.step_delay_s = 2  # leaves time to connect again on a slow machine
    await restart(stage)
    before = len(stage.env.http_requests)

    def is_edited() -> bool:
        return any(
            one.method == "PATCH" and one.path.endswith(f"/messages/{sheets.id}")
            for one in stage.env.http_requests[before:]
        )

    await stage.until(is_edited)
    assert len(direct_messages(stage, stage.admin)) == 1


async def test_sheets_of_a_bot_that_is_gone_keep_no_cancel_button(stage: Stage) -> None:
    assert "Cancel" in labels(await shown_late(stage))
    for follower in stage.clients[-1].followers:
        follower.cancel()
    stage.engine.stuck = False
    await stage.until(lambda: len(direct_messages(stage, stage.admin)) == 2)
    await stage.until(lambda: "further down" in text(direct_messages(stage, stage.admin)[0]))
    assert labels(direct_messages(stage, stage.admin)[0]) == []


async def test_it_may_be_chosen_wherever_something_dreams(stage: Stage) -> None:
    await draw(stage, stage.admin)
    await trained(stage)
    for command, option in (("dream", "model"), ("morph", "dreamer")):
        found = await stage.alice.autocomplete(stage.channel, command, option, "")
        assert found[0]["value"] == "red-foxes"
    seeds = {"from": "1", "to": "2"}
    result = await stage.alice.slash(stage.channel, "morph", **seeds, frames=4, dreamer="red-foxes")
    await delivered(stage, result)
    request = stage.engine.requests[-1]
    assert isinstance(request, Morph)
    assert request.weights == b"learnt"


async def test_what_was_trained_is_listed_shown_and_deleted(stage: Stage) -> None:
    await draw(stage, stage.admin)
    await trained(stage, whose="server")
    listed = await stage.admin.slash(stage.channel, "train list")
    assert "`red-foxes`, from 16 pictures:" in text(listed.response)
    shown = await stage.admin.slash(stage.channel, "train show", name="Red Foxes")
    assert "`red-foxes`, from 16 pictures:" in text(shown.response)
    assert "/dream model:red-foxes" in text(shown.response)
    assert len(shown.response.attachments) == 1
    unknown = await stage.admin.slash(stage.channel, "train delete", name="owls")
    assert "no generator called owls" in text(unknown.response)
    asked = await stage.admin.slash(stage.channel, "train delete", name="Red Foxes")
    assert "can't be brought back" in text(asked.response)
    await stage.admin.click(asked.response, label="Forget it")
    await stage.answered(asked, "Forgotten")
    listed = await stage.admin.slash(stage.channel, "train list")
    assert "None yet" in text(listed.response)


async def test_members_do_not_see_the_command(stage: Stage) -> None:
    assert "train gan" in stage.admin.available_commands(stage.channel)
    assert "train gan" not in stage.alice.available_commands(stage.channel)


async def test_too_few_pictures_are_named(stage: Stage) -> None:
    await draw(stage, stage.admin, 1)
    asked = await stage.admin.slash(stage.channel, "train gan", name="few")
    await stage.answered(asked, "16 different pictures, and these are 8")


@pytest.mark.parametrize("typed", ["", "red"])
async def test_own_generators_complete_the_model_of_a_dream(stage: Stage, typed: str) -> None:
    await draw(stage, stage.admin)
    await trained(stage)
    found = await stage.alice.autocomplete(stage.channel, "dream", "model", typed)
    assert "red-foxes" in [choice["value"] for choice in found]
