"""/privacy: a member takes away or deletes all that is kept of them."""

import io
import json
import zipfile

import pytest
from simcord import interactions

from bot.studio.contract import Caller, GalleryQuery
from tests.integration.bot.faces.discord.stage import labels, png_bytes, text


def archives(stage, result) -> list[zipfile.ZipFile]:
    found = []
    for message in result.followups:
        assert message.ephemeral
        for attachment in message.attachments:
            data = stage.env.backend.cdn.get(attachment.url)
            found.append(zipfile.ZipFile(io.BytesIO(data)))
    return found


async def kept(stage, member) -> int:
    return (await stage.studio.gallery(Caller(owner_id=member.id), GalleryQuery())).total


async def test_a_member_gets_their_pictures_and_prompts_as_an_archive(stage):
    await stage.imagine(prompt="a red fox", count=1, image=("photo.png", png_bytes()))
    await stage.imagine(stage.bob)
    result = await stage.alice.slash(stage.channel, "privacy export")
    assert result.ephemeral
    await stage.answered(result, "all that is kept of you")
    assert "`TOO-LARGE.txt`, if there is one" in text(result.response)
    [archive] = archives(stage, result)
    told = json.loads(archive.read("atelier.json"))
    assert told["member"] == str(stage.alice.id)
    [job] = told["jobs"]
    assert job["prompt"].startswith("a red fox")
    assert job["images"][0]["file"] in archive.namelist()
    assert len([name for name in archive.namelist() if name.startswith("uploads/")]) == 1


def shrink(monkeypatch, limit_bytes: int) -> None:
    """Let interactions of the simulation take small attachments alone."""
    original = interactions.base_payload

    def small(*args, **kwargs):
        record, payload = original(*args, **kwargs)
        return record, payload | {"attachment_size_limit": limit_bytes}

    monkeypatch.setattr(interactions, "base_payload", small)


async def test_what_does_not_fit_comes_in_several_archives(stage, monkeypatch):
    await stage.imagine(count=4)
    shrink(monkeypatch, 110_000)
    result = await stage.alice.slash(stage.channel, "privacy export")
    found = archives(stage, result)
    assert 1 < len(found) <= 5
    assert f"archives: {len(found)}" in text(result.response)
    names = [name for archive in found for name in archive.namelist()]
    assert len([name for name in names if name.startswith("pictures/")]) == 4


async def test_no_more_archives_are_sent_than_discord_takes(stage, monkeypatch):
    for _ in range(3):
        await stage.imagine(count=4)
    shrink(monkeypatch, 60_000)
    result = await stage.alice.slash(stage.channel, "privacy export")
    found = archives(stage, result)
    assert len(found) == 5
    assert f"`{stage.alice.id}`" in text(result.response)
    assert "atelier.json" in found[0].namelist()


async def test_what_a_chat_cannot_hold_is_had_by_a_link_of_ones_own(stage, monkeypatch):
    stage.options = stage.replaced_options(export_link=lambda owner: f"https://art/{owner}.zip")
    await stage.connect()
    for _ in range(3):
        await stage.imagine(count=4)
    shrink(monkeypatch, 60_000)
    result = await stage.alice.slash(stage.channel, "privacy export")
    assert len(archives(stage, result)) == 5
    assert f"https://art/{stage.alice.id}.zip" in text(result.response)


async def test_a_member_is_asked_before_everything_is_deleted(stage):
    await stage.imagine()
    await stage.imagine(stage.bob)
    await stage.alice.slash(stage.channel, "settings", count=2)
    result = await stage.alice.slash(stage.channel, "privacy delete")
    assert result.ephemeral
    assert labels(result.response) == ["Delete everything of mine", "No"]
    dismissed = await stage.alice.click(result.response, label="No")
    assert "Nothing was done" in text(dismissed.response)
    assert await kept(stage, stage.alice) == 4
    result = await stage.alice.slash(stage.channel, "privacy delete")
    done = await stage.alice.click(result.response, label="Delete everything of mine")
    assert "1 jobs with 4 pictures" in text(done.response)
    assert (await kept(stage, stage.alice), await kept(stage, stage.bob)) == (0, 4)
    preferences = await stage.studio.preferences(Caller(owner_id=stage.alice.id))
    assert preferences.image_count is None


async def test_the_question_outlives_a_restart(stage):
    await stage.imagine(count=1)
    result = await stage.alice.slash(stage.channel, "privacy delete")
    await stage.connect()
    await stage.alice.click(result.response, label="Delete everything of mine")
    assert await kept(stage, stage.alice) == 0


async def test_a_job_under_way_is_stopped(stage):
    stage.engine.stuck = True
    progress = await stage.alice.slash(stage.channel, "imagine", prompt="a fox")
    result = await stage.alice.slash(stage.channel, "privacy delete")
    done = await stage.alice.click(result.response, label="Delete everything of mine")
    assert "1 jobs with 0 pictures" in text(done.response)
    queue = await stage.studio.queue(Caller(owner_id=stage.alice.id))
    assert queue.total_running + queue.total_waiting == 0
    assert "Cancelled" in text(progress.response)
    assert "Cancel" not in labels(progress.response)


@pytest.mark.parametrize("command", ["privacy export", "privacy delete"])
async def test_it_works_in_direct_messages_too(stage, command):
    user = stage.env.create_user("dora")
    assert (await user.slash(command)).response is not None
