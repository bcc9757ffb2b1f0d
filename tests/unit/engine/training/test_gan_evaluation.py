"""The program that measures the shipped generator, on small sets and a tiny generator."""

import argparse
import json

import numpy as np
import pytest
import torch

from engine.networks.gan import GanConfig, Generator
from engine.pipelines.stages import dreaming
from engine.training import evaluate_gan
from engine.training.backgrounds import paint_background
from engine.training.gan_pictures import SCENERY, PictureSet
from engine.training.gan_programs import some_samples

SIZE = 64
pytestmark = [pytest.mark.timeout(240), pytest.mark.usefixtures("one_thread")]


def landscapes(seed, count):
    rng = np.random.default_rng(seed)
    kinds = [SCENERY[index] for index in rng.integers(len(SCENERY), size=count)]
    painted = [paint_background(kind, "", SIZE, SIZE, rng).pixels for kind in kinds]
    pixels = (np.stack(painted) * 255).round().astype(np.uint8)
    return PictureSet(pixels, np.zeros(count, np.int64), ("landscape",))


@pytest.fixture(scope="module")
def generator():
    config = GanConfig(
        looks=("landscape",),
        size=SIZE,
        latent=6,
        styles=8,
        generator_widths=(16, 16),
        generator_blocks=(1, 1),
        group=8,
    )
    torch.default_generator.manual_seed(5)
    made = Generator(config).eval().requires_grad_(requires_grad=False)
    made.fit_means(64)
    return made


@pytest.fixture(scope="module")
def trained():
    return landscapes(1, 80)


@pytest.fixture(scope="module")
def held_out():
    return landscapes(2, 40)


def test_real_pictures_score_better_than_an_untrained_generator(generator, trained, held_out):
    found = evaluate_gan.sets(generator, trained, held_out, seed=0)
    drawn, real = found["generator to held-out"], found["training pictures to held-out"]
    assert abs(real["kid"]) < 0.2 * drawn["kid"]
    assert real["recall"] > drawn["recall"]
    assert set(found["halves of the training pictures"]) == set(drawn)
    assert found["alarms of the generator"]


def test_a_search_comes_nearer_to_own_samples_than_to_strange_pictures(
    generator, held_out, monkeypatch
):
    monkeypatch.setattr(dreaming, "OF_LOOKS", 12)
    monkeypatch.setattr(dreaming, "OF_DETAIL", 12)
    monkeypatch.setattr(evaluate_gan, "SEARCHES", 2)
    found = evaluate_gan.inversion(generator, held_out)
    assert found["own samples psnr db"] > found["held-out psnr db"]
    assert found["held-out psnr db"] > found["held-out psnr db by w alone"] > 0
    one = some_samples(generator, 1, seed=5)
    assert evaluate_gan.searched(generator, one) == pytest.approx(
        evaluate_gan.searched(generator, one)
    )


def test_speeds_are_told_with_their_share_of_the_limit(generator, monkeypatch):
    monkeypatch.setattr(evaluate_gan, "MATRIX", 128)
    found = evaluate_gan.speed(generator)
    small, large = found["batch 1"], found["batch 64"]
    assert small["mflop a sample"] == pytest.approx(large["mflop a sample"], rel=0.01)
    assert min(small["samples a second"], large["samples a second"]) > 0
    assert small["share of the limit"] > 0


def test_recipes_are_compared_after_the_same_time(trained, held_out, tmp_path):
    given = argparse.Namespace(recipe_seconds=0.2, seed=0, work=tmp_path, out=tmp_path)
    found = evaluate_gan.recipes(trained, held_out, given)
    assert found.pop("seconds of training each") == 0.2
    assert set(found) == {"r3gan", "r3gan-pixels", "wgan-gp"}
    assert all(one["pictures"] >= 16 and one["kid"] > 0 for one in found.values())
    assert (tmp_path / "recipe-r3gan.png").stat().st_size > 1000


def test_recipes_that_are_not_run_keep_the_figures_of_the_last_time(tmp_path):
    (tmp_path / "figures.json").write_text('{"recipes": {"r3gan": {"kid": 1.5}}}')
    given = argparse.Namespace(recipe_seconds=0, out=tmp_path)
    assert evaluate_gan.last_recipes(given) == {"r3gan": {"kid": 1.5}}


def test_figures_become_tables_and_stay_json(generator, trained, held_out):
    figures = {"sets": evaluate_gan.sets(generator, trained, held_out, seed=0), "x": {"seconds": 3}}
    told = evaluate_gan.as_tables(figures)
    assert "| generator to held-out | " in told
    assert "- seconds: 3" in told
    assert json.loads(json.dumps(figures)) == figures


def test_reconstruction_through_the_autoencoder_is_measured(held_out, monkeypatch):
    monkeypatch.setattr(evaluate_gan, "SHEET", 4)
    assert 10 < evaluate_gan.reconstruction(held_out) < 60


def test_frames_a_second_are_measured_for_each_kind_of_morph():
    found = evaluate_gan.morphs(frames=3)
    assert found["frames"] == 3
    for kind in ("dreams", "pictures", "words"):
        assert found[kind]["frames a second"] > 0
        assert found[kind]["seconds"] > 0


def test_fine_contrast_is_told_for_each_look(generator, held_out):
    found = evaluate_gan.contrast(generator, held_out, seed=0)
    assert list(found) == list(held_out.names)
    for look in found.values():
        assert look["samples"] >= 0
        assert look["reconstructions"] > 0
