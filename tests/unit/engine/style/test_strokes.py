import pytest
import torch

from engine.style.strokes import KINDS, REACH, STEP, Strokes, chosen_anew, laid, mixed, strokes_of

WHOLE = torch.ones(1)


def noise(seed, height, width):
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(seed))


def painting(height=96, width=96):
    """Dark to the left, with lines that lie; bright to the right, with lines that stand."""
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    lying, standing = ((place // 2 % 2 - 0.5) * 0.1 for place in (y, x))
    left = x < width // 2
    return torch.where(left, 0.25 + lying, 0.75 + standing).expand(1, 3, -1, -1)


def steps(pixels):
    """How much neighbours differ downwards and to the right."""
    return pixels.diff(dim=2).abs().mean(), pixels.diff(dim=3).abs().mean()


def test_each_tone_gets_the_strokes_of_its_like():
    strokes = strokes_of(painting())
    tones = torch.cat([torch.full((1, 3, 96, 96), tone) for tone in (0.25, 0.75)])
    both = Strokes(strokes.bases.expand(2, -1, -1), strokes.details.expand(2, -1, -1))
    dark, bright = laid(tones, both, torch.ones(2))
    down, right = steps(dark[None])
    assert down > 3 * right
    down, right = steps(bright[None])
    assert right > 3 * down


def test_strokes_are_as_strong_as_those_of_the_style_wherever_patches_cross():
    grain = 0.5 + 0.1 * (noise(1, 128, 128) - 0.5)
    result = laid(torch.full((1, 3, 128, 128), 0.5), strokes_of(grain), WHOLE)
    spread = result.unfold(2, 8, 8).unfold(3, 8, 8).flatten(4).std(4).mean(1)
    assert spread.min() > 0.6 * grain.std()
    assert spread.max() < 2 * grain.std()


def test_edges_and_tones_of_the_content_stay():
    content = torch.full((1, 3, 96, 96), 0.25)
    content[..., 48:] = 0.75
    result = laid(content, strokes_of(painting()), WHOLE)
    assert (result[..., :44].mean() - 0.25).abs() < 0.02
    assert (result[..., 52:].mean() - 0.75).abs() < 0.02
    assert (result[..., 48] - result[..., 47]).mean() > 0.35


def test_strength_goes_from_the_content_to_the_whole_strokes():
    content, strokes = noise(2, 64, 80), strokes_of(painting())
    assert torch.equal(laid(content, strokes, torch.zeros(1)), content)
    whole = laid(content, strokes, WHOLE)
    half = laid(content, strokes, torch.tensor([0.5]))
    assert torch.allclose(half, (content + whole) / 2, atol=1e-6)


def test_rows_get_what_they_get_alone():
    contents = torch.cat([noise(3, 48, 72), noise(4, 48, 72)])
    own = [strokes_of(painting()), strokes_of(noise(5, 64, 40))]
    strokes = Strokes(torch.cat([s.bases for s in own]), torch.cat([s.details for s in own]))
    strengths = torch.tensor([0.4, 1.0])
    together = laid(contents, strokes, strengths)
    for row in range(2):
        alone = laid(contents[row : row + 1], own[row], strengths[row : row + 1])
        assert torch.allclose(together[row], alone[0], atol=1e-4)


@pytest.mark.parametrize("top", [0, KINDS * STEP // 2, 2 * KINDS * STEP])
def test_a_piece_that_shows_as_far_as_strokes_reach_gets_the_strokes_of_the_whole(top):
    content, strokes = noise(6, 264, 104), strokes_of(painting())
    whole = laid(content, strokes, WHOLE)
    above = max(0, top - REACH)
    piece = laid(content[:, :, above : top + 32 + REACH], strokes, WHOLE)
    found = piece[:, :, top - above :][:, :, :32]
    assert torch.allclose(found, whole[:, :, top : top + 32], atol=1e-5)


@pytest.mark.parametrize("size", [(32, 32), (40, 33 * 8), (64, 56)])
def test_sides_need_not_fit_the_patches(size):
    result = laid(noise(7, *size), strokes_of(noise(8, 32, 32)), WHOLE)
    assert result.shape[2:] == size
    assert result.isfinite().all()


def test_the_same_picture_has_the_same_strokes():
    one, other = strokes_of(painting()), strokes_of(painting())
    assert torch.equal(one.details, other.details)


def test_of_several_styles_as_many_patches_are_taken_as_each_weighs():
    dark, bright = (strokes_of(torch.full((1, 3, 64, 64), tone)) for tone in (0.1, 0.9))
    both = mixed([dark, bright], [1.0, 3.0])
    assert both.bases.shape == dark.bases.shape
    share = float((both.bases.mean(2) < 0.5).float().mean())
    assert share == pytest.approx(0.25, abs=0.01)
    assert torch.equal(mixed([dark, bright], [2.0, 0.0]).bases, dark.bases)


def test_patches_chosen_anew_depend_on_the_generator_alone():
    strokes = strokes_of(noise(9, 64, 64))
    one, again, other = (
        chosen_anew(strokes, torch.Generator().manual_seed(seed)).details for seed in (1, 1, 2)
    )
    assert torch.equal(one, again)
    assert not torch.equal(one, other)
    assert one.shape == strokes.details.shape
