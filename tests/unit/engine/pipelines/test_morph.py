import io
import sys
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from engine import calls
from engine.errors import InvalidRequest, UnreadableImage, Unsupported
from engine.media.video import video_frames
from engine.pipelines import morph
from engine.requests import (
    Morph,
    PromptPart,
    Span,
    StyleReference,
    TextToImage,
    Waypoint,
    plain,
)


def png_of(colour, size=(64, 64)):
    buffer = io.BytesIO()
    Image.new("RGB", size, colour).save(buffer, "PNG")
    return buffer.getvalue()


RED, BLUE = (220, 40, 60), (20, 80, 200)
DRAWING = TextToImage(
    model="ideal", prompt=plain(""), seed=7, width=64, height=64, steps=6, image_count=1
)
PICTURES = Morph(
    stops=(Waypoint(picture=png_of(RED)), Waypoint(picture=png_of(BLUE, (90, 50)))),
    drawing=DRAWING,
    frames=5,
    seconds=1.0,
    loop=False,
)
FOX, OWL = Waypoint(prompt=plain("a fox")), Waypoint(prompt=plain("an owl"))
WORDS = replace(PICTURES, stops=(FOX, OWL))
MIXED = replace(PICTURES, stops=(FOX, *PICTURES.stops))
GREEN = (10, 200, 30)


def styled(request, weight=1000):
    """The same morph in the look of a green picture."""
    references = (StyleReference(png_of(GREEN)),)
    drawing = replace(request.drawing, style_references=references, style_weight=weight)
    return replace(request, drawing=drawing)


def frames_of(picture):
    with Image.open(io.BytesIO(picture.animation)) as image:
        assert image.format == "WEBP"
        found = []
        for index in range(image.n_frames):
            image.seek(index)
            found.append(np.asarray(image.convert("RGB")).astype(float))
        return found


def colours_of(picture):
    return np.stack([frame.mean((0, 1)) for frame in frames_of(picture)])


def test_pictures_turn_into_each_other_evenly_and_arrive(driver):
    (picture,) = driver.run(morph.run(PICTURES))
    colours = colours_of(picture)
    assert len(colours) == 5
    assert abs(colours[0] - RED).max() < 6
    assert abs(colours[-1] - BLUE).max() < 6
    assert (np.diff(colours[:, 0]) < 0).all()


def test_the_poster_is_the_first_frame(driver):
    (picture,) = driver.run(morph.run(PICTURES))
    poster = np.asarray(Image.open(io.BytesIO(picture.png))).astype(float)
    assert abs(poster - frames_of(picture)[0]).mean() < 4
    assert (picture.width, picture.height, picture.seed) == (64, 64, 7)


def test_frames_last_as_long_as_was_asked(driver):
    (picture,) = driver.run(morph.run(replace(PICTURES, seconds=2.0)))
    with Image.open(io.BytesIO(picture.animation)) as image:
        shown = 0
        for index in range(image.n_frames):
            image.seek(index)
            image.load()
            shown += image.info["duration"]
    assert shown == 2000


def test_a_loop_comes_back_and_ends_before_its_first_frame(driver):
    (picture,) = driver.run(morph.run(replace(PICTURES, frames=8, loop=True)))
    colours = colours_of(picture)
    assert abs(colours[0] - RED).max() < 6
    assert abs(colours[4] - BLUE).max() < 6
    assert abs(colours[3] - colours[5]).max() < 3


def test_words_are_drawn_with_one_noise_and_arrive_at_their_prompts(driver):
    driver.run(morph.run(WORDS))
    first, *_ = driver.model.asked(calls.Denoise)
    x = first.x.view(-1, 5, *first.x.shape[1:])[0]
    assert all((row == x[0]).all() for row in x)
    tokens = first.conditioning.tokens.view(-1, 5, 3, 2)[0]
    (fox,), (owl,) = (
        [driver.model.answer(calls.EncodeText(None, (stop.prompt[0].spans,), 64, 64)).tokens[0]]
        for stop in (FOX, OWL)
    )
    assert (tokens[0] == fox).all()
    assert (tokens[-1] - owl).abs().max() < 1e-6
    assert (tokens[2] - (fox + owl) / 2).abs().max() < 1e-6


def test_frames_of_words_share_passes_and_are_what_they_are_alone(driver):
    together = driver.run(morph.run(WORDS))
    passes = len(driver.model.asked(calls.Denoise))
    assert passes == WORDS.drawing.steps
    alone = [way.shares for way in morph.ways_of(WORDS, at_once=1)]
    assert [float(share) for shares in alone for share in shares] == pytest.approx(
        [0, 0.1464466, 0.5, 0.8535534, 1]
    )
    assert len(frames_of(together[0])) == 5


def test_prompts_of_different_numbers_of_parts_are_joined(driver):
    two = Waypoint(prompt=(PromptPart((Span("fog"),), 2.0), PromptPart((Span("sun"),))))
    (picture,) = driver.run(morph.run(replace(WORDS, stops=(FOX, two))))
    assert len(frames_of(picture)) == 5


def test_words_among_pictures_become_pictures_first(driver):
    mixed = replace(PICTURES, stops=(PICTURES.stops[0], FOX))
    (picture,) = driver.run(morph.run(mixed))
    assert len(driver.model.asked(calls.Denoise)) == mixed.drawing.steps
    assert abs(colours_of(picture)[0] - RED).max() < 6


@pytest.mark.parametrize("request_", [WORDS, MIXED])
def test_style_references_lay_one_look_over_all_frames(driver, request_):
    (picture,) = driver.run(morph.run(styled(request_)))
    assert abs(colours_of(picture) - GREEN).max() < 20
    painted = driver.model.asked(calls.Restyle)
    assert sum(len(call.pixels) for call in painted) == 5
    own = painted[0].own[0]  # one light for all, so that nothing flickers
    assert all((call.own == own).all() for call in painted)
    (plain_one,), (unweighed,) = (
        driver.run(morph.run(request)) for request in (request_, styled(request_, weight=0))
    )
    assert plain_one.animation == unweighed.animation != picture.animation


def test_a_model_that_sees_style_references_draws_the_words_by_them(driver):
    seeing = driver.with_facts(style_side=16)
    seeing.run(morph.run(styled(WORDS)))
    assert seeing.model.asked(calls.EncodeReference)
    assert not seeing.model.asked(calls.Restyle)


def stopped(request):
    """The same morph, whose words are drawn by half."""
    return replace(request, drawing=replace(request.drawing, stop=50))


@pytest.mark.parametrize(
    "request_",
    [PICTURES, WORDS, MIXED, styled(WORDS), styled(MIXED), stopped(WORDS), stopped(MIXED)],
)
def test_progress_rises_to_its_total(driver, request_):
    driver.run(morph.run(request_))
    told = driver.model.asked(calls.Report)
    steps = [report.step for report in told]
    assert steps == sorted(steps)
    assert steps[-1] == told[-1].total
    assert {report.total for report in told} == {told[0].total}


def test_previews_show_the_newest_frame(driver):
    ticks = iter(range(1000))
    driver.run(morph.run(PICTURES, preview_interval_s=0.5, clock=lambda: next(ticks)))
    assert any(report.preview for report in driver.model.asked(calls.Report))


@pytest.mark.parametrize("frames", [0, 1, 121, 10_000])
def test_too_few_and_too_many_frames_are_refused(frames):
    with pytest.raises(InvalidRequest, match=r"frames must be in 2\.\.120"):
        replace(PICTURES, frames=frames)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"stops": PICTURES.stops[:1]}, "stops"),
        ({"stops": PICTURES.stops * 4}, "stops"),
        ({"seconds": 0.0}, "seconds"),
        ({"frames": 100, "seconds": 1.0}, "frames"),
        ({"drawing": replace(DRAWING, width=2048, height=2048), "frames": 20}, "frames"),
    ],
)
def test_what_can_not_be_animated_is_refused_by_field(changes, field):
    with pytest.raises(InvalidRequest) as refused:
        replace(PICTURES, **changes)
    assert refused.value.field == field


def test_a_stop_is_one_thing():
    with pytest.raises(InvalidRequest, match="a picture, words or a seed"):
        Waypoint(picture=b"x", prompt=plain("a fox"))
    with pytest.raises(InvalidRequest, match="a picture, words or a seed"):
        Waypoint()


def test_a_broken_picture_is_named(driver):
    broken = (Waypoint(picture=b"no picture"), PICTURES.stops[1])
    with pytest.raises(UnreadableImage, match="stops"):
        driver.run(morph.run(replace(PICTURES, stops=broken)))


def test_a_video_has_the_same_frames(driver):
    (picture,) = driver.run(morph.run(replace(PICTURES, is_video=True)))
    shown, durations = video_frames(picture.video)
    assert durations[:4] == [200] * 4
    assert len(shown) == len(frames_of(picture)) == 5
    for frame, colour in zip(shown, colours_of(picture), strict=True):
        assert np.abs(np.asarray(frame).mean((0, 1)) - colour).max() < 6
    (picture,) = driver.run(morph.run(PICTURES))
    assert picture.video == b""


def test_a_video_without_an_encoder_is_refused_before_anything_is_drawn(driver, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(Unsupported, match="ask for WebP"):
        driver.run(morph.run(replace(PICTURES, is_video=True)))
    assert driver.model.seen == []
