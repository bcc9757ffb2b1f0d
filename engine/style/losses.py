"""What makes one picture look like another: losses on the features of a network.

Gatys et al. 2016, "Image Style Transfer Using Convolutional Neural Networks"
(https://www.cv-foundation.org/openaccess/content_cvpr_2016/html/Gatys_Image_Style_Transfer_CVPR_2016_paper.html)
Mahendran and Vedaldi 2015, "Understanding Deep Image Representations" (https://arxiv.org/abs/1412.0035)
Huang and Belongie 2017, "Arbitrary Style Transfer in Real-time" (https://arxiv.org/abs/1703.06868)
Heitz et al. 2021, "A Sliced Wasserstein Loss for Neural Texture Synthesis" (https://arxiv.org/abs/2006.07229)

Features are (B, C, H, W). Every loss returns one value a row, (B,), so that pictures of
strangers can share a pass and keep their own gradients.
"""

import torch
from torch import Tensor


def content_loss(features: Tensor, target: Tensor) -> Tensor:
    """Mean squared difference of features, (B, C, H, W) each -> (B,); Gatys et al. 2016, eq. 1."""
    # Differs from the paper: a mean instead of half the sum, so that size does not change it.
    return (features - target).square().flatten(1).mean(1)


def gram_matrix(features: Tensor) -> Tensor:
    """Channel correlations, (B, C, H, W) -> (B, C, C) in fp32; Gatys et al. 2016, eq. 3."""
    flat = _at_least_fp32(features.flatten(2))  # (B, C, H*W); half precision would overflow
    # Differs from the paper: divided by H*W, so that image size does not change the loss.
    return flat @ flat.mT / flat.shape[-1]


def gram_loss(gram: Tensor, target: Tensor) -> Tensor:
    """Mean squared difference of Gram matrices (B, C, C) -> (B,); Gatys et al. 2016, eq. 4."""
    # Differs from the paper: a mean over the C*C entries instead of 1 / (4 C^2).
    return (gram - target).square().flatten(1).mean(1)


def total_variation_loss(pixels: Tensor) -> Tensor:
    """Squared differences of neighbours, (B, 3, H, W) -> (B,); Mahendran and Vedaldi, beta = 2."""
    down = pixels[..., 1:, :] - pixels[..., :-1, :]
    right = pixels[..., :, 1:] - pixels[..., :, :-1]
    return down.square().flatten(1).mean(1) + right.square().flatten(1).mean(1)


def channel_statistics(features: Tensor, eps: float = 1e-5) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each channel, (B, C, H, W) -> twice (B, C) in fp32."""
    features = _at_least_fp32(features)
    mean = features.mean((2, 3), keepdim=True)
    # Not `var`, whose one pass over the pixels is many times slower on a CPU.
    variance = (features - mean).square().mean((2, 3))
    return mean[:, :, 0, 0], (variance + eps).sqrt()


def statistics_loss(statistics: tuple[Tensor, Tensor], target: tuple[Tensor, Tensor]) -> Tensor:
    """Squared differences of means and deviations -> (B,); Huang and Belongie 2017, eq. 13."""
    mean, std = statistics
    target_mean, target_std = target
    return (mean - target_mean).square().mean(1) + (std - target_std).square().mean(1)


def random_directions(channels: int, count: int, generator: torch.Generator) -> Tensor:
    """Unit vectors (count, C) for `sliced_wasserstein_loss`."""
    directions = torch.randn(count, channels, generator=generator)
    unit: Tensor = directions / directions.norm(dim=1, keepdim=True)
    return unit


def projected_quantiles(features: Tensor, directions: Tensor, count: int = 0) -> Tensor:
    """Features along `directions` (N, C) in rising order, (B, C, H, W) -> (B, N, H*W or count)."""
    flat = _at_least_fp32(features.flatten(2))
    found = (directions.to(flat) @ flat).sort(-1).values
    return _resampled(found, count) if count else found


def sliced_wasserstein_loss(features: Tensor, target: Tensor, directions: Tensor) -> Tensor:
    """Distance of feature distributions along `directions` (N, C) -> (B,); Heitz et al., eq. 3.

    The sizes of the two pictures may differ: the target's quantiles are resampled.
    """
    return sliced_loss(features, projected_quantiles(target, directions), directions)


def sliced_loss(features: Tensor, quantiles: Tensor, directions: Tensor) -> Tensor:
    """The same where the target (B, N, Q) is known by its `projected_quantiles` alone."""
    return quantile_loss(projected_quantiles(features, directions), quantiles)


def quantile_loss(found: Tensor, quantiles: Tensor) -> Tensor:
    """The same where both (B, N, P) and (B, N, Q) are `projected_quantiles`."""
    wanted = _resampled(quantiles.to(found), found.shape[-1])
    return (found - wanted).square().flatten(1).mean(1)


def _resampled(rising: Tensor, count: int) -> Tensor:
    if rising.shape[-1] == count:
        return rising
    return torch.nn.functional.interpolate(rising, count, mode="linear")


def _at_least_fp32(x: Tensor) -> Tensor:
    return x if x.dtype == torch.float64 else x.float()
