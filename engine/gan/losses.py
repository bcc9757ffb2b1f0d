"""What generator and discriminator minimise, by recipe, and the penalties that keep them stable.

Huang et al. 2024 (R3GAN), https://arxiv.org/abs/2501.05441
Gulrajani et al. 2017 (WGAN-GP), https://arxiv.org/abs/1704.00028
Goodfellow et al. 2014 (plain, non-saturating), https://arxiv.org/abs/1406.2661

A judge maps samples (B, ...) to one number each, higher where they seem real. Rows of `real` and
`fake` are pairs.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor
from torch.nn import functional as F

Judge: TypeAlias = Callable[[Tensor], Tensor]


@dataclass(frozen=True, slots=True)
class Verdict:
    """A discriminator's loss, and what it consists of."""

    loss: Tensor
    gap: Tensor  # mean judgement of real samples less that of fakes
    penalties: Mapping[str, Tensor]  # mean of each, before its weight


def apart(judge: Judge, count: int) -> Judge:
    """The same judge; real and drawn samples, `count` of each, come to it one after the other.

    One that sees how samples differ from one another must not see both together.
    """
    return lambda samples: torch.cat([judge(part) for part in torch.split(samples, count)])


def squared_gradients(scores: Tensor, samples: Tensor) -> Tensor:
    """Squared length of each score's gradient by its own sample, (B,); differentiable again."""
    (gradient,) = torch.autograd.grad(scores.sum(), samples, create_graph=True)
    return gradient.square().flatten(1).sum(1)


def relativistic_verdict(judge: Judge, real: Tensor, fake: Tensor, gamma: float) -> Verdict:
    """R3GAN: softplus of how much more real the fake of a pair seems, + gamma/2 (R1 + R2)."""
    count = len(real)
    both = torch.cat([real, fake]).detach().requires_grad_()
    scores = judge(both)
    squared = squared_gradients(scores, both)
    gaps = scores[:count] - scores[count:]
    r1, r2 = squared[:count].mean(), squared[count:].mean()
    loss = F.softplus(-gaps).mean() + gamma / 2 * (r1 + r2)
    return Verdict(loss, gaps.mean().detach(), {"r1": r1.detach(), "r2": r2.detach()})


def relativistic_fooling(judge: Judge, real: Tensor, fake: Tensor) -> Tensor:
    """R3GAN's generator: softplus of how much more real the real one of a pair seems."""
    with torch.no_grad():
        wanted = judge(real)
    return F.softplus(wanted - judge(fake)).mean()


def wasserstein_verdict(
    judge: Judge, real: Tensor, fake: Tensor, weight: float, shares: Tensor
) -> Verdict:
    """WGAN-GP: the gap, and lambda (|gradient| - 1)^2 at points between pairs, `shares` (B,)."""
    real, fake = real.detach(), fake.detach()
    by = shares.view(-1, *(1 for _ in real.shape[1:]))
    between = torch.lerp(real, fake, by).requires_grad_()
    norms = (squared_gradients(judge(between), between) + 1e-12).sqrt()
    penalty = (norms - 1).square().mean()
    gap = judge(real).mean() - judge(fake).mean()
    return Verdict(weight * penalty - gap, gap.detach(), {"gp": penalty.detach()})


def wasserstein_fooling(judge: Judge, real: Tensor, fake: Tensor) -> Tensor:
    """WGAN's generator: raise the judgement of fakes."""
    del real
    return -judge(fake).mean()


def plain_verdict(judge: Judge, real: Tensor, fake: Tensor) -> Verdict:
    """Goodfellow et al. 2014: tell real from fake, one sample at a time, without any penalty."""
    wanted, found = judge(real.detach()), judge(fake.detach())
    loss = F.softplus(-wanted).mean() + F.softplus(found).mean()
    return Verdict(loss, (wanted.mean() - found.mean()).detach(), {})


def plain_fooling(judge: Judge, real: Tensor, fake: Tensor) -> Tensor:
    """The non-saturating loss of Goodfellow et al. 2014, section 3."""
    del real
    return F.softplus(-judge(fake)).mean()
