"""Colours kept or carried over while the look of a picture changes.

Gatys et al. 2016, "Preserving Color in Neural Artistic Style Transfer" (https://arxiv.org/abs/1606.05897)

Pixels are (B, 3, H, W) in [0, 1].
"""

import torch
from torch import Tensor

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


def match_colours(pixels: Tensor, palette: Tensor, eps: float = 1e-5) -> Tensor:
    """`pixels` moved linearly so that mean and covariance of colour are those of `palette`.

    The symmetric solution of section 3.1, by eigenvalues; the pictures may differ in size.
    """
    source = pixels.flatten(2).double()
    target = palette.flatten(2).double()
    source_mean, target_mean = source.mean(-1, keepdim=True), target.mean(-1, keepdim=True)
    whiten = _power(_covariance(source, eps), -0.5)
    paint = _power(_covariance(target, eps), 0.5)
    moved = paint @ whiten @ (source - source_mean) + target_mean
    return moved.to(pixels.dtype).clamp(0, 1).view_as(pixels)


def _covariance(flat: Tensor, eps: float) -> Tensor:
    centred = flat - flat.mean(-1, keepdim=True)
    identity = torch.eye(3, dtype=flat.dtype, device=flat.device)
    return centred @ centred.mT / flat.shape[-1] + eps * identity


def _power(symmetric: Tensor, exponent: float) -> Tensor:
    values, vectors = torch.linalg.eigh(symmetric)
    power: Tensor = vectors @ torch.diag_embed(values.clamp_min(1e-12) ** exponent) @ vectors.mT
    return power
