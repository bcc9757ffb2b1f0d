"""Stylize from request to pictures, answered by small random networks."""

import io
import itertools
import threading
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from PIL import Image, ImageSequence
from torch.nn import functional

from engine import calls
from engine.diffusion.schedules import sigmas_for
from engine.errors import InvalidRequest, ModelUnavailable, OutOfMemory, UnreadableImage
from engine.models.families import style as family
from engine.models.families.style_guides import directions_for
from engine.networks.style import StyleConfig, StyleTransfer
from engine.networks.weights import save_network
from engine.pipelines import stylize
from engine.pipelines.stages import denoising, restyling, versions
from engine.pipelines.stages.moving import steadied
from engine.requests import (
    KeepColour,
    Sampler,
    Schedule,
    Stride,
    StyleLoss,
    StyleMethod,
    StyleReference,
    StyleStart,
    Stylize,
)
from engine.style import losses
from engine.style.colour import RGB_TO_YIQ
from engine.style.strokes import strokes_of


def png_of(image):
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def noise(width, height, seed=0, mode="RGB"):
    channels = len(mode)
    values = np.random.default_rng(seed).integers(0, 256, (8, 8, channels), dtype=np.uint8)
    return Image.fromarray(values, mode).resize((width, height), Image.Resampling.BICUBIC)


def opened(picture):
    return np.asarray(Image.open(io.BytesIO(picture.png)).convert("RGB")).astype(float) / 255


def assert_alike(one, other):
    """The same within the last bits: a pass of several rows adds up in another order."""
    assert abs(opened(one) - opened(other)).max() <= 1.01 / 255


@pytest.fixture(scope="module")
def networks(tmp_path_factory):
    folder = tmp_path_factory.mktemp("style")
    torch.manual_seed(6)
    network = StyleTransfer(StyleConfig(widths=(4, 6, 8, 8)))
    save_network(folder, "style", network)
    return family.StyleNetworks(torch.device("cpu"), folder=folder, precision=torch.float32)


class Painter:
    """Runs one pipeline on the style networks; other calls go to the ideal model."""

    def __init__(self, networks, driver):
        self.networks, self.model = networks, driver.model
        self.seen, self.room = [], None

    def run(self, request):
        pipeline = stylize.run(request)
        call = next(pipeline)
        while True:
            self.seen.append(call)
            try:
                try:
                    result = self.answer(call)
                except OutOfMemory as error:
                    call = pipeline.throw(error)
                else:
                    call = pipeline.send(result)
            except StopIteration as end:
                return end.value

    def answer(self, call):
        is_large = isinstance(call, calls.Restyle | calls.LayStrokes | calls.StyleGradient)
        if is_large and self.room and call.pixels.shape[-1] > self.room:
            raise OutOfMemory("too large")
        if isinstance(call, calls.StyleCall):
            with torch.no_grad():
                return self.networks.execute([call])[0]
        return self.model.answer(call)

    def asked(self, kind):
        return [call for call in self.seen if isinstance(call, kind)]


@pytest.fixture
def painter(networks, driver):
    return Painter(networks, driver)


REQUEST = Stylize(
    content=png_of(noise(48, 40)), styles=(StyleReference(png_of(noise(40, 40, 1))),), seed=4
)


def test_the_result_has_the_contents_size_and_another_look(painter):
    (picture,) = painter.run(REQUEST)
    assert (picture.width, picture.height, picture.seed) == (48, 40, 4)
    content = np.asarray(noise(48, 40)).astype(float) / 255
    assert abs(opened(picture) - content).mean() > 0.02


def test_strokes_are_as_large_as_on_a_reproduction_of_the_contents_size(painter, monkeypatch):
    seen = []

    def cut(pixels):
        seen.append(tuple(pixels.shape[2:]))
        return strokes_of(pixels)

    monkeypatch.setattr(restyling, "strokes_of", cut)
    style = StyleReference(png_of(noise(400, 200, 1)))
    for size in ((64, 64), (120, 200), (900, 300)):
        painter.run(replace(REQUEST, content=png_of(noise(*size)), styles=(style,)))
    assert seen == [(64, 128), (96, 200), (200, 400)]


def test_strength_nought_keeps_the_content_to_the_last_bit(painter):
    (picture,) = painter.run(replace(REQUEST, strength=0.0))
    assert np.array_equal(
        np.asarray(Image.open(io.BytesIO(picture.png))), np.asarray(noise(48, 40))
    )
    assert painter.asked(calls.Restyle) == []


@pytest.mark.parametrize("size", [(16, 16), (1, 1), (17, 300), (300, 17)])
def test_contents_of_odd_sizes_keep_them(painter, size):
    (picture,) = painter.run(replace(REQUEST, content=png_of(noise(*size))))
    assert (picture.width, picture.height) == size


@pytest.mark.parametrize("mode", ["L", "1", "P", "CMYK", "LA"])
def test_contents_of_other_modes_are_taken(painter, mode):
    image = noise(32, 32)
    source = image.convert("CMYK").convert("RGB") if mode == "CMYK" else image.convert(mode)
    (picture,) = painter.run(replace(REQUEST, content=png_of(source)))
    assert (picture.width, picture.height) == (32, 32)


def test_transparency_is_kept(painter):
    content = noise(40, 32, 3, "RGBA")
    (picture,) = painter.run(replace(REQUEST, content=png_of(content)))
    restyled = Image.open(io.BytesIO(picture.png))
    assert restyled.mode == "RGBA"
    assert np.array_equal(np.asarray(restyled)[..., 3], np.asarray(content)[..., 3])


def sticker(hidden, seed=3):
    """A picture that is seen in its middle, over colours that nobody sees."""
    subject = noise(40, 32, seed)
    image = Image.new("RGBA", subject.size, (*hidden, 0))
    image.paste(subject.crop((12, 8, 28, 24)), (12, 8))
    return image


def seen_of(picture):
    """What is seen of a restyled sticker."""
    return np.asarray(Image.open(io.BytesIO(picture.png)).convert("RGB"))[8:24, 12:28].astype(int)


def test_colours_that_nobody_sees_change_nothing(painter):
    made = []
    for hidden in ((255, 255, 255), (0, 0, 0), (0, 255, 0)):
        (picture,) = painter.run(replace(REQUEST, content=png_of(sticker(hidden))))
        made.append(seen_of(picture))
        style = StyleReference(png_of(sticker(hidden, 5)))
        (picture,) = painter.run(replace(REQUEST, styles=(style,)))
        made.append(opened(picture))
    for one, other in zip(made, made[2:], strict=False):
        assert np.array_equal(one, other)


def test_a_sticker_gets_the_palette_of_its_style(painter):
    style = Image.new("RGB", (40, 40), (180, 90, 40))
    style.paste((160, 110, 60), (0, 0, 20, 40))
    content = Image.new("RGBA", (96, 96), (255, 255, 255, 0))
    content.paste(noise(24, 24, 2), (36, 36))
    request = replace(REQUEST, styles=(StyleReference(png_of(style)),))
    (picture,) = painter.run(replace(request, content=png_of(content)))
    visible = np.asarray(Image.open(io.BytesIO(picture.png)).convert("RGB"))[36:60, 36:60]
    assert np.abs(visible.mean((0, 1)) - (170, 100, 50)).max() < 40


def test_strength_nought_keeps_half_clear_edges_too(painter):
    content = sticker((255, 255, 255))
    content.putpixel((11, 10), (41, 89, 160, 111))
    (picture,) = painter.run(replace(REQUEST, content=png_of(content), strength=0.0))
    assert Image.open(io.BytesIO(picture.png)).getpixel((11, 10)) == (41, 89, 160, 111)


def test_a_preset_is_recoloured_like_the_same_picture(painter, monkeypatch):
    painting = noise(64, 48, 9)
    pixels = torch.from_numpy(np.asarray(painting).copy()).permute(2, 0, 1).float() / 255
    answer = painter.answer
    monkeypatch.setattr(
        painter,
        "answer",
        lambda call: pixels if isinstance(call, calls.PresetPicture) else answer(call),
    )
    request = replace(REQUEST, keep_colour=KeepColour.MATCHED)
    made = [
        painter.run(replace(request, styles=(style,)))[0]
        for style in (StyleReference(preset="udnie"), StyleReference(png_of(painting)))
    ]
    assert_alike(*made)


def test_a_path_leads_to_the_image_it_says_and_others_go_on_from_there(painter):
    several = replace(REQUEST, perturbation=0.5, image_count=3, seed=10)
    third = painter.run(several)[2]
    there = replace(REQUEST, path=(Stride(12, 0.5),))
    (alone,) = painter.run(there)
    assert_alike(alone, third)
    near = painter.run(replace(there, perturbation=0.05, image_count=2))
    far = painter.run(replace(REQUEST, perturbation=0.05, image_count=2))
    for one, other in zip(near, far, strict=True):
        to_it, to_others = (abs(opened(one) - opened(x)).mean() for x in (third, other))
        assert to_it < to_others


def test_a_size_scales_the_longer_side(painter):
    (picture,) = painter.run(replace(REQUEST, size=96))
    assert (picture.width, picture.height) == (96, 80)


def test_each_image_depends_on_its_own_seed_alone(painter):
    request = replace(REQUEST, perturbation=0.5, image_count=3, seed=10)
    pictures = painter.run(request)
    assert [picture.seed for picture in pictures] == [10, 11, 12]
    (alone,) = painter.run(replace(request, image_count=1, seed=11))
    assert_alike(alone, pictures[1])
    assert pictures[0].png != pictures[1].png


def test_the_weights_of_styles_count_relative_to_each_other(painter):
    second = StyleReference(png_of(noise(40, 40, 2)))
    (one,) = painter.run(replace(REQUEST, styles=(*REQUEST.styles, replace(second, weight=0.0))))
    (only,) = painter.run(REQUEST)
    (half,) = painter.run(replace(REQUEST, styles=(*REQUEST.styles, second)))
    (double,) = painter.run(
        replace(REQUEST, styles=tuple(replace(s, weight=7.0) for s in (*REQUEST.styles, second)))
    )
    assert one.png == only.png
    assert half.png == double.png
    assert half.png != only.png


def test_the_mask_limits_where(painter):
    mask = Image.new("L", (48, 40), 0)
    mask.paste(255, (24, 0, 48, 40))
    (picture,) = painter.run(replace(REQUEST, mask=png_of(mask)))
    content = np.asarray(noise(48, 40)).astype(float) / 255
    difference = abs(opened(picture) - content).mean(2)
    assert difference[:, :24].max() < 1e-6
    assert difference[:, 24:].mean() > 0.01


def test_luminance_only_keeps_the_contents_hues(painter):
    # Muted colours, so that nothing is clipped.
    content = Image.blend(noise(48, 40), Image.new("RGB", (48, 40), "grey"), 0.9)
    (picture,) = painter.run(
        replace(REQUEST, content=png_of(content), keep_colour=KeepColour.LUMINANCE)
    )
    hues = RGB_TO_YIQ[1:].numpy()
    before = np.asarray(content).astype(float) / 255 @ hues.T
    inside = (opened(picture).min(2) > 0.02) & (opened(picture).max(2) < 0.98)
    assert inside.sum() > 100
    assert abs(opened(picture) @ hues.T - before)[inside].max() < 0.01


def test_matched_colours_have_the_contents_mean(painter):
    content = Image.blend(noise(48, 40), Image.new("RGB", (48, 40), "grey"), 0.7)
    (picture,) = painter.run(
        replace(REQUEST, content=png_of(content), keep_colour=KeepColour.MATCHED)
    )
    wanted = (np.asarray(content).astype(float) / 255).mean((0, 1))
    assert abs(opened(picture).mean((0, 1)) - wanted).max() < 0.02


def test_large_pictures_are_cut_into_tiles_that_meet_without_a_seam(painter, monkeypatch):
    request = replace(REQUEST, content=png_of(noise(512, 320)))
    (whole,) = painter.run(request)
    monkeypatch.setattr(restyling, "WHOLE_PIXELS", 0)
    monkeypatch.setattr(restyling, "GRID", restyling.SMALL_GRID)
    monkeypatch.setattr(restyling, "PIECE", 128)
    painter.seen.clear()
    (tiled,) = painter.run(request)
    assert len(painter.asked(calls.Restyle)) > 2
    assert len(painter.asked(calls.LayStrokes)) == 4 * 3
    assert abs(opened(whole) - opened(tiled)).max() < 3 / 255


def test_a_picture_too_large_for_memory_is_cut_smaller(painter):
    request = replace(REQUEST, content=png_of(noise(512, 320)))
    (whole,) = painter.run(request)
    painter.room = 300
    (tiled,) = painter.run(request)
    assert painter.asked(calls.LayStrokes)[-1].pixels.shape[-1] <= 300
    assert abs(opened(whole) - opened(tiled)).max() < 3 / 255


def test_a_picture_in_tiles_that_are_too_large_for_memory_is_cut_smaller(painter, monkeypatch):
    monkeypatch.setattr(restyling, "WHOLE_PIXELS", 256 * 256)
    request = replace(REQUEST, content=png_of(noise(512, 320)))
    (whole,) = painter.run(request)
    painter.room = 300
    (tiled,) = painter.run(request)
    for kind in (calls.Restyle, calls.LayStrokes):
        assert painter.asked(kind)[-1].pixels.shape[-1] <= 300
    assert abs(opened(whole) - opened(tiled)).max() < 3 / 255


def test_frames_too_large_for_memory_are_cut_up(painter):
    frames = tuple(png_of(noise(400, 64, number)) for number in (2, 3))
    request = replace(
        REQUEST, content=png_of(noise(400, 64)), frames=frames, durations_ms=(40, 40, 40)
    )
    (whole,) = painter.run(request)
    painter.room = 300
    (tiled,) = painter.run(request)
    for kind in (calls.Restyle, calls.LayStrokes):
        assert painter.asked(kind)[-1].pixels.shape[-1] <= 300
    shown = (np.asarray(frame) / 255 for frame in frames_of(whole.animation))
    for one, other in zip(shown, frames_of(tiled.animation), strict=True):
        assert abs(one - np.asarray(other) / 255).mean() < 3 / 255


def test_what_is_clear_in_a_mask_is_kept(painter):
    mask = Image.new("RGBA", (48, 40), (255, 255, 255, 0))
    mask.paste((255, 255, 255, 255), (0, 0, 24, 40))
    (picture,) = painter.run(replace(REQUEST, mask=png_of(mask)))
    change = abs(opened(picture) - np.asarray(noise(48, 40)).astype(float) / 255)
    assert change[:, :22].mean() > 0.02
    assert change[:, 26:].max() == 0


def test_the_optimiser_brings_the_style_nearer_and_reports_its_iterations(painter):
    request = replace(REQUEST, method=StyleMethod.OPTIMISE, iterations=12, size=64)
    (picture,) = painter.run(request)
    losses = [float(painter.answer(call)[0]) for call in painter.asked(calls.StyleGradient)]
    assert losses[-1] < 0.8 * losses[0]
    reports = painter.asked(calls.Report)
    assert reports[-1].step == reports[-1].total == 12
    assert (picture.width, picture.height) == (64, 53)


def test_the_optimiser_takes_the_palette_of_the_style(painter):
    style = Image.blend(noise(40, 40, 1), Image.new("RGB", (40, 40), "orange"), 0.7)
    request = replace(REQUEST, method=StyleMethod.OPTIMISE, iterations=4)
    (picture,) = painter.run(replace(request, styles=(StyleReference(png_of(style)),)))
    wanted = (np.asarray(style).astype(float) / 255).mean((0, 1))
    assert abs(opened(picture).mean((0, 1)) - wanted).max() < 0.02


def test_the_optimiser_goes_from_coarse_to_fine(painter):
    request = replace(
        REQUEST, content=png_of(noise(300, 200)), method=StyleMethod.OPTIMISE, iterations=6
    )
    painter.run(request)
    widths = [call.pixels.shape[-1] for call in painter.asked(calls.StyleGradient)]
    assert widths == sorted(widths)
    assert widths[0] < 200 < widths[-1]


def test_what_is_optimised_goes_on_as_in_a_mirror_beyond_the_border_of_the_picture(painter):
    """At its own border a picture gets a frame a few pixels wide, which so falls away."""
    content = png_of(noise(64, 48))
    request = replace(REQUEST, content=content, method=StyleMethod.OPTIMISE, iterations=3)
    (picture,) = painter.run(request)
    assert (picture.width, picture.height) == (64, 48)
    (wanted,) = painter.asked(calls.ContentFeatures)
    beyond, edge = wanted.pixels[..., : stylize.MARGIN], stylize.MARGIN
    assert wanted.pixels.shape[2:] == (48 + 2 * edge, 64 + 2 * edge)
    mirrored = wanted.pixels[..., edge + 1 : 2 * edge + 1].flip(3)
    assert torch.equal(beyond, mirrored)
    for call in painter.asked(calls.StyleGradient):
        assert call.pixels.shape == wanted.pixels.shape


def test_diffusion_draws_the_content_again_before_it_is_restyled(painter):
    request = replace(REQUEST, method=StyleMethod.DIFFUSION, model="ideal", size=64)
    (picture,) = painter.run(request)
    assert painter.asked(calls.Denoise)
    assert painter.asked(calls.Restyle)
    assert picture.width == 64


REDRAWN = replace(REQUEST, method=StyleMethod.DIFFUSION, model="ideal", size=64)


@pytest.mark.parametrize(
    ("size", "drawn"), [((2304, 256), (2048, 224)), ((2200, 16), (2048, 64)), ((20, 90), (64, 88))]
)
def test_a_content_too_large_or_too_thin_to_be_drawn_is_scaled_for_it_and_back(
    painter, size, drawn
):
    ramp = Image.linear_gradient("L").rotate(90).resize(size).convert("RGB")  # black to white
    (picture,) = painter.run(replace(REDRAWN, content=png_of(ramp), size=0, strength=0.3))
    assert (picture.width, picture.height) == size
    (call,) = painter.asked(calls.Encode)
    assert tuple(call.pixels.shape[2:]) == drawn[::-1]
    columns = call.pixels.mean((0, 1, 2))
    assert columns[0] < 0.05
    assert columns[-1] > 0.95  # nothing was cut off


def assert_told_in_order(painter):
    """Progress only grows, and ends at its total."""
    reports = painter.asked(calls.Report)
    assert len({report.total for report in reports}) == 1
    steps = [report.step for report in reports]
    assert steps == sorted(steps)
    assert steps[-1] == reports[-1].total
    return steps


def test_variations_by_diffusion_share_a_pass_and_one_progress(painter):
    pictures = painter.run(replace(REDRAWN, image_count=3, perturbation=0.5))
    assert all(len(call.x) == 2 * 3 for call in painter.asked(calls.Denoise))
    assert len(set(assert_told_in_order(painter))) > 4
    (alone,) = painter.run(replace(REDRAWN, seed=6, path=(Stride(6, 0.5),)))
    assert_alike(alone, pictures[2])


@pytest.mark.parametrize(
    ("steps", "guidance_scale", "taken"), [(30, 7.0, 9), (20, 1.0, 6), (4, 1.0, 2)]
)
def test_diffusion_draws_as_the_model_was_made_to(networks, driver, steps, guidance_scale, taken):
    own = {"steps": steps, "guidance_scale": guidance_scale, "sampler": Sampler.HEUN}
    painter = Painter(networks, driver.with_facts(schedule=Schedule.KARRAS, **own))
    painter.run(REDRAWN)
    passes = painter.asked(calls.Denoise)
    assert len(passes) == 2 * taken - 1
    assert all(len(call.x) == 1 + (guidance_scale > 1) for call in passes)
    levels = sorted({float(call.sigma[0]) for call in passes})
    usual = sigmas_for(painter.model.facts, Schedule.KARRAS, Sampler.HEUN, max(steps, 7))
    assert levels == pytest.approx(usual[-2 : -2 - taken : -1])


def test_the_faintest_restyle_by_diffusion_takes_a_step(painter):
    painter.run(replace(REDRAWN, strength=0.001))
    assert len(painter.asked(calls.Denoise)) == 1


def test_what_diffusion_draws_is_shown_on_the_way(painter, monkeypatch):
    monkeypatch.setattr(denoising, "PREVIEW_WORTH_S", 0.0)
    pipeline = partial(stylize.run, preview_interval_s=0.0)
    monkeypatch.setattr(stylize, "run", pipeline)
    painter.run(REDRAWN)
    assert any(report.preview for report in painter.asked(calls.Report))


def test_images_of_other_weights_are_drawn_apart_in_one_progress(painter):
    styles = (*REQUEST.styles, StyleReference(png_of(noise(40, 40, 2))))
    weights = ((1.0, 0.0), (0.0, 1.0))
    painter.run(replace(REDRAWN, styles=styles, image_weights=weights, image_count=2))
    assert all(len(call.x) == 2 for call in painter.asked(calls.Denoise))
    assert_told_in_order(painter)


def test_large_pictures_tell_how_many_of_their_parts_are_done(painter, monkeypatch):
    monkeypatch.setattr(restyling, "WHOLE_PIXELS", 64 * 64)
    monkeypatch.setattr(restyling, "GRID", restyling.SMALL_GRID)
    painter.run(replace(REQUEST, content=png_of(noise(600, 400)), image_count=2, perturbation=0.3))
    assert len(set(assert_told_in_order(painter))) > 5


def test_diffusion_without_a_model_is_refused():
    with pytest.raises(InvalidRequest, match="model is needed"):
        replace(REQUEST, method=StyleMethod.DIFFUSION)


def test_a_content_that_is_no_picture_is_named(painter):
    with pytest.raises(UnreadableImage, match="content"):
        painter.run(replace(REQUEST, content=b"no picture"))


def test_a_style_that_shows_nothing_is_named(painter):
    clear = png_of(Image.new("RGBA", (24, 24), (255, 255, 255, 0)))
    with pytest.raises(UnreadableImage, match="styles is wholly transparent"):
        painter.run(replace(REQUEST, styles=(StyleReference(clear),)))


def test_a_style_that_is_no_picture_is_named(painter):
    with pytest.raises(UnreadableImage, match="styles"):
        painter.run(replace(REQUEST, styles=(StyleReference(b"no picture"),)))


OPTIMISED = replace(REQUEST, method=StyleMethod.OPTIMISE, iterations=40)


def sliced_distance(picture, networks):
    style = torch.from_numpy(np.asarray(noise(40, 40, 1)).copy()).permute(2, 0, 1)[None] / 255
    pixels = torch.from_numpy(opened(picture)).permute(2, 0, 1)[None].float()
    with torch.no_grad():
        found, wanted = (networks._transfer.encoder(x) for x in (pixels, style))
    return sum(
        float(losses.sliced_wasserstein_loss(a, b, directions_for(a)))
        for a, b in zip(found, wanted, strict=True)
    )


def test_the_sliced_loss_brings_the_distribution_of_features_nearer(painter, networks):
    (kept,) = painter.run(replace(OPTIMISED, strength=0.0))
    (picture,) = painter.run(replace(OPTIMISED, loss=StyleLoss.SLICED))
    assert sliced_distance(picture, networks) < 0.6 * sliced_distance(kept, networks)
    assert all(call.slices for call in painter.asked(calls.StyleGradient))


def test_a_painting_that_ships_is_looked_at_where_its_statistics_do_not_suffice(painter):
    request = replace(OPTIMISED, iterations=2, styles=(StyleReference(preset="udnie"),))
    painter.run(replace(request, loss=StyleLoss.SLICED))
    assert painter.asked(calls.PresetPicture)


@pytest.mark.parametrize("start", StyleStart)
def test_an_optimiser_stays_at_the_size_there_is_memory_for(painter, start):
    request = replace(OPTIMISED, content=png_of(noise(280, 200)), iterations=8, start=start)
    painter.room = 200
    (picture,) = painter.run(request)
    assert (picture.width, picture.height) == (280, 200)
    content = np.asarray(noise(280, 200)).astype(float) / 255
    assert abs(opened(picture) - content).mean() > 0.01
    painter.room = 100
    with pytest.raises(OutOfMemory):
        painter.run(request)


def test_noise_is_a_start_of_its_own_for_each_seed(painter):
    noisy = replace(OPTIMISED, start=StyleStart.NOISE)
    one, other = painter.run(replace(noisy, image_count=2))
    assert one.png != other.png
    (again,) = painter.run(noisy)
    assert again.png == one.png
    first = painter.asked(calls.StyleGradient)[0].pixels
    content = torch.from_numpy(np.asarray(noise(48, 40)).copy()).permute(2, 0, 1)[None] / 255
    assert (first - torch.nn.functional.interpolate(content, first.shape[2:])).abs().mean() > 0.1


def test_closing_the_pipeline_ends_it_at_once(painter):
    pipeline = stylize.run(replace(REQUEST, method=StyleMethod.OPTIMISE, iterations=100))
    call = next(pipeline)
    for _ in range(6):
        call = pipeline.send(painter.answer(call))
    pipeline.close()
    with pytest.raises(StopIteration):
        next(pipeline)


def test_presets_without_their_file_say_what_is_missing(painter):
    with pytest.raises(ModelUnavailable, match="presets"):
        painter.run(replace(REQUEST, styles=(StyleReference(preset="waves"),)))


def test_each_image_may_weigh_the_styles_in_its_own_way(painter):
    two = (StyleReference(png_of(noise(40, 40, 1))), StyleReference(png_of(noise(40, 40, 2))))
    weights = ((1.0, 0.0), (0.4, 0.6), (0.0, 1.0))
    pictures = painter.run(replace(REQUEST, styles=two, image_weights=weights, image_count=3))
    (first,) = painter.run(replace(REQUEST, styles=two[:1]))
    (last,) = painter.run(replace(REQUEST, styles=two[1:]))
    assert_alike(pictures[0], first)
    assert_alike(pictures[2], last)
    assert pictures[1].png not in {first.png, last.png}


STRENGTHS = (0.25, 0.5, 0.75, 1.0)


def test_several_strengths_come_of_one_look_at_the_picture(painter, networks):
    seen = []
    encoder = networks._transfer.encoder
    hook = encoder.register_forward_hook(lambda _module, args, _out: seen.append(len(args[0])))
    pictures = painter.run(replace(REQUEST, image_strengths=STRENGTHS, image_count=4))
    hook.remove()
    (restyle,) = painter.asked(calls.Restyle)
    assert len(restyle.pixels) == 4
    # The style and the content: one picture each.
    assert seen == [1, 1]
    for strength, picture in zip(STRENGTHS, pictures, strict=True):
        (alone,) = painter.run(replace(REQUEST, strength=strength))
        assert_alike(picture, alone)
    distances = [abs(opened(p) - opened(pictures[-1])).mean() for p in pictures]
    assert distances == sorted(distances, reverse=True)


def test_strengths_of_a_large_picture_are_made_in_tiles(painter, monkeypatch):
    monkeypatch.setattr(restyling, "WHOLE_PIXELS", 100 * 100)
    monkeypatch.setattr(restyling, "GRID", restyling.Grid(side=128, overlap=120, blind=56))
    request = replace(REQUEST, content=png_of(noise(300, 60)))
    strip = replace(request, image_strengths=(0.5, 1.0), image_count=2)
    half, whole = painter.run(strip)
    tiles = painter.asked(calls.Restyle)
    assert len(tiles) > 1
    assert {len(tile.pixels) for tile in tiles} == {2}
    assert_alike(whole, painter.run(request)[0])
    assert_alike(half, painter.run(replace(request, strength=0.5))[0])


def test_strengths_of_a_very_large_picture_are_made_one_by_one(painter, monkeypatch):
    request = replace(
        REQUEST, content=png_of(noise(300, 60)), image_strengths=(0.5, 1.0), image_count=2
    )
    together = painter.run(request)
    painter.seen.clear()
    monkeypatch.setattr(versions, "LARGE", 300 * 60 - 1)
    monkeypatch.setattr(restyling, "WHOLE_PIXELS", 100 * 100)
    monkeypatch.setattr(restyling, "GRID", restyling.Grid(side=128, overlap=120, blind=56))
    one_by_one = painter.run(request)
    tiles = painter.asked(calls.Restyle)
    assert {len(tile.pixels) for tile in tiles} == {1}
    assert [float(tile.strength) for tile in tiles] == sorted(float(t.strength) for t in tiles)
    assert len(set(assert_told_in_order(painter))) > 5
    for one, other in zip(one_by_one, together, strict=True):
        assert abs(opened(one) - opened(other)).max() < 3 / 255


def test_where_memory_runs_out_all_strengths_are_made_in_tiles(painter):
    painter.room = 400
    request = replace(REQUEST, content=png_of(noise(600, 60)))
    pictures = painter.run(replace(request, image_strengths=STRENGTHS, image_count=4))
    assert len({picture.png for picture in pictures}) == 4


def test_strengths_are_one_for_each_image_of_a_still_picture():
    for fields in (
        {"image_count": 3},
        {"image_count": 4, "frames": (b"png",), "durations_ms": (40, 40)},
    ):
        with pytest.raises(InvalidRequest, match="image_strengths"):
            replace(REQUEST, image_strengths=STRENGTHS, **fields)
    with pytest.raises(InvalidRequest, match="image_strengths"):
        replace(REQUEST, image_strengths=(0.5, 1.5), image_count=2)


@pytest.mark.parametrize("weights", [((1.0,),), ((1.0, 1.0),), ((0.0,), (1.0,)), ((2.0,), (-1.0,))])
def test_weights_that_fit_neither_images_nor_styles_are_refused(weights):
    with pytest.raises(InvalidRequest, match="image_weights"):
        replace(REQUEST, image_weights=weights, image_count=2)


# Animations


def frames_of(animation):
    image = Image.open(io.BytesIO(animation))
    return [
        np.asarray(frame.convert("RGB")).astype(float) / 255
        for frame in ImageSequence.Iterator(image)
    ]


def moving(count=5, mode="RGB"):
    """A bright square that wanders over a still ground, with the grain of a camera."""
    ground = np.asarray(noise(64, 48, 3, mode)).astype(float)
    numbers = np.random.default_rng(5)
    pictures = []
    for number in range(count):
        values = ground + numbers.normal(0, 2, ground.shape)
        values[16:32, 4 + 8 * number : 20 + 8 * number] = 250
        pictures.append(png_of(Image.fromarray(values.clip(0, 255).astype(np.uint8), mode)))
    return replace(
        REQUEST, content=pictures[0], frames=tuple(pictures[1:]), durations_ms=(40,) * count
    )


def test_an_animation_is_restyled_frame_by_frame(painter):
    request = moving()
    (picture,) = painter.run(request)
    frames = frames_of(picture.animation)
    assert len(frames) == 5
    assert frames[0].shape == (picture.height, picture.width, 3) == (48, 64, 3)
    assert abs(frames[0] - opened(picture)).mean() < 0.04, "the picture is its first frame"
    # Where the square is in the last frame, that frame looks as it does when restyled alone.
    (alone,) = painter.run(replace(REQUEST, content=request.frames[-1]))
    assert abs(frames[-1] - opened(alone))[18:30, 40:50].mean() < 0.08
    reports = painter.asked(calls.Report)
    assert [report.step for report in reports][:2] == [4, 5]


@pytest.mark.parametrize(
    "request_",
    [
        replace(REQUEST, keep_colour=KeepColour.LUMINANCE),
        replace(REQUEST, image_strengths=STRENGTHS, image_count=4),
        replace(REDRAWN, keep_colour=KeepColour.MATCHED),
        moving(3),
    ],
)
def test_colours_are_worked_on_while_others_may_run(painter, monkeypatch, request_):
    threads = []

    def spying(work):
        def spied(*args):
            threads.append(threading.current_thread())
            return work(*args)

        return spied

    monkeypatch.setattr(restyling, "colour_moments", spying(restyling.colour_moments))
    for name in ("match_colours", "with_luminance_of"):
        monkeypatch.setattr(stylize, name, spying(getattr(stylize, name)))
    painter.run(request_)
    assert threads
    assert threading.current_thread() not in threads


def test_frames_stand_still_where_their_content_does():
    numbers = torch.Generator().manual_seed(5)
    grain = [0.01 * torch.randn(3, 48, 64, generator=numbers) for _ in range(8)]
    contents = [0.5 + part for part in grain]
    restless = [0.5 + 10 * part for part in grain]
    calm = torch.stack(steadied(contents, restless)).diff(dim=0).abs().mean()
    assert calm < 0.5 * torch.stack(restless).diff(dim=0).abs().mean()


def test_what_moves_leaves_no_trail():
    contents = [torch.zeros(3, 48, 64), torch.zeros(3, 48, 64)]
    contents[0][:, 10:30, 10:30] = contents[1][:, 10:30, 30:50] = 1.0
    _, second = steadied(contents, contents)
    assert (second - contents[1]).abs().max() < 1e-3


def test_strokes_move_along_with_what_moves():
    numbers = torch.Generator().manual_seed(6)
    coarse = torch.rand(1, 3, 12, 20, generator=numbers)
    wide = functional.interpolate(coarse, (48, 96), mode="bicubic", align_corners=False)[0]
    contents = [wide[:, :, 3 * number : 64 + 3 * number] for number in range(5)]
    restless = [part + 0.1 * torch.randn(part.shape, generator=numbers) for part in contents]

    def swimming(frames):
        moved_back = [
            (now[:, 8:-8, 12:49] - before[:, 8:-8, 15:52]).abs().mean()
            for before, now in itertools.pairwise(frames)
        ]
        return sum(moved_back) / len(moved_back)

    assert swimming(steadied(contents, restless)) < 0.3 * swimming(restless)


def test_all_frames_share_the_statistics_of_the_whole(painter):
    painter.run(moving())
    owns = torch.cat([call.own for call in painter.asked(calls.Restyle)])
    assert len(owns) == 5
    assert bool((owns == owns[0]).all())


def test_an_animation_keeps_its_transparency_durations_and_colours(painter):
    request = replace(moving(3, "RGBA"), keep_colour=KeepColour.MATCHED, durations_ms=(40, 60, 80))
    (picture,) = painter.run(request)
    animation = Image.open(io.BytesIO(picture.animation))
    assert animation.convert("RGBA").getchannel("A").getextrema()[0] < 255
    durations = []
    for frame in ImageSequence.Iterator(animation):
        frame.load()
        durations.append(frame.info["duration"])
    assert durations == [40, 60, 80]


@pytest.mark.parametrize(
    "changes",
    [
        {"method": StyleMethod.OPTIMISE},
        {"durations_ms": (40,)},
        {"frames": (b"png",) * 200, "durations_ms": (40,) * 201},
    ],
)
def test_animations_that_can_not_be_restyled_are_refused(changes):
    with pytest.raises(InvalidRequest):
        replace(moving(), **changes)


def test_frames_of_different_sizes_are_refused(painter):
    request = moving()
    with pytest.raises(UnreadableImage, match="frames"):
        painter.run(replace(request, frames=(png_of(noise(8, 8)), *request.frames[1:])))
