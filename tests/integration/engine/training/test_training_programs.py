"""The whole pack from nothing by one command, at a budget of a few pictures."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress

import pytest
import torch
from PIL import Image, ImageDraw
from safetensors.torch import load_file

from engine.calls import DescribeLatents, NetworkRef, Synthesise
from engine.config import EngineConfig
from engine.models.catalogue import open_catalogue
from engine.models.families.pack import make_draft, read_networks
from engine.models.families.style_files import PRESETS, read_presets
from engine.models.shelf import Shelf
from engine.networks.weights import read_network
from engine.training import programs
from engine.training.__main__ import main
from engine.training.job import PACK
from engine.training.kept import MIXED
from engine.training.soup import WAYS, between
from tests.tiny_teacher import write_teacher
from tests.unit.engine.training.test_own_data import captioned_folder


@pytest.fixture
def data(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    rows = ["file\tname\tkeywords\tstyle\tvendor\tsplit"]
    for index, name in enumerate(("cat", "dog", "rose", "fish")):
        image = Image.new("RGBA", (128, 128))
        ImageDraw.Draw(image).ellipse((16, 16, 112, 112), fill=(200, 60 * index, 40, 255))
        image.save(folder / f"{name}.png")
        split = "validation" if name == "fish" else "train"
        rows.append(f"{name}.png\t{name}\tanimal\t3d\tours\t{split}")
    (folder / "captions.tsv").write_text("\n".join(rows) + "\n")
    return folder


@pytest.fixture
def teacher(tmp_path):
    return write_teacher(tmp_path / "teacher")


@pytest.mark.long
@pytest.mark.timeout(280)
def test_one_command_trains_a_pack_that_loads(data, teacher, tmp_path, monkeypatch):
    monkeypatch.setattr(programs, "sheet_prompts", lambda: ["cat"])
    torch.set_num_threads(1)
    out, pack = tmp_path / "out", tmp_path / "pack"
    arguments = ["pack", "--data", str(data), "--out", str(out), "--pack", str(pack)]
    arguments += ["--teacher", str(teacher), "--images", "100", "--scenes", "70", "--seed", "3"]
    assert main(arguments) == 0
    assert all(path.stat().st_size <= 16_000_000 for path in pack.iterdir())
    assert json.loads((out / "denoiser" / "progress.json").read_text())["seed"] == 3
    networks = read_networks(pack)
    assert networks.tokenizer.pieces("red cat") == ["red", "cat"]
    assert (out / "denoiser" / "loss.png").exists()


@pytest.mark.long
@pytest.mark.timeout(280)
def test_a_denoiser_goes_on_from_a_pack(data, tmp_path, monkeypatch):
    monkeypatch.setattr(programs, "sheet_prompts", lambda: ["cat"])
    monkeypatch.setattr(programs, "LEFT_OUT", 16)
    torch.set_num_threads(1)
    out = tmp_path / "out"
    arguments = ["denoiser", "--data", str(data), "--out", str(out), "--start", str(PACK)]
    assert main([*arguments, "--images", "64", "--scenes", "16"]) == 0
    before = read_network(PACK, "denoiser")[1]
    after = load_file(out / "denoiser" / "average.safetensors")
    changes = [float((after[key] - value).norm() / value.norm()) for key, value in before.items()]
    assert 0 < max(changes) < 0.05
    kept = load_file(out / "denoiser" / MIXED)
    ways = [between(before, after, way) for way in WAYS]
    assert any(all(torch.equal(kept[key], way[key]) for key in kept) for way in ways)


@pytest.mark.long
@pytest.mark.timeout(280)
def test_a_pack_is_distilled_into_few_steps_without_training_it_first(data, tmp_path, monkeypatch):
    monkeypatch.setattr(programs, "sheet_prompts", lambda: ["cat"])
    torch.set_num_threads(1)
    out, pack = tmp_path / "out", tmp_path / "pack"
    arguments = ["--data", str(data), "--out", str(out), "--start", str(PACK)]
    assert main(["few-steps", *arguments, "--images", "32", "--scenes", "16"]) == 0
    assert main(["export", *arguments, "--pack", str(pack)]) == 0
    networks = read_networks(pack)
    make_draft(pack, networks)


@pytest.mark.long
@pytest.mark.timeout(280)
@pytest.mark.parametrize("network", ["vae", "upscaler"])
def test_pictures_with_captions_alone_teach_a_pack(tmp_path, network):
    torch.set_num_threads(1)
    out = tmp_path / "out"
    arguments = [
        "--data",
        str(captioned_folder(tmp_path)),
        "--out",
        str(out),
        "--images",
        "32",
        "--scenes",
        "16",
    ]
    assert main([network, *arguments]) == 0
    assert (out / network / "average.safetensors").exists()


def test_a_denoiser_without_words_and_autoencoder_is_told_where_to_get_them(data, tmp_path, capsys):
    arguments = ["--data", str(data), "--out", str(tmp_path / "out"), "--scenes", "16"]
    assert main(["denoiser", *arguments]) == 2
    assert "--start" in capsys.readouterr().err


@pytest.mark.parametrize("program", ["export-style", "export-gan"])
def test_what_is_not_trained_is_not_exported(data, tmp_path, capsys, program):
    pack = tmp_path / "pack"
    arguments = ["--data", str(data), "--out", str(tmp_path / "out"), "--pack", str(pack)]
    assert main([program, *arguments]) == 2
    assert "train this network first" in capsys.readouterr().err
    assert not pack.exists()


def test_the_text_encoder_needs_a_teacher(data, tmp_path, capsys):
    assert main(["text", "--data", str(data), "--out", str(tmp_path / "out")]) == 2
    assert "--teacher" in capsys.readouterr().err


def test_a_folder_without_captions_is_refused(tmp_path, capsys):
    assert main(["upscaler", "--data", str(tmp_path), "--out", str(tmp_path / "out")]) == 2
    assert "captions.tsv" in capsys.readouterr().err


@pytest.fixture
def plain_folder(tmp_path):
    folder = tmp_path / "holiday"
    folder.mkdir()
    for index in range(18):
        image = Image.new("RGB", (90 + 5 * index, 120), (12 * index, 90, 250 - 12 * index))
        ImageDraw.Draw(image).ellipse((10, 10 + index, 80, 90), fill=(250, 40, 9 * index))
        image.save(folder / f"{index}.jpg")
    return folder


@pytest.mark.long
@pytest.mark.timeout(280)
@pytest.mark.parametrize("recipe", ["r3gan", "wgan-gp"])
def test_any_folder_becomes_a_generator_of_the_catalogue(plain_folder, tmp_path, recipe):
    torch.set_num_threads(1)
    out = tmp_path / "out"
    arguments = ["gan", "--data", str(plain_folder), "--out", str(out), "--recipe", recipe]
    assert main([*arguments, "--images", "32"]) == 0
    assert main([*arguments, "--images", "48", "--resume"]) == 0
    config = EngineConfig(catalogue_files=(out / "gan" / "model" / "catalogue.toml",))
    shelf = Shelf(config, open_catalogue(config), device="cpu")
    (space,) = shelf.execute([DescribeLatents(NetworkRef("holiday"))])
    assert space.looks == ("any",)
    (pixels,) = shelf.execute([Synthesise(NetworkRef("holiday"), torch.zeros(2, space.styles))])
    assert pixels.shape == (2, 3, 64, 64)
    record = json.loads((out / "gan" / "monitors.json").read_text())
    assert record["observations"][-1]["images"] >= 48
    assert {path.name for path in (out / "gan").glob("*.png")} >= {"loss.png", "nearest.png"}


@pytest.mark.long
@pytest.mark.timeout(280)
def test_a_folder_without_captions_teaches_the_autoencoder_too(plain_folder, tmp_path):
    torch.set_num_threads(1)
    out = tmp_path / "out"
    assert main(["vae", "--data", str(plain_folder), "--out", str(out), "--images", "32"]) == 0
    assert (out / "vae" / "vae.safetensors").exists()


def test_an_empty_folder_is_refused_with_what_to_do(tmp_path, capsys):
    (tmp_path / "data").mkdir()
    arguments = ["--data", str(tmp_path / "data"), "--out", str(tmp_path / "out")]
    assert main(["gan", *arguments]) == 2
    assert "at least 16 different ones" in capsys.readouterr().err


@pytest.mark.long
@pytest.mark.timeout(280)
def test_replicas_end_with_a_checkpoint_when_their_run_is_killed(data, tmp_path):
    out = tmp_path / "out"
    command = [sys.executable, "-m", "engine.training", "denoiser", "--data", str(data)]
    command += ["--out", str(out), "--start", str(PACK), "--scenes", "16"]
    command += ["--minutes", "30", "--replicas", "2"]
    run = subprocess.Popen(command, start_new_session=True)
    try:
        while not (out / "replicas").exists():  # where they meet when they have begun
            assert run.poll() is None
            time.sleep(0.2)
        run.kill()
        run.wait()
        while is_group_alive(run.pid):
            time.sleep(0.5)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(run.pid, signal.SIGKILL)
    assert (out / "denoiser" / "checkpoint.pt").exists()


@pytest.mark.long
@pytest.mark.timeout(280)
def test_what_replicas_refuse_is_said_as_one_process_says_it(data, tmp_path, capfd):
    pack = tmp_path / "pack"
    pack.mkdir()
    for file in PACK.iterdir():
        if not file.name.startswith("denoiser"):
            (pack / file.name).symlink_to(file)
    arguments = ["denoiser", "--data", str(data), "--out", str(tmp_path / "out"), "--scenes", "16"]
    assert main([*arguments, "--images", "64", "--replicas", "2", "--start", str(pack)]) == 2
    said = capfd.readouterr().err
    assert str(pack / "denoiser") in said
    assert "Traceback" not in said


def is_group_alive(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_style_decoder_without_an_encoder_is_told_where_to_get_one(data, tmp_path, capsys):
    assert main(["style", "--data", str(data), "--out", str(tmp_path / "out")]) == 2
    assert "train style-encoder first, or name a pack with --start" in capsys.readouterr().err


def test_pictures_with_nothing_to_tell_apart_teach_no_style_encoder(tmp_path, capsys):
    arguments = ["--data", str(captioned_folder(tmp_path)), "--out", str(tmp_path / "out")]
    assert main(["style-encoder", *arguments]) == 2
    assert "has nothing to tell apart" in capsys.readouterr().err


@pytest.mark.long
@pytest.mark.timeout(280)
def test_style_networks_go_on_from_a_pack_on_pictures_of_ones_own(data, tmp_path):
    torch.set_num_threads(1)
    out, pack = tmp_path / "out", tmp_path / "pack"
    table = data / "captions.tsv"
    table.write_text(table.read_text().replace("dog\tanimal\t3d", "dog\tanimal\tflat"))
    arguments = ["--data", str(data), "--out", str(out), "--start", str(PACK)]
    for program in ("style-encoder", "style"):
        assert main([program, *arguments, "--images", "32", "--replicas", "2"]) == 0
    learnt = json.loads((out / "style-encoder" / "progress.json").read_text())
    assert (learnt["step"], learnt["images"]) == (1, 48)  # half a batch each
    assert main(["export-style", *arguments, "--pack", str(pack)]) == 0
    assert set(read_presets(pack / PRESETS)) == set(read_presets(PACK / PRESETS))
