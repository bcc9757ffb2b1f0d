"""A small pair taught by one recipe or another, all else equal."""

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from engine.gan import losses

STEADY = 0.5  # of the run, after which the rate falls


@dataclass(frozen=True)
class Recipe:
    """How both learn; losses are of judge, real samples, fakes and progress 0..1."""

    judged: Callable[[nn.Module, Tensor, Tensor, float], Tensor]
    fooled: Callable[[nn.Module, Tensor, Tensor], Tensor]
    rate: float
    betas: tuple[float, float]


def r3gan(gamma: tuple[float, float], rate: float) -> Recipe:
    """Paired, with R1 and R2 whose weight goes from one to the other."""

    def judged(judge: nn.Module, real: Tensor, fake: Tensor, progress: float) -> Tensor:
        now = gamma[0] * (gamma[1] / gamma[0]) ** progress
        return losses.relativistic_verdict(judge, real, fake, now).loss

    return Recipe(judged, losses.relativistic_fooling, rate, (0.0, 0.99))


def plain(rate: float = 1e-3) -> Recipe:
    """Without any remedy."""

    def judged(judge: nn.Module, real: Tensor, fake: Tensor, _: float) -> Tensor:
        return losses.plain_verdict(judge, real, fake).loss

    return Recipe(judged, losses.plain_fooling, rate, (0.5, 0.999))


def layers(before: int, after: int, width: int) -> nn.Sequential:
    """Three hidden layers."""
    pairs = itertools.pairwise((before, width, width, width))
    hidden = [part for pair in pairs for part in (nn.Linear(*pair), nn.LeakyReLU(0.2))]
    return nn.Sequential(*hidden, nn.Linear(width, after))


def taught(
    pair: Callable[[], tuple[nn.Module, nn.Module]],
    recipe: Recipe,
    real: Callable[[torch.Generator], Tensor],
    noise: Callable[[int, torch.Generator], Tensor],
    *,
    batch: int,
    steps: int,
    samples: int,
) -> Tensor:
    """Samples of a new pair's averaged generator after a run, all of it from fixed seeds."""
    torch.default_generator.manual_seed(0)
    judge, generator = pair()
    numbers = torch.Generator().manual_seed(1)
    _teach(judge, generator, recipe, real, partial(noise, batch), steps, numbers)
    with torch.no_grad():
        return generator(noise(samples, numbers))


def _teach(
    judge: nn.Module,
    generator: nn.Module,
    recipe: Recipe,
    real: Callable[[torch.Generator], Tensor],
    noise: Callable[[torch.Generator], Tensor],
    steps: int,
    numbers: torch.Generator,
) -> None:
    """Let the pair learn; the generator then holds the average of its weights."""
    optimisers = [
        torch.optim.Adam(net.parameters(), recipe.rate, recipe.betas) for net in (judge, generator)
    ]
    average = {key: value.clone() for key, value in generator.state_dict().items()}
    for step in range(steps):
        progress = step / steps
        fall = max(0.0, (progress - STEADY) / (1 - STEADY))
        for optimiser in optimisers:
            optimiser.param_groups[0]["lr"] = recipe.rate * (0.51 + 0.49 * math.cos(math.pi * fall))
        samples = real(numbers)
        with torch.no_grad():
            fake = generator(noise(numbers))
        _descend(optimisers[0], recipe.judged(judge, samples, fake, progress))
        judge.requires_grad_(False)
        _descend(optimisers[1], recipe.fooled(judge, samples, generator(noise(numbers))))
        judge.requires_grad_(True)
        keep = min(0.99, (1 + step) / (10 + step))
        for key, value in generator.state_dict().items():
            average[key].lerp_(value, 1 - keep)
    generator.load_state_dict(average)


def _descend(optimiser: torch.optim.Optimizer, loss: Tensor) -> None:
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
