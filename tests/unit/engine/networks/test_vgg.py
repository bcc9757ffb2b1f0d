import pickle

import pytest
import torch
from safetensors.torch import save_file

from engine.errors import ModelUnavailable, UnsafeCheckpoint
from engine.networks import vgg

# torchvision's published numbers of the convolutions of VGG-19
NUMBERS = (0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28, 30, 32, 34)
WIDTHS = (64, 64, 128, 128, 256, 256, 256, 256, *[512] * 8)


@pytest.fixture(scope="module")
def state():
    generator = torch.Generator().manual_seed(3)
    tensors, before = {}, 3
    for number, width in zip(NUMBERS, WIDTHS, strict=True):
        scale = (2 / (9 * before)) ** 0.5
        tensors[f"features.{number}.weight"] = scale * torch.randn(
            width, before, 3, 3, generator=generator
        )
        tensors[f"features.{number}.bias"] = 0.1 * torch.randn(width, generator=generator)
        before = width
    tensors["classifier.0.weight"] = torch.zeros(4, 4)
    return tensors


def reference(state, pixels, last):
    """VGG-19 up to convolution `last`, written out as torchvision's Sequential is."""
    x = (pixels - torch.tensor(vgg.MEAN)[:, None, None]) / torch.tensor(vgg.STD)[:, None, None]
    for number in NUMBERS[: NUMBERS.index(last) + 1]:
        if number in (5, 10, 19, 28):
            x = torch.nn.functional.avg_pool2d(x, 2)
        weight, bias = state[f"features.{number}.weight"], state[f"features.{number}.bias"]
        x = torch.relu(torch.nn.functional.conv2d(x, weight, bias, padding=1))
    return x


@pytest.mark.parametrize(
    ("name", "number"),
    [("relu1_1", 0), ("relu2_1", 5), ("relu3_1", 10), ("relu4_2", 21), ("relu5_1", 28)],
)
@torch.no_grad()
def test_layers_have_their_published_names(state, tmp_path, name, number):
    save_file(state, tmp_path / "vgg19.safetensors")
    network = vgg.load_vgg19(tmp_path / "vgg19.safetensors")
    pixels = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    found = network(pixels, [name])
    assert list(found) == [name]
    assert torch.allclose(found[name], reference(state, pixels, number), atol=1e-5)


def test_a_state_dict_file_is_read_too(state, tmp_path):
    torch.save(state, tmp_path / "vgg19-dcbb9e9d.pth")
    network = vgg.load_vgg19(tmp_path / "vgg19-dcbb9e9d.pth")
    assert torch.equal(network.convolutions["34"].weight, state["features.34.weight"])


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ModelUnavailable, match="there is no file"):
        vgg.load_vgg19(tmp_path / "nothing.safetensors")


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_a_truncated_file_is_told_from_a_whole_one(state, tmp_path, suffix):
    path = tmp_path / f"vgg19{suffix}"
    if suffix == ".pth":
        torch.save(state, path)
    else:
        save_file(state, path)
    path.write_bytes(path.read_bytes()[:100_000])
    with pytest.raises(ModelUnavailable, match="broken or truncated"):
        vgg.load_vgg19(path)


def test_a_file_of_another_network_is_refused_with_the_key_it_lacks(state, tmp_path):
    save_file({"conv.weight": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(ModelUnavailable, match=r"lacks features\.0\.weight"):
        vgg.load_vgg19(tmp_path / "other.safetensors")


def test_a_file_of_other_shapes_is_refused(state, tmp_path):
    save_file(state | {"features.5.weight": torch.zeros(2, 2)}, tmp_path / "vgg16.safetensors")
    with pytest.raises(ModelUnavailable, match=r"features\.5\.weight"):
        vgg.load_vgg19(tmp_path / "vgg16.safetensors")


def test_a_pickle_that_would_run_code_is_refused(tmp_path):
    class Evil:
        def __reduce__(self):
            return print, ("run",)

    path = tmp_path / "evil.pth"
    path.write_bytes(pickle.dumps(Evil(), protocol=2))
    with pytest.raises(UnsafeCheckpoint, match="convert it to safetensors"):
        vgg.load_vgg19(path)


@pytest.mark.parametrize("is_zip", [True, False])
def test_wherever_a_state_dict_ends_too_soon_it_is_told(state, tmp_path, is_zip):
    """Within the name of a class it looks as if it held more than tensors."""
    small = {key: tensor for key, tensor in state.items() if key.endswith("bias")}
    torch.save(small, tmp_path / "whole.pth", _use_new_zipfile_serialization=is_zip)
    data = (tmp_path / "whole.pth").read_bytes()
    for length in [*range(0, 300, 7), *range(300, len(data), max(1, len(data) // 40))]:
        (tmp_path / "cut.pth").write_bytes(data[:length])
        with pytest.raises(ModelUnavailable, match=r"broken or truncated|more than tensors"):
            vgg.load_vgg19(tmp_path / "cut.pth")


@pytest.mark.parametrize("data", [b"abc", b"<!DOCTYPE html><html>404</html>", b"\x80\x02junk"])
def test_what_is_no_state_dict_is_not_called_unsafe(tmp_path, data):
    (tmp_path / "vgg19.pth").write_bytes(data)
    with pytest.raises(ModelUnavailable, match="broken or truncated") as raised:
        vgg.load_vgg19(tmp_path / "vgg19.pth")
    assert not isinstance(raised.value, UnsafeCheckpoint)


def test_a_state_dict_of_other_things_than_tensors_is_refused(tmp_path):
    torch.save({"features.0.weight": [1, 2]}, tmp_path / "vgg19.pth")
    with pytest.raises(ModelUnavailable, match=r"lacks features\.0\.weight"):
        vgg.load_vgg19(tmp_path / "vgg19.pth")
