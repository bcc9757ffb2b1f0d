"""No text that a member can type breaks anything but their own request."""

import contextlib
import json
from functools import partial
from pathlib import Path

import pytest

from bot.errors import NotFound, UserError
from bot.studio.contract import GalleryQuery, GalleryScope, Limits
from bot.studio.opening import open_studio
from engine.testing import FakeEngine
from tests.integration.bot.studio.conftest import MEMBER, WEB, Open
from tests.shared_data import shared_file

NASTY = ["\x00", "\ud800", "a\x00b", "'; DROP TABLE images; --", "%_\\", "\u202eabc", "🦊" * 500]


@pytest.fixture
def open_either(database_url: str, tmp_path: Path) -> Open:
    """Opens a studio whose engine never ends a job, on a database of each kind in turn."""
    return partial(
        open_studio,
        FakeEngine(stuck=True),
        database_url=database_url,
        images_dir=tmp_path / "images",
        limits=Limits(running=1, waiting=10_000, permutations=10),
    )


def hostile_prompts() -> list[str]:
    path = shared_file("data/hostile_prompts.jsonl")
    return [str(json.loads(line)["prompt"]) for line in path.read_text().splitlines()]


@pytest.mark.shared
async def test_each_hostile_prompt_becomes_a_job_or_a_clear_refusal(open_either: Open) -> None:
    accepted = refused = 0
    async with open_either() as studio:
        for text in hostile_prompts():
            try:
                jobs = await studio.imagine(MEMBER, text, WEB, confirmed=True)
            except UserError:
                refused += 1
            else:
                shown = await studio.job(MEMBER, jobs[0].id)
                assert shown.prompt == jobs[0].prompt
                accepted += 1
    assert accepted > 20
    assert refused > 3


@pytest.mark.parametrize("text", NASTY, ids=ascii)
async def test_no_text_breaks_a_look_at_the_gallery(open_either: Open, text: str) -> None:
    async with open_either() as studio:
        for query in (
            GalleryQuery(scope=GalleryScope.ALL, text=text),
            GalleryQuery(scope=GalleryScope.ALL, model=text),
            GalleryQuery(scope=GalleryScope.ALL, text=f"chaos:{text} tag:{text}"),
        ):
            with contextlib.suppress(NotFound):
                assert (await studio.gallery(MEMBER, query)).images == ()
        for look in (studio.image, studio.job):
            with pytest.raises(NotFound):
                await look(MEMBER, text)
        with pytest.raises(UserError):
            await studio.imagine(MEMBER, "a fox --sref missing --model " + text, WEB)
