"""`atelier gallery`, on a studio of this process."""

import io
from collections.abc import AsyncIterator
from contextlib import nullcontext
from pathlib import Path

import pytest
from PIL import Image
from rich.console import Console

from bot.errors import UserError
from bot.faces.console import gallery_table
from bot.faces.console.drawing import NOWHERE, OPERATOR
from bot.storage.files import content_key
from bot.studio.contract import GalleryQuery, GalleryScope, Morphing, MorphStop
from bot.studio.opening import open_studio
from bot.studio.studio import Atelier
from engine.testing import FakeEngine

ALL = GalleryQuery(scope=GalleryScope.ALL)


@pytest.fixture
async def studio(sqlite_url: str, tmp_path: Path) -> AsyncIterator[Atelier]:
    images = tmp_path / "images"
    async with open_studio(FakeEngine(), database_url=sqlite_url, images_dir=images) as opened:
        [job] = await opened.imagine(OPERATOR, "a fox --images 5 --size 64x64 --steps 1", NOWHERE)
        stops = (MorphStop(prompt="a fox --size 64x64 --steps 1"), MorphStop(prompt="an owl"))
        moving = await opened.morph(OPERATOR, stops, NOWHERE, Morphing(frames=3))
        for one in (job, moving):
            async for _ in opened.watch(OPERATOR, one.id):
                pass
        yield opened


@pytest.mark.parametrize(("most", "shown"), [(100, 6), (3, 3), (2, 2)])
async def test_as_many_images_as_asked_for_are_copied_page_by_page(
    studio, tmp_path, monkeypatch, most, shown
):
    monkeypatch.setattr(gallery_table, "MAX_PAGE", 2)
    told = Console(file=io.StringIO(), width=200)
    await gallery_table.show(nullcontext(studio), ALL, most, tmp_path / "copies", told)
    assert f"{shown} of 6" in told.file.getvalue()
    copies = sorted((tmp_path / "copies").iterdir())
    assert len(copies) == shown
    [moving] = [path for path in copies if path.suffix == ".webp"]
    with Image.open(moving) as image:
        assert image.n_frames > 1


async def test_an_image_whose_file_is_gone_is_named_and_the_others_are_copied(studio, tmp_path):
    page = await studio.gallery(OPERATOR, ALL)
    lost = next(image.id for image in page.images if not image.is_animated)
    key = content_key(await studio.image_png(OPERATOR, lost))
    next((tmp_path / "images").rglob(key)).unlink()
    told = Console(file=io.StringIO(), width=200)
    await gallery_table.show(nullcontext(studio), ALL, 100, tmp_path / "copies", told)
    assert len(list((tmp_path / "copies").iterdir())) == 5
    assert f"The files of these are gone: {lost}" in told.file.getvalue()


async def test_prompts_and_folders_are_shown_as_typed_not_read_as_markup(studio, tmp_path):
    prompt = "a [red] fox [/x]"
    [job] = await studio.imagine(OPERATOR, f"{prompt} --size 64x64 --steps 1 --images 1", NOWHERE)
    async for _ in studio.watch(OPERATOR, job.id):
        pass
    told = Console(file=io.StringIO(), width=400)
    await gallery_table.show(nullcontext(studio), ALL, 1, tmp_path / "[/y]", told)
    assert prompt in told.file.getvalue()
    assert f"1 files written to {tmp_path / '[/y]'}" in told.file.getvalue()


async def test_a_folder_that_cannot_be_written_is_named(studio, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"file/\w+\.\w+ can't be written: File exists; name"):
        await gallery_table.show(
            nullcontext(studio), ALL, 1, tmp_path / "file", Console(quiet=True)
        )
