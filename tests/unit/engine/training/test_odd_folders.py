"""Folders of pictures with broken files, and with a run's own sheets in them."""

import io

import numpy as np
import pytest
from PIL import Image

from engine.training.gan_pictures import folder_pictures
from engine.training.pictures import BrokenSet, Folder, Picture

rng = np.random.default_rng(3)


def noise():
    return Image.fromarray(rng.integers(0, 256, (40, 40, 3), dtype=np.uint8))


@pytest.fixture
def folder(tmp_path):
    for number in range(16):
        noise().save(tmp_path / f"{number}.png")
    return tmp_path


@pytest.fixture
def broken_avif(folder):
    buffer = io.BytesIO()
    noise().save(buffer, "AVIF")
    path = folder / "broken.avif"
    path.write_bytes(buffer.getvalue().replace(b"iloc", b"lost"))
    return path


def test_a_broken_avif_is_left_out(folder, broken_avif):
    assert len(folder_pictures(folder, 64)) == 16


def test_a_broken_avif_that_is_named_is_refused(folder, broken_avif):
    with pytest.raises(BrokenSet, match="no readable picture"):
        Picture(Folder(folder), broken_avif.name, {}).open()


def test_the_sheets_of_a_run_below_its_pictures_are_not_learnt(folder):
    out = folder / "run" / "gan"
    out.mkdir(parents=True)
    noise().save(out / "sheet_00000048.png")
    assert len(folder_pictures(folder, 64, out)) == 16
