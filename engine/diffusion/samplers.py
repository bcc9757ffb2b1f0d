"""Samplers: from noise to clean latents, one paper a function.

Each is a generator: it asks `denoise` for the network's clean estimate (which may yield several
calls), tells `on_step` after every step, and returns the latents. `sigmas` falls to its last
level, nearly always 0; `x` (B, C, h, w) = clean + sigmas[0] * noise. No state outlives a run;
coefficients are Python floats (float64), latents fp32.

Karras et al. 2022 (https://arxiv.org/abs/2206.00364), Song et al. 2021, "Denoising Diffusion
Implicit Models" (https://arxiv.org/abs/2010.02502), Lu et al. 2022, "DPM-Solver++"
(https://arxiv.org/abs/2211.01095), Luo et al. 2023, "Latent Consistency Models"
(https://arxiv.org/abs/2310.04378).
"""

import itertools
import math
from collections.abc import Callable, Generator, Sequence
from typing import Any, TypeAlias

from torch import Tensor

from engine.calls import Call, Sampling
from engine.requests import Sampler

Denoiser: TypeAlias = Callable[[Tensor, float], Sampling]  # (x, sigma) -> clean estimate
OnStep: TypeAlias = Callable[[Tensor], Generator[Call, Any, None]]  # hears the clean estimate
DrawNoise: TypeAlias = Callable[[], Tensor]  # fresh unit noise, shaped like x


def sample(
    sampler: Sampler,
    denoise: Denoiser,
    x: Tensor,
    sigmas: Sequence[float],
    draw_noise: DrawNoise,
    on_step: OnStep,
) -> Sampling:
    """Run the sampler of that name."""
    match sampler:
        case Sampler.EULER:
            return euler(denoise, x, sigmas, on_step)
        case Sampler.EULER_ANCESTRAL:
            return euler_ancestral(denoise, x, sigmas, draw_noise, on_step)
        case Sampler.HEUN:
            return heun(denoise, x, sigmas, on_step)
        case Sampler.DDIM:
            return ddim(denoise, x, sigmas, on_step)
        case Sampler.DPMPP_2M:
            return dpmpp_2m(denoise, x, sigmas, on_step)
        case Sampler.DPMPP_2M_SDE:
            return dpmpp_2m_sde(denoise, x, sigmas, draw_noise, on_step)
        case Sampler.LCM:
            return lcm(denoise, x, sigmas, draw_noise, on_step)


def calls_per_run(sampler: Sampler, steps: int) -> int:
    """Return how often a sampler asks for a clean estimate."""
    return 2 * steps - 1 if sampler is Sampler.HEUN else steps


def euler(denoise: Denoiser, x: Tensor, sigmas: Sequence[float], on_step: OnStep) -> Sampling:
    """Karras et al. 2022, Algorithm 1 without its second-order correction."""
    for sigma, sigma_next in itertools.pairwise(sigmas):
        denoised = yield from denoise(x, sigma)
        x = _along_slope(x, denoised, sigma, sigma_next)
        yield from on_step(denoised)
    return x


def euler_ancestral(
    denoise: Denoiser,
    x: Tensor,
    sigmas: Sequence[float],
    draw_noise: DrawNoise,
    on_step: OnStep,
) -> Sampling:
    """Step below the next level, then add noise up to it; ancestral sampling of Song et al. 2021.

    The added noise has the variance of the exact posterior, DDIM's eta = 1.
    """
    for sigma, sigma_next in itertools.pairwise(sigmas):
        denoised = yield from denoise(x, sigma)
        sigma_up = sigma_next * math.sqrt(1 - (sigma_next / sigma) ** 2)
        sigma_down = math.sqrt(sigma_next**2 - sigma_up**2)
        x = _along_slope(x, denoised, sigma, sigma_down)
        if sigma_up > 0:
            x = x + sigma_up * draw_noise()
        yield from on_step(denoised)
    return x


def heun(denoise: Denoiser, x: Tensor, sigmas: Sequence[float], on_step: OnStep) -> Sampling:
    """Karras et al. 2022, Algorithm 1; two estimates per step, one in a last step to 0."""
    for sigma, sigma_next in itertools.pairwise(sigmas):
        denoised = yield from denoise(x, sigma)
        x_next = _along_slope(x, denoised, sigma, sigma_next)
        if sigma_next > 0:
            denoised_next = yield from denoise(x_next, sigma_next)
            slope = (x - denoised) / sigma
            slope_next = (x_next - denoised_next) / sigma_next
            x_next = x + (slope + slope_next) / 2 * (sigma_next - sigma)
        x = x_next
        yield from on_step(denoised)
    return x


def ddim(denoise: Denoiser, x: Tensor, sigmas: Sequence[float], on_step: OnStep) -> Sampling:
    """Song et al. 2021, eq. 12 with eta = 0.

    In this space the same line as Euler's; but a run may end above 0, and is then scaled as the
    variance-preserving form of the paper leaves it.
    """
    x = yield from euler(denoise, x, sigmas, on_step)
    return x / math.sqrt(1 + sigmas[-1] ** 2)


def dpmpp_2m(denoise: Denoiser, x: Tensor, sigmas: Sequence[float], on_step: OnStep) -> Sampling:
    """Lu et al. 2022, Algorithm 2: two-step multistep, data prediction, lambda = -log(sigma)."""
    history = _History()
    for sigma, sigma_next in itertools.pairwise(sigmas):
        denoised = yield from denoise(x, sigma)
        ratio = sigma_next / sigma  # exp(-h)
        x = ratio * x + (1 - ratio) * history.extrapolated(denoised, sigma, sigma_next)
        yield from on_step(denoised)
    return x


def dpmpp_2m_sde(
    denoise: Denoiser,
    x: Tensor,
    sigmas: Sequence[float],
    draw_noise: DrawNoise,
    on_step: OnStep,
) -> Sampling:
    """Lu et al. 2022, the SDE form of `dpmpp_2m` (appendix, SDE-DPM-Solver++(2M), midpoint)."""
    history = _History()
    for sigma, sigma_next in itertools.pairwise(sigmas):
        denoised = yield from denoise(x, sigma)
        squared = (sigma_next / sigma) ** 2  # exp(-2h)
        x = squared * x + (1 - squared) * history.extrapolated(denoised, sigma, sigma_next)
        if sigma_next > 0:
            x = x + sigma_next * math.sqrt(1 - squared) * draw_noise()
        yield from on_step(denoised)
    return x


def lcm(
    denoise: Denoiser,
    x: Tensor,
    sigmas: Sequence[float],
    draw_noise: DrawNoise,
    on_step: OnStep,
) -> Sampling:
    """Luo et al. 2023, Algorithm 3 (multistep consistency): jump to the end, add noise, repeat."""
    # Differs from the paper: the boundary scalings c_skip and c_out are left out; at every
    # timestep such a model is run at they are 0 and 1 within 1e-5.
    for sigma, sigma_next in itertools.pairwise(sigmas):
        denoised = yield from denoise(x, sigma)
        x = denoised + sigma_next * draw_noise() if sigma_next > 0 else denoised
        yield from on_step(denoised)
    return x


class _History:
    """The estimate of the step before, for two-step methods; lives within one run."""

    def __init__(self) -> None:
        self._before: tuple[Tensor, float] | None = None  # estimate, h of its step

    def extrapolated(self, denoised: Tensor, sigma: float, sigma_next: float) -> Tensor:
        """Return the estimate at the middle of the step; first order at the start and at 0."""
        before, self._before = self._before, None
        if sigma_next == 0:
            return denoised
        h = math.log(sigma / sigma_next)
        self._before = denoised, h
        if before is None:
            return denoised
        denoised_before, h_before = before
        return denoised + (denoised - denoised_before) * (h / h_before / 2)


def _along_slope(x: Tensor, denoised: Tensor, sigma: float, sigma_next: float) -> Tensor:
    """Follow the line from `x` to its clean estimate down to the next level."""
    return denoised + (x - denoised) * (sigma_next / sigma)
