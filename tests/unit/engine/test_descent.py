"""Rates, averages and Adam's direction, against torch's own optimiser and by hand."""

import pytest
import torch

from engine.descent import adam_direction, kept_of_average, rate_factor


@pytest.mark.parametrize("betas", [(0.9, 0.99), (0.0, 0.99)])
def test_adam_goes_where_torch_s_goes(betas):
    numbers = torch.Generator().manual_seed(0)
    x = torch.randn(5, generator=numbers)
    theirs = torch.nn.Parameter(x.clone())
    optimiser = torch.optim.Adam([theirs], 0.1, betas)
    mean, square = torch.zeros(5), torch.zeros(5)
    for step in range(1, 6):
        gradient = torch.randn(5, generator=numbers)
        theirs.grad = gradient.clone()
        optimiser.step()
        mean = torch.lerp(gradient, mean, betas[0])
        square = torch.lerp(gradient.square(), square, betas[1])
        x = x - 0.1 * adam_direction(mean, square, step, betas)
        assert torch.allclose(x, theirs.detach(), atol=1e-6)


def test_the_rate_warms_up_stays_and_falls():
    assert rate_factor(0.0, warm=0.25) == 0.25
    assert rate_factor(0.3, warm=7.0) == rate_factor(0.55, warm=1.0) == 1.0
    falling = [rate_factor(progress, warm=1.0) for progress in (0.6, 0.7, 0.8, 0.9, 1.0)]
    assert falling == sorted(falling, reverse=True)
    assert falling[-1] == pytest.approx(0.01)


def test_an_average_follows_quickly_at_first():
    assert kept_of_average(0.998, 0) == 0.1
    assert kept_of_average(0.998, 8) == 0.5
    assert kept_of_average(0.998, 10**6) == 0.998
