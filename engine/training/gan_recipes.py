"""How the two networks of a pair are trained against each other: losses, steps and optimisers."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor

from engine.gan import losses
from engine.gan.losses import Judge, Verdict

JudgeStep: TypeAlias = Callable[[Judge, Tensor, Tensor, float, torch.Generator], Verdict]
FoolStep: TypeAlias = Callable[[Judge, Tensor, Tensor], Tensor]

PIXEL_GAMMA = (0.5, 0.05)  # of R1 and R2 on pixels in [0, 1], at the start and the end of a run
LATENT_GAMMA = (1.0, 0.1)  # on latents, whose deviation is 1
PENALTY = 10.0  # lambda of Gulrajani et al. 2017
CRITIC_STEPS = 5


@dataclass(frozen=True, slots=True)
class Recipe:
    """One way to train a pair."""

    name: str
    design: str  # of the networks, as in `GanConfig.design`
    judge: JudgeStep  # judge, real, fake, progress 0..1, randomness
    fool: FoolStep
    judge_steps: int  # of the discriminator, for one of the generator
    learning_rate: float
    betas: tuple[float, float]  # of Adam
    saturates: bool = True  # a wide gap means that the discriminator teaches nothing any more
    in_latents: bool = False  # the pair works on latents of the pack's autoencoder
    batch: int = 16  # pictures a step


def r3gan(
    learning_rate: float = 1e-3,
    gamma: tuple[float, float] = LATENT_GAMMA,
    *,
    in_latents: bool = True,
    batch: int = 16,
) -> Recipe:
    """Huang et al. 2024: pairs, R1 + R2 at every step, no momentum; gamma falls over the run."""

    def judge(judge: Judge, real: Tensor, fake: Tensor, progress: float, _: object) -> Verdict:
        now = gamma[0] * (gamma[1] / gamma[0]) ** progress
        return losses.relativistic_verdict(judge, real, fake, now)

    fool = losses.relativistic_fooling
    name = "r3gan" if in_latents else "r3gan-pixels"
    betas = (0.0, 0.99)
    return Recipe(
        name, "r3gan", judge, fool, 1, learning_rate, betas, in_latents=in_latents, batch=batch
    )


def r3gan_pixels(learning_rate: float = 1e-3) -> Recipe:
    """The same on pixels: sharper, after more training; so many a step that looks show spread."""
    return r3gan(learning_rate, PIXEL_GAMMA, in_latents=False, batch=32)


def wgan_gp(learning_rate: float = 2e-4) -> Recipe:
    """Gulrajani et al. 2017: five steps of a critic for each of the generator, lambda 10."""

    def judge(
        judge: Judge, real: Tensor, fake: Tensor, progress: float, draw: torch.Generator
    ) -> Verdict:
        del progress
        shares = torch.rand(len(real), generator=draw).to(real.device)
        return losses.wasserstein_verdict(judge, real, fake, PENALTY, shares)

    fool = losses.wasserstein_fooling
    return Recipe(
        "wgan-gp", "dcgan", judge, fool, CRITIC_STEPS, learning_rate, (0.0, 0.9), saturates=False
    )


def plain(learning_rate: float = 2e-4) -> Recipe:
    """Goodfellow et al. 2014, without any remedy: what the others are compared with."""

    def judge(judge: Judge, real: Tensor, fake: Tensor, _: float, __: object) -> Verdict:
        return losses.plain_verdict(judge, real, fake)

    fool = losses.plain_fooling
    return Recipe("plain", "dcgan", judge, fool, 1, learning_rate, (0.5, 0.999))


RECIPES: dict[str, Callable[[], Recipe]] = {
    "r3gan": r3gan,
    "r3gan-pixels": r3gan_pixels,
    "wgan-gp": wgan_gp,
    "plain": plain,
}
