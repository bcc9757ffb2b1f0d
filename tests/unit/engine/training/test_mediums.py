"""Mediums: what a whole picture is made of, painted over scenes."""

import numpy as np
import pytest
from PIL import Image, ImageDraw

from engine.training.mediums import MEDIUMS, PIXEL_COLOURS, in_medium

RED, BLUE, WHITE = (200, 60, 60), (60, 60, 200), (248, 248, 246)
COLOURLESS = {"ink", "pencil", "line art"}


def picture(ground=WHITE, thing=RED, size=(128, 128)) -> np.ndarray:
    """A disc on a plain ground."""
    image = Image.new("RGB", size[::-1], ground)
    ImageDraw.Draw(image).ellipse((32, 24, 96, size[0] - 24), fill=thing)
    return np.asarray(image)


def drawn(medium, pixels=None, seed=0) -> np.ndarray:
    return in_medium(picture() if pixels is None else pixels, medium, np.random.default_rng(seed))


def saturation(pixels) -> float:
    return float((pixels.max(-1).astype(int) - pixels.min(-1)).mean())


@pytest.mark.parametrize("medium", MEDIUMS)
@pytest.mark.parametrize("size", [(128, 128), (96, 144), (144, 96)])
def test_a_medium_changes_a_picture_of_any_shape_and_is_the_same_by_its_seed(medium, size):
    before = picture(size=size)
    kept = before.copy()
    after = drawn(medium, before)
    assert after.shape == before.shape
    assert after.dtype == np.uint8
    assert np.array_equal(before, kept)
    assert not np.array_equal(after, before)
    assert np.array_equal(after, drawn(medium, before))


def test_a_look_that_is_no_medium_leaves_a_picture_as_it_is():
    assert np.array_equal(drawn("3d"), picture())


@pytest.mark.parametrize("medium", sorted(MEDIUMS.keys() - COLOURLESS - {"neon"}))
def test_a_thing_and_its_ground_keep_their_colours_in_the_mean(medium):
    after = drawn(medium, picture(ground=BLUE)).astype(float)
    thing, ground = after[48:80, 48:80].mean((0, 1)), after[20:108, 6:26].mean((0, 1))
    assert thing[0] > thing[2] + 40
    assert ground[2] > ground[0] + 40


@pytest.mark.parametrize("medium", sorted(COLOURLESS))
def test_ink_and_graphite_have_no_colours(medium):
    assert saturation(drawn(medium)) < 28 < saturation(picture())


def test_line_art_is_white_but_for_black_outlines():
    after = drawn("line art").mean(-1)
    assert (after > 240).mean() > 0.85
    assert after[64, 26:38].min() < 60  # where the disc begins
    assert after[52:76, 52:76].min() > 240  # nothing within


def test_pencil_is_darker_where_the_picture_is():
    after = drawn("pencil", picture(thing=(20, 20, 20))).mean(-1)
    assert after[52:76, 52:76].mean() < after[4:20, 4:20].mean() - 60


def test_neon_glows_in_the_colour_of_the_thing_on_a_dark_ground():
    after = drawn("neon", picture(ground=WHITE, thing=BLUE)).astype(int)
    assert after[4:14, 4:14].max() < 60
    tube = after[64, 26:38]
    assert tube.max() > 240
    assert after[64, 20:44, 2].sum() > after[64, 20:44, 0].sum()


def test_pixel_art_has_few_colours_and_square_cells():
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    art = drawn("pixel", noise)
    assert len(np.unique(art.reshape(-1, 3), axis=0)) <= max(PIXEL_COLOURS)
    assert np.array_equal(art[::4, ::4], art[3::4, 3::4])


def test_facets_have_one_colour_each():
    noise = np.random.default_rng(0).integers(0, 255, (96, 96, 3), dtype=np.uint8)
    assert len(np.unique(drawn("low poly", noise).reshape(-1, 3), axis=0)) < 320


def test_watercolour_leaves_the_border_of_its_paper_white():
    after = drawn("watercolor", picture(ground=BLUE))
    assert after[0].min() > 200
    assert after[20, 20].min() < 150
