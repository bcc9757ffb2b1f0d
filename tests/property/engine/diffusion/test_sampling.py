"""Whatever is asked: an image is the same alone and among others, and nothing overflows."""

import itertools

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.diffusion import samplers, schedules
from engine.diffusion.noise import ImageNoise, mixed_noise
from engine.diffusion.prediction import ModelFacts, Prediction, Spacing
from engine.requests import Sampler, Schedule

TABLE = schedules.training_sigmas(0.00085, 0.012)
SHAPE = (2, 3, 3)

families = st.builds(
    ModelFacts,
    prediction=st.sampled_from(Prediction),
    latent_channels=st.just(2),
    training_sigmas=st.just(TABLE),
    spacing=st.sampled_from(Spacing),
    flow_shift=st.floats(0.3, 8),
)
seeds = st.integers(0, 2**32 - 1)


def denoise(x, sigma):
    """Answers each row by itself, and not linearly."""
    return torch.tanh(x / (1 + sigma)) + 0.1 * torch.sin(x)
    yield


def no_report(denoised):
    return
    yield


def drawn(batch, facts, sampler, schedule, steps):
    """The images of those seeds, made together."""
    noise = ImageNoise(batch, SHAPE)
    sigmas = schedules.sigmas_for(facts, schedule, sampler, steps)
    x = noise.draw() * schedules.noise_scale(facts, sampler, sigmas[0])
    sampling = samplers.sample(sampler, denoise, x, sigmas, noise.draw, no_report)
    try:
        next(sampling)
    except StopIteration as end:
        return end.value


@given(
    facts=families,
    sampler=st.sampled_from(Sampler),
    schedule=st.sampled_from(Schedule),
    steps=st.integers(1, 12),
    batch=st.lists(seeds, min_size=1, max_size=4),
)
@settings(max_examples=60, deadline=None)
def test_an_image_is_the_same_alone_and_in_any_batch(facts, sampler, schedule, steps, batch):
    together = drawn(batch, facts, sampler, schedule, steps)
    assert together.isfinite().all()
    assert float(together.abs().max()) < 10
    for row, seed in zip(together, batch, strict=True):
        (alone,) = drawn([seed], facts, sampler, schedule, steps)
        torch.testing.assert_close(row, alone, atol=1e-5, rtol=1e-5)


@given(
    facts=families,
    sampler=st.sampled_from(Sampler),
    schedule=st.sampled_from(Schedule),
    steps=st.integers(1, 150),
    stop=st.integers(10, 100),
    strength=st.floats(0.001, 1),
)
@settings(max_examples=150, deadline=None)
def test_any_part_of_any_schedule_falls_to_zero(facts, sampler, schedule, steps, stop, strength):
    whole = schedules.sigmas_for(facts, schedule, sampler, steps)
    part = schedules.stopped(schedules.started(whole, strength), stop)
    assert 2 <= len(part) <= steps + 1
    assert part[-1] == 0
    assert all(high > low for high, low in itertools.pairwise(part))
    assert set(part) <= {*whole, 0.0}


@given(first=seeds, second=seeds, strength=st.floats(0, 1))
@settings(max_examples=50, deadline=None)
def test_mixed_noise_is_always_finite_and_of_the_length_of_its_ends(first, second, strength):
    a, b = (ImageNoise([seed], (4, 16, 16)).draw() for seed in (first, second))
    length = float(mixed_noise(a, b, strength).norm())
    low, high = sorted((float(a.norm()), float(b.norm())))
    assert 0.98 * low <= length <= 1.02 * high
