"""How close generated pictures are to real ones, as sets of features (N, D) in fp32.

Bińkowski et al. 2018 (KID), https://arxiv.org/abs/1801.01401
Kynkäänniemi et al. 2019 (precision and recall), https://arxiv.org/abs/1904.06991
Naeem et al. 2020 (density and coverage), https://arxiv.org/abs/2002.09797
"""

import torch
from torch import Tensor

NEAREST = 3  # neighbours that make a manifold (Kynkäänniemi et al. 2019)
NEAREST_DENSITY = 5  # as Naeem et al. 2020 advise


def kernel_distance(real: Tensor, fake: Tensor) -> float:
    """KID: the unbiased squared MMD with the kernel (x.y / D + 1)^3; about 0 for equal sets.

    Values depend on the features: compare only those of the same network.
    """
    size = real.shape[1]
    n, m = len(real), len(fake)

    def kernel(a: Tensor, b: Tensor) -> Tensor:
        return (a.double() @ b.double().mT / size + 1) ** 3

    among_real, among_fake = kernel(real, real), kernel(fake, fake)
    total = (among_real.sum() - among_real.diagonal().sum()) / (n * (n - 1))
    total = total + (among_fake.sum() - among_fake.diagonal().sum()) / (m * (m - 1))
    return float(total - 2 * kernel(real, fake).mean())


def radii(features: Tensor, nearest: int) -> Tensor:
    """Distance of each row to its `nearest`-th neighbour among the others, (N,), N > 1."""
    nearest = min(nearest, len(features) - 1)
    # The nearest of all is the row itself.
    return torch.cdist(features, features).kthvalue(nearest + 1, dim=1).values


def precision_recall(real: Tensor, fake: Tensor, nearest: int = NEAREST) -> tuple[float, float]:
    """Share of fakes inside the real manifold, and of real ones inside the fakes'."""
    between = torch.cdist(real, fake)
    precision = (between <= radii(real, nearest)[:, None]).any(0).float().mean()
    recall = (between <= radii(fake, nearest)[None]).any(1).float().mean()
    return float(precision), float(recall)


def density_coverage(
    real: Tensor, fake: Tensor, nearest: int = NEAREST_DENSITY
) -> tuple[float, float]:
    """How many real balls a fake lies in (1 for equal sets), and the share of balls with a fake."""
    inside = torch.cdist(real, fake) <= radii(real, nearest)[:, None]
    density = inside.sum(0).float().mean() / nearest
    return float(density), float(inside.any(1).float().mean())


def diversity(features: Tensor) -> float:
    """Mean distance of all pairs."""
    return float(torch.pdist(features).mean())


def twins(features: Tensor) -> float:
    """Median distance to the nearest other row: near 0 where the same few come again and again."""
    return float(radii(features, 1).median())


def nearest_rows(features: Tensor, library: Tensor) -> tuple[Tensor, Tensor]:
    """Distance to and index of each row's nearest neighbour in a library, (N,) each."""
    distances, indices = torch.cdist(features, library).min(1)
    return distances, indices


def sharpness(pixels: Tensor) -> float:
    """Median energy of what changes from pixel to pixel, (B, 3, H, W)."""
    across = (pixels[..., 1:] - pixels[..., :-1]).square().flatten(1).mean(1)
    down = (pixels[..., 1:, :] - pixels[..., :-1, :]).square().flatten(1).mean(1)
    return float((across + down).median())
