"""Low-rank changes: nothing at first, trainable alone, stored and merged again."""

import pytest
import torch
from torch import nn

from engine.networks.lora import add_lora, load_lora, lora_of, merge_lora
from engine.networks.weights import read_network, save_changes


def network() -> nn.Sequential:
    generator = torch.Generator().manual_seed(2)
    layers = nn.Sequential(nn.Conv2d(12, 16, 3), nn.SiLU(), nn.Flatten(), nn.Linear(64, 16))
    for parameter in layers.parameters():
        parameter.data.copy_(0.2 * torch.randn(parameter.shape, generator=generator))
    return layers


def stirred(changed: nn.Module) -> nn.Module:
    generator = torch.Generator().manual_seed(3)
    for parameter in changed.parameters():
        if parameter.requires_grad:
            parameter.data.copy_(0.3 * torch.randn(parameter.shape, generator=generator))
    return changed


X = torch.randn(2, 12, 4, 4, generator=torch.Generator().manual_seed(1))


def test_a_new_change_changes_nothing():
    plain, changed = network(), network()
    add_lora(changed, 4)
    torch.testing.assert_close(changed(X), plain(X))


def test_only_the_change_learns():
    changed = network()
    add_lora(changed, 4)
    changed(X).square().sum().backward()
    learning = {name for name, p in changed.named_parameters() if p.grad is not None}
    assert learning
    assert all(name.endswith((".up", ".down")) for name in learning)


def test_layers_too_thin_for_the_rank_stay_as_they_are():
    changed = network()
    add_lora(changed, 8)
    assert {key.split(".")[0] for key in lora_of(changed)} == {"0", "3"}
    thin = network()
    add_lora(thin, 9)
    assert not lora_of(thin)


def test_a_stored_change_merges_into_plain_weights(tmp_path):
    changed = network()
    add_lora(changed, 4)
    stirred(changed)
    (path,) = save_changes(tmp_path, "change", lora_of(changed))
    _, stored = read_network(tmp_path, "change")
    merged = network()
    merge_lora(merged, stored)
    assert path.stat().st_size < 6000
    torch.testing.assert_close(merged(X), changed(X), rtol=2e-3, atol=2e-3)


def test_a_stored_change_is_learnt_on_from(tmp_path):
    changed, going_on = network(), network()
    for learning in (changed, going_on):
        add_lora(learning, 4)
    stirred(changed)
    save_changes(tmp_path, "change", lora_of(changed))
    _, stored = read_network(tmp_path, "change")
    load_lora(going_on, stored)
    torch.testing.assert_close(going_on(X), changed(X), rtol=2e-3, atol=2e-3)
    going_on(X).square().sum().backward()
    assert any(parameter.grad is not None for parameter in going_on.parameters())
    with pytest.raises(KeyError):
        load_lora(going_on, {"7.down": stored["3.down"]})


def test_a_change_of_another_network_is_refused():
    changed = network()
    add_lora(changed, 4)
    other = nn.Sequential(nn.Conv2d(12, 8, 3))
    with pytest.raises((KeyError, RuntimeError)):
        merge_lora(other, lora_of(changed))
