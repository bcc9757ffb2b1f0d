"""The noise of each image: drawn on the CPU by a generator of its own.

Image i of a request is made by `seed + i` alone, in whatever batch it runs: its generator gives
first the starting noise, then the noise of each step.
"""

import hashlib
from collections.abc import Sequence

import torch
from torch import Generator, Tensor


class ImageNoise:
    """Unit noise for the images of one request, each row from its own generator."""

    def __init__(self, seeds: Sequence[int], shape: tuple[int, ...]) -> None:
        self._generators = [generator_of(seed) for seed in seeds]
        self._shape = shape  # of one image, (C, h, w)

    def draw(self) -> Tensor:
        """Return the next noise of every image, (B, C, h, w) on the CPU."""
        return torch.stack([torch.randn(self._shape, generator=g) for g in self._generators])


def generator_of(seed: int, purpose: str = "") -> Generator:
    """Return a fresh CPU generator; those of other purposes never shift the noise of the seed."""
    if purpose:
        # torch's CPU generator reads the lower 32 bits of a seed only.
        digest = hashlib.blake2b(f"{purpose} {seed}".encode(), digest_size=4).digest()
        seed = int.from_bytes(digest, "big")
    return Generator("cpu").manual_seed(seed)


def mixed_noise(noise: Tensor, other: Tensor, strength: float) -> Tensor:
    """Return noise of unit variance between two, row by row: 0 is `noise`, 1 is `other`.

    Shoemake 1985, "Animating Rotation with Quaternion Curves": along the great circle, as almost
    all of a Gaussian's mass lies near a sphere.
    """
    a, b = noise.flatten(1), other.flatten(1)
    cosine = (a * b).sum(1) / (a.norm(dim=1) * b.norm(dim=1))
    angle = cosine.clamp(-1, 1).acos().unsqueeze(1)
    mixed = (torch.sin((1 - strength) * angle) * a + torch.sin(strength * angle) * b) / angle.sin()
    straight = (1 - strength) * a + strength * b
    # Nearly parallel rows have no great circle to speak of.
    return torch.where(angle.sin() > 1e-4, mixed, straight).view_as(noise)
