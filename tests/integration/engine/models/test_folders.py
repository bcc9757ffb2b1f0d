"""Folders and hub repositories: what is refused, and what is said of it."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from engine.calls import Facts, NetworkRef
from engine.config import EngineConfig
from engine.diffusion.prediction import Prediction, Spacing
from engine.errors import ModelUnavailable, UnsafeCheckpoint
from engine.models.catalogue import Family, ModelInfo, Source
from engine.models.inspection import problems
from engine.pipelines import imagine

CONFIG = EngineConfig()


@pytest.fixture
def folder(checkpoints, tmp_path):
    """A copy of the SD1 checkpoint that a test may spoil."""
    return shutil.copytree(checkpoints / "sd1", tmp_path / "model")


@pytest.fixture
def load(shelf_of, info_of):
    """Load the checkpoint in a folder and return its facts."""

    def loading(folder, family="sd1", **fields):
        info = info_of("sd1", family, name="model", where=str(folder), **fields)
        (facts,) = shelf_of(info).execute([Facts(NetworkRef("model"))])
        return facts

    return loading


def refusal(info_of, folder, family="sd1"):
    return problems(info_of("sd1", family, name="model", where=str(folder)), CONFIG)


def test_a_whole_folder_has_no_problems(load, info_of, folder):
    assert refusal(info_of, folder) == []
    facts = load(folder)
    assert facts.prediction is Prediction.EPS
    assert facts.spacing is Spacing.LEADING
    assert facts.latent_channels == 4
    assert facts.sigma_max == pytest.approx(14.6146, rel=1e-3)
    assert facts.ddim_final_sigma == pytest.approx(0.0292, rel=1e-2)


def test_program_code_in_the_folder_is_refused(load, info_of, folder):
    (folder / "unet" / "model.py").write_text("print('hello')")
    with pytest.raises(UnsafeCheckpoint, match=r"model\.py is program code"):
        load(folder)
    assert "program code" in refusal(info_of, folder)[0]


def test_a_component_from_elsewhere_is_refused(load, info_of, folder):
    index = json.loads((folder / "model_index.json").read_text())
    index["unet"] = ["my_networks", "MyUNet"]
    (folder / "model_index.json").write_text(json.dumps(index))
    with pytest.raises(UnsafeCheckpoint, match="my_networks"):
        load(folder)
    assert "my_networks" in refusal(info_of, folder)[0]


def test_pickled_weights_alone_are_refused(load, info_of, folder):
    (folder / "vae" / "diffusion_pytorch_model.safetensors").unlink()
    torch.save({}, folder / "vae" / "diffusion_pytorch_model.bin")
    with pytest.raises(UnsafeCheckpoint, match="get the safetensors version"):
        load(folder)
    assert "pickle" in refusal(info_of, folder)[0]


@pytest.mark.parametrize("missing", ["model_index.json", "unet/config.json", "vae", "tokenizer"])
def test_what_is_missing_is_named(load, folder, missing):
    gone = folder / missing
    shutil.rmtree(gone) if gone.is_dir() else gone.unlink()
    with pytest.raises(ModelUnavailable, match=missing.split("/")[0]):
        load(folder)


def test_a_folder_that_is_not_there_is_named(load, info_of, folder):
    with pytest.raises(ModelUnavailable, match="there is no"):
        load(folder / "nowhere")
    assert "there is no" in refusal(info_of, folder / "nowhere")[0]


def test_a_weights_file_that_is_cut_short_is_noticed_without_loading(load, info_of, folder):
    file = folder / "unet" / "diffusion_pytorch_model.safetensors"
    file.write_bytes(file.read_bytes()[:-1000])
    with pytest.raises(ModelUnavailable, match="fetch it again"):
        load(folder)
    assert "fetch it again" in refusal(info_of, folder)[0]


def test_weights_of_another_shape_are_named(load, folder):
    file = folder / "unet" / "diffusion_pytorch_model.safetensors"
    tensors = load_file(file)
    tensors["conv_in.weight"] = torch.zeros(32, 9, 3, 3)
    save_file(tensors, file)
    with pytest.raises(ModelUnavailable, match=r"conv_in\.weight has the shape \[32, 9, 3, 3\]"):
        load(folder)


def test_an_inpainting_model_is_told_so(load, folder):
    path = folder / "unet" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"in_channels": 9}))
    with pytest.raises(ModelUnavailable, match="inpainting"):
        load(folder)


def test_a_denoiser_that_must_be_told_the_guidance_says_what_to_use_instead(load, folder):
    path = folder / "unet" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"time_cond_proj_dim": 256}))
    with pytest.raises(ModelUnavailable, match="use the LCM-LoRA"):
        load(folder)


def test_a_configuration_that_makes_no_network_is_refused(load, folder):
    path = folder / "unet" / "config.json"
    broken = json.loads(path.read_text()) | {"down_block_types": ["NoSuchBlock", "DownBlock2D"]}
    path.write_text(json.dumps(broken))
    with pytest.raises(ModelUnavailable, match="configuration of its unet"):
        load(folder)


def test_a_folder_of_another_family_is_refused(load, info_of, checkpoints, folder):
    with pytest.raises(ModelUnavailable, match="another family"):
        load(folder, family="sdxl")
    with pytest.raises(ModelUnavailable, match='set family = "sdxl"'):
        load(checkpoints / "sdxl", family="sd1")
    assert "another family" in refusal(info_of, folder, family="sdxl")[0]


def test_a_prediction_nobody_can_sample_is_refused(load, folder):
    path = folder / "scheduler" / "scheduler_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"prediction_type": "magic"}))
    with pytest.raises(ModelUnavailable, match="magic"):
        load(folder)


def test_the_noise_of_a_model_trained_to_zero_snr_is_read(load, folder):
    path = folder / "scheduler" / "scheduler_config.json"
    changes = {
        "prediction_type": "v_prediction",
        "rescale_betas_zero_snr": True,
        "timestep_spacing": "trailing",
    }
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    facts = load(folder)
    assert facts.prediction is Prediction.V
    assert facts.spacing is Spacing.TRAILING
    assert facts.sigma_max == pytest.approx(4096, rel=1e-3)


def test_weights_in_shards_and_in_half_precision_give_the_same_images(
    answers_of, info_of, request_of, folder
):
    file = folder / "unet" / "diffusion_pytorch_model.safetensors"
    tensors = load_file(file)
    file.unlink()
    keys = sorted(tensors)
    shards = {"a.safetensors": keys[::2], "b.safetensors": keys[1::2]}
    for name, part in shards.items():
        save_file({key: tensors[key] for key in part}, file.with_name(name))
    weight_map = {key: name for name, part in shards.items() for key in part}
    index = file.with_name("diffusion_pytorch_model.safetensors.index.json")
    index.write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
    vae = folder / "vae" / "diffusion_pytorch_model.safetensors"
    halves = {key: value.half() for key, value in load_file(vae).items()}
    save_file(halves, vae.with_name("diffusion_pytorch_model.fp16.safetensors"))
    vae.unlink()
    answers = answers_of(
        info_of("sd1", "sd1"), info_of("sd1", "sd1", name="parts", where=str(folder))
    )
    (whole,) = answers.run(imagine.run(request_of("sd1")))
    (parts,) = answers.run(imagine.run(request_of("parts")))
    torch.testing.assert_close(parts, whole, atol=5e-3, rtol=0)


def test_early_names_of_the_vaes_attention_are_read(answers_of, info_of, request_of, folder):
    file = folder / "vae" / "diffusion_pytorch_model.safetensors"
    old = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
    tensors = load_file(file)
    for new, early in old.items():
        tensors = {key.replace(f".{new}.", f".{early}."): v for key, v in tensors.items()}
    assert any(".query." in key for key in tensors)
    save_file(tensors, file)
    answers = answers_of(
        info_of("sd1", "sd1"), info_of("sd1", "sd1", name="early", where=str(folder))
    )
    (new,) = answers.run(imagine.run(request_of("sd1")))
    (early,) = answers.run(imagine.run(request_of("early")))
    assert torch.equal(new, early)


@pytest.fixture
def cached(checkpoints, tmp_path):
    """A models folder that holds a hub repository fetched earlier."""
    repository = tmp_path / "hub" / "models--someone--tiny"
    commit = "0123456789012345678901234567890123456789"
    shutil.copytree(checkpoints / "sd1", repository / "snapshots" / commit)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(commit)
    return tmp_path


def test_a_repository_fetched_earlier_is_used_offline(shelf_of, cached):
    info = ModelInfo(name="tiny", family=Family.SD1, where="someone/tiny", source=Source.HUB)
    shelf = shelf_of(info, models_dir=cached)
    (facts,) = shelf.execute([Facts(NetworkRef("tiny"))])
    assert facts.latent_channels == 4
    assert problems(info, EngineConfig(models_dir=cached)) == []


def test_a_repository_that_is_not_here_is_not_fetched_without_leave(shelf_of, tmp_path):
    info = ModelInfo(name="far", family=Family.SD1, where="someone/far", source=Source.HUB)
    with pytest.raises(ModelUnavailable, match="downloads are off"):
        shelf_of(info, models_dir=tmp_path).execute([Facts(NetworkRef("far"))])
    assert "downloads are off" in problems(info, EngineConfig(models_dir=tmp_path))[0]
    assert problems(info, EngineConfig(models_dir=tmp_path, allow_downloads=True)) == []


def test_a_single_file_is_inspected_without_loading(checkpoints, info_of):
    vocabulary = str(checkpoints / "tokenizer")
    good = info_of("sd1-file.safetensors", "sd1", tokenizer=vocabulary)
    assert problems(good, CONFIG) == []
    assert problems(info_of("sd1-file.safetensors", "sd1"), CONFIG) == []
    nowhere = info_of("sd1-file.safetensors", "sd1", tokenizer=str(checkpoints / "nowhere"))
    assert "there is no" in problems(nowhere, CONFIG)[0]
    no_words = info_of("sd1-file.safetensors", "sd1", tokenizer=str(checkpoints / "sd1"))
    assert "holds no CLIP vocabulary" in problems(no_words, CONFIG)[0]
    wrong = info_of("sd1-file.safetensors", "sdxl", tokenizer=vocabulary)
    assert 'set family = "sd1"' in problems(wrong, CONFIG)[0]
