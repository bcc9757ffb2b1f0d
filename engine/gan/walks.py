"""Ways between points of a latent space.

Shoemake 1985, "Animating rotation with quaternion curves" (spherical interpolation)
Karras et al. 2019, https://arxiv.org/abs/1812.04948 (truncation)
"""

import torch
from torch import Tensor

_NEARLY_PARALLEL = 1e-4  # radians, from 0 or from half a turn


def spherical(a: Tensor, b: Tensor, t: Tensor) -> Tensor:
    """Points between two noise vectors (D,) at t (T,) in 0..1, (T, D), by the great circle.

    Direction and length are interpolated apart, so that every point is as long as noise should be.
    Where no great circle is nearer than others (parallel or opposite vectors) the line is taken.
    """
    length_a, length_b = a.norm().clamp_min(1e-12), b.norm().clamp_min(1e-12)
    u, v = a / length_a, b / length_b
    angle = torch.arccos((u @ v).clamp(-1, 1))
    t = t[:, None]
    if angle < _NEARLY_PARALLEL or torch.pi - angle < _NEARLY_PARALLEL:
        return torch.lerp(a, b, t)
    direction = (torch.sin((1 - t) * angle) * u + torch.sin(t * angle) * v) / torch.sin(angle)
    points: Tensor = direction * torch.lerp(length_a, length_b, t)
    return points


def truncated(w: Tensor, mean: Tensor, psi: float) -> Tensor:
    """Draw w (B, D) towards its look's mean (B, D): psi 1 leaves it, 0 gives the mean itself.

    Karras et al. 2019, section 3 and appendix B.
    """
    return torch.lerp(mean, w, psi)


def near(z: Tensor, noise: Tensor, distance: float) -> Tensor:
    """Turn noise z (B, Z) by `distance` (0 stays, 1 forgets it) towards other noise (B, Z).

    The result is standard normal noise again, as the squares of the shares sum to one.
    """
    share: float = (1 - distance**2) ** 0.5
    return share * z + distance * noise
