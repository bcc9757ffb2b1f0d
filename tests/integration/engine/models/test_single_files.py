"""One safetensors file of the original layout is the same model as its diffusers folder."""

import pytest
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from diffusers.loaders import single_file_utils as published
from safetensors.torch import load_file, save_file
from transformers import CLIPTextConfig, CLIPTextModelWithProjection

from engine.calls import Facts, NetworkRef
from engine.diffusion.schedules import sigmas_for
from engine.errors import ModelUnavailable, UnsafeCheckpoint
from engine.models import original_layout as original
from engine.models.catalogue import Family
from engine.models.families.clip_text import load_tokenizer
from engine.models.files import read_header
from engine.models.hub import CLIP_VOCABULARY
from engine.pipelines import imagine
from engine.requests import Sampler, Schedule

FAMILIES = [("sd1", "sd1"), ("sd2", "sd2"), ("sdxl", "sdxl")]


@pytest.fixture
def vocabulary(checkpoints):
    return str(checkpoints / "tokenizer")


@pytest.mark.parametrize(("name", "family"), FAMILIES)
def test_a_single_file_gives_the_images_of_its_folder(
    answers_of, info_of, request_of, vocabulary, name, family
):
    file = info_of(f"{name}-file.safetensors", family, tokenizer=vocabulary)
    answers = answers_of(info_of(name, family), file)
    (of_folder,) = answers.run(imagine.run(request_of(name)))
    (of_file,) = answers.run(imagine.run(request_of(file.name)))
    torch.testing.assert_close(of_file, of_folder, atol=1e-6, rtol=0)


def test_a_few_step_file_visits_the_timesteps_that_its_entry_says(shelf_of, info_of, vocabulary):
    fields = {"tokenizer": vocabulary, "spacing": "trailing"}
    file = info_of("sd1-file.safetensors", "sd1", **fields)
    [facts] = shelf_of(file).execute([Facts(NetworkRef(file.name))])
    visited = sigmas_for(facts, Schedule.MODEL, Sampler.EULER, 4)
    expected = [facts.training_sigmas[timestep] for timestep in (999, 749, 499, 249)]
    assert visited == pytest.approx([*expected, 0])


def test_a_merge_that_leaves_out_a_level_of_its_text_encoder_is_the_same_model(
    answers_of, checkpoints, info_of, request_of, vocabulary, tmp_path
):
    whole = info_of("sd1-file.safetensors", "sd1", tokenizer=vocabulary)
    tensors = load_file(checkpoints / "sd1-file.safetensors")
    merged = {key.replace(".text_model.", "."): tensor for key, tensor in tensors.items()}
    assert merged.keys() != tensors.keys()
    save_file(merged, tmp_path / "merge.safetensors")
    merge = info_of("merge", "sd1", where=str(tmp_path / "merge.safetensors"), tokenizer=vocabulary)
    answers = answers_of(whole, merge)
    (of_merge,) = answers.run(imagine.run(request_of(merge.name)))
    (of_whole,) = answers.run(imagine.run(request_of(whole.name)))
    assert torch.equal(of_merge, of_whole)


@pytest.mark.parametrize(("name", "family"), FAMILIES)
def test_the_published_conversion_reads_the_same_weights_from_the_file(checkpoints, name, family):
    """The file is written with our names; diffusers' own tables must agree with them."""
    tensors = load_file(checkpoints / f"{name}-file.safetensors")
    unet = UNet2DConditionModel.from_pretrained(str(checkpoints / name / "unet"))
    vae = AutoencoderKL.from_pretrained(str(checkpoints / name / "vae"))
    converted = published.convert_ldm_unet_checkpoint(tensors, dict(unet.config))
    assert_same_weights(converted, unet.state_dict())
    converted = published.convert_ldm_vae_checkpoint(tensors, dict(vae.config))
    assert_same_weights(converted, vae.state_dict())


def test_the_published_conversion_reads_the_same_second_text_encoder(checkpoints):
    tensors = load_file(checkpoints / "sdxl-file.safetensors")
    folder = str(checkpoints / "sdxl" / "text_encoder_2")
    encoder = CLIPTextModelWithProjection.from_pretrained(folder)
    prefix = original.OPEN_CLIP[Family.SDXL]
    converted = published.convert_open_clip_checkpoint(encoder, tensors, prefix=prefix)
    assert_same_weights(converted, encoder.state_dict())


def assert_same_weights(converted, weights):
    assert converted.keys() == weights.keys()
    for key, weight in weights.items():
        torch.testing.assert_close(converted[key], weight, rtol=0, atol=0)


@pytest.mark.parametrize(("name", "family"), FAMILIES)
def test_the_shapes_of_a_file_tell_the_configuration_it_was_made_with(checkpoints, name, family):
    header = read_header(name, checkpoints / f"{name}-file.safetensors")
    found = original.unet_config(name, header, Family(family))
    made = UNet2DConditionModel.from_pretrained(str(checkpoints / name / "unet")).config
    for key in found.keys() - {"sample_size", "upcast_attention"}:
        assert per_level(found[key]) == per_level(made[key]), key


def per_level(value):
    """One number for all levels is the same as that number for each."""
    values = list(value) if isinstance(value, tuple | list) else [value]
    return values[:1] if len(set(values)) == 1 else values


def test_a_text_encoder_of_sd2_is_read_without_its_last_layer(checkpoints):
    prefix = original.OPEN_CLIP[Family.SDXL]
    header = read_header("sdxl", checkpoints / "sdxl-file.safetensors")
    whole = original.open_clip_config(header, prefix, drop_last_layer=False)
    cut = original.open_clip_config(header, prefix, drop_last_layer=True)
    assert (whole["num_hidden_layers"], cut["num_hidden_layers"]) == (3, 2)
    config = CLIPTextConfig.from_pretrained(str(checkpoints / "sdxl" / "text_encoder_2"))
    assert {key: getattr(config, key) for key in whole} == whole


def loading(shelf_of, info, request_of):
    return lambda: list(shelf_of(info).execute([next(imagine.run(request_of(info.name)))]))


def test_a_file_of_another_family_says_which(shelf_of, info_of, request_of, vocabulary):
    info = info_of("sdxl-file.safetensors", "sd1", tokenizer=vocabulary)
    with pytest.raises(ModelUnavailable, match='set family = "sdxl"'):
        loading(shelf_of, info, request_of)()


def test_a_vocabulary_that_is_not_the_text_encoders_is_refused(shelf_of, info_of, request_of):
    info = info_of("sd1-file.safetensors", "sd1")  # with CLIP's own, which is far larger
    with pytest.raises(ModelUnavailable, match="the vocabulary has 49408"):
        loading(shelf_of, info, request_of)()


def test_the_shipped_vocabulary_is_clips():
    tokenizer = load_tokenizer("x", CLIP_VOCABULARY)
    assert len(tokenizer) == 49408
    ids = tokenizer("A photo of a  CAT!").input_ids
    assert ids == [49406, 320, 1125, 539, 320, 2368, 256, 49407]


def test_a_file_that_is_cut_short_is_noticed_before_it_is_loaded(
    checkpoints, shelf_of, info_of, request_of, vocabulary, tmp_path
):
    whole = (checkpoints / "sd1-file.safetensors").read_bytes()
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(whole[: len(whole) // 2])
    info = info_of("sd1-file.safetensors", "sd1", where=str(cut), tokenizer=vocabulary)
    with pytest.raises(ModelUnavailable, match="fetch it again"):
        loading(shelf_of, info, request_of)()


@pytest.mark.parametrize("content", [b"", b"short", b"\xff" * 64, b"<html>not found</html>" * 99])
def test_what_is_no_safetensors_file_is_refused(
    shelf_of, info_of, request_of, vocabulary, tmp_path, content
):
    file = tmp_path / "broken.safetensors"
    file.write_bytes(content)
    info = info_of("sd1-file.safetensors", "sd1", where=str(file), tokenizer=vocabulary)
    with pytest.raises(ModelUnavailable, match="safetensors"):
        loading(shelf_of, info, request_of)()


@pytest.mark.parametrize("shape", ["[Infinity]", "[NaN]", '["x"]', "null"])
def test_a_header_whose_shapes_are_no_numbers_is_refused(tmp_path, shape):
    header = f'{{"w": {{"dtype": "F32", "shape": {shape}, "data_offsets": [0, 4]}}}}'.encode()
    file = tmp_path / "odd.safetensors"
    file.write_bytes(len(header).to_bytes(8, "little") + header + bytes(4))
    with pytest.raises(ModelUnavailable, match="broken safetensors header"):
        read_header("odd", file)


def test_a_weight_that_is_missing_is_named(
    checkpoints, shelf_of, info_of, request_of, vocabulary, tmp_path
):
    tensors = load_file(checkpoints / "sd1-file.safetensors")
    del tensors["model.diffusion_model.time_embed.2.bias"]
    save_file(tensors, tmp_path / "gap.safetensors")
    where = str(tmp_path / "gap.safetensors")
    info = info_of("sd1-file.safetensors", "sd1", where=where, tokenizer=vocabulary)
    with pytest.raises(ModelUnavailable, match=r"time_embed\.2\.bias"):
        loading(shelf_of, info, request_of)()


def test_a_pickle_is_refused_with_a_cure(shelf_of, info_of, request_of, vocabulary, tmp_path):
    torch.save({"a": torch.zeros(1)}, tmp_path / "old.ckpt")
    where = str(tmp_path / "old.ckpt")
    info = info_of("sd1-file.safetensors", "sd1", where=where, tokenizer=vocabulary)
    with pytest.raises(UnsafeCheckpoint, match="get the safetensors version"):
        loading(shelf_of, info, request_of)()


def test_a_lora_in_the_place_of_a_model_is_told_so(
    shelf_of, info_of, request_of, vocabulary, tmp_path
):
    save_file({"lora_unet_x.lora_down.weight": torch.zeros(1)}, tmp_path / "lora.safetensors")
    where = str(tmp_path / "lora.safetensors")
    info = info_of("sd1-file.safetensors", "sd1", where=where, tokenizer=vocabulary)
    with pytest.raises(ModelUnavailable, match=r"a LoRA goes under \[loras\]"):
        loading(shelf_of, info, request_of)()
