"""Generators and discriminators: shapes, ranges, first values, independence of rows."""

import pytest
import torch

from engine.gan.walks import near, spherical, truncated
from engine.networks.dcgan import Critic, DcganGenerator
from engine.networks.gan import Discriminator, GanConfig, Generator, ResidualBlock

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
