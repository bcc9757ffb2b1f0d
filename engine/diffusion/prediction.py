"""What a network predicts, and how that becomes clean latents.

Everything above this module lives in one space: x = clean + sigma * noise, sigma from 0 up to
`sigma_max`. Networks were trained in others; with s = sigma and n = noise

    kind    sees                      is told              predicts
    eps     z = x / sqrt(1 + s^2)     training timestep    n
    v       z = x / sqrt(1 + s^2)     training timestep    (n - s * clean) / sqrt(1 + s^2)
    x0      z = x / sqrt(1 + s^2)     training timestep    clean
    flow    z = x / (1 + s)           t = s / (1 + s)      n - clean

Ho et al. 2020 (https://arxiv.org/abs/2006.11239), Salimans and Ho 2022
(https://arxiv.org/abs/2202.00512), Lipman et al. 2023 (https://arxiv.org/abs/2210.02747).
Shapes: x and everything like it (B, C, h, w); sigma and timesteps (B,).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import torch
from torch import Tensor

from engine.requests import Sampler, Schedule

FLOW_RANGE = (0.02, 80.0)  # sigma; flow times 0.02 and 0.99, almost image and almost noise


class Prediction(StrEnum):
    """What a network was trained to answer."""

    EPS = "eps"
    V = "v"
    X0 = "x0"
    FLOW = "flow"


class Spacing(StrEnum):
    """Which of its training timesteps a model visits (Lin et al. 2023, table 2)."""

    LEADING = "leading"
    TRAILING = "trailing"
    LINSPACE = "linspace"


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelFacts:
    """How a model wants to be sampled; the answer to the call `Facts`."""

    prediction: Prediction
    latent_channels: int
    latent_scale: int = 8  # pixels per latent, each way
    training_sigmas: tuple[float, ...] = ()  # rising, one per training timestep; empty for flow
    sigma_min: float = 0.0  # of the Karras and exponential schedules; 0: as it was trained
    sigma_max: float = 0.0
    spacing: Spacing = Spacing.LEADING
    steps_offset: int = 1  # timesteps added to leading spacing
    ddim_final_sigma: float = 0.0  # training_sigmas[0] where "set_alpha_to_one" is false
    flow_shift: float = 1.0  # above 1: more steps at high noise
    sampler: Sampler = Sampler.EULER  # the defaults its makers name
    schedule: Schedule = Schedule.MODEL
    steps: int = 20
    guidance_scale: float = 5.0
    guidance_rescale: float = 0.0  # 0..1
    size_multiple: int = 8  # pixels; of the sides it draws
    native_size: int = 512  # pixels; of the square it was trained on
    has_preview: bool = False  # answers Decode(preview=True)
    output_upscale: int = 1  # drawn pictures are brought this much larger by its upscaler
    style_side: int = 0  # pixels of the square in which it sees style references; 0: it sees none
    unsaid: int = 0  # numbers it is told of what a prompt leaves open (`engine.diffusion.unsaid`)
    house_prompt: str = ""  # the look of its house, mixed in by a high `stylize`

    @property
    def is_flow(self) -> bool:
        """Whether time is t = sigma / (1 + sigma), without a table of training timesteps."""
        return self.prediction is Prediction.FLOW

    @property
    def sigma_range(self) -> tuple[float, float]:
        """The lowest and highest noise that schedules span which know nothing of its training."""
        low, high = (
            FLOW_RANGE if self.is_flow else (self.training_sigmas[0], self.training_sigmas[-1])
        )
        return self.sigma_min or low, self.sigma_max or high


def network_input(prediction: Prediction, x: Tensor, sigma: Tensor) -> Tensor:
    """Return what the network sees of `x`."""
    sigma = _per_row(sigma, x)
    if prediction is Prediction.FLOW:
        return x / (1 + sigma)
    return x / (1 + sigma**2).sqrt()


def clean_latents(prediction: Prediction, output: Tensor, x: Tensor, sigma: Tensor) -> Tensor:
    """Return the clean latents that the network's raw `output` at `x` stands for."""
    sigma = _per_row(sigma, x)
    match prediction:
        case Prediction.EPS:
            return x - sigma * output
        case Prediction.V:
            return x / (1 + sigma**2) - sigma / (1 + sigma**2).sqrt() * output
        case Prediction.X0:
            return output
        case Prediction.FLOW:
            return (x - sigma * output) / (1 + sigma)


def flow_time(sigma: Tensor) -> Tensor:
    """Return t in [0, 1), what a flow network is told."""
    return sigma / (1 + sigma)


def training_timestep(sigma: Tensor, training_sigmas: Sequence[float] | Tensor) -> Tensor:
    """Return the fractional training timestep of each sigma, as fp32.

    Between two timesteps it is interpolated by log(sigma), outside the table it is clamped.
    """
    # On the CPU: not every device knows double precision, Apple's does not.
    table = torch.as_tensor(training_sigmas, dtype=torch.float64, device="cpu").log()
    log_sigma = sigma.cpu().double().clamp(min=1e-10).log()
    above = torch.searchsorted(table, log_sigma).clamp(1, len(table) - 1)
    low, high = table[above - 1], table[above]
    fraction = ((log_sigma - low) / (high - low)).clamp(0, 1)
    return (above - 1 + fraction).float().to(sigma.device)


def _per_row(sigma: Tensor, x: Tensor) -> Tensor:
    return sigma.view(-1, *[1] * (x.ndim - 1))
