import io
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from engine import calls
from engine.errors import InvalidRequest, UnreadableImage
from engine.pipelines import blend
from engine.pipelines.stages.mixing import mixed
from engine.requests import Blend, plain


def png_of(colour, size=(64, 64)):
    buffer = io.BytesIO()
    Image.new("RGB", size, colour).save(buffer, "PNG")
    return buffer.getvalue()


RED, BLUE = (220, 40, 60), (20, 80, 200)
BLEND = Blend(
    model="ideal",
    prompt=plain(""),
    seed=5,
    width=64,
    height=64,
    steps=10,
    image_count=1,
    pictures=(png_of(RED), png_of(BLUE)),
)


def colour_of(picture):
    return np.asarray(Image.open(io.BytesIO(picture.png))).astype(float).mean((0, 1))


def test_equal_weights_lie_in_the_middle(driver):
    (picture,) = driver.run(blend.run(BLEND))
    assert abs(colour_of(picture) - np.mean([RED, BLUE], axis=0)).max() < 3
    assert (picture.width, picture.height, picture.seed) == (64, 64, 5)


def test_a_weight_draws_the_mixture_to_its_picture(driver):
    (picture,) = driver.run(blend.run(replace(BLEND, weights=(9.0, 1.0))))
    wanted = np.average([RED, BLUE], axis=0, weights=[9, 1])
    assert abs(colour_of(picture) - wanted).max() < 3


def test_the_smallest_and_largest_weights_are_shares_too():
    for weights in ((1e6, 1e6), (1e-6, 1e-50), (5e-7, 5e-7)):
        rows = blend.weights_of(replace(BLEND, weights=weights, image_count=4, chaos=100))
        assert rows.isfinite().all()
        assert rows.sum(1).numpy() == pytest.approx(1.0)


def test_all_pictures_are_encoded_in_one_call_whatever_their_shapes(driver):
    shapes = ((64, 64), (200, 40), (31, 97))
    pictures = tuple(png_of(RED, size) for size in shapes)
    driver.run(blend.run(replace(BLEND, pictures=pictures)))
    (call,) = driver.model.asked(calls.Encode)
    assert call.pixels.shape == (3, 3, 64, 64)


def test_without_strength_no_denoiser_is_asked(driver):
    driver.run(blend.run(BLEND))
    assert driver.model.asked(calls.Denoise) == []


def test_strength_draws_the_mixture_on_by_the_prompt(driver):
    drawn = replace(BLEND, prompt=plain("a fox"), strength=0.5)
    driver.run(blend.run(drawn))
    assert len(driver.model.asked(calls.Denoise)) == 5


def test_each_image_of_a_chaotic_blend_is_made_by_its_seed_alone(driver):
    request = replace(BLEND, seed=20, image_count=3, chaos=80)
    together = driver.run(blend.run(request))
    assert len({picture.png for picture in together}) == 3
    for i, picture in enumerate(together):
        (alone,) = driver.run(blend.run(replace(request, seed=20 + i, image_count=1)))
        assert alone.png == picture.png


def test_a_mixture_is_the_same_to_the_last_bit_whatever_is_mixed_beside_it():
    generator = torch.Generator().manual_seed(0)
    latents = torch.randn(5, 4, 24, 24, generator=generator)
    weights = torch.rand(8, 5, generator=generator).softmax(1)
    together = mixed(latents, weights)
    for row, alone in zip(together, weights.split(1), strict=True):
        assert torch.equal(row, mixed(latents, alone)[0])


def test_mixing_keeps_the_contrast_of_what_is_mixed(driver):
    generator = np.random.default_rng(1)
    noisy = []
    for _ in range(4):
        image = Image.fromarray(generator.integers(0, 256, (8, 8, 3), dtype=np.uint8))
        buffer = io.BytesIO()
        image.resize((64, 64), Image.Resampling.NEAREST).save(buffer, "PNG")
        noisy.append(buffer.getvalue())
    (picture,) = driver.run(blend.run(replace(BLEND, pictures=tuple(noisy))))
    spreads = [np.asarray(Image.open(io.BytesIO(png))).std((0, 1)).mean() for png in noisy]
    mixed = np.asarray(Image.open(io.BytesIO(picture.png))).std((0, 1)).mean()
    assert mixed > 0.85 * np.mean(spreads)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"pictures": BLEND.pictures[:1]}, "pictures"),
        ({"pictures": BLEND.pictures * 3}, "pictures"),
        ({"weights": (1.0,)}, "weights"),
        ({"weights": (1.0, -1.0)}, "weights"),
        ({"weights": (0.0, 0.0)}, "weights"),
        ({"weights": (float("inf"), 1.0)}, "weights"),
        ({"weights": (float("nan"), 1.0)}, "weights"),
        ({"weights": (1e39, 1.0)}, "weights"),
        ({"weights": (1e-50, 1e-50)}, "weights"),
        ({"strength": 1.5}, "strength"),
    ],
)
def test_what_can_not_be_blended_is_refused_by_field(changes, field):
    with pytest.raises(InvalidRequest) as refused:
        replace(BLEND, **changes)
    assert refused.value.field == field


def test_a_broken_picture_is_named(driver):
    with pytest.raises(UnreadableImage, match="pictures"):
        driver.run(blend.run(replace(BLEND, pictures=(b"no picture", png_of(RED)))))
