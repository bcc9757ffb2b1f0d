"""What the doctor says of the weights of VGG-19, which it does not load."""

import json

import pytest
import torch

from engine.config import EngineConfig
from engine.models.inspection import vgg19_problems
from engine.networks.vgg_layers import shapes


def header(path, entries):
    """A safetensors file of which only what comes first is written out; the rest is a hole."""
    parts, at = {}, 0
    for key, shape in entries.items():
        size = 4 * torch.Size(shape).numel()
        parts[key] = {"dtype": "F32", "shape": list(shape), "data_offsets": [at, at + size]}
        at += size
    data = json.dumps(parts).encode()
    with path.open("wb") as file:
        file.write(len(data).to_bytes(8, "little") + data)
        file.truncate(8 + len(data) + at)
    return vgg19_problems(EngineConfig(vgg19_file=path))


def test_whole_weights_are_fine(tmp_path):
    assert header(tmp_path / "vgg19.safetensors", shapes()) == []


def test_weights_of_another_network_are_named_by_what_they_lack(tmp_path):
    [problem] = header(tmp_path / "other.safetensors", {"conv.weight": (4, 3, 3, 3)})
    assert "lacks features.0.weight" in problem


def test_weights_of_another_shape_are_named(tmp_path):
    entries = shapes() | {"features.34.bias": (8,)}
    [problem] = header(tmp_path / "thin.safetensors", entries)
    assert "features.34.bias" in problem


@pytest.mark.parametrize("data", [b"", b"abc", b"<html>", b"PK\x03\x04 and no more"])
def test_what_is_no_state_dict_is_told(tmp_path, data):
    (tmp_path / "vgg19.pth").write_bytes(data)
    [problem] = vgg19_problems(EngineConfig(vgg19_file=tmp_path / "vgg19.pth"))
    assert "cut short" in problem


@pytest.mark.parametrize("is_zip", [True, False])
def test_a_state_dict_of_either_kind_is_fine(tmp_path, is_zip):
    torch.save({"a": torch.ones(2)}, tmp_path / "v.pth", _use_new_zipfile_serialization=is_zip)
    assert vgg19_problems(EngineConfig(vgg19_file=tmp_path / "v.pth")) == []
