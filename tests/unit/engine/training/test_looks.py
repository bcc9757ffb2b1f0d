"""Manners of looks: what a word of style promises is drawn on any thing, inside its own frame."""

import numpy as np
import pytest
from PIL import Image, ImageDraw

from engine.training import scenes
from engine.training.captions import Item, Plan
from engine.training.looks import in_look
from engine.training.scenes import SceneMaker
from engine.training.subjects import Subject, SubjectLibrary, read_nouns

SIDE = 96
RED, DARK = (220, 40, 40), (110, 10, 10)
WITH_A_MANNER = ("sticker", "cartoon", "blob", "anime", "clay")


def square(side: int = SIDE, colour: tuple[int, int, int] = RED) -> np.ndarray:
    """A square that fills its frame, with a dark band through its middle."""
    image = Image.new("RGBA", (side, side), (*colour, 255))
    ImageDraw.Draw(image).rectangle(
        (side // 3, side * 7 // 16, side * 2 // 3, side * 9 // 16), fill=(*DARK, 255)
    )
    return np.asarray(image)


def brightness(rgba, rows, columns) -> float:
    return float(rgba[rows, columns, :3].mean())


@pytest.mark.parametrize("look", ["3d", "flat", "doodle", "pixel", "photo", "oil"])
def test_other_looks_are_those_of_the_drawings(look):
    assert np.array_equal(in_look(square(), look), square())


@pytest.mark.parametrize("look", WITH_A_MANNER)
@pytest.mark.parametrize("size", [(96, 96), (40, 96), (96, 17), (8, 8)])
def test_a_thing_keeps_its_frame_and_its_colour_in_the_middle(look, size):
    drawn = in_look(np.full((*size, 4), (*RED, 255), np.uint8), look)
    assert drawn.shape == (*size, 4)
    assert drawn.dtype == np.uint8
    if min(size) > 16:
        middle = drawn[size[0] // 2, size[1] // 2].astype(int)
        assert np.abs(middle - (*RED, 255)).max() < 60


@pytest.mark.parametrize("look", WITH_A_MANNER)
def test_nothing_is_drawn_where_nothing_is(look):
    assert not in_look(np.zeros((SIDE, SIDE, 4), np.uint8), look)[..., 3].any()
    tiny = np.full((7, 90, 4), 255, np.uint8)
    assert in_look(tiny, look) is tiny  # no room for a manner


def test_a_sticker_lies_on_white_paper_with_a_shade_at_its_edge():
    drawn = in_look(square(), "sticker")
    middle = drawn[SIDE // 2]
    white = (middle[:, :3].min(-1) > 240) & (middle[:, 3] > 240)
    assert white[:10].sum() >= 3
    assert white[-10:].sum() >= 3
    assert not white[10:-10].any()
    assert 0 < middle[0, 3] < 200  # what is outside the paper is a half transparent shade
    assert middle[0, :3].max() < 120


def test_a_cartoon_has_an_outline_of_ink_and_lines_where_it_darkens():
    drawn = in_look(square(), "cartoon")
    assert brightness(drawn, SIDE // 4, slice(0, 2)) < 45
    assert brightness(drawn, slice(-2, None), SIDE // 4) < 45
    assert drawn[SIDE // 4, SIDE // 4, 0] > 200  # a plain place stays as it is
    pale = square(colour=(250, 235, 220))
    edge = slice(SIDE * 7 // 16 + 1, SIDE * 7 // 16 + 3)  # just inside the dark band
    assert brightness(pale, edge, SIDE // 2) > 40
    assert brightness(in_look(pale, "cartoon"), edge, SIDE // 2) < 30


def test_a_blob_has_round_corners_and_light_from_above_on_the_left():
    drawn = in_look(square(), "blob")
    assert drawn[2, 2, 3] < 60  # the corner is gone
    assert drawn[SIDE // 2, 4, 3] > 200  # the side is not
    assert brightness(drawn, SIDE // 5, 8) > brightness(drawn, -SIDE // 5, -8) + 40


@pytest.mark.parametrize(
    ("look", "background", "is_shaded"),
    [
        ("3d", "plain", True),
        ("3d", "meadow", True),
        ("cartoon", "plain", False),
        ("cartoon", "meadow", True),
        ("flat", "meadow", False),
        ("sticker", "table", False),
    ],
)
def test_glossy_things_always_throw_a_shadow_and_flat_ones_never(
    look, background, is_shaded, monkeypatch
):
    drawn = scene(look, background)
    monkeypatch.setattr(scenes, "throw_shadow", lambda *_: None)
    change = drawn.astype(int) - scene(look, background)
    assert bool(change.any()) is is_shaded
    assert change.max() <= 0  # darker, if anything


def scene(look: str, background: str) -> np.ndarray:
    subject = Subject("cat", look, square(), "red", common=True)
    maker = SceneMaker(SubjectLibrary([subject]), read_nouns(), [], 128, 128)
    plan = Plan(look, (Item("cat"),), background=background, background_colour="yellow")
    return maker.render(plan, np.random.default_rng(0))


def test_scenes_show_things_in_the_manner_of_their_look():
    library = SubjectLibrary(
        [Subject("cat", look, square(), "red", common=True) for look in ("flat", "sticker")]
    )
    maker = SceneMaker(library, read_nouns(), [], 128, 128)
    seen = {}
    for look in ("flat", "sticker"):
        plan = Plan(look, (Item("cat"),), background="plain", background_colour="blue")
        pixels = maker.render(plan, np.random.default_rng(4))
        seen[look] = float((pixels.min(-1) > 235).mean())
    assert seen["flat"] == 0
    assert seen["sticker"] > 0.05


@pytest.mark.parametrize("look", sorted(scenes.COLOURLESS))
def test_nobody_is_told_a_colour_that_a_look_does_not_show(look):
    maker = maker_of(look)
    for number in range(60):
        scene = maker.make(np.random.default_rng([2, number]))
        assert all(not item.colour for item in scene.plan.items)
        assert not set(scene.caption.replace(",", "").split()) & {"red", "crimson", "yellow"}


def test_neon_says_the_colour_of_a_thing_but_not_of_the_dark_behind_it():
    maker = maker_of("neon")
    plans = [maker.make(np.random.default_rng([3, k])).plan for k in range(80)]
    plans = [plan for plan in plans if plan.items]
    assert any(item.colour for plan in plans for item in plan.items)
    assert not any(
        plan.background_colour for plan in plans if plan.background in {"plain", "gradient"}
    )


def maker_of(look: str) -> SceneMaker:
    subjects = [
        Subject(noun, source, square(), "red", common=True)
        for source in scenes.SOURCES[look]
        for noun in ("cat", "dog")
    ]
    weights = {look: 1.0}
    return SceneMaker(SubjectLibrary(subjects), read_nouns(), [], 128, 128, look_weights=weights)
