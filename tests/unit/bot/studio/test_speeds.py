"""Estimates come from measurements."""

from dataclasses import replace

import pytest

from bot.studio.contract import Operation
from bot.studio.speeds import Speeds, pace_of, work_of
from engine.api import Morph, StyleReference, TextToImage, Upscale, Waypoint, plain


def test_nothing_is_promised_before_anything_was_measured() -> None:
    speeds = Speeds()
    assert speeds.estimate_s("tiny", 10.0) is None
    assert speeds.cost_s("tiny", 10.0) > 0


def test_estimates_follow_what_was_measured_recent_most() -> None:
    speeds = Speeds([("tiny", 10.0, 20.0)])
    assert speeds.estimate_s("tiny", 5.0) == pytest.approx(10.0)
    for _ in range(30):
        speeds.learn("tiny", 10.0, 5.0)
    assert speeds.estimate_s("tiny", 10.0) == pytest.approx(5.0, rel=0.1)
    speeds.learn("tiny", 0.0, 5.0)
    assert speeds.estimate_s("other", 1.0) is None


def test_work_grows_with_pixels_steps_images_and_guidance() -> None:
    base = TextToImage(model="m", prompt=plain("a"), seed=0, guidance_scale=1.0, image_count=1)
    work = work_of(base)
    larger = TextToImage(model="m", prompt=plain("a"), seed=0, guidance_scale=4.0, image_count=4)
    assert work == pytest.approx(512 * 512 / 1e6 * 20)
    assert work_of(larger) == pytest.approx(8 * work)
    assert work_of(Upscale(source=b"x", factor=4)) == 4 * work_of(Upscale(source=b"x", factor=2))


def test_pictures_and_frames_in_the_look_of_another_are_more_work() -> None:
    drawing = TextToImage(
        model="m", prompt=plain("a"), seed=0, guidance_scale=1.0, image_count=1, steps=4
    )
    styled = replace(drawing, style_references=(StyleReference(preset="wave"),))
    restyling = work_of(styled) - work_of(drawing)
    assert restyling > 0
    assert work_of(replace(styled, image_count=3)) - work_of(
        replace(drawing, image_count=3)
    ) == pytest.approx(3 * restyling)
    assert work_of(replace(styled, style_weight=0)) == work_of(drawing)
    stops = (Waypoint(prompt=plain("a")), Waypoint(prompt=plain("b")))
    morph = Morph(drawing=drawing, stops=stops, frames=24)
    assert work_of(replace(morph, drawing=styled)) - work_of(morph) == pytest.approx(24 * restyling)


def test_upscaling_is_not_measured_with_the_models_drawing() -> None:
    assert pace_of("tiny", Operation.UPSCALE) == pace_of("other", Operation.UPSCALE)
    assert pace_of("tiny", Operation.VARY_SUBTLE) == pace_of("tiny", Operation.IMAGINE)
