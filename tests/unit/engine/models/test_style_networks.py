"""The style networks as the worker uses them, on small random weights read from real files."""

import pytest
import torch
from safetensors.torch import save_file

from engine.calls import (
    ContentFeatures,
    DescribeStyle,
    NetworkRef,
    Restyle,
    StyleCode,
    StyleGradient,
    StylePreset,
)
from engine.errors import ModelUnavailable, Unsupported
from engine.models.families import style as family
from engine.networks.style import StyleConfig, StyleTransfer
from engine.networks.weights import save_network

STYLE = NetworkRef("style")


def pixels(seed, *shape):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def folder(tmp_path):
    torch.manual_seed(6)
    network = StyleTransfer(StyleConfig(widths=(4, 6, 8, 8)))
    save_network(tmp_path, "style", network)
    return tmp_path


@pytest.fixture
def networks(folder):
    found = family.StyleNetworks(torch.device("cpu"), folder=folder)
    (style,) = found.execute([DescribeStyle(STYLE, pixels(9, 1, 3, 40, 40))])
    save_file(family.preset_tensors("waves", style), folder / family.PRESETS)
    return found


def test_calls_that_share_a_pass_get_what_they_get_alone(networks):
    calls = []
    for seed, rows in ((1, 1), (2, 2)):
        own, code = (
            networks.execute([StyleCode(STYLE, pixels(seed + k, rows, 3, 32, 32))])[0]
            for k in (0, 10)
        )
        calls.append(
            Restyle(STYLE, pixels(seed, rows, 3, 32, 32), code, torch.full((rows,), 0.6), own)
        )
    together = networks.execute(calls)
    for call, shared in zip(calls, together, strict=True):
        assert shared.shape == call.pixels.shape
        assert torch.allclose(shared, networks.execute([call])[0], atol=1e-5)


def test_the_gradient_is_that_of_the_loss_and_each_rows_own(networks):
    x, content = pixels(1, 2, 3, 16, 16), pixels(2, 2, 3, 16, 16)
    (features,) = networks.execute([ContentFeatures(STYLE, content)])
    styles = [networks.execute([DescribeStyle(STYLE, pixels(s, 1, 3, 24, 24))])[0] for s in (3, 4)]
    grams = tuple(torch.cat(pair) for pair in zip(*(s.grams for s in styles), strict=True))
    whole = StyleGradient(STYLE, x, features, grams, torch.tensor([1.0, 5.0]))
    (loss, gradient) = networks.execute([whole])[0]
    step = 1e-2 * gradient / gradient.flatten(1).norm(dim=1)[:, None, None, None]
    (nearer, _) = networks.execute(
        [StyleGradient(STYLE, x - step, features, grams, torch.tensor([1.0, 5.0]))]
    )[0]
    (further, _) = networks.execute(
        [StyleGradient(STYLE, x + step, features, grams, torch.tensor([1.0, 5.0]))]
    )[0]
    slope = 1e-2 * gradient.flatten(1).norm(dim=1)
    assert torch.allclose((further - nearer) / 2, slope, rtol=0.05)
    alone = StyleGradient(
        STYLE, x[:1], features[:1], tuple(g[:1] for g in grams), torch.tensor([1.0])
    )
    assert torch.allclose(networks.execute([alone])[0][1], gradient[:1], atol=1e-6)
    assert loss.shape == (2,)


def test_a_preset_comes_back_as_it_was_stored(networks):
    (stored,) = networks.execute([StylePreset(STYLE, "waves")])
    (again,) = networks.execute([DescribeStyle(STYLE, pixels(9, 1, 3, 40, 40))])
    assert torch.allclose(stored.code, again.code, rtol=2e-3, atol=1e-3)
    assert torch.allclose(stored.grams[2], again.grams[2], rtol=2e-3, atol=1e-3)
    assert networks.preset_names() == ("waves",)


def test_an_unknown_preset_is_answered_with_the_known_ones(networks):
    with pytest.raises(Unsupported, match="choose from waves"):
        networks.execute([StylePreset(STYLE, "cubism")])


def test_vgg19_without_weights_says_so(networks):
    with pytest.raises(Unsupported, match="no weights of VGG-19"):
        networks.execute([DescribeStyle(NetworkRef("vgg19"), pixels(1, 1, 3, 32, 32))])


def test_a_broken_weights_file_is_named(folder):
    (folder / family.WEIGHTS).write_bytes(b"nonsense")
    broken = family.StyleNetworks(torch.device("cpu"), folder=folder)
    with pytest.raises(ModelUnavailable, match="missing or broken"):
        broken.execute([StyleCode(STYLE, pixels(1, 1, 3, 32, 32))])
