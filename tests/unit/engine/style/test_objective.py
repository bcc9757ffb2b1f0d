"""The loss of a decoder in training: each part by the size of its target."""

import numpy as np
import pytest
import torch

from engine.style.losses import channel_statistics, gram_matrix
from engine.style.objective import LEAST_SIZE, Weights, restyling_loss

SHAPE = (2, 3, 4, 4)


def features(seed: int) -> torch.Tensor:
    return torch.rand(SHAPE, generator=torch.Generator().manual_seed(seed))


def code_of(level: torch.Tensor) -> torch.Tensor:
    return torch.cat(channel_statistics(level), dim=1)


def only(**weights: float) -> Weights:
    nothing = dict.fromkeys(("content", "statistics", "gram", "variation", "overflow"), 0.0)
    return Weights(**nothing | weights)


def test_content_counts_by_the_size_of_what_is_wanted():
    found, wanted, style = features(1), features(2), features(3)
    targets = [code_of(style)], [gram_matrix(style)]
    loss = restyling_loss(found, [found], wanted, *targets, only(content=2.0))
    error = ((found - wanted).numpy() ** 2).mean((1, 2, 3))
    size = (wanted.numpy() ** 2).mean((1, 2, 3))
    assert float(loss) == pytest.approx(2 * np.mean(error / size), rel=1e-5)


def test_the_style_counts_by_means_deviations_and_correlations():
    found, style = features(1), features(3)
    code, gram = code_of(style), gram_matrix(style)
    of_statistics, of_gram = (
        restyling_loss(found, [found], found, [code], [gram], only(**{part: 1.0}))
        for part in ("statistics", "gram")
    )
    flat = found.flatten(2).numpy()
    correlations = flat @ flat.transpose(0, 2, 1) / flat.shape[2]
    error = ((correlations - gram.numpy()) ** 2).mean((1, 2))
    size = (gram.numpy() ** 2).mean((1, 2))
    assert float(of_gram) == pytest.approx(np.mean(error / size), rel=1e-4)
    assert float(of_statistics) > 0
    same = restyling_loss(style, [style], style, [code], [gram], only(statistics=1.0, gram=1.0))
    assert float(same) == pytest.approx(0, abs=1e-8)


def test_a_flat_picture_does_not_outweigh_its_batch():
    found, wanted = features(1), features(2)
    wanted[1] = 1e-4
    targets = [code_of(wanted)], [gram_matrix(wanted)]
    loss = restyling_loss(found, [found], wanted, *targets, only(content=1.0))
    error = ((found - wanted).numpy() ** 2).mean((1, 2, 3))
    size = (wanted.numpy() ** 2).mean((1, 2, 3))
    least = LEAST_SIZE * size.mean()
    assert size[1] < least
    assert float(loss) == pytest.approx((error[0] / size[0] + error[1] / least) / 2, rel=1e-3)


def test_pixels_outside_of_the_range_count_by_how_far_they_are():
    level = features(1)
    pixels = torch.full((1, 3, 4, 4), 1.5)
    targets = [code_of(level)], [gram_matrix(level)]
    loss = restyling_loss(pixels, [level], level, *targets, only(overflow=4.0))
    assert float(loss) == pytest.approx(2.0)
