"""What runs in half precision on a GPU runs so on a CPU too, only slower: dtypes must meet."""

import pytest
import torch

from engine.diffusion.prediction import ModelFacts
from engine.models.catalogue import Family
from engine.models.families import Adaptation, Place
from engine.models.shelf import dtype_for, loader_of
from engine.requests import Span


def passes(model):
    """Text, one denoising, picture, latents and preview of a model."""
    facts = model.facts()
    assert isinstance(facts, ModelFacts)
    prompts = ((Span("a red "), Span("cat", 1.2)), (Span(""),))
    text = model.encode_text(prompts, 64, 64)
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, 4, 8, 8, generator=generator) * 3
    latents = model.denoise(x, torch.tensor([3.0, 3.0]), text)
    pixels = model.decode(latents)
    return [text.tokens, latents, pixels, model.encode(pixels), model.preview(latents)]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("name", ["sd1", "sd2", "sdxl"])
def test_half_precision_answers_in_fp32_and_nearly_the_same(checkpoints, info_of, name, dtype):
    info = info_of(name, name, tiny_vae=str(checkpoints / "tiny-vae"))
    device = torch.device("cpu")
    with torch.no_grad():
        whole, half = (
            loader_of(info.family)(info, checkpoints / name, Place(device, kind), lambda _: None)
            for kind in (torch.float32, dtype)
        )
        assert half.bytes_used < 0.8 * whole.bytes_used
        half.adapt(Adaptation(tile=True))
        half.adapt(Adaptation())
        for exact, near in zip(passes(whole), passes(half), strict=True):
            assert near.dtype is torch.float32
            error = (near - exact).square().mean().sqrt() / exact.std()
            assert error < 0.1


def test_the_vae_of_sdxl_stays_in_full_precision_unless_it_was_mended(checkpoints, info_of):
    half = Place(torch.device("cpu"), torch.float16)
    model = loader_of(Family.SDXL)(
        info_of("sdxl", "sdxl"), checkpoints / "sdxl", half, lambda _: None
    )
    assert model._parts.vae.dtype is torch.float32
    assert model._parts.unet.dtype is torch.float16


def test_a_gpu_computes_in_half_precision_except_for_the_pack():
    cuda, cpu = torch.device("cuda:0"), torch.device("cpu")
    assert dtype_for(cuda, Family.SDXL) is torch.float16
    assert dtype_for(cuda, Family.PACK) is torch.float32
    assert dtype_for(cpu, Family.SDXL) is torch.float32
