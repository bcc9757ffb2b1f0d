import io
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps

from engine import calls
from engine.errors import InvalidRequest
from engine.pipelines import imagine
from engine.requests import (
    LoraReference,
    PromptPart,
    Sampler,
    Schedule,
    Span,
    StyleReference,
    TextToImage,
    plain,
)

FOX = TextToImage(
    model="ideal", prompt=plain("a fox"), seed=5, width=64, height=96, steps=6, image_count=3
)


def opened(picture):
    return np.asarray(Image.open(io.BytesIO(picture.png))).astype(int)


def part(text, weight):
    return PromptPart((Span(text),), weight)


def test_there_is_one_picture_per_seed_in_the_size_that_was_asked(driver):
    pictures = driver.run(imagine.run(FOX))
    assert [picture.seed for picture in pictures] == [5, 6, 7]
    assert [(picture.width, picture.height) for picture in pictures] == [(64, 96)] * 3
    assert [opened(picture).shape for picture in pictures] == [(96, 64, 3)] * 3
    assert len({picture.png for picture in pictures}) == 3


@pytest.mark.parametrize("sampler", list(Sampler))
def test_an_image_made_alone_is_the_one_of_the_batch(driver, sampler):
    request = replace(
        FOX,
        sampler=sampler,
        schedule=Schedule.KARRAS,
        chaos=60,
        weird=900,
        stylize=700,
        variation_seed=40,
        variation_strength=0.3,
    )
    together = driver.run(imagine.run(request))
    for i, picture in enumerate(together):
        alone = replace(request, seed=5, variation_seed=40 + i, image_count=1)
        (again,) = driver.run(imagine.run(alone))
        assert abs(opened(again) - opened(picture)).max() <= 1


def test_all_rows_of_a_step_are_one_call(driver):
    driver.run(imagine.run(FOX))
    steps = driver.model.asked(calls.Denoise)
    assert [len(call.x) for call in steps] == [6] * 6


def test_without_guidance_there_is_one_row_per_image(driver):
    driver.run(imagine.run(replace(FOX, guidance_scale=1.0)))
    assert {len(call.x) for call in driver.model.asked(calls.Denoise)} == {3}
    (encoded,) = driver.model.asked(calls.EncodeText)
    assert encoded.prompts == ((Span("a fox"),),)


def test_negative_parts_become_one_negative_row(driver):
    prompt = (part("a fox", 1.0), part("snow", -0.5), part("a hat", -0.25))
    driver.run(imagine.run(replace(FOX, prompt=prompt)))
    (encoded,) = driver.model.asked(calls.EncodeText)
    assert encoded.prompts[1] == (Span("snow"), Span(", "), Span("a hat", 0.5))


def test_stop_ends_early_and_reports_the_steps_that_are_left(driver):
    driver.run(imagine.run(replace(FOX, steps=10, stop=40)))
    assert len(driver.model.asked(calls.Denoise)) == 4
    reports = driver.model.asked(calls.Report)
    assert [(report.step, report.total) for report in reports] == [(i, 4) for i in range(1, 5)]


def test_tile_and_loras_are_part_of_the_network_that_is_asked_for(driver):
    driver.run(imagine.run(replace(FOX, tile=True, loras=(LoraReference("ink", 0.7),))))
    network = calls.NetworkRef("ideal", (("ink", 0.7),), tile=True)
    assert {call.network for call in driver.model.asked(calls.Denoise)} == {network}
    assert {call.network for call in driver.model.asked(calls.Decode)} == {network}


def test_a_model_with_an_upscaler_draws_small_and_fills_the_size_that_was_asked(driver):
    driver = driver.with_facts(output_upscale=2, size_multiple=16)
    (picture,) = driver.run(imagine.run(replace(FOX, width=200, height=128, image_count=1)))
    assert driver.model.asked(calls.Denoise)[0].x.shape == (2, 4, 8, 14)
    assert driver.model.asked(calls.Enlarge)[0].pixels.shape == (1, 3, 64, 112)
    assert opened(picture).shape == (128, 200, 3)


def test_a_seamless_tile_is_enlarged_as_if_it_went_on(driver):
    driver = driver.with_facts(output_upscale=2)
    request = replace(FOX, width=128, height=128, image_count=1, tile=True)
    (picture,) = driver.run(imagine.run(request))
    (call,) = driver.model.asked(calls.Enlarge)
    assert call.pixels.shape == (1, 3, 96, 96)
    assert (call.pixels[..., :32] == call.pixels[..., 64:]).all()
    assert (call.pixels[:, :, :32] == call.pixels[:, :, 64:]).all()
    (decoded,) = driver.model.asked(calls.Decode)
    inner = driver.model.answer(decoded)[0].permute(1, 2, 0) * 255
    assert abs(opened(picture)[::2, ::2] - inner.numpy()).max() <= 1


def test_large_images_are_decoded_one_at_a_time(driver):
    driver.run(imagine.run(replace(FOX, width=1024, height=1024, image_count=2, steps=1)))
    assert [len(call.latents) for call in driver.model.asked(calls.Decode)] == [1, 1]


def test_others_may_run_between_the_encoding_of_two_images(driver):
    driver.run(imagine.run(FOX))
    assert len(driver.model.asked(calls.Pause)) >= 3


def test_previews_come_by_the_clock_and_not_shortly_before_the_end(driver):
    ticks = iter(range(1000))
    # One second per look at the clock: begun at 0, then one per step and one per preview.
    pipeline = imagine.run(replace(FOX, steps=8), preview_interval_s=1.5, clock=lambda: next(ticks))
    driver.run(pipeline)
    previews = [report.preview is not None for report in driver.model.asked(calls.Report)]
    assert previews == [False, True, False, True, False, False, False, False]


def test_a_preview_is_a_small_webp_of_all_images(driver):
    ticks = iter(range(0, 100_000, 50))
    driver.run(imagine.run(FOX, clock=lambda: next(ticks)))
    previews = [report.preview for report in driver.model.asked(calls.Report) if report.preview]
    image = Image.open(io.BytesIO(previews[0]))
    assert image.format == "WEBP"
    assert max(image.size) == 256


def test_no_previews_where_they_are_not_wanted(driver):
    ticks = iter(range(0, 100_000, 50))
    driver.run(imagine.run(replace(FOX, previews=False), clock=lambda: next(ticks)))
    assert all(report.preview is None for report in driver.model.asked(calls.Report))


def test_many_steps_reach_the_colour_that_the_prompt_names(driver):
    request = replace(FOX, steps=40, guidance_scale=1.0, image_count=8)
    driver.run(imagine.run(request))
    (final,) = driver.model.asked(calls.Decode)[-1:]
    (encoded,) = driver.model.asked(calls.EncodeText)
    colour = driver.model.answer(encoded).tokens.flatten()[:4] / 2
    assert (final.latents.mean((0, 2, 3)) - colour).abs().max() < 0.05
    assert float((final.latents - colour.view(-1, 1, 1)).std()) == pytest.approx(0.5, abs=0.03)


def test_all_variations_are_near_the_image_that_is_varied(driver):
    (original,) = driver.run(imagine.run(replace(FOX, image_count=1)))
    strangers = driver.run(imagine.run(replace(FOX, seed=900, image_count=4)))
    varied = replace(FOX, variation_seed=90, variation_strength=0.25, image_count=4)
    pictures = driver.run(imagine.run(varied))
    assert len({picture.png for picture in pictures}) == 4
    for picture in pictures:
        near = abs(opened(picture) - opened(original)).mean()
        assert near < 0.6 * min(abs(opened(s) - opened(original)).mean() for s in strangers)


def test_the_whole_variation_strength_gives_the_image_of_the_other_seed(driver):
    varied = replace(FOX, variation_seed=90, variation_strength=1.0)
    other = replace(FOX, seed=90)
    pairs = zip(driver.run(imagine.run(varied)), driver.run(imagine.run(other)), strict=True)
    assert all(abs(opened(a) - opened(b)).max() <= 1 for a, b in pairs)


@pytest.mark.parametrize("change", [{"chaos": 50}, {"weird": 1000}, {"stylize": 900}])
def test_flags_that_lead_away_from_the_plain_image_do(driver, change):
    (plainly,) = driver.run(imagine.run(replace(FOX, image_count=1)))
    (changed,) = driver.run(imagine.run(replace(FOX, image_count=1, **change)))
    assert abs(opened(plainly) - opened(changed)).mean() > 1


def test_a_high_stylize_mixes_in_the_look_of_the_house(driver):
    driver = driver.with_facts(house_prompt="glossy, warm light")
    driver.run(imagine.run(replace(FOX, stylize=1000)))
    (encoded,) = driver.model.asked(calls.EncodeText)
    assert encoded.prompts == ((Span("a fox"),), (Span("glossy, warm light"),), ())


def test_too_many_parts_are_refused_with_the_number_that_can_be_mixed(driver):
    prompt = tuple(part(f"thing {i}", 1.0) for i in range(7))
    with pytest.raises(InvalidRequest, match="prompt has 7 parts of positive weight; at most 6"):
        driver.run(imagine.run(replace(FOX, prompt=prompt)))


def test_style_references_lay_their_look_over_the_images_by_the_style_weight(driver):
    plainly = driver.run(imagine.run(FOX))
    buffer = io.BytesIO()
    Image.new("RGB", (40, 40), (200, 100, 0)).save(buffer, "PNG")
    references = (StyleReference(image=buffer.getvalue(), weight=2.0),)
    for weight, share in ((0, 0.0), (50, 0.5), (450, 0.9)):
        request = replace(FOX, style_references=references, style_weight=weight)
        restyled = driver.run(imagine.run(request))
        for before, after in zip(plainly, restyled, strict=True):
            expected = opened(before) * (1 - share) + np.array([200, 100, 0]) * share
            assert abs(opened(after) - expected).max() <= 6  # the colours spread a little


def test_a_look_may_be_a_preset_of_the_engine(driver):
    driver.run(imagine.run(replace(FOX, style_references=(StyleReference(preset="wave"),))))
    assert [call.name for call in driver.model.asked(calls.StylePreset)] == ["wave"]
    assert len(driver.model.asked(calls.Restyle)) == FOX.image_count


def test_a_model_that_sees_style_references_draws_by_them_itself(driver):
    seeing = driver.with_facts(style_side=8)
    references = (StyleReference(preset="wave"), StyleReference(preset="udnie", weight=3.0))
    request = replace(FOX, style_references=references, style_weight=50, guidance_scale=5.0)
    seeing.run(imagine.run(request))
    assert not seeing.model.asked(calls.Restyle)
    (asked,) = seeing.model.asked(calls.EncodeReference)
    assert asked.pixels.shape == (2, 3, 8, 8)
    style = seeing.model.asked(calls.Denoise)[0].conditioning.style
    colours = asked.pixels.mean((2, 3))
    follows, avoids = style.tokens.split(FOX.image_count)
    torch.testing.assert_close(follows[0, 0], 0.25 * colours[0] + 0.75 * colours[1])
    assert not avoids.any()
    assert style.scale.tolist() == [0.5] * 2 * FOX.image_count


@pytest.mark.parametrize("size", [(1, 4096), (4096, 1), (60, 40), (40, 61), (50, 50)])
def test_of_a_style_reference_of_any_shape_a_model_sees_the_middle(driver, size, monkeypatch):
    ramp = Image.linear_gradient("L").resize(size).convert("RGB")
    square = ImageOps.fit(ramp, (min(size), min(size)))
    middle = square.resize((32, 32), Image.Resampling.BICUBIC)
    buffer = io.BytesIO()
    ramp.save(buffer, "PNG")
    resize, made = Image.Image.resize, []

    def spying(self, to, *args, **options):
        made.append(to)
        return resize(self, to, *args, **options)

    monkeypatch.setattr(Image.Image, "resize", spying)
    seeing = driver.with_facts(style_side=32)
    references = (StyleReference(image=buffer.getvalue()),)
    seeing.run(imagine.run(replace(FOX, style_references=references)))
    (asked,) = seeing.model.asked(calls.EncodeReference)
    expected = torch.from_numpy(np.asarray(middle).astype(np.float32) / 255).permute(2, 0, 1)
    torch.testing.assert_close(asked.pixels[0], expected, atol=0.03, rtol=0)
    assert set(made) == {(32, 32)}, "the whole of a thin picture would be huge"


@pytest.mark.parametrize("style_side", [0, 8])
def test_style_references_count_relative_to_each_other(driver, style_side):
    pipelines = [driver.with_facts(style_side=style_side) for _ in range(3)]
    wave, udnie = StyleReference(preset="wave", weight=0.0), StyleReference(preset="udnie")
    faint = StyleReference(preset="udnie", weight=1e-50)
    alone, beside, faintly = (
        each.run(imagine.run(replace(FOX, style_references=references)))
        for each, references in zip(pipelines, [(udnie,), (wave, udnie), (faint,)], strict=True)
    )
    assert beside == alone
    assert faintly == alone
    with pytest.raises(InvalidRequest, match="style_references need a positive weight"):
        replace(FOX, style_references=(wave,))


def test_a_weight_of_nothing_shows_a_model_nothing(driver):
    seeing = driver.with_facts(style_side=8)
    request = replace(FOX, style_references=(StyleReference(preset="wave"),), style_weight=0)
    seeing.run(imagine.run(request))
    assert not seeing.model.asked(calls.EncodeReference)
    assert seeing.model.asked(calls.Denoise)[0].conditioning.style is None
