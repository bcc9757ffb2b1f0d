"""What a prompt leaves open: decided by a seed, in the shares that scenes are drawn in."""

from collections import Counter

import numpy as np
import pytest
import torch

from engine.diffusion.unsaid import (
    CHANCES,
    CODES,
    GROUNDS,
    MIRRORED,
    STRAIGHT,
    code_of_seed,
    unsaid_of,
)

MANY = [unsaid_of(row) for row in np.random.default_rng(0).random((4000, CHANCES)).tolist()]


def test_a_seed_decides_the_same_again_and_another_seed_something_else():
    assert torch.equal(code_of_seed(7), code_of_seed(7))
    assert not torch.equal(code_of_seed(7), code_of_seed(8))
    assert code_of_seed(7).shape == (CODES,)


def test_choices_come_as_often_as_they_are_weighed():
    assert np.mean([it.is_mirrored for it in MANY]) == pytest.approx(MIRRORED, abs=0.03)
    assert np.mean([it.turn == 0 for it in MANY]) == pytest.approx(STRAIGHT, abs=0.03)
    grounds = Counter(it.ground for it in MANY)
    total = sum(share for *_, share in GROUNDS)
    for number, (*_, share) in enumerate(GROUNDS):
        assert grounds[number] / len(MANY) == pytest.approx(share / total, abs=0.02)
    for values in zip(*((it.x, it.y, it.size) for it in MANY), strict=True):
        assert min(values) >= -1
        assert max(values) <= 1
        assert np.mean(values) == pytest.approx(0, abs=0.05)


@pytest.mark.parametrize("count", [1, 2, 3, 4, 9])
def test_each_of_several_drawings_is_chosen_as_often(count):
    chosen = Counter(it.of_drawings(count) for it in MANY)
    assert set(chosen) == set(range(count))
    assert max(chosen.values()) < 1.35 * min(chosen.values())


def test_the_extremes_of_chance_choose_something():
    for value in (0.0, np.nextafter(1.0, 0)):
        it = unsaid_of([float(value)] * CHANCES)
        assert 0 <= it.ground < len(GROUNDS)
        assert it.of_drawings(3) in {0, 2}
        assert it.code().abs().max() <= 1


def test_a_network_is_told_which_drawing_and_ground_are_meant():
    one, other = (unsaid_of([0.9, 0.5, 0.5, 0.5, 0, drawing, 0.2]) for drawing in (0.4, 0.6))
    assert one.of_drawings(2) != other.of_drawings(2)
    assert (one.code() - other.code()).abs().max() == 2  # plain to see
    assert one.code()[-len(GROUNDS) :].sum() == 1
