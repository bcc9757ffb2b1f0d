"""How many of 64 stacks of three digits a pair finds: R3GAN's losses against plain ones.

Made like the stacked MNIST of Metz et al. 2016, https://arxiv.org/abs/1611.02163, of drawn digits:
each channel shows one of four, and a sample is the stack whose digits it is nearest to.
"""

import pytest
import torch

from tests.unit.engine.gan.contest import layers, plain, r3gan, taught

DIGITS = (
    ("0110", "1001", "1001", "1001", "1001", "0110"),
    ("0010", "0110", "0010", "0010", "0010", "0111"),
    ("0110", "1001", "0001", "0010", "0100", "1111"),
    ("1001", "1001", "1111", "0001", "0001", "0001"),
)
SIDE, CHANNELS = 8, 3
STACKS = len(DIGITS) ** CHANNELS
STD = 0.1  # of each pixel about its digit's, which are 0 and 1
NEAR = 0.06  # mean squared error of a recognisable digit; real ones have STD squared, 0.01
STEPS, BATCH, WIDTH, LATENT = 2000, 128, 256, 32
SAMPLES, LEAST = 12_000, 3  # drawn to be counted; of a stack, for it to count as found
GAMMA = (2.0, 0.5)  # of R1 and R2, at the start and the end

pytestmark = [pytest.mark.long, pytest.mark.timeout(900), pytest.mark.usefixtures("one_thread")]


def drawn():
    """The digits, (4, SIDE^2)."""
    squares = torch.zeros(len(DIGITS), SIDE, SIDE)
    for square, rows in zip(squares, DIGITS, strict=True):
        square[1:7, 2:6] = torch.tensor([[float(dot) for dot in row] for row in rows])
    return squares.flatten(1)


def real(numbers):
    """Stacks about zero, (BATCH, CHANNELS * SIDE^2)."""
    shown = drawn()[torch.randint(len(DIGITS), (BATCH, CHANNELS), generator=numbers)]
    noisy = shown + STD * torch.randn(shown.shape, generator=numbers)
    return (2 * noisy - 1).flatten(1)


def noise(count, numbers):
    return torch.randn(count, LATENT, generator=numbers)


def stacks_found(samples):
    """How many stacks have samples whose digits are all recognisable."""
    pixels = (samples.view(-1, CHANNELS, 1, SIDE**2) + 1) / 2
    errors, digits = (pixels - drawn()).square().mean(3).min(2)
    places = torch.tensor([len(DIGITS) ** k for k in range(CHANNELS)])
    stacks = (digits * places).sum(1)[(errors < NEAR).all(1)]
    return int((torch.bincount(stacks, minlength=STACKS) >= LEAST).sum())


def found(recipe):
    """Stacks of the averaged generator after a run."""

    def pair():
        judge = torch.nn.Sequential(layers(CHANNELS * SIDE**2, 1, WIDTH), torch.nn.Flatten(0))
        return judge, layers(LATENT, CHANNELS * SIDE**2, WIDTH)

    budget = {"batch": BATCH, "steps": STEPS, "samples": SAMPLES}
    return stacks_found(taught(pair, recipe, real, noise, **budget))


def test_real_ones_are_all_found_and_a_grey_square_is_no_digit():
    numbers = torch.Generator().manual_seed(3)
    assert stacks_found(torch.cat([real(numbers) for _ in range(25)])) == STACKS
    assert stacks_found(torch.zeros(100, CHANNELS * SIDE**2)) == 0


def test_r3gan_finds_all_stacks_and_a_plain_pair_far_fewer():
    assert found(r3gan(GAMMA, rate=1e-3)) == STACKS
    assert found(plain()) < STACKS / 2
