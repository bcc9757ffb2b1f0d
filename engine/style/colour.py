"""Colours kept or carried over while the look of a picture changes.

Gatys et al. 2016, "Preserving Color in Neural Artistic Style Transfer" (https://arxiv.org/abs/1606.05897)

Pixels are (B, 3, H, W) in [0, 1].
"""

import torch
from torch import Tensor

STRIP = 2**16  # pixels that are worked on at once: the whole of a large picture takes gigabytes
FAINTEST = 1e-3  # variance of colours below which the grain of a flat picture would be blown up
# Rec. 601, the Y, I and Q of NTSC
RGB_TO_YIQ = torch.tensor(
    [[0.299, 0.587, 0.114], [0.595716, -0.274453, -0.321263], [0.211456, -0.522591, 0.311135]]
)


def with_luminance_of(colours: Tensor, lightness: Tensor) -> Tensor:
    """The hues of `colours` with the luminance of `lightness`, pixel by pixel (section 3.2)."""
    forward = RGB_TO_YIQ.to(colours)
    yiq = torch.einsum("rc,bchw->brhw", forward, colours)
    luminance = torch.einsum("c,bchw->bhw", forward[0], lightness)
    mixed = torch.cat([luminance[:, None], yiq[:, 1:]], dim=1)
    backward = torch.linalg.inv(RGB_TO_YIQ).to(colours)
    return torch.einsum("rc,bchw->brhw", backward, mixed).clamp(0, 1)


def colour_moments(pixels: Tensor, eps: float = 1e-5) -> tuple[Tensor, Tensor]:
    """Mean (B, 3) and covariance (B, 3, 3) of the colours of (B, 3, H, W)."""
    flat = pixels.flatten(2)
    total = torch.zeros(len(flat), 3, 1, dtype=torch.float64)
    squares = torch.zeros(len(flat), 3, 3, dtype=torch.float64)
    for strip in torch.split(flat, STRIP, dim=-1):
        exact = strip.cpu().double()  # not every device knows double precision
        total += exact.sum(-1, keepdim=True)
        squares += exact @ exact.mT
    mean = total / flat.shape[-1]
    identity = torch.eye(3, dtype=mean.dtype)
    covariance = squares / flat.shape[-1] - mean @ mean.mT + eps * identity
    return mean[..., 0].float().to(pixels.device), covariance.float().to(pixels.device)


def match_colours(pixels: Tensor, mean: Tensor, covariance: Tensor, eps: float = 1e-5) -> Tensor:
    """`pixels` moved linearly so that their colours have this mean and covariance.

    The symmetric solution of section 3.1, by eigenvalues.
    """
    return recoloured_as(pixels, pixels, mean, covariance, eps).clamp_(0, 1)


def recoloured_as(
    pixels: Tensor, others: Tensor, mean: Tensor, covariance: Tensor, eps: float = 1e-5
) -> Tensor:
    """`pixels` moved as the colours of `others` would be to this mean and covariance; not clamped.

    Rows of one mean and covariance (1, 3), (1, 3, 3) serve all pixels.
    """
    own_mean, own_covariance = colour_moments(others, eps)
    change = _power(covariance, 0.5) @ _power(own_covariance, -0.5)
    strips = torch.split(pixels.flatten(2), STRIP, dim=-1)
    moved = [change @ (strip - own_mean[..., None]) + mean[..., None] for strip in strips]
    return torch.cat(moved, dim=-1).view_as(pixels)


def _power(symmetric: Tensor, exponent: float) -> Tensor:
    values, vectors = torch.linalg.eigh(symmetric.cpu().double())
    power: Tensor = vectors @ torch.diag_embed(values.clamp_min(1e-12) ** exponent) @ vectors.mT
    return power.float().to(symmetric.device)
