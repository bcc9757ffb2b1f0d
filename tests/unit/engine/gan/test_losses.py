"""Losses and penalties of the pairs, against NumPy by hand and finite differences, in float64."""

import numpy as np
import pytest
import torch

from engine.gan import losses

RNG = np.random.default_rng(4)
REAL, FAKE = RNG.normal(size=(5, 3)), RNG.normal(size=(5, 3))
WIDE, NARROW = 0.7 * RNG.normal(size=(3, 4)), RNG.normal(size=4)
SHARES = RNG.uniform(size=5)


def tensor(values):
    return torch.tensor(values, dtype=torch.float64)


def judge(samples, wide=None):
    """tanh(x A) b: a judge whose gradient is known."""
    return torch.tanh(samples @ (tensor(WIDE) if wide is None else wide)) @ tensor(NARROW)


def scores(x, wide=WIDE):
    return np.tanh(x @ wide) @ NARROW


def gradients(x, wide=WIDE):
    """By hand: d/dx tanh(x A) b = ((1 - tanh^2) b) A^T."""
    return ((1 - np.tanh(x @ wide) ** 2) * NARROW) @ wide.T


def softplus(x):
    return np.log1p(np.exp(-np.abs(x))) + np.maximum(x, 0)


def r3gan_by_hand(wide, gamma):
    gaps = scores(REAL, wide) - scores(FAKE, wide)
    r1 = (gradients(REAL, wide) ** 2).sum(1).mean()
    r2 = (gradients(FAKE, wide) ** 2).sum(1).mean()
    return softplus(-gaps).mean() + gamma / 2 * (r1 + r2), gaps.mean(), r1, r2


def wgan_by_hand(wide, weight):
    between = REAL + SHARES[:, None] * (FAKE - REAL)
    norms = np.sqrt((gradients(between, wide) ** 2).sum(1))
    penalty = ((norms - 1) ** 2).mean()
    gap = scores(REAL, wide).mean() - scores(FAKE, wide).mean()
    return weight * penalty - gap, gap, penalty


def slopes(function, values, step=1e-6):
    """Central differences of a function of a matrix."""
    found = np.zeros_like(values)
    for place in np.ndindex(values.shape):
        high, low = values.copy(), values.copy()
        high[place] += step
        low[place] -= step
        found[place] = (function(high) - function(low)) / (2 * step)
    return found


def test_the_relativistic_loss_and_both_penalties_are_those_by_hand():
    verdict = losses.relativistic_verdict(judge, tensor(REAL), tensor(FAKE), gamma=0.8)
    loss, gap, r1, r2 = r3gan_by_hand(WIDE, 0.8)
    assert verdict.loss.item() == pytest.approx(loss, rel=1e-9)
    assert verdict.gap.item() == pytest.approx(gap, rel=1e-9)
    assert verdict.penalties["r1"].item() == pytest.approx(r1, rel=1e-9)
    assert verdict.penalties["r2"].item() == pytest.approx(r2, rel=1e-9)


def test_the_relativistic_loss_teaches_the_judge_by_its_true_gradient():
    wide = tensor(WIDE).requires_grad_()
    verdict = losses.relativistic_verdict(
        lambda samples: judge(samples, wide), tensor(REAL), tensor(FAKE), gamma=0.8
    )
    (found,) = torch.autograd.grad(verdict.loss, wide)
    expected = slopes(lambda values: r3gan_by_hand(values, 0.8)[0], WIDE)
    assert np.allclose(found.numpy(), expected, rtol=1e-5, atol=1e-7)


def test_wgan_gp_is_that_by_hand_and_so_is_its_gradient():
    wide = tensor(WIDE).requires_grad_()
    verdict = losses.wasserstein_verdict(
        lambda samples: judge(samples, wide), tensor(REAL), tensor(FAKE), 10.0, tensor(SHARES)
    )
    loss, gap, penalty = wgan_by_hand(WIDE, 10.0)
    assert verdict.loss.item() == pytest.approx(loss, rel=1e-9)
    assert verdict.gap.item() == pytest.approx(gap, rel=1e-9)
    assert verdict.penalties["gp"].item() == pytest.approx(penalty, rel=1e-9)
    (found,) = torch.autograd.grad(verdict.loss, wide)
    expected = slopes(lambda values: wgan_by_hand(values, 10.0)[0], WIDE)
    assert np.allclose(found.numpy(), expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(
    ("fool", "by_hand"),
    [
        (
            losses.relativistic_fooling,
            lambda fake: softplus(scores(REAL) - scores(fake)).mean(),
        ),
        (losses.wasserstein_fooling, lambda fake: -scores(fake).mean()),
        (losses.plain_fooling, lambda fake: softplus(-scores(fake)).mean()),
    ],
)
def test_a_generator_gets_the_true_gradient_of_its_loss(fool, by_hand):
    fake = tensor(FAKE).requires_grad_()
    loss = fool(judge, tensor(REAL), fake)
    assert loss.item() == pytest.approx(by_hand(FAKE), rel=1e-9)
    (found,) = torch.autograd.grad(loss, fake)
    assert np.allclose(found.numpy(), slopes(by_hand, FAKE), rtol=1e-5, atol=1e-7)


def test_the_plain_loss_judges_each_sample_alone():
    verdict = losses.plain_verdict(judge, tensor(REAL), tensor(FAKE))
    expected = softplus(-scores(REAL)).mean() + softplus(scores(FAKE)).mean()
    assert verdict.loss.item() == pytest.approx(expected, rel=1e-9)
    assert verdict.penalties == {}


def test_no_gradient_reaches_the_generator_through_the_judges_loss():
    fake = tensor(FAKE).requires_grad_()
    wide = tensor(WIDE).requires_grad_()
    verdict = losses.relativistic_verdict(
        lambda samples: judge(samples, wide), tensor(REAL), fake, 0.5
    )
    verdict.loss.backward()
    assert fake.grad is None


def test_real_and_drawn_samples_come_apart_to_a_judge_that_compares_them():
    seen = []

    def judge(samples):
        seen.append(len(samples))
        return samples.flatten(1).sum(1) - samples.mean()

    real = torch.randn(4, 2, generator=torch.Generator().manual_seed(0))
    fake = torch.randn(4, 2, generator=torch.Generator().manual_seed(1))
    together = losses.relativistic_verdict(losses.apart(judge, 4), real, fake, 0.5)
    assert seen == [4, 4]
    gaps = (real.sum(1) - real.mean()) - (fake.sum(1) - fake.mean())
    assert float(together.gap) == pytest.approx(float(gaps.mean()), abs=1e-6)
