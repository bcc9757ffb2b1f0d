"""Published IP-Adapters, by the names and shapes of their files, fit what reads them."""

from types import SimpleNamespace

import pytest
import torch
from diffusers import UNet2DConditionModel
from safetensors.torch import save_file

from engine.models.families import Place
from engine.models.families.ip_adapter import _Reader

ENCODER = SimpleNamespace(hidden_size=1280, projection_dim=1024)  # CLIP ViT-H/14, as published
# Width of each cross attention in the order of the file: down, up, middle
SD1_WIDTHS = [320] * 2 + [640] * 2 + [1280] * 5 + [640] * 3 + [320] * 3 + [1280]


def plain(width):
    return {
        "proj.weight": (4 * width, 1024),
        "proj.bias": (4 * width,),
        "norm.weight": (width,),
        "norm.bias": (width,),
    }


def plus(channels, width):
    shapes = {
        "latents": (1, 16, channels),
        "proj_in.weight": (channels, 1280),
        "proj_in.bias": (channels,),
        "proj_out.weight": (width, channels),
        "proj_out.bias": (width,),
        "norm_out.weight": (width,),
        "norm_out.bias": (width,),
    }
    for layer in range(4):
        for norm in ("0.norm1", "0.norm2", "1.0"):
            shapes |= {f"layers.{layer}.{norm}.{end}": (channels,) for end in ("weight", "bias")}
        shapes |= {
            f"layers.{layer}.0.to_q.weight": (channels, channels),
            f"layers.{layer}.0.to_kv.weight": (2 * channels, channels),
            f"layers.{layer}.0.to_out.weight": (channels, channels),
            f"layers.{layer}.1.1.weight": (4 * channels, channels),
            f"layers.{layer}.1.3.weight": (channels, 4 * channels),
        }
    return shapes


def reader_of(folder, unet, tensors):
    file = folder / "ip-adapter.safetensors"
    save_file(tensors, file)
    info = SimpleNamespace(name="painter", ip_adapter=str(file), image_encoder=str(folder))
    return _Reader(info, unet, Place(torch.device("cpu"), torch.float16))


@pytest.mark.parametrize(
    ("shapes", "width"),
    [
        pytest.param(plain(768), 768, id="ip-adapter_sd15"),
        pytest.param(plus(768, 768), 768, id="ip-adapter-plus_sd15"),
        pytest.param(plain(2048), 2048, id="ip-adapter_sdxl_vit-h"),
        pytest.param(plus(1280, 2048), 2048, id="ip-adapter-plus_sdxl_vit-h"),
    ],
)
def test_a_projection_has_the_names_and_shapes_of_the_published_file(tmp_path, shapes, width):
    unet = SimpleNamespace(config=SimpleNamespace(cross_attention_dim=width))
    reader = reader_of(tmp_path, unet, {"none": torch.zeros(1)})
    make, wanted, has = reader._kind(shapes, ENCODER)
    with torch.device("meta"):
        projection = make()
    assert {key: tuple(part.shape) for key, part in projection.state_dict().items()} == shapes
    assert wanted == has


def test_the_layers_of_the_published_file_fit_the_attentions_of_stable_diffusion_1(tmp_path):
    tensors = {
        f"ip_adapter.{2 * n + 1}.to_{part}_ip.weight": torch.zeros(width, 768).half()
        for n, width in enumerate(SD1_WIDTHS)
        for part in "kv"
    }
    with torch.device("meta"):
        unet = UNet2DConditionModel(cross_attention_dim=768)
    layers = reader_of(tmp_path, unet, tensors)._layers()
    assert len(layers) == 16
    assert list(layers)[-1].startswith("mid_block")
