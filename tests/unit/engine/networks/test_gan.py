"""Generators and discriminators: shapes, ranges, first values, independence of rows."""

from dataclasses import asdict, replace

import pytest
import torch

from engine.gan.walks import near, spherical, truncated
from engine.networks.dcgan import Critic, DcganGenerator
from engine.networks.gan import Discriminator, GanConfig, Generator, ResidualBlock, spread_of
from engine.networks.vae import VaeConfig

pytestmark = pytest.mark.usefixtures("one_thread")

CONFIG = GanConfig(looks=("cat", "moon"))
CLASSIC = GanConfig(looks=("cat", "moon"), design="dcgan", generator_widths=(32, 16, 8, 8))


def noise(rows, size=64, seed=0):
    return torch.randn(rows, size, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("build", [lambda: Generator(CONFIG), lambda: DcganGenerator(CLASSIC)])
def test_a_generator_draws_squares_in_range_whose_rows_are_their_own(build):
    generator = build().eval()
    looks = torch.tensor([0, 1, 1])
    with torch.no_grad():
        w = generator.styles(noise(3), looks)
        pixels = generator(w)
        alone = generator(w[1:2])
    assert pixels.shape == (3, 3, 64, 64)
    assert pixels.min() >= 0
    assert pixels.max() <= 1
    assert torch.allclose(pixels[1:2], alone, atol=1e-5)
    assert not torch.equal(generator.mean_styles(looks)[0], pixels[1])


@pytest.mark.parametrize("build", [lambda: Discriminator(CONFIG), lambda: Critic(CLASSIC)])
def test_a_discriminator_judges_each_picture_by_its_look(build):
    judge = build()
    pixels = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        both = judge(pixels, torch.tensor([0, 1]))
        other = judge(pixels, torch.tensor([1, 1]))
    assert both.shape == (2,)
    assert both[0] != other[0]
    assert torch.allclose(both[1], other[1], atol=1e-5)


def test_blocks_start_as_the_identity_and_learn_through_their_last_layer():
    block = ResidualBlock(16, 2, 8, depth=3)
    x = noise(16, 16).view(4, 16, 2, 2)
    assert torch.equal(block(x), x)
    block(x).square().sum().backward()
    assert block.narrow.weight.grad.abs().sum() > 0


def test_numbers_behind_w_reach_the_coarsest_features_and_a_canvas_of_latents():
    vae = VaeConfig(decoder_widths=(4, 4, 4), decoder_blocks=(1, 1, 1))
    config = replace(CONFIG, size=8, channels=8, generator_widths=(32, 16), vae=asdict(vae))
    generator = Generator(replace(config, generator_blocks=(1, 1))).eval()
    assert generator.extras == 32 * 4 * 4 + 8 * 8 * 8
    with torch.no_grad():
        w = generator.styles(noise(2), torch.tensor([0, 1]))
        longer = torch.cat([w, torch.zeros(2, generator.extras)], dim=1)
        plain = generator.draw(w)
        assert torch.equal(generator.draw(longer), plain)
        longer[0, -1] = 1
        assert (generator.draw(longer) - plain).count_nonzero() == 1
        longer[1, config.styles] = 1
        assert not torch.equal(generator.draw(longer)[1], plain[1])
    assert DcganGenerator(CLASSIC).extras == 0


def test_a_wash_of_colour_is_laid_over_a_canvas_of_pixels():
    generator = Generator(CONFIG).eval()
    side = CONFIG.size // 4
    assert generator.extras == 256 * 4 * 4 + 3 * side**2
    with torch.no_grad():
        w = generator.styles(noise(1), torch.tensor([0]))
        longer = torch.cat([w, torch.zeros(1, generator.extras)], dim=1)
        plain = generator.draw(w)
        assert torch.equal(generator.draw(longer), plain)
        longer[:, -3 * side**2 : -2 * side**2] = 0.1
        change = generator.draw(longer) - plain
    assert change[:, 1:].abs().max() == 0
    assert torch.allclose(change[:, 0], change[0, 0, 0, 0], atol=1e-5)
    assert change[0, 0, 0, 0] > 0.1


def test_the_means_of_looks_are_those_of_their_points():
    generator = Generator(CONFIG)
    generator.fit_means(2000)
    with torch.no_grad():
        w = generator.styles(noise(2000, seed=9), torch.ones(2000, dtype=torch.int64))
    assert torch.allclose(generator.mean_styles(torch.tensor([1]))[0], w.mean(0), atol=0.1)


def test_truncation_goes_from_the_point_to_the_mean():
    w, mean = noise(2, 8), noise(2, 8, seed=1)
    assert torch.equal(truncated(w, mean, 1.0), w)
    assert torch.equal(truncated(w, mean, 0.0), mean)
    assert torch.allclose(truncated(w, mean, 0.5), (w + mean) / 2)


def test_a_spherical_walk_keeps_its_length_and_its_ends():
    a, b = noise(2, 64)
    b = b * a.norm() / b.norm()
    points = spherical(a, b, torch.linspace(0, 1, 5))
    assert torch.allclose(points[0], a, atol=1e-5)
    assert torch.allclose(points[-1], b, atol=1e-5)
    assert torch.allclose(points.norm(dim=1), a.norm().expand(5), rtol=1e-4)
    steps = (points[1:] - points[:-1]).norm(dim=1)
    assert torch.allclose(steps, steps[0].expand(4), rtol=1e-3)


def test_a_walk_between_equal_or_opposite_points_is_finite():
    a = noise(1, 8)[0]
    for b in (a, -a, 2 * a):
        assert spherical(a, b, torch.linspace(0, 1, 3)).isfinite().all()


def test_a_neighbour_is_noise_again():
    z = near(noise(4000, 8), noise(4000, 8, seed=1), 0.6)
    assert float(z.std()) == pytest.approx(1, abs=0.02)
    assert torch.equal(near(noise(2), noise(2, seed=1), 0.0), noise(2))


SINGLE = replace(CONFIG, generator_widths=(32, 24, 16, 16), generator_blocks=(1, 1, 1, 1))


@pytest.mark.parametrize(("finest", "has_grid"), [(0, True), (8, False)])
def test_what_draws_single_pixels_draws_no_grid_of_its_own(finest, has_grid):
    generator = Generator(replace(SINGLE, finest=finest)).eval()
    torch.nn.init.normal_(generator.to_canvas.weight, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        generator.basis.fill_(1.0)  # nothing to draw: the same everywhere
        w = generator.styles(noise(1), torch.tensor([0]))
        inner = generator.draw(w)[:, :, 20:44, 20:44]
    assert inner.shape == (1, 3, 24, 24)
    assert bool((inner.std((2, 3)) > 1e-3).any()) == has_grid


def test_a_discriminator_with_spread_sees_that_a_look_repeats_itself():
    torch.manual_seed(0)
    judge = Discriminator(replace(CONFIG, spread=True))
    looks = torch.tensor([0, 0, 1, 1])
    varied = torch.rand(4, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    repeated = varied.clone()
    repeated[1] = repeated[0]
    with torch.no_grad():
        before, after = judge(varied, looks), judge(repeated, looks)
    assert before[0] != after[0], "the same picture, among others and among its like"
    assert torch.allclose(before[2:], after[2:], atol=1e-5), "another look is none of its business"
    plain = Discriminator(CONFIG)
    with torch.no_grad():
        assert torch.allclose(plain(varied, looks)[0], plain(repeated, looks)[0], atol=1e-5)


def test_spread_is_the_deviation_of_features_within_each_look():
    x = torch.randn(5, 3, 2, 2, generator=torch.Generator().manual_seed(2))
    looks = torch.tensor([1, 0, 1, 1, 2])
    found = spread_of(x, looks, 3)
    wanted = (x[[0, 2, 3]].var(0, unbiased=False) + 1e-4).sqrt().mean((1, 2))
    for row in (0, 2, 3):
        assert torch.allclose(found[row], wanted, atol=1e-6)
    assert torch.allclose(found[4], torch.full((3,), 1e-2), atol=1e-6), "one alone"


def test_spread_can_be_learnt_through_twice():
    judge = Discriminator(replace(CONFIG, spread=True))
    canvas = torch.rand(4, 3, 64, 64, requires_grad=True)
    scores = judge(canvas, torch.tensor([0, 0, 1, 1]))
    (gradient,) = torch.autograd.grad(scores.sum(), canvas, create_graph=True)
    gradient.square().sum().backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in judge.parameters())
