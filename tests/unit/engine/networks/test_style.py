import pytest
import torch
from torch import nn
from torch.nn import functional

from engine.networks.style import StyleConfig, StyleTransfer, adapt, doubled_by, statistics

CONFIG = StyleConfig(widths=(4, 6, 8, 8))


@pytest.fixture
def network():
    torch.manual_seed(2)
    return StyleTransfer(CONFIG).eval().requires_grad_(requires_grad=False)


def pixels(seed, *shape):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def test_adapted_features_have_the_wanted_statistics():
    features, code = torch.randn(2, 3, 16, 16), torch.rand(2, 6) + 0.5
    assert torch.allclose(statistics(adapt(features, code)), code, atol=1e-3)


def test_a_flat_channel_takes_the_wanted_mean_even_in_half_precision():
    features = torch.full((1, 2, 8, 8), 3.1).bfloat16()
    found = adapt(features, torch.tensor([[0.5, 2.0, 1.0, 1.0]]))
    assert torch.allclose(found.float().mean((2, 3)), torch.tensor([[0.5, 2.0]]), atol=0.01)


@pytest.mark.parametrize("shape", [(2, 4, 3, 5), (1, 4, 1, 1)])
def test_a_convolution_of_a_doubled_picture_is_computed_on_the_small_one(shape):
    torch.manual_seed(3)
    convolution = nn.Conv2d(4, 6, 3, padding=1, padding_mode="reflect")
    x = torch.randn(shape)
    plain = convolution(functional.interpolate(x, scale_factor=2, mode="nearest"))
    assert torch.allclose(doubled_by(x, convolution), plain, atol=1e-5)


def test_strength_nought_gives_what_the_own_code_gives(network):
    content = pixels(1, 1, 3, 32, 32)
    own, other = (
        network.encoder.style_code(content),
        network.encoder.style_code(pixels(2, 1, 3, 32, 32)),
    )
    kept = network(content, other, torch.zeros(1))
    assert torch.allclose(kept, network(content, own, torch.ones(1)), atol=1e-5)
    assert not torch.allclose(kept, network(content, other, torch.ones(1)), atol=1e-3)


def test_rows_do_not_influence_each_other(network):
    content, strength = pixels(1, 3, 3, 32, 40), torch.tensor([0.2, 0.7, 1.0])
    codes = network.encoder.style_code(pixels(2, 3, 3, 24, 24))
    together = network(content, codes, strength)
    for row in range(3):
        alone = network(content[row : row + 1], codes[row : row + 1], strength[row : row + 1])
        assert torch.allclose(together[row : row + 1], alone, atol=1e-5)


def test_a_tile_with_the_whole_pictures_statistics_is_a_cut_of_the_whole(network):
    content = pixels(3, 1, 3, 256, 256)
    code = network.encoder.style_code(pixels(4, 1, 3, 32, 32))
    own, full = network.encoder.style_code(content), torch.ones(1)
    whole = network(content, code, full, own)
    tile = network(content[:, :, :, :192], code, full, own)
    seen = 56  # how far the networks look
    assert torch.allclose(whole[..., : 192 - seen], tile[..., : 192 - seen], atol=1e-4)


@pytest.mark.parametrize("size", [(16, 16), (32, 48), (64, 32)])
def test_pixels_keep_their_size(network, size):
    content = pixels(5, 1, 3, *size)
    code = network.encoder.style_code(content)
    assert network(content, code, torch.ones(1)).shape == content.shape
