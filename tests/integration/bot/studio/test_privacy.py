"""A member gets all that is kept of them, and has it forgotten."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from bot.errors import NotFound, TooManyWaiting
from bot.studio.contract import (
    Caller,
    GalleryQuery,
    GalleryScope,
    JobState,
    JobView,
    Limits,
    Preferences,
)
from bot.studio.studio import Atelier
from engine.testing import FakeEngine
from tests.integration.bot.studio.conftest import MEMBER, OTHER, QUICK, WEB, Open, ended, made
from tests.integration.bot.studio.test_making import picture


async def exported(studio: Atelier, caller: Caller = MEMBER) -> dict[str, bytes]:
    return {name: data async for name, data in studio.export(caller)}


def files_in(folder: Path) -> set[str]:
    return {path.name for path in folder.rglob("*") if path.is_file()}


async def furnished(studio: Atelier) -> JobView:
    """A job that began with an upload; a style, a default and a mark."""
    job = await made(studio, "a fox", source=picture())
    await studio.save_style(MEMBER, "Wave", picture())
    await studio.share_style(MEMBER, "wave", on=True)
    await studio.set_preferences(MEMBER, Preferences(aspect="3:2"))
    theirs = await made(studio, "an owl", OTHER)
    await studio.favourite(MEMBER, theirs.images[0].id, on=True)
    return job


async def test_an_export_has_no_upload_of_somebody_whose_job_was_run_again(
    studio: Atelier,
) -> None:
    job = await made(studio, "a fox", source=picture())
    png = await studio.image_png(OTHER, job.images[0].id)
    for again in (
        await studio.reroll(OTHER, job.id, WEB),
        await studio.make_again(OTHER, png, WEB),
        await studio.vary(OTHER, job.images[0].id, WEB, is_strong=True),
    ):
        await ended(studio, again, OTHER)
    files = await exported(studio, OTHER)
    assert len([name for name in files if name.startswith("pictures/")]) == 6
    assert not [name for name in files if name.startswith("uploads/")]


async def test_an_export_has_pictures_uploads_styles_and_a_record_of_the_rest(
    studio: Atelier,
) -> None:
    job = await furnished(studio)
    files = await exported(studio)
    told: dict[str, Any] = json.loads(files.pop("atelier.json"))
    assert (told["member"], told["defaults"]) == ("1", {"aspect": "3:2"})
    [one] = told["jobs"]
    assert (one["id"], one["prompt"], one["server"]) == (job.id, job.prompt, "9")
    assert one["request"]["fields"]["steps"] == 3
    for image in one["images"]:
        assert files.pop(image["file"]) == await studio.image_png(MEMBER, image["id"])
        assert "Steps: 3" in image["parameters"]
    assert [(style["name"], style["shared_with"]) for style in told["styles"]] == [("wave", ["9"])]
    assert len(told["favourites"]) == 1
    assert files.pop("styles/wave.png").startswith(b"\x89PNG")
    source = one["request"]["fields"]["source"]["file"]
    if files:  # else the style is the very same picture
        assert files.pop(f"uploads/{source}").startswith(b"\x89PNG")
    assert files == {}


async def test_an_export_names_what_is_gone(studio: Atelier, tmp_path: Path) -> None:
    job = await made(studio)
    for path in (tmp_path / "images").rglob("*.png"):
        path.unlink()
    files = await exported(studio)
    assert set(files) == {"atelier.json", "MISSING.txt"}
    assert f"pictures/{job.images[0].id}.png" in files["MISSING.txt"].decode()


async def test_who_has_nothing_gets_an_empty_record(studio: Atelier) -> None:
    await made(studio, caller=OTHER)
    files = await exported(studio)
    told = json.loads(files.pop("atelier.json"))
    assert (told["jobs"], told["styles"], told["defaults"], files) == ([], [], {}, {})


async def test_no_picture_of_a_deleted_or_replaced_style_stays(
    studio: Atelier, tmp_path: Path
) -> None:
    await studio.save_style(MEMBER, "wave", picture())
    await studio.save_style(OTHER, "wave", picture())
    [kept] = files_in(tmp_path / "images")
    await studio.save_style(MEMBER, "wave", picture((60, 60)))
    assert len(files_in(tmp_path / "images")) == 2
    await studio.delete_style(MEMBER, "wave")
    assert files_in(tmp_path / "images") == {kept}, "it is the other one's, too"
    await studio.delete_style(OTHER, "wave")
    assert files_in(tmp_path / "images") == set()


async def test_no_upload_of_a_refused_request_stays(open_here: Open, tmp_path: Path) -> None:
    engine = FakeEngine(stuck=True)
    limits = Limits(running=1, waiting=1, permutations=10)
    async with open_here.func(engine, limits=limits, **open_here.keywords) as studio:
        await studio.imagine(MEMBER, "a fox" + QUICK, WEB, source=picture())
        while not engine.running:
            await asyncio.sleep(0.01)
        await studio.imagine(MEMBER, "a fox" + QUICK, WEB, source=picture())
        kept = files_in(tmp_path / "images")
        for size in ((90, 60), (60, 60)):
            with pytest.raises(TooManyWaiting):
                await studio.imagine(MEMBER, "an owl" + QUICK, WEB, source=picture(size))
        assert files_in(tmp_path / "images") == kept, "what is sent in again is needed, too"


async def test_an_erased_member_is_gone_with_all_files_that_nobody_else_needs(
    studio: Atelier, tmp_path: Path
) -> None:
    await made(studio, "an owl", OTHER)
    kept = files_in(tmp_path / "images")
    job = await furnished(studio)
    await studio.delete(MEMBER, job.images[1].id)  # not for a day yet
    erased = await studio.erase(MEMBER)
    assert (erased.jobs, erased.images) == (1, 2)
    assert erased.files >= 3
    page = await studio.gallery(MEMBER, GalleryQuery())
    assert (page.total, (await studio.history(MEMBER))[0]) == (0, ())
    assert await studio.preferences(MEMBER) == Preferences()
    assert await studio.style_names(MEMBER) == ()
    with pytest.raises(NotFound):
        await studio.restore(MEMBER, job.images[1].id)
    theirs = await studio.gallery(OTHER, GalleryQuery(scope=GalleryScope.MINE))
    assert theirs.total == 4
    assert kept <= files_in(tmp_path / "images")
    assert len(files_in(tmp_path / "images")) == 2 * theirs.total, "each with its thumbnail"
    assert (await studio.erase(MEMBER)).jobs == 0
    assert (await made(studio)).images, "they may begin anew"


async def test_running_and_waiting_jobs_of_the_erased_are_stopped_and_watchers_hear_it(
    studio: Atelier, engine: FakeEngine
) -> None:
    engine.stuck = True
    jobs = [(await studio.imagine(MEMBER, "a fox" + QUICK, WEB))[0] for _ in range(3)]
    watchers = [asyncio.create_task(ended(studio, job)) for job in jobs]
    async with asyncio.timeout(10):
        while not (await studio.queue(MEMBER)).running:
            await asyncio.sleep(0.02)
    assert (await studio.erase(MEMBER)).jobs == 3
    async with asyncio.timeout(10):
        last = await asyncio.gather(*watchers)
    assert {job.state for job in last} == {JobState.CANCELLED}
    engine.stuck = False
    assert (await made(studio, caller=OTHER)).images, "the studio goes on"


async def test_the_operator_erases_a_member_beside_the_running_service(
    open_here: Open, engine: FakeEngine
) -> None:
    async with open_here() as service, open_here(is_running=False) as beside:
        engine.stuck = True
        [job] = await service.imagine(MEMBER, "a fox" + QUICK, WEB)
        watcher = asyncio.create_task(ended(service, job))
        async with asyncio.timeout(20):
            while not (await service.queue(MEMBER)).running:
                await asyncio.sleep(0.02)
            assert (await beside.erase(Caller(owner_id=MEMBER.owner_id))).jobs == 1
            assert (await watcher).state is JobState.CANCELLED
        engine.stuck = False
        assert (await made(service, caller=OTHER)).images
