import pytest
import torch

from engine.diffusion.noise import ImageNoise, generator_of, mixed_noise


def test_an_image_has_the_same_noise_alone_and_in_any_batch():
    together, alone = ImageNoise([4, 5, 6], (4, 8, 8)), ImageNoise([5], (4, 8, 8))
    for _ in range(3):
        assert torch.equal(together.draw()[1:2], alone.draw())


def test_two_draws_of_an_image_differ():
    noise = ImageNoise([4], (4, 8, 8))
    assert not torch.equal(noise.draw(), noise.draw())


def test_the_noise_of_a_seed_is_that_of_a_plain_generator():
    plainly = torch.randn((4, 8, 8), generator=torch.Generator().manual_seed(11))
    assert torch.equal(ImageNoise([11], (4, 8, 8)).draw()[0], plainly)


def test_chance_for_another_purpose_is_another():
    draws = [torch.randn(64, generator=generator_of(3, name)) for name in ("", "weird", "chaos")]
    assert not torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[1], draws[2])
    assert torch.equal(draws[1], torch.randn(64, generator=generator_of(3, "weird")))


@pytest.mark.parametrize("strength", [0.0, 0.2, 0.4, 0.6, 0.9, 1.0])
def test_mixed_noise_keeps_unit_variance_and_leans_to_the_stronger(strength):
    a, b = ImageNoise([1, 2], (4, 64, 64)).draw(), ImageNoise([3, 4], (4, 64, 64)).draw()
    mixed = mixed_noise(a, b, strength)
    assert mixed.var((1, 2, 3)).tolist() == pytest.approx([1, 1], abs=0.04)
    to_a, to_b = (mixed * a).mean((1, 2, 3)), (mixed * b).mean((1, 2, 3))
    assert (to_b > to_a).tolist() == [strength > 0.5] * 2


def test_mixed_noise_ends_at_its_ends():
    a, b = ImageNoise([1], (4, 16, 16)).draw(), ImageNoise([3], (4, 16, 16)).draw()
    torch.testing.assert_close(mixed_noise(a, b, 0.0), a)
    torch.testing.assert_close(mixed_noise(a, b, 1.0), b)
    torch.testing.assert_close(mixed_noise(a, a, 0.4), a)
