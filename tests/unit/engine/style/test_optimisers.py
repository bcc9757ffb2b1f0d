"""The descents against plain loops of their papers, on a bowl and on a real style loss."""

import pytest
import torch

from engine.networks.style import StyleConfig, StyleEncoder
from engine.style import losses, optimisers


def run(descent, loss_of):
    """Drive a descent to its end; return the picture and the losses it met."""
    met = []
    x = next(descent)
    while True:
        leaf = x.detach().clone().requires_grad_()
        loss = loss_of(leaf)
        (gradient,) = torch.autograd.grad(loss, leaf)
        met.append(float(loss.detach()))
        try:
            x = descent.send((float(loss.detach()), gradient))
        except StopIteration as end:
            return end.value, met


def bowl(centre, curvature):
    return lambda x: (curvature * (x - centre).square()).sum()


@pytest.fixture
def style_loss():
    """Gatys' loss on the features of a small random network."""
    torch.manual_seed(4)
    encoder = StyleEncoder(StyleConfig(widths=(8, 12, 16, 16))).requires_grad_(requires_grad=False)
    generator = torch.Generator().manual_seed(5)
    content = torch.rand(1, 3, 32, 32, generator=generator)
    style = torch.rand(1, 3, 32, 32, generator=generator) * 0.3
    wanted = [losses.gram_matrix(level) for level in encoder(style)]
    kept = encoder(content)[-1]

    def loss_of(x):
        levels = encoder(x)
        total = losses.content_loss(levels[-1], kept).sum() / kept.square().mean()
        for level, gram in zip(levels, wanted, strict=True):
            total = total + (losses.gram_loss(losses.gram_matrix(level), gram)).sum() / (
                gram.square().mean()
            )
        return total

    return loss_of, content


def plain_gradient_descent(x, loss_of, iterations):
    """The best of three rates, each a step against the gradient."""
    met = []
    for rate in (0.003, 0.01, 0.03):
        y = x
        for _ in range(iterations):
            leaf = y.clone().requires_grad_()
            loss = loss_of(leaf)
            (gradient,) = torch.autograd.grad(loss, leaf)
            met.append(float(loss.detach()))
            y = (y - rate * gradient / gradient.abs().mean()).clamp(0, 1)
    return min(met)


def gradient_of(x, loss_of):
    leaf = x.clone().requires_grad_()
    loss = loss_of(leaf)
    (gradient,) = torch.autograd.grad(loss, leaf)
    return float(loss.detach()), gradient


def adam_of_the_paper(x, loss_of, iterations):
    """Kingma and Ba 2014, Algorithm 1, with its memories; the better of two usual rates."""
    met = []
    for rate in (0.02, 0.05):
        theta, m, v = x, torch.zeros_like(x), torch.zeros_like(x)
        for t in range(1, iterations + 1):
            loss, g = gradient_of(theta, loss_of)
            met.append(loss)
            m = 0.9 * m + 0.1 * g
            v = 0.999 * v + 0.001 * g**2
            m_hat, v_hat = m / (1 - 0.9**t), v / (1 - 0.999**t)
            theta = theta - rate * m_hat / (v_hat.sqrt() + 1e-8)
    return min(met)


def lbfgs_of_the_book(x, loss_of, iterations):
    """Nocedal and Wright 2006, Algorithms 7.5, 7.4 and 3.1 (backtracking); m is 10.

    Each loss counts as an iteration, also those that a search for a step's length takes.
    """
    s_list, y_list, met = [], [], []
    loss, g = gradient_of(x, loss_of)
    met.append(loss)
    while len(met) < iterations:
        q, alphas = g, []
        for s, y in zip(s_list[::-1], y_list[::-1], strict=True):
            alphas.append((s * q).sum() / (s * y).sum())
            q = q - alphas[-1] * y
        gamma = (s_list[-1] * y_list[-1]).sum() / y_list[-1].square().sum() if s_list else 1.0
        r = gamma * q
        for s, y, a in zip(s_list, y_list, alphas[::-1], strict=True):
            r = r + s * (a - (y * r).sum() / (s * y).sum())
        p = -r
        step = 1.0 if s_list else 0.02 / float(g.abs().mean())
        while len(met) < iterations:
            x_next = x + step * p
            loss_next, g_next = gradient_of(x_next, loss_of)
            met.append(loss_next)
            if loss_next <= loss + 1e-4 * step * float((g * p).sum()):
                break
            step /= 2
        s, y = x_next - x, g_next - g
        if float((s * y).sum()) > 0:
            s_list, y_list = [*s_list, s][-10:], [*y_list, y][-10:]
        x, loss, g = x_next, loss_next, g_next
    return min(met)


@pytest.mark.parametrize("optimiser", [optimisers.adam, optimisers.lbfgs])
def test_a_bowl_is_descended_to_its_bottom(optimiser):
    generator = torch.Generator().manual_seed(1)
    centre = 0.2 + 0.6 * torch.rand(1, 3, 8, 8, generator=generator)
    curvature = 1 + 50 * torch.rand(1, 3, 8, 8, generator=generator)
    found, met = run(optimiser(torch.full_like(centre, 0.5), 200), bowl(centre, curvature))
    assert len(met) <= 200
    assert (found - centre).abs().max() < 0.02


def test_lbfgs_needs_fewer_losses_than_adam_for_the_same_depth():
    generator = torch.Generator().manual_seed(1)
    centre = 0.2 + 0.6 * torch.rand(1, 3, 8, 8, generator=generator)
    loss_of = bowl(centre, 1 + 50 * torch.rand(1, 3, 8, 8, generator=generator))
    start = torch.full_like(centre, 0.5)
    deep = 1e-4 * run(optimisers.lbfgs(start, 1), loss_of)[1][0]

    def losses_until_deep(optimiser):
        met = run(optimiser(start, 200), loss_of)[1]
        return next((i for i, loss in enumerate(met) if loss < deep), 999)

    assert losses_until_deep(optimisers.lbfgs) < losses_until_deep(optimisers.adam)


@pytest.mark.parametrize(
    ("optimiser", "reference"),
    [
        (optimisers.adam, adam_of_the_paper),
        (optimisers.lbfgs, lbfgs_of_the_book),
        (optimisers.lbfgs, plain_gradient_descent),
    ],
)
def test_a_style_loss_falls_at_least_as_low_as_a_plain_loop_in_no_more_iterations(
    optimiser, reference, style_loss
):
    loss_of, content = style_loss
    _, met = run(optimiser(content, 60), loss_of)
    assert len(met) <= 60
    assert min(met) <= reference(content, loss_of, 60)


@pytest.mark.parametrize("optimiser", [optimisers.adam, optimisers.lbfgs])
def test_the_best_picture_is_returned_and_not_the_last(optimiser, style_loss):
    loss_of, content = style_loss
    found, met = run(optimiser(content, 25), loss_of)
    assert float(loss_of(found)) == pytest.approx(min(met), rel=1e-4)


def test_losses_that_no_longer_fall_end_the_descent_early():
    calls = []

    def flat(x):
        calls.append(1)
        return (x * 0).sum() + 3.0

    run(optimisers.adam(torch.full((1, 3, 8, 8), 0.5), 500), flat)
    assert len(calls) == optimisers.SETTLED_OVER + 1


def test_pictures_stay_pictures():
    found, _ = run(optimisers.adam(torch.full((1, 3, 8, 8), 0.9), 40), lambda x: -(x.sum()))
    assert found.max() <= 1
    assert found.min() >= 0
