"""The pack's family: four small networks behind the engine's interface."""

from dataclasses import replace

import pytest
import torch

from engine.calls import Conditioning
from engine.errors import ModelUnavailable, Unsupported
from engine.models.catalogue import Family, ModelInfo, Source
from engine.models.families import PRISTINE, Adaptation, Place
from engine.models.families.pack import load
from engine.networks.denoiser import Denoiser, DenoiserConfig
from engine.networks.lora import add_lora, lora_of
from engine.networks.text_encoder import TextEncoder, TextEncoderConfig
from engine.networks.upscaler import Upscaler, UpscalerConfig
from engine.networks.vae import Vae, VaeConfig
from engine.networks.weights import save_changes, save_network
from engine.requests import Span

pytestmark = pytest.mark.usefixtures("one_thread")

PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "cat", "red", "dog", "a"]
INFO = ModelInfo(name="small", family=Family.PACK, where="builtin", source=Source.BUILTIN)
PLACE = Place(torch.device("cpu"), torch.float32)


@pytest.fixture
def folder(tmp_path):
    vocabulary = TextEncoderConfig(
        vocabulary=len(PIECES), table_width=8, width=8, layers=1, heads=2, length=8
    )
    networks = {
        "text_encoder": TextEncoder(vocabulary),
        "denoiser": Denoiser(
            DenoiserConfig(latent_channels=4, widths=(16, 16), blocks=1, heads=2, text_width=8)
        ),
        "vae": Vae(
            VaeConfig(latent_channels=4, encoder_widths=(8, 8, 8), decoder_widths=(8, 8, 8))
        ),
        "upscaler": Upscaler(UpscalerConfig(width=8, blocks=1)),
    }
    generator = torch.Generator().manual_seed(1)
    for name, network in networks.items():
        for parameter in network.parameters():
            parameter.data.copy_(0.2 * torch.randn(parameter.shape, generator=generator))
        save_network(tmp_path, name, network, tables=("table.weight",))
    (tmp_path / "vocabulary.txt").write_text("\n".join(PIECES))
    (tmp_path / "lexicon_zh.tsv").write_text("chinese\tenglish\n猫\tcat\n")
    return tmp_path


@pytest.fixture
def model(folder):
    return load(INFO, folder, PLACE, lambda _fraction: None)


def conditioned(model, *prompts: str) -> Conditioning:
    return model.encode_text(tuple((Span(prompt),) for prompt in prompts), 128, 128)


def test_rows_of_a_batch_are_what_they_are_alone(model):
    noise = torch.randn(2, 4, 4, 4, generator=torch.Generator().manual_seed(0))
    sigma = torch.tensor([3.0, 0.4])
    with torch.no_grad():
        both = model.denoise(noise, sigma, conditioned(model, "a cat", "red dog"))
        alone = model.denoise(noise[1:], sigma[1:], conditioned(model, "red dog"))
    torch.testing.assert_close(both[1:], alone, rtol=1e-4, atol=1e-5)


def test_nearly_clean_latents_stay_as_they_are(model):
    clean = torch.randn(1, 4, 4, 4, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        out = model.denoise(clean, torch.tensor([1e-4]), conditioned(model, "cat"))
    torch.testing.assert_close(out, clean, rtol=0, atol=1e-2)


def test_attention_scales_the_tokens_of_its_span_alone(model):
    plain = model.encode_text(((Span("red "), Span("cat")),), 128, 128).tokens
    strong = model.encode_text(((Span("red "), Span("cat", 1.5)),), 128, 128).tokens
    torch.testing.assert_close(strong[0, :2], plain[0, :2])
    torch.testing.assert_close(strong[0, 2], plain[0, 2] * 1.5)
    torch.testing.assert_close(strong[0, 3:], plain[0, 3:])


def test_a_chinese_prompt_reads_as_its_english_words(model):
    torch.testing.assert_close(conditioned(model, "猫").tokens, conditioned(model, "cat").tokens)


def test_pictures_are_enlarged_by_the_factors_it_has(model):
    pixels = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    assert model.enlarge(pixels, 4).shape == (1, 3, 64, 64)
    with pytest.raises(Unsupported, match="2 or 4"):
        model.enlarge(pixels, 3)


def test_adaptations_it_has_no_means_for_are_refused(model):
    model.adapt(PRISTINE)
    with pytest.raises(Unsupported, match="LoRA"):
        model.adapt(Adaptation(loras=(("ink.safetensors", 1.0),)))
    with pytest.raises(Unsupported, match="tile"):
        model.adapt(Adaptation(tile=True))


@pytest.mark.parametrize("file", ["vae.safetensors", "vocabulary.txt"])
def test_a_missing_file_is_named(folder, file):
    (folder / file).unlink()
    with pytest.raises(ModelUnavailable, match=file):
        load(INFO, folder, PLACE, lambda _fraction: None)


def test_weights_of_another_size_are_refused(folder):
    small = VaeConfig(latent_channels=4, encoder_widths=(8, 8, 8), decoder_widths=(8, 8, 8))
    broken = Vae(small)
    del broken.encoder
    save_network(folder, "vae", broken)
    with pytest.raises(ModelUnavailable, match="do not fit"):
        load(INFO, folder, PLACE, lambda _fraction: None)


def test_the_draft_variant_is_the_denoiser_with_its_stored_change(folder, model):
    student = Denoiser(
        DenoiserConfig(latent_channels=4, widths=(16, 16), blocks=1, heads=2, text_width=8)
    )
    add_lora(student, 2)
    for parameter in student.parameters():
        if parameter.requires_grad:
            parameter.data.fill_(0.1)
    draft = replace(INFO, variant="draft")
    with pytest.raises(ModelUnavailable, match="denoiser-draft"):
        load(draft, folder, PLACE, lambda _fraction: None)
    save_changes(folder, "denoiser-draft", lora_of(student))
    changed = load(draft, folder, PLACE, lambda _fraction: None)
    noise = torch.randn(1, 4, 4, 4, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        plain, other = (
            each.denoise(noise, torch.tensor([3.0]), conditioned(each, "cat"))
            for each in (model, changed)
        )
    assert not torch.allclose(plain, other, atol=1e-3)
