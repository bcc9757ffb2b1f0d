"""How many of 8 x 8 Gaussians a pair finds: R3GAN's losses against plain ones, all else equal."""

import math

import pytest
import torch
from torch import nn

from tests.unit.engine.gan.contest import layers, plain, r3gan, taught

GRID, STD = 8, 0.1  # modes on a side; their deviation in distances between neighbours
SPREAD = math.sqrt((GRID**2 - 1) / 12)  # of the grid, by which samples get unit variance
WAVES = (0.29, 0.57, 1.15, 2.29, 4.58)  # half waves per unit; the last: one per distance
STEPS, BATCH, WIDTH = 4000, 256, 128
SAMPLES, LEAST = 6400, 5  # drawn to be counted; of a mode, for it to count as found
UNIFORM = 1.732  # half the width of a uniform distribution of unit variance
GAMMA = (0.02, 0.0005)  # of R1 and R2, at the start and the end

pytestmark = [pytest.mark.long, pytest.mark.timeout(900), pytest.mark.usefixtures("one_thread")]


class Judge(nn.Module):
    """Sees places and their waves; Tancik et al. 2020, https://arxiv.org/abs/2006.10739."""

    def __init__(self):
        super().__init__()
        self.layers = layers(2 + 4 * len(WAVES), 1, WIDTH)
        self.register_buffer("waves", torch.tensor(WAVES))

    def forward(self, places):
        angles = math.pi * places[:, :, None] * self.waves
        seen = [places, angles.sin().flatten(1), angles.cos().flatten(1)]
        return self.layers(torch.cat(seen, dim=1))[:, 0]


def real(numbers):
    """Samples of the grid, (BATCH, 2)."""
    places = torch.randint(GRID, (BATCH, 2), generator=numbers) - (GRID - 1) / 2
    return (places + STD * torch.randn(BATCH, 2, generator=numbers)) / SPREAD


def noise(count, numbers):
    return UNIFORM * (2 * torch.rand(count, 2, generator=numbers) - 1)


def modes_found(samples):
    """How many modes have samples within three deviations."""
    places = samples * SPREAD + (GRID - 1) / 2
    nearest = places.round()
    is_near = (places - nearest).abs().amax(1) < 3 * STD
    is_inside = (nearest >= 0).all(1) & (nearest < GRID).all(1)
    found = nearest[is_near & is_inside].long()
    counts = torch.bincount(found[:, 0] * GRID + found[:, 1], minlength=GRID**2)
    return int((counts >= LEAST).sum())


def found(recipe):
    """Modes of the averaged generator after a run."""

    def pair():
        return Judge(), layers(2, 2, WIDTH)

    budget = {"batch": BATCH, "steps": STEPS, "samples": SAMPLES}
    return modes_found(taught(pair, recipe, real, noise, **budget))


def test_the_grid_itself_has_all_modes_and_one_spot_has_one():
    numbers = torch.Generator().manual_seed(3)
    assert modes_found(torch.cat([real(numbers) for _ in range(25)])) == GRID**2
    assert modes_found(real(numbers)[:1].expand(SAMPLES, 2)) == 1


def test_r3gan_finds_the_modes_and_a_plain_pair_does_not():
    assert found(r3gan(GAMMA, rate=2e-3)) == GRID**2
    assert found(plain()) < GRID**2 / 2
