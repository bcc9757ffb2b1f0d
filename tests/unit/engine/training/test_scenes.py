"""Composed scenes: what a caption says is in the picture."""

import re
import tarfile
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image, ImageDraw

from engine.diffusion.unsaid import GROUNDS, Unsaid
from engine.training import scenes
from engine.training.backgrounds import COLOURS, PAINTERS, paint_background
from engine.training.captions import Captioner, Item, Plan, article, plural
from engine.training.pictures import NoPictures, read_pictures
from engine.training.scenes import SceneMaker
from engine.training.store import read_captions, whole_shards, write_scenes
from engine.training.subjects import (
    HUES,
    Subject,
    SubjectLibrary,
    dominant_colour,
    read_nouns,
    recoloured,
    trimmed,
)


def disc(colour: tuple[int, int, int], side: int = 64) -> Image.Image:
    image = Image.new("RGBA", (side, side))
    ImageDraw.Draw(image).ellipse((8, 8, side - 8, side - 8), fill=(*colour, 255))
    return image


@pytest.fixture
def data(tmp_path):
    """A community's folder: three drawings in two looks, and no other set."""
    folder = tmp_path / "data" / "drawings"
    folder.mkdir(parents=True)
    rows = ["file\tname\tkeywords\tstyle\tvendor\tsplit"]
    for style in ("3d", "cartoon"):
        for name, colour in (
            ("cat", (220, 40, 40)),
            ("dog", (40, 80, 220)),
            ("rose", (30, 160, 60)),
        ):
            file = f"{style}_{name}.png"
            disc(colour).save(folder / file)
            split = "validation" if (style, name) == ("3d", "rose") else "train"
            rows.append(f"{file}\t{name}\tpet, animal\t{style}\tours\t{split}")
    (folder / "captions.tsv").write_text("\n".join(rows) + "\n")
    return folder.parent


@pytest.fixture
def maker(data):
    return SceneMaker(SubjectLibrary.read(data), read_nouns(), [], 64, 64)


def test_a_folder_and_a_tar_of_it_hold_the_same_pictures(data, tmp_path):
    archives = tmp_path / "archives"
    archives.mkdir()
    with tarfile.open(archives / "drawings.tar", "w") as tar:
        tar.add(data / "drawings", "drawings")
    from_folder, from_tar = read_pictures(data), read_pictures(archives)
    assert [p.file for p in from_tar] == [p.file for p in from_folder]
    assert from_tar[0].open().tobytes() == from_folder[0].open().tobytes()


def test_a_folder_without_captions_is_refused_with_advice(tmp_path):
    with pytest.raises(NoPictures, match=r"captions\.tsv"):
        read_pictures(tmp_path)


def test_held_out_pairs_of_thing_and_look_are_not_trained_on(data):
    library = SubjectLibrary.read(data)
    assert "rose" not in library.common["3d"]
    assert "rose" in library.common["cartoon"]
    assert set(SubjectLibrary.read(data, split="validation").common["3d"]) == {"rose"}


def test_a_scene_is_made_again_from_its_seed(maker):
    one, two = (maker.make(np.random.default_rng([4, 2])) for _ in range(2))
    assert one.caption == two.caption
    assert np.array_equal(one.pixels, two.pixels)
    others = {maker.make(np.random.default_rng([4, n])).caption for n in range(30)}
    assert len(others) > 20


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_as_many_subjects_are_drawn_as_the_plan_counts(maker, count):
    plan = Plan("3d", (Item("cat", count=count),), background="plain", background_colour="white")
    pixels = maker.render(plan, np.random.default_rng(7))
    reddish = (pixels[..., 0] > 150) & (pixels[..., 1] < 110)
    assert regions(reddish) == count


def test_things_begin_where_cells_of_the_latents_do_and_come_in_few_sizes(data, monkeypatch):
    monkeypatch.setattr(scenes, "TURN", 0)
    maker = SceneMaker(SubjectLibrary.read(data), read_nouns(), [])
    plan = Plan("3d", (Item("cat"),), background="plain", background_colour="white")
    sizes, places = set(), set()
    for seed in range(20):
        pixels = maker.render(plan, np.random.default_rng(seed))
        is_red = pixels[..., 0] > pixels[..., 1].astype(int) + 60  # its shadow is not
        rows, columns = (is_red.any(axis) for axis in (1, 0))
        sizes |= {int(side.sum()) for side in (rows, columns)}
        places |= {int(side.argmax()) for side in (rows, columns)}
    assert sizes <= {80, 96, 112}
    assert {place % 8 for place in places} == {0}
    assert len(places) > 1


def drawn(maker: SceneMaker, plan: Plan, monkeypatch, **changes) -> np.ndarray:
    """A plan rendered where all that it leaves open is as it is in most pictures, but for this."""
    usual = Unsaid(is_mirrored=False, x=0, y=0, size=0, turn=0, drawing=0, ground=0)
    monkeypatch.setattr(scenes, "unsaid_of", lambda _: replace(usual, **changes))
    return maker.render(plan, np.random.default_rng(0)).astype(int)


ONE = Plan("3d", (Item("cat"),), background="plain", background_colour="white")


def test_what_the_caption_leaves_open_is_drawn_as_the_code_says(data, monkeypatch):
    maker = SceneMaker(SubjectLibrary.read(data), read_nouns(), [])

    def places(**changes) -> np.ndarray:
        return np.argwhere(is_red(drawn(maker, ONE, monkeypatch, **changes)))

    assert places(x=-1)[:, 1].mean() < places()[:, 1].mean() < places(x=1)[:, 1].mean()
    assert places(y=-1)[:, 0].mean() < places()[:, 0].mean() < places(y=1)[:, 0].mean()
    assert len(places(size=-1)) < len(places()) < len(places(size=1))
    rgba = np.zeros((64, 64, 4), np.uint8)
    rgba[:32, :, :], rgba[32:, :32, :] = (200, 0, 0, 255), (200, 0, 0, 255)  # a corner is missing
    library = SubjectLibrary([Subject("cat", "3d", rgba, "red", common=True)])
    maker = SceneMaker(library, read_nouns(), [])
    usual = np.argwhere(is_red(drawn(maker, ONE, monkeypatch)))[:, 1]
    mirrored = np.argwhere(is_red(drawn(maker, ONE, monkeypatch, is_mirrored=True)))[:, 1]
    assert mirrored.mean() - 64 == pytest.approx(64 - usual.mean(), abs=2)
    assert mirrored.mean() > usual.mean() + 4
    straight = is_red(drawn(maker, ONE, monkeypatch)).sum(axis=1)
    turned = is_red(drawn(maker, ONE, monkeypatch, turn=1.0)).sum(axis=1)
    assert turned[turned > 0][0] < straight[straight > 0][0] / 2  # its upper edge is slanted


def test_what_the_caption_says_is_drawn_whatever_the_code(data, monkeypatch):
    maker = SceneMaker(SubjectLibrary.read(data), read_nouns(), [])
    small = replace(ONE, items=(Item("cat", size="small"),))
    three = replace(ONE, items=(Item("cat", count=3),))
    for plan in (small, three):
        usual = drawn(maker, plan, monkeypatch)
        assert np.array_equal(drawn(maker, plan, monkeypatch, size=1), usual)
    left = drawn(maker, replace(ONE, place="left"), monkeypatch, x=1)
    assert np.argwhere(is_red(left))[:, 1].mean() < 50


def is_red(pixels: np.ndarray) -> np.ndarray:
    return pixels[..., 0] > pixels[..., 1] + 60  # a shadow is not


def test_grounds_that_are_not_said_are_those_of_the_code(maker, monkeypatch):
    monkeypatch.setattr(scenes, "GROUND_UNSAID", 1)
    made = [maker.make(np.random.default_rng([6, k])) for k in range(60)]
    made = [scene for scene in made if scene.plan.items and scene.plan.look != "photo"]
    assert len({scene.plan.background for scene in made}) > 4
    for scene in made:
        assert scene.plan.background == GROUNDS[scene.unsaid.ground][0]
        assert not re.search("background|gradient|sky|grass|hills|dusk|sunset", scene.caption)


def regions(mask: np.ndarray) -> int:
    """Number of connected regions, by flood fill."""
    left = {tuple(place) for place in np.argwhere(mask)}
    found = 0
    while left:
        found += 1
        open_places = [left.pop()]
        while open_places:
            y, x = open_places.pop()
            for near in ((y + 1, x), (y - 1, x), (y, x + 1), (y, x - 1)):
                if near in left:
                    left.remove(near)
                    open_places.append(near)
    return found


@pytest.mark.parametrize(
    ("relation", "axis", "sign"),
    [("left of", 1, -1), ("right of", 1, 1), ("above", 0, -1), ("below", 0, 1)],
)
def test_pairs_stand_as_their_caption_says(maker, relation, axis, sign):
    plan = Plan("3d", (Item("cat"), Item("dog")), relation, "", "plain", "white")
    pixels = maker.render(plan, np.random.default_rng(1)).astype(int)
    red = np.argwhere(pixels[..., 0] - pixels[..., 2] > 80)[:, axis].mean()
    blue = np.argwhere(pixels[..., 2] - pixels[..., 0] > 80)[:, axis].mean()
    assert np.sign(red - blue) == sign


@pytest.mark.parametrize("colour", sorted(HUES))
def test_a_recoloured_subject_is_of_that_colour_or_is_not_used(colour):
    turned = recoloured(trimmed(disc((220, 40, 40)), 64), colour)
    if turned is not None:
        mean = turned[turned[..., 3] > 128][:, :3].mean(0) / 255
        assert min(COLOURS, key=lambda name: np.abs(mean - COLOURS[name]).sum()) == colour


def test_most_hues_can_be_reached():
    reached = [c for c in HUES if recoloured(trimmed(disc((220, 40, 40)), 64), c) is not None]
    assert {"green", "blue", "purple"} <= set(reached)


def test_the_dominant_colour_is_named_or_left_open():
    assert dominant_colour(trimmed(disc((215, 35, 40)), 64)) == "red"
    assert dominant_colour(trimmed(disc((20, 20, 22)), 64)) == "black"
    halves = np.array(disc((215, 35, 40)))
    halves[:, 32:, :3] = (40, 60, 220)
    assert dominant_colour(trimmed(Image.fromarray(halves), 64)) == ""


@pytest.mark.parametrize("kind", sorted(PAINTERS))
def test_backgrounds_fill_any_size_and_differ_by_seed(kind):
    pictures = [
        paint_background(kind, "blue", 48, 72, np.random.default_rng(seed)).pixels
        for seed in (1, 2)
    ]
    assert pictures[0].shape == (48, 72, 3)
    assert pictures[0].min() >= 0
    assert pictures[0].max() <= 1
    assert not np.array_equal(*pictures)


def test_captions_name_every_thing_count_and_colour_that_is_told():
    plan = Plan("pixel", (Item("apple", "red", 3),), background="table", background_colour="blue")
    rng = np.random.default_rng(0)
    captions = [Captioner({}).describe(plan, rng) for _ in range(50)]
    assert all("apples" in caption and "table" in caption for caption in captions)
    assert all(("three" in caption or "3" in caption) for caption in captions)
    assert all(("red" in caption or "crimson" in caption) for caption in captions)


def test_a_relation_turned_round_swaps_the_things():
    plan = Plan("3d", (Item("cat"), Item("dog")), "left of", "", "plain", "")
    rng = np.random.default_rng(0)
    for _ in range(60):
        caption = Captioner({}).describe(plan, rng)
        if "right of" in caption:
            assert caption.index("dog") < caption.index("cat")
        elif "left of" in caption:
            assert caption.index("cat") < caption.index("dog")


@pytest.mark.parametrize(
    ("one", "many"),
    [("cat", "cats"), ("fox", "foxes"), ("mouse", "mice"), ("cherry", "cherries"),
     ("fish", "fish"), ("glasses", "glasses"), ("octopus", "octopuses"), ("toy", "toys")],
)  # fmt: skip
def test_plurals(one, many):
    assert plural(one) == many


def test_articles():
    assert article("apple") == "an apple"
    assert article("unicorn") == "a unicorn"


def test_a_store_is_written_once_and_read_back(data, tmp_path):
    store = tmp_path / "store"
    write_scenes(data, store, [0, 3], seed=1, count=4)
    assert whole_shards(store) == [0, 3]
    assert np.load(store / "scenes_00000.npy").shape == (4, 128, 128, 3)
    assert np.load(store / "scenes_00003.npy").shape == (4, 96, 144, 3)
    before = (store / "scenes_00000.npy").stat().st_mtime_ns
    write_scenes(data, store, [0], seed=1, count=4)
    assert (store / "scenes_00000.npy").stat().st_mtime_ns == before
    assert len(read_captions(store, 3)) == 4


def test_two_things_or_a_thing_and_its_plain_ground_never_share_a_said_colour(maker):
    plans = [maker.make(np.random.default_rng([8, k])).plan for k in range(400)]
    pairs = [plan for plan in plans if len(plan.items) == 2]
    both_said = 0
    for plan in pairs:
        said = [item.colour for item in plan.items if item.colour]
        both_said += len(said) == 2
        assert len(set(said)) == len(said), plan
        assert plan.background != "plain" or plan.background_colour not in said, plan
    assert both_said > len(pairs) / 2


def test_looks_come_as_often_as_they_are_weighed(data):
    library = SubjectLibrary.read(data)
    weights = {"3d": 1.0, "cartoon": 3.0}
    maker = SceneMaker(library, read_nouns(), [], 32, 32, look_weights=weights)
    looks = [maker.make(np.random.default_rng([9, k])).plan.look for k in range(200)]
    assert set(looks) == {"3d", "cartoon"}
    assert looks.count("cartoon") == pytest.approx(150, abs=25)
