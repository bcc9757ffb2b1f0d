import io
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from engine import calls
from engine.errors import InvalidRequest, UnreadableImage
from engine.models.families import Place
from engine.models.families.gan import GanModel
from engine.pipelines import dream, morph
from engine.requests import Dream, Morph, Stride, TextToImage, Waypoint, plain
from tests.tiny_gan import tiny_generator
from tests.unit.engine.pipelines.conftest import Driver, IdealModel

DREAM = Dream(model="tiny", seed=5, look="cat", image_count=3, factor=1, truncation=1.0)


class Dreaming(IdealModel):
    """The ideal model, and a real generator of random weights beside it."""

    def __init__(self):
        super().__init__()
        self.gan = GanModel(Place(torch.device("cpu"), torch.float32), tiny_generator())

    def answer(self, call):
        if isinstance(call, calls.GanCall):
            self.seen.append(call)
            return self.gan.execute([call])[0]
        return super().answer(call)


@pytest.fixture
def driver():
    torch.set_num_threads(1)
    return Driver(Dreaming())


def pixels_of(picture):
    return np.asarray(Image.open(io.BytesIO(picture.png))).astype(float)


def apart(a, b):
    return abs(pixels_of(a) - pixels_of(b)).mean()


def test_each_image_is_the_dream_of_its_seed_alone(driver):
    together = driver.run(dream.run(DREAM))
    assert [picture.seed for picture in together] == [5, 6, 7]
    assert len({picture.png for picture in together}) == 3
    for i, picture in enumerate(together):
        (alone,) = driver.run(dream.run(replace(DREAM, seed=5 + i, image_count=1)))
        assert apart(alone, picture) < 0.05


def test_images_share_passes(driver):
    driver.run(dream.run(DREAM))
    (call,) = driver.model.asked(calls.Synthesise)
    assert len(call.w) == 3


def test_truncation_zero_is_the_average_of_the_look(driver):
    averages = driver.run(dream.run(replace(DREAM, truncation=0.0)))
    assert len({picture.png for picture in averages}) == 1
    (other,) = driver.run(dream.run(replace(DREAM, truncation=0.0, look="moon", image_count=1)))
    assert apart(averages[0], other) > 0.5


def test_without_a_look_each_image_has_one_by_its_seed(driver):
    driver.run(dream.run(replace(DREAM, look="", image_count=8)))
    (call,) = driver.model.asked(calls.MapNoise)
    assert set(call.looks.tolist()) == {0, 1}
    driver.run(dream.run(replace(DREAM, look="", seed=9, image_count=1)))
    assert driver.model.asked(calls.MapNoise)[-1].looks[0] == call.looks[4]


def test_dreams_are_enlarged(driver):
    (picture,) = driver.run(dream.run(replace(DREAM, factor=4, image_count=1)))
    side = 4 * tiny_generator().config.size
    assert (picture.width, picture.height) == (side, side)


def test_a_longer_walk_leads_farther_from_where_it_began(driver):
    (start,) = driver.run(dream.run(replace(DREAM, image_count=1)))
    far = []
    for distance in (0.0, 0.2, 0.6):
        walk = replace(DREAM, seed=40, origin=5, distance=distance, image_count=1)
        far.append(apart(start, driver.run(dream.run(walk))[0]))
    assert far[0] < 0.05
    assert far[0] < far[1] < far[2]


def test_a_walk_goes_on_from_a_tile_of_a_walk(driver):
    walk = replace(DREAM, seed=40, origin=5, distance=0.4)
    tile = driver.run(dream.run(walk))[1]
    onward = replace(walk, seed=90, path=(Stride(41, 0.4),), distance=0.0, image_count=1)
    assert apart(driver.run(dream.run(onward))[0], tile) < 0.05


def test_a_picture_is_found_among_the_dreams(driver):
    (wanted,) = driver.run(dream.run(replace(DREAM, image_count=1)))
    like = replace(DREAM, seed=77, like=wanted.png, distance=0.0, image_count=1)
    (found,) = driver.run(dream.run(like))
    (average,) = driver.run(dream.run(replace(DREAM, truncation=0.0, image_count=1)))
    assert apart(found, wanted) < 0.7 * apart(average, wanted)
    told = driver.model.asked(calls.Report)[-1]
    assert told.step == told.total


def test_what_no_w_draws_is_searched_for_from_the_best_look(driver):
    (wanted,) = driver.run(dream.run(replace(DREAM, image_count=1)))
    driver.run(dream.run(replace(DREAM, look="", like=wanted.png)))
    first, *_, last = driver.model.asked(calls.InversionGradient)
    assert (len(first.w), len(last.w)) == (2, 1)
    assert last.w.shape[1] > first.w.shape[1]


def test_the_search_shows_previews(driver):
    (wanted,) = driver.run(dream.run(replace(DREAM, image_count=1)))
    ticks = iter(range(100_000))
    like = replace(DREAM, like=wanted.png, distance=0.3)
    driver.run(dream.run(like, preview_interval_s=0.5, clock=lambda: next(ticks)))
    assert any(report.preview for report in driver.model.asked(calls.Report))


def test_an_unknown_look_names_those_there_are(driver):
    with pytest.raises(InvalidRequest, match="cat, moon"):
        driver.run(dream.run(replace(DREAM, look="dog")))


def test_a_broken_picture_is_named(driver):
    with pytest.raises(UnreadableImage, match="like"):
        driver.run(dream.run(replace(DREAM, like=b"no picture")))


@pytest.mark.parametrize(
    ("changes", "field_"),
    [
        ({"truncation": 1.2}, "truncation"),
        ({"image_count": 9}, "image_count"),
        ({"factor": 3}, "factor"),
        ({"distance": -0.1}, "distance"),
        ({"origin": 3, "like": b"x"}, "origin"),
        ({"path": (Stride(1, 0.5),) * 33}, "path"),
    ],
)
def test_what_can_not_be_dreamt_is_refused_by_field(changes, field_):
    with pytest.raises(InvalidRequest) as refused:
        replace(DREAM, **changes)
    assert refused.value.field == field_


DRAWING = TextToImage(
    model="ideal", prompt=plain(""), seed=7, width=96, height=64, steps=4, image_count=1
)
MORPH = Morph(
    stops=(Waypoint(seed=5), Waypoint(seed=6)),
    drawing=DRAWING,
    frames=6,
    seconds=1.0,
    loop=False,
    dreams="tiny",
    truncation=1.0,
)


def test_dreams_turn_into_each_other_on_the_great_circle_of_their_noise(driver):
    (picture,) = driver.run(morph.run(MORPH))
    assert (picture.width, picture.height) == (96, 64)
    with Image.open(io.BytesIO(picture.animation)) as image:
        assert image.n_frames > 2
    (call,) = driver.model.asked(calls.MapNoise)
    lengths = call.z[:6].norm(dim=1)
    assert lengths.min() >= min(lengths[0], lengths[-1]) - 1e-4


def test_the_ends_of_a_morph_are_the_dreams_of_its_seeds(driver):
    (picture,) = driver.run(morph.run(MORPH))
    (w,) = (call.w for call in driver.model.asked(calls.Synthesise))
    dreams = replace(DREAM, look="", image_count=2)
    driver.run(dream.run(dreams))
    alone = driver.model.asked(calls.Synthesise)[-1].w
    assert torch.allclose(w[[0, -1]], alone, atol=1e-5)
    assert picture.animation


def test_a_dream_may_turn_into_a_picture_or_words(driver):
    stops = (Waypoint(seed=5), Waypoint(prompt=plain("a fox")))
    (picture,) = driver.run(morph.run(replace(MORPH, stops=stops)))
    assert (picture.width, picture.height) == (96, 64)
    assert len(driver.model.asked(calls.Encode)) == 1


def test_dreams_need_a_model_that_dreams():
    with pytest.raises(InvalidRequest, match="dreams"):
        replace(MORPH, dreams="")
