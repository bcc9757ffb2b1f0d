import torch
from torch._subclasses import FakeTensorMode

from engine.style import colour


def pictures(seed, *shape):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def luminance(pixels):
    return torch.einsum("c,bchw->bhw", colour.RGB_TO_YIQ[0], pixels)


def test_luminance_is_taken_from_the_second_picture_and_hue_from_the_first():
    grey_hues = torch.full((1, 3, 8, 8), 0.5)
    lightness = pictures(1, 1, 3, 8, 8) * 0.5 + 0.25
    mixed = colour.with_luminance_of(grey_hues, lightness)
    assert torch.allclose(luminance(mixed), luminance(lightness), atol=1e-4)
    assert (mixed.amax(1) - mixed.amin(1)).max() < 1e-3  # still without hue


def test_matched_colours_have_mean_and_covariance_of_the_palette():
    pixels = pictures(2, 2, 3, 32, 32) * 0.2 + 0.4
    palette = pictures(3, 2, 3, 16, 24) * torch.tensor([0.3, 0.2, 0.1])[:, None, None] + 0.3
    matched = colour.match_colours(pixels, *colour.colour_moments(palette, 0.0), 0.0).flatten(2)
    wanted = palette.flatten(2)
    assert torch.allclose(matched.mean(-1), wanted.mean(-1), atol=1e-4)
    for row, target in zip(matched, wanted, strict=True):
        assert torch.allclose(
            torch.cov(row, correction=0), torch.cov(target, correction=0), atol=1e-4
        )


def test_moments_and_matched_colours_are_those_of_the_whole_however_it_is_cut(monkeypatch):
    pixels = pictures(6, 2, 3, 40, 30) * 0.5 + 0.2
    mean, covariance = colour.colour_moments(pixels, 0.01)
    palette = colour.colour_moments(pictures(7, 2, 3, 16, 24))
    whole = colour.match_colours(pixels, *palette)
    for row, flat in enumerate(pixels.flatten(2)):
        torch.testing.assert_close(mean[row], flat.mean(-1))
        expected = torch.cov(flat, correction=0) + 0.01 * torch.eye(3)
        torch.testing.assert_close(covariance[row], expected)
    monkeypatch.setattr(colour, "STRIP", 7)
    for cut, uncut in zip(colour.colour_moments(pixels, 0.01), (mean, covariance), strict=True):
        torch.testing.assert_close(cut, uncut)
    torch.testing.assert_close(colour.match_colours(pixels, *palette), whole)


def test_a_large_picture_is_measured_in_strips(monkeypatch):
    seen = []
    double = torch.Tensor.double

    def spying(self):
        seen.append(self.numel())
        return double(self)

    monkeypatch.setattr(torch.Tensor, "double", spying)
    colour.colour_moments(pictures(8, 1, 3, 1000, 1000))
    assert max(seen) == 3 * colour.STRIP


def test_matching_a_picture_to_itself_changes_nothing():
    pixels = pictures(4, 1, 3, 16, 16)
    assert torch.allclose(
        colour.match_colours(pixels, *colour.colour_moments(pixels)), pixels, atol=1e-3
    )


def test_one_plain_colour_is_matched_without_nan():
    flat = torch.full((1, 3, 8, 8), 0.5)
    assert (
        colour.match_colours(flat, *colour.colour_moments(pictures(5, 1, 3, 8, 8))).isfinite().all()
    )


def test_pixels_are_moved_as_the_colours_of_others_would_be():
    others, palette = pictures(4, 1, 3, 24, 24) * 0.3 + 0.2, pictures(5, 1, 3, 16, 16) * 0.5 + 0.3
    moments = colour.colour_moments(palette)
    same = colour.recoloured_as(others, others, *moments)
    assert torch.allclose(same.clamp(0, 1), colour.match_colours(others, *moments))
    # A straight line of colours stays one, so that what differs from the others goes on differing.
    brighter = colour.recoloured_as(others + 0.1, others, *moments)
    twice = colour.recoloured_as(others + 0.2, others, *moments)
    assert torch.allclose(twice - brighter, brighter - same, atol=1e-5)
    assert (brighter - same).abs().min() > 1e-3


def test_a_device_that_knows_no_double_precision_is_not_asked_for_it(doubles_elsewhere):
    with FakeTensorMode(), doubles_elsewhere:
        pixels = torch.rand(1, 3, 8, 8, device="mps")
        mean, covariance = colour.colour_moments(pixels)
        power = colour._power(covariance, 0.5)
    for found in (mean, covariance, power):
        assert (found.device, found.dtype) == (pixels.device, torch.float32)
    assert not doubles_elsewhere.seen
