"""Which noise levels a sampler visits.

Karras et al. 2022, "Elucidating the Design Space of Diffusion-Based Generative Models"
(https://arxiv.org/abs/2206.00364); Lin et al. 2023, "Common Diffusion Noise Schedules and Sample
Steps are Flawed" (https://arxiv.org/abs/2305.08891); Luo et al. 2023, "Latent Consistency Models"
(https://arxiv.org/abs/2310.04378); Esser et al. 2024, "Scaling Rectified Flow Transformers"
(https://arxiv.org/abs/2403.03206). All computed in float64; a schedule falls and ends in 0.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.diffusion.prediction import ModelFacts, Spacing
from engine.requests import Sampler, Schedule

FLOW_TIME_MAX = 0.9999  # t = 1 is infinitely noisy in the space x = clean + sigma * noise
LCM_TEACHER_STEPS = 50  # consistency models were distilled on so many timesteps

Levels = NDArray[np.floating[Any]]


def karras_sigmas(steps: int, sigma_min: float, sigma_max: float, rho: float = 7.0) -> list[float]:
    """Return `steps` levels from sigma_max to sigma_min, then 0 (Karras et al. 2022, eq. 5)."""
    ramp = np.linspace(0, 1, steps)
    low, high = sigma_min ** (1 / rho), sigma_max ** (1 / rho)
    return [*((high + ramp * (low - high)) ** rho).tolist(), 0.0]


def exponential_sigmas(steps: int, sigma_min: float, sigma_max: float) -> list[float]:
    """Return `steps` levels evenly spaced in log(sigma), then 0."""
    levels = np.exp(np.linspace(math.log(sigma_max), math.log(sigma_min), steps))
    return [*levels.tolist(), 0.0]


def flow_sigmas(steps: int, shift: float = 1.0) -> list[float]:
    """Return levels evenly spaced in flow time t from 1 to 0, after a shift to higher noise.

    The shift is t' = shift * t / (1 + (shift - 1) * t); Esser et al. 2024, eq. 23.
    """
    t = np.linspace(1, 0, steps + 1)[:-1]
    t = shift * t / (1 + (shift - 1) * t)
    # Differs from the paper: starts at FLOW_TIME_MAX, as sigma is infinite at t = 1.
    t = np.minimum(t, FLOW_TIME_MAX)
    return [*(t / (1 - t)).tolist(), 0.0]


def training_sigmas(
    beta_start: float,
    beta_end: float,
    count: int = 1000,
    *,
    scaled: bool = True,
    zero_terminal_snr: bool = False,
) -> tuple[float, ...]:
    """Return the noise level of each training timestep, rising.

    `scaled`: the square roots of the betas are evenly spaced, as Stable Diffusion was trained.
    `zero_terminal_snr`: rescale so that the last one is all but pure noise (Lin et al. 2023,
    algorithm 1).
    """
    power = 0.5 if scaled else 1.0
    betas = np.linspace(beta_start**power, beta_end**power, count) ** (1 / power)
    alphas = np.cumprod(1 - betas)
    if zero_terminal_snr:
        roots = np.sqrt(alphas)
        alphas = ((roots - roots[-1]) * roots[0] / (roots[0] - roots[-1])) ** 2
        # Differs from the paper: not quite zero, so that the last level is finite.
        alphas[-1] = 2**-24
    return tuple(np.sqrt((1 - alphas) / alphas).tolist())


def spaced_timesteps(facts: ModelFacts, sampler: Sampler, steps: int) -> Levels:
    """Return the training timesteps a sampler visits, falling; Lin et al. 2023, table 2.

    DPM-Solver counts the end of the time axis as a point of its own, the others do not; DDIM
    knows whole timesteps only; a consistency model those it was distilled on.
    """
    if sampler is Sampler.LCM:
        return _distilled_timesteps(len(facts.training_sigmas), steps)
    count = len(facts.training_sigmas)
    points = steps + 1 if sampler in (Sampler.DPMPP_2M, Sampler.DPMPP_2M_SDE) else steps
    levels: Levels
    match facts.spacing:
        case Spacing.LINSPACE:
            levels = np.linspace(0, count - 1, points)[::-1]
        case Spacing.LEADING:
            levels = np.arange(points)[::-1] * (count // points) + float(facts.steps_offset)
        case Spacing.TRAILING:
            levels = np.round(count - np.arange(steps) * (count / steps)) - 1
    if sampler not in (Sampler.EULER, Sampler.EULER_ANCESTRAL, Sampler.HEUN):
        levels = np.round(levels)
    return levels[:steps]


def sigmas_for(facts: ModelFacts, schedule: Schedule, sampler: Sampler, steps: int) -> list[float]:
    """Return the `steps` + 1 noise levels of a run, falling.

    The last is 0, or for DDIM on the model's own schedule `facts.ddim_final_sigma`.
    """
    match schedule:
        case Schedule.KARRAS:
            return karras_sigmas(steps, *facts.sigma_range)
        case Schedule.EXPONENTIAL:
            return exponential_sigmas(steps, *facts.sigma_range)
        case Schedule.LINEAR:
            return _linear_in_time(facts, steps)
        case Schedule.MODEL:
            return _as_trained(facts, sampler, steps)


def noise_scale(facts: ModelFacts, sampler: Sampler, sigma: float) -> float:
    """Return what unit noise is multiplied with to start at level `sigma`.

    Models told to lead start from noise of unit variance in the network's eyes, as if a clean
    picture of unit variance lay under it; the samplers written in alphas always do.
    """
    of_sigmas = sampler in (Sampler.EULER, Sampler.EULER_ANCESTRAL, Sampler.HEUN)
    is_bare = facts.is_flow or (of_sigmas and facts.spacing is not Spacing.LEADING)
    return sigma if is_bare else math.sqrt(1 + sigma**2)


def stopped(sigmas: Sequence[float], percent: int) -> list[float]:
    """Return the first `percent` of the steps and then a jump to the clean estimate.

    Every sampler here lands exactly on the network's estimate when it steps to level 0.
    """
    steps = len(sigmas) - 1
    kept = steps_until(steps, percent)
    return list(sigmas) if kept == steps else [*sigmas[:kept], 0.0]


def steps_until(steps: int, percent: int) -> int:
    """Return how many steps there are until `percent` of the denoising are done; one at least."""
    return max(1, round(steps * percent / 100))


def started(sigmas: Sequence[float], strength: float) -> list[float]:
    """Return the part of a schedule that is left for an edit of that strength, 0..1.

    At least one step remains; strength 1 is the whole schedule.
    """
    steps = len(sigmas) - 1
    kept = max(1, min(steps, int(steps * strength + 1e-9)))
    return list(sigmas[steps - kept :])


def _as_trained(facts: ModelFacts, sampler: Sampler, steps: int) -> list[float]:
    if facts.is_flow:
        return flow_sigmas(steps, facts.flow_shift)
    levels = _levels_at(facts, spaced_timesteps(facts, sampler, steps))
    return [*levels, facts.ddim_final_sigma if sampler is Sampler.DDIM else 0.0]


def _linear_in_time(facts: ModelFacts, steps: int) -> list[float]:
    if facts.is_flow:
        return flow_sigmas(steps)
    return [*_levels_at(facts, np.linspace(len(facts.training_sigmas) - 1, 0, steps)), 0.0]


def _levels_at(facts: ModelFacts, timesteps: Levels) -> list[float]:
    table = np.asarray(facts.training_sigmas)
    levels: list[float] = np.interp(timesteps, np.arange(len(table)), table).tolist()
    return levels


def _distilled_timesteps(count: int, steps: int) -> Levels:
    teacher_steps = max(LCM_TEACHER_STEPS, steps)
    taught = np.floor((np.arange(teacher_steps) + 1.0)[::-1] * (count / teacher_steps)) - 1
    chosen = np.floor(np.linspace(0, teacher_steps, steps, endpoint=False)).astype(int)
    return np.asarray(taught[chosen])
