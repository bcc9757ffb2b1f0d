"""What the programs of generators keep beside a run, and a pair whose judge wins."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from engine.gan.monitors import alarms
from engine.models.families.gan import read_generator
from engine.models.families.style_files import read_style_transfer
from engine.models.hub import PACK
from engine.networks.dcgan import Critic, DcganGenerator
from engine.networks.gan import GanConfig
from engine.training import gan_programs
from engine.training.adversarial import Duel
from engine.training.gan_monitors import Watch
from engine.training.gan_pictures import PictureSet
from engine.training.gan_programs import (
    _encoded_once,
    observed,
    prepared,
    read_vae,
    write_model,
)
from engine.training.gan_recipes import plain
from engine.training.loop import Budget, NotSaved
from engine.training.programs import Job

pytestmark = pytest.mark.usefixtures("one_thread")

CONFIG = GanConfig(
    looks=("any",), size=32, latent=4, styles=8, generator_widths=(32, 16, 8), design="dcgan"
)


def pictures(seed, count=4, side=16):
    pixels = np.random.default_rng(seed).integers(0, 256, (count, side, side, 3), dtype=np.uint8)
    return PictureSet(pixels, np.zeros(count, np.int64), ("any",))


def job(out: Path, images: int = 16) -> Job:
    return Job(data=out, out=out, budget=Budget(images=images))


def test_latents_are_kept_for_the_same_pictures_and_no_others(tmp_path):
    vae, file = read_vae(), tmp_path / "latents.safetensors"
    first = _encoded_once(tmp_path, pictures(1), vae)
    kept = file.read_bytes()
    again = _encoded_once(tmp_path, pictures(1), vae)
    assert file.read_bytes() == kept
    assert torch.equal(again.latents, first.latents)
    other = _encoded_once(tmp_path, pictures(2), vae)
    assert not torch.equal(other.latents, first.latents)
    upright = _encoded_once(tmp_path, replace(pictures(2), mirror=False), vae)
    assert len(upright.mirrored) == 0


@pytest.mark.parametrize("length", [0, 5, 200])
def test_latents_that_were_cut_off_are_made_anew(tmp_path, length):
    vae, file = read_vae(), tmp_path / "latents.safetensors"
    first = _encoded_once(tmp_path, pictures(1), vae)
    whole = file.read_bytes()
    file.write_bytes(whole[:length])
    again = _encoded_once(tmp_path, pictures(1), vae)
    assert torch.equal(again.mirrored, first.mirrored)
    assert len(file.read_bytes()) == len(whole)


@pytest.mark.parametrize("length", [0, 5, 2000])
def test_composed_pictures_that_were_cut_off_are_made_anew(tmp_path, monkeypatch, length):
    monkeypatch.setattr(gan_programs, "shipped_pictures", lambda *_: pictures(1))
    first = prepared(job(tmp_path), "train")
    file = tmp_path / "gan-train.npz"
    whole = file.read_bytes()
    file.write_bytes(whole[:length])
    again = prepared(job(tmp_path), "train")
    assert np.array_equal(again.pixels, first.pixels)
    assert file.read_bytes() == whole
    assert not prepared(job(tmp_path), "train").mirror


def test_composed_pictures_belong_to_their_data_and_seed(tmp_path, monkeypatch):
    monkeypatch.setattr(
        gan_programs, "shipped_pictures", lambda folder, size, count, seed, split: pictures(seed)
    )
    first = replace(job(tmp_path), seed=1)
    assert np.array_equal(prepared(first, "train").pixels, pictures(1).pixels)
    other = replace(first, seed=2)
    assert np.array_equal(prepared(other, "train").pixels, pictures(2).pixels)
    made = (tmp_path / "gan-train.npz").read_bytes()
    prepared(replace(other, data=tmp_path / "elsewhere"), "train")
    assert (tmp_path / "gan-train.npz").read_bytes() != made


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_composed_pictures_that_find_no_room_are_no_traceback(tmp_path, monkeypatch):
    monkeypatch.setattr(gan_programs, "shipped_pictures", lambda *_: pictures(1))
    (tmp_path / "gan-train.tmp").symlink_to("/dev/full")
    with pytest.raises(NotSaved, match=r"gan-train\.npz could not be written"):
        prepared(job(tmp_path), "train")
    assert not (tmp_path / "gan-train.npz").exists()


def test_a_model_that_finds_no_room_leaves_the_older_one(tmp_path, monkeypatch):
    generator = DcganGenerator(CONFIG).eval()
    write_model(generator, tmp_path, "Foxes")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert set(before) == {"gan.safetensors", "catalogue.toml"}

    def half_written(folder, name, network):
        (folder / f"{name}.safetensors").write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(gan_programs, "save_network", half_written)
    with pytest.raises(NotSaved, match="No space left on device"):
        write_model(generator, tmp_path, "Foxes")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    assert tuple(read_generator(tmp_path).config.looks) == CONFIG.looks


def contest(out, recipe):
    """The alarms after twenty steps of a tiny pair, from what its run has noted."""
    torch.default_generator.manual_seed(3)
    learnt, task = pictures(1, 24, 32), job(out, 20 * 4 * recipe.judge_steps)
    settings = replace(task.settings("gan"), warmup_images=8, bar=False)
    run = Duel(DcganGenerator(CONFIG), Critic(CONFIG), recipe, learnt, settings, batch=4)
    run.train()
    watch = Watch(read_style_transfer(PACK).encoder, learnt, pictures(2, 24, 32))
    seen, _ = observed(watch, run.generator.eval(), run.progress, recipe, task)
    return [alarm.name for alarm in alarms(seen)]


def test_a_judge_that_learns_far_more_than_the_generator_is_named(tmp_path):
    unequal = replace(plain(1e-2), judge_steps=8)
    assert "critic wins" in contest(tmp_path / "unequal", unequal)
    assert "critic wins" not in contest(tmp_path / "equal", plain())
