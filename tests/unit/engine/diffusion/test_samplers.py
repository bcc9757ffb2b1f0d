"""The exact answer is known when images are Gaussian.

For clean latents ~ N(0, 1) the best denoiser is x / (1 + sigma^2), and the probability-flow ODE
keeps x(sigma) / sqrt(1 + sigma^2) constant.
"""

import functools
import math

import pytest
import torch

from engine.diffusion import samplers, schedules


def ideal(x, sigma):
    return x / (1 + sigma**2)


def error_after(answered, sampler, steps):
    sigmas = schedules.karras_sigmas(steps, 0.002, 80.0)
    start = torch.full((1, 1, 1, 1), sigmas[0], dtype=torch.float64)
    exact = start / math.sqrt(1 + sigmas[0] ** 2)
    return float((answered(sampler, ideal, start, sigmas) - exact).abs().max())


@pytest.mark.parametrize(
    ("sampler", "order"),
    [
        (samplers.euler, 1),
        (samplers.ddim, 1),
        (samplers.heun, 2),
        (samplers.dpmpp_2m, 2),
    ],
)
def test_error_falls_with_the_order_of_the_sampler(answered, sampler, order):
    ratio = error_after(answered, sampler, 128) / error_after(answered, sampler, 256)
    assert ratio == pytest.approx(2**order, rel=0.15)


@pytest.mark.parametrize("sampler", [samplers.euler_ancestral, samplers.dpmpp_2m_sde])
def test_stochastic_samplers_give_the_spread_of_the_images(answered, sampler):
    generator = torch.Generator().manual_seed(0)
    draw = functools.partial(torch.randn, (1, 1, 100, 200), generator=generator)
    sigmas = schedules.karras_sigmas(800, 0.002, 80.0)
    result = answered(sampler, ideal, draw() * math.sqrt(1 + sigmas[0] ** 2), sigmas, draw)
    assert float(result.var()) == pytest.approx(1, abs=0.04)
    assert float(result.mean()) == pytest.approx(0, abs=0.03)


def test_a_consistency_function_keeps_the_spread_of_the_images_in_any_number_of_steps(answered):
    generator = torch.Generator().manual_seed(0)
    draw = functools.partial(torch.randn, (1, 1, 100, 200), generator=generator)

    def consistent(x, sigma):
        return x / math.sqrt(1 + sigma**2)

    for steps in (1, 4, 9):
        sigmas = schedules.karras_sigmas(steps, 0.03, 80.0)
        result = answered(samplers.lcm, consistent, draw() * sigmas[0], sigmas, draw)
        assert float(result.var()) == pytest.approx(1, abs=0.04)


@pytest.mark.parametrize("sampler", list(samplers.Sampler))
def test_a_jump_to_zero_lands_on_the_clean_estimate(answered, sampler):
    """`--stop` relies on it."""
    seen = []

    def wavering(x, sigma):
        seen.append(torch.sin(x + sigma))
        return seen[-1]

    def run(denoise, x, sigmas, draw, on_step):
        return samplers.sample(sampler, denoise, x, sigmas, draw, on_step)

    x = torch.randn(2, 4, 3, 3, generator=torch.Generator().manual_seed(1)) * 9
    draw = functools.partial(torch.zeros_like, x)
    result = answered(run, wavering, x, [9.0, 3.0, 1.0, 0.0], draw)
    torch.testing.assert_close(result, seen[-1])
    assert len(seen) == samplers.calls_per_run(sampler, 3)


def test_every_step_is_told_with_the_estimate_it_was_made_from():
    told = []

    def denoise(x, sigma):
        return x * 0 + sigma
        yield

    def on_step(denoised):
        told.append(float(denoised))
        return
        yield

    for _ in samplers.heun(denoise, torch.ones(1), [4.0, 2.0, 1.0, 0.0], on_step):
        pass
    assert told == [4.0, 2.0, 1.0]
