"""Weights between two ends: the best of those that are tried are kept."""

import pytest
import torch
from torch import nn

from engine.training.soup import WAYS, between, brought_to_the_best


@pytest.mark.parametrize(("best", "kept"), [(0.55, 0.6), (0.1, min(WAYS)), (3.0, 1.0)])
def test_the_weights_of_least_loss_are_kept(best, kept):
    network = nn.Linear(1, 1, bias=False)
    start, end = ({"weight": torch.full((1, 1), value)} for value in (2.0, 4.0))
    wanted = 2 + best * 2

    def loss(tried):
        return float((tried.weight - wanted).square())

    assert brought_to_the_best(network, start, end, loss) == kept
    assert network.weight.item() == pytest.approx(2 + kept * 2)


def test_both_ends_are_on_the_way():
    start, end = {"a": torch.zeros(3)}, {"a": torch.ones(3)}
    assert torch.equal(between(start, end, 0)["a"], start["a"])
    assert torch.equal(between(start, end, 1)["a"], end["a"])
