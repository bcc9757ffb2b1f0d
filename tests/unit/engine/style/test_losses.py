"""Each loss against its paper written out in NumPy, each gradient against differences."""

import numpy as np
import pytest
import torch

from engine.style import losses


@pytest.fixture
def features():
    return torch.randn(2, 3, 4, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


@pytest.fixture
def target():
    return torch.randn(2, 3, 4, 5, generator=torch.Generator().manual_seed(2), dtype=torch.float64)


def numpy_gram(picture):
    channels, height, width = picture.shape
    gram = np.zeros((channels, channels))
    for i in range(channels):
        for j in range(channels):
            gram[i, j] = sum(
                picture[i, y, x] * picture[j, y, x] for y in range(height) for x in range(width)
            ) / (height * width)
    return gram


def test_content_loss_is_the_mean_squared_difference(features, target):
    expected = [
        ((a - b) ** 2).mean() for a, b in zip(features.numpy(), target.numpy(), strict=True)
    ]
    assert losses.content_loss(features, target).numpy() == pytest.approx(expected)


def test_gram_matrix_is_the_sum_of_products_over_all_places(features):
    expected = np.stack([numpy_gram(picture) for picture in features.numpy()])
    assert losses.gram_matrix(features).numpy() == pytest.approx(expected, abs=1e-6)


def test_gram_matrix_does_not_overflow_in_half_precision():
    loud = torch.full((1, 2, 64, 64), 200.0, dtype=torch.float16)
    assert losses.gram_matrix(loud).isfinite().all()


def test_gram_loss_compares_entry_by_entry(features, target):
    loss = losses.gram_loss(losses.gram_matrix(features), losses.gram_matrix(target))
    expected = [
        ((numpy_gram(a) - numpy_gram(b)) ** 2).mean()
        for a, b in zip(features.numpy(), target.numpy(), strict=True)
    ]
    assert loss.numpy() == pytest.approx(expected, rel=1e-5)


def test_total_variation_counts_neighbours_down_and_right(features):
    expected = []
    for picture in features.numpy():
        down = np.mean([(picture[:, y + 1] - picture[:, y]) ** 2 for y in range(3)])
        right = np.mean([(picture[:, :, x + 1] - picture[:, :, x]) ** 2 for x in range(4)])
        expected.append(down + right)
    assert losses.total_variation_loss(features).numpy() == pytest.approx(expected)


def test_statistics_loss_compares_means_and_deviations(features, target):
    expected = []
    for a, b in zip(features.numpy(), target.numpy(), strict=True):
        means = ((a.mean((1, 2)) - b.mean((1, 2))) ** 2).mean()
        deviations = (a.var((1, 2)) + 1e-5) ** 0.5 - (b.var((1, 2)) + 1e-5) ** 0.5
        expected.append(means + (deviations**2).mean())
    loss = losses.statistics_loss(
        losses.channel_statistics(features), losses.channel_statistics(target)
    )
    assert loss.numpy() == pytest.approx(expected, rel=1e-5)


def test_sliced_wasserstein_loss_compares_sorted_projections(features, target):
    directions = losses.random_directions(3, 4, torch.Generator().manual_seed(0))
    expected = []
    for a, b in zip(features.numpy(), target.numpy(), strict=True):
        differences = []
        for direction in directions.numpy():
            left = np.sort(np.tensordot(direction, a, 1).ravel())
            right = np.sort(np.tensordot(direction, b, 1).ravel())
            differences.append((left - right) ** 2)
        expected.append(np.mean(differences))
    loss = losses.sliced_wasserstein_loss(features.float(), target.float(), directions)
    assert loss.numpy() == pytest.approx(expected, rel=1e-4)


def test_sliced_wasserstein_loss_takes_pictures_of_different_sizes(features):
    directions = losses.random_directions(3, 4, torch.Generator().manual_seed(0))
    larger = features.float().repeat_interleave(2, 2).repeat_interleave(2, 3)
    same = losses.sliced_wasserstein_loss(features.float(), larger, directions)
    other = losses.sliced_wasserstein_loss(features.float(), larger + 1, directions)
    assert (same < 0.05 * other).all()


def test_a_style_is_known_by_a_few_quantiles_of_its_features(features, target):
    directions = losses.random_directions(3, 4, torch.Generator().manual_seed(0))
    whole = losses.sliced_wasserstein_loss(features, target, directions)
    count = target.shape[2] * target.shape[3]
    kept = losses.projected_quantiles(target, directions, count)
    torch.testing.assert_close(losses.sliced_loss(features, kept, directions), whole)
    fewer = losses.projected_quantiles(target, directions, count // 2)
    assert fewer.shape == (2, 4, count // 2)
    assert (fewer.diff(dim=-1) >= 0).all()


@pytest.mark.parametrize("name", ["content", "gram", "variation", "statistics", "sliced"])
def test_gradients_agree_with_finite_differences(name, features, target):
    def loss(x):
        match name:
            case "content":
                return losses.content_loss(x, target)
            case "gram":
                return losses.gram_loss(losses.gram_matrix(x), losses.gram_matrix(target))
            case "variation":
                return losses.total_variation_loss(x)
            case "sliced":
                directions = losses.random_directions(3, 4, torch.Generator().manual_seed(0))
                return losses.sliced_wasserstein_loss(x, target, directions)
        return losses.statistics_loss(
            losses.channel_statistics(x), losses.channel_statistics(target)
        )

    x = features.clone().requires_grad_()
    assert torch.autograd.gradcheck(loss, (x,), eps=1e-6, atol=1e-5)


def test_a_row_has_the_loss_it_has_alone(features, target):
    both = losses.gram_loss(losses.gram_matrix(features), losses.gram_matrix(target))
    alone = losses.gram_loss(losses.gram_matrix(features[:1]), losses.gram_matrix(target[:1]))
    assert both[0] == alone[0]
