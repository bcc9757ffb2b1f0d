"""Between latents: weighted mixtures of several, and the way from one to the next."""

from dataclasses import replace

import torch
from torch import Tensor

from engine.calls import Conditioning, StyleTokens
from engine.diffusion.conditioning import rows
from engine.diffusion.guidance import Guidance

_LEAST_SPREAD = 1e-6


def mixed(latents: Tensor, weights: Tensor) -> Tensor:
    """Mix pictures (n, C, h, w) by weights (B, n) that sum to 1 into (B, C, h, w).

    A mean of latents has less contrast than each of them, and decodes to a grey haze: each
    channel gets back the spread that the mixed pictures have.
    """
    spread = _spread(latents)
    # Row by row: how many there are would change the last bits of a product of all.
    return torch.stack([_mixture(latents, spread, row.view(-1, 1, 1, 1)) for row in weights])


def _mixture(latents: Tensor, spread: Tensor, shares: Tensor) -> Tensor:
    """One picture (C, h, w) of shares (n, 1, 1, 1) of others with a spread of (n, C, 1, 1)."""
    mean = (shares * latents).sum(0)
    wanted = (shares * spread).sum(0)
    centre = mean.mean((1, 2), keepdim=True)
    gain = wanted / _spread(mean[None])[0].clamp_min(_LEAST_SPREAD)
    return centre + (mean - centre) * gain


def steered_between(a: Guidance, b: Guidance, shares: Tensor) -> Guidance:
    """Steer images by what lies between two prompts of one image each, by shares (B,).

    Part goes to part, in their order; where one prompt has more, the other's last part fades.
    """
    count = max(len(a.weights), len(b.weights))
    a, b = _with_parts(a, count), _with_parts(b, count)
    share = shares.to(a.scales)

    def straight(start: Tensor, end: Tensor) -> Tensor:
        """(blocks, ...) twice -> (blocks * B, ...), the blocks one after the other."""
        start, end = start[:, None], end[:, None]
        by = share.view(1, -1, *(1 for _ in start.shape[2:]))
        return torch.lerp(start, end.expand_as(start), by).flatten(0, 1)

    style = None
    if a.conditioning.style and b.conditioning.style:
        one, other = a.conditioning.style, b.conditioning.style
        style = StyleTokens(straight(one.tokens, other.tokens), straight(one.scale, other.scale))
    return Guidance(
        conditioning=Conditioning(
            straight(a.conditioning.tokens, b.conditioning.tokens),
            straight(a.conditioning.pooled, b.conditioning.pooled),
            straight(a.conditioning.extra, b.conditioning.extra),
            style,
        ),
        weights=straight(a.weights, b.weights).view(count, -1),
        scales=torch.lerp(a.scales, b.scales, share),
        rescale=a.rescale,
        is_guided=a.is_guided,
    )


def _with_parts(guidance: Guidance, count: int) -> Guidance:
    """The same steering with more positive parts, which count for nothing."""
    missing = count - len(guidance.weights)
    if not missing:
        return guidance
    last = len(guidance.weights) - 1
    order = [*range(last + 1), *[last] * missing, *range(last + 1, len(guidance.conditioning))]
    weights = torch.cat([guidance.weights, guidance.weights.new_zeros(missing)])
    return replace(guidance, conditioning=rows(guidance.conditioning, order), weights=weights)


def _spread(latents: Tensor) -> Tensor:
    return latents.std((2, 3), keepdim=True, correction=0)
