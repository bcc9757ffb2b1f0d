import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from engine import calls
from engine.errors import UnreadableImage
from engine.pipelines import edit, imagine
from engine.requests import ImageToImage, Sampler, StyleReference, TextToImage, plain


def png_of(image):
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def gradient(width, height):
    ramp = np.linspace(0, 255, width)[None, :, None] * np.ones((height, 1, 3))
    return Image.fromarray(ramp.astype(np.uint8))


SOURCE = gradient(64, 64)
EDIT = ImageToImage(
    model="ideal",
    prompt=plain("a fox"),
    seed=5,
    width=64,
    height=64,
    steps=10,
    image_count=2,
    source=png_of(SOURCE),
)


def opened(picture):
    return np.asarray(Image.open(io.BytesIO(picture.png))).astype(int)


def distance(picture):
    return abs(opened(picture) - np.asarray(SOURCE).astype(int)).mean()


def test_strength_zero_keeps_the_source_exactly_and_asks_no_network(driver):
    pictures = driver.run(edit.run(replace(EDIT, strength=0.0)))
    assert [picture.seed for picture in pictures] == [5, 6]
    assert all(distance(picture) == 0 for picture in pictures)
    assert {type(call) for call in driver.model.seen} == {calls.Pause}


def test_strength_one_is_the_image_of_the_prompt_alone(driver):
    edited = driver.run(edit.run(replace(EDIT, strength=1.0)))
    shared = {
        name: getattr(EDIT, name)
        for name in ("model", "prompt", "seed", "width", "height", "steps", "image_count")
    }
    drawn = driver.run(imagine.run(TextToImage(**shared)))
    assert [picture.png for picture in edited] == [picture.png for picture in drawn]
    assert driver.model.asked(calls.Encode) == []


def test_more_strength_leads_farther_from_the_source(driver):
    distances = [
        distance(driver.run(edit.run(replace(EDIT, strength=strength, sampler=Sampler.HEUN)))[0])
        for strength in (0.1, 0.4, 0.7)
    ]
    assert distances == sorted(distances)
    assert distances[0] < 12 < distances[2]


@pytest.mark.parametrize(("strength", "steps"), [(0.01, 1), (0.3, 3), (0.6, 6), (0.99, 9)])
def test_strength_is_the_part_of_the_steps_that_is_run(driver, strength, steps):
    driver.run(edit.run(replace(EDIT, strength=strength)))
    assert len(driver.model.asked(calls.Denoise)) == steps
    assert driver.model.asked(calls.Report)[-1].total == steps


def test_the_noise_on_the_source_is_that_of_the_first_level(driver):
    driver.run(edit.run(replace(EDIT, strength=0.5, image_count=8, guidance_scale=1.0)))
    first = driver.model.asked(calls.Denoise)[0]
    latents = driver.model.answer(driver.model.asked(calls.Encode)[0])
    sigma = float(first.sigma[0])
    assert sigma == pytest.approx(1.0)  # flow time 0.5
    assert float((first.x - latents).std()) == pytest.approx(sigma, rel=0.05)


def test_an_image_made_alone_is_the_one_of_the_batch(driver):
    together = driver.run(edit.run(replace(EDIT, sampler=Sampler.DPMPP_2M_SDE)))
    alone = driver.run(edit.run(replace(EDIT, sampler=Sampler.DPMPP_2M_SDE, seed=6, image_count=1)))
    assert abs(opened(alone[0]) - opened(together[1])).max() <= 1


def test_another_shape_is_cut_evenly_and_not_squeezed(driver):
    wide = gradient(256, 64)
    (picture,) = driver.run(
        edit.run(replace(EDIT, source=png_of(wide), strength=0.0, image_count=1))
    )
    middle = np.asarray(wide)[:, 96:160].astype(int)
    assert abs(opened(picture) - middle).max() <= 1


def test_a_transparent_source_is_laid_on_white(driver):
    clear = Image.new("RGBA", (64, 64), (255, 0, 0, 0))
    request = replace(EDIT, source=png_of(clear), strength=0.0, image_count=1)
    (picture,) = driver.run(edit.run(request))
    assert opened(picture).min() == 255


@pytest.mark.parametrize(
    "broken", [b"hello", EDIT.source[:60], EDIT.source[: len(EDIT.source) // 2]]
)
def test_a_broken_source_is_refused_by_name(driver, broken):
    with pytest.raises(UnreadableImage, match="source is no readable PNG"):
        driver.run(edit.run(replace(EDIT, source=broken)))


def test_style_references_lay_their_look_over_an_edit_too(driver):
    references = (StyleReference(preset="wave"),)
    driver.run(edit.run(replace(EDIT, strength=0.0, style_references=references)))
    assert len(driver.model.asked(calls.Restyle)) == EDIT.image_count


def test_a_model_that_sees_style_references_needs_no_look_laid_over(driver):
    seeing = driver.with_facts(style_side=8)
    references = (StyleReference(preset="wave"),)
    seeing.run(edit.run(replace(EDIT, style_references=references)))
    assert seeing.model.asked(calls.EncodeReference)
    assert not seeing.model.asked(calls.Restyle)
    kept = driver.with_facts(style_side=8)
    kept.run(edit.run(replace(EDIT, strength=0.0, style_references=references)))
    assert kept.model.asked(calls.Restyle), "nothing is drawn, so that nothing could be shown"
