"""Training programs of generators on the real pack."""

import pytest
from PIL import Image

from engine.training.__main__ import main
from engine.training.autoencode import Autoencode
from engine.training.job import PACK


def test_a_run_does_not_go_on_from_a_generator_of_other_looks(tmp_path, capsys):
    for number in range(30):
        Image.new("RGB", (8, 8), (8 * number, 90, 20)).save(tmp_path / f"{number}.png")
    arguments = ["gan", "--data", str(tmp_path), "--out", str(tmp_path / "out"), "--images", "16"]
    assert main([*arguments, "--start", str(PACK)]) == 2
    assert "draws avatar, fruit, landscape, smiley; leave out --start" in capsys.readouterr().err


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(30):
        Image.new("RGB", (8, 8), (8 * number, 90, 20)).save(folder / f"{number:02}.png")
    return folder


def test_a_run_goes_on_with_its_own_recipe_only_and_keeps_the_same_pictures_apart(
    folder, tmp_path, capsys
):
    out = tmp_path / "out"
    arguments = ["gan", "--data", str(folder), "--out", str(out)]
    assert main([*arguments, "--images", "16"]) == 0
    latents = (out / "gan" / "latents.safetensors").read_bytes()
    assert main([*arguments, "--images", "32", "--resume", "--seed", "7"]) == 0
    assert (out / "gan" / "latents.safetensors").read_bytes() == latents
    capsys.readouterr()
    assert main([*arguments, "--images", "48", "--resume", "--recipe", "plain"]) == 2
    assert "was begun with the recipe r3gan: go on with" in capsys.readouterr().err
    assert main([*arguments, "--images", "16", "--seed", "7"]) == 0
    assert (out / "gan" / "latents.safetensors").read_bytes() != latents


def test_an_autoencoder_whose_numbers_overflow_ends_and_leaves_no_weights(
    folder, tmp_path, capsys, monkeypatch
):
    def overflowing(self, network, draw):
        return next(network.parameters()).sum() * float("nan")

    monkeypatch.setattr(Autoencode, "loss", overflowing)
    out = tmp_path / "out"
    assert main(["vae", "--data", str(folder), "--out", str(out), "--images", "4000"]) == 2
    told = capsys.readouterr().err
    assert "its numbers overflowed (NaN). Nothing was saved yet." in told
    assert [path for path in out.rglob("*") if path.is_file()] == []
