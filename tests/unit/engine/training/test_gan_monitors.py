"""Measures with known answers, and alarms that name planted faults and nothing else."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from engine.gan import measures
from engine.gan.monitors import alarms
from engine.gan.plots import curves
from engine.models.families.style_files import read_style_transfer
from engine.models.hub import PACK
from engine.training.backgrounds import paint_background
from engine.training.gan_monitors import (
    Watch,
    as_pixels,
    read_observations,
    write_observations,
)
from engine.training.gan_pictures import SCENERY, PictureSet
from engine.training.gan_programs import read_vae
from engine.training.loop import NotSaved

SIZE = 32


def normal(seed, count, size=8, mean=0.0):
    return mean + torch.randn(count, size, generator=torch.Generator().manual_seed(seed))


def landscapes(seed, count):
    rng = np.random.default_rng(seed)
    kinds = [SCENERY[index] for index in rng.integers(len(SCENERY), size=count)]
    painted = [paint_background(kind, "", SIZE, SIZE, rng).pixels for kind in kinds]
    return (np.stack(painted) * 255).round().astype(np.uint8)


def picture_set(pixels):
    return PictureSet(pixels, np.zeros(len(pixels), np.int64), ("landscape",))


@pytest.fixture(scope="module")
def trained():
    return picture_set(landscapes(1, 200))


@pytest.fixture(scope="module")
def watch(trained):
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield Watch(read_style_transfer(PACK).encoder, trained, picture_set(landscapes(2, 64)))
    torch.set_num_threads(before)


def named(watch, draws, **also):
    seen, _ = watch.observe(draws, **also)
    return [alarm.name for alarm in alarms(seen)]


def healthy(count):
    return as_pixels(landscapes(3, count))


def test_kid_of_one_distribution_is_about_zero_and_grows_with_the_distance():
    real = normal(1, 400)
    same = measures.kernel_distance(real, normal(2, 400))
    near = measures.kernel_distance(real, normal(3, 400, mean=0.3))
    far = measures.kernel_distance(real, normal(4, 400, mean=1.0))
    assert abs(same) < 0.1 * near
    assert near < 0.3 * far


def test_kid_is_the_mean_over_pairs_by_hand():
    real, fake = normal(5, 4, 3), normal(6, 3, 3)
    kernel = lambda a, b: float((a @ b) / 3 + 1) ** 3  # noqa: E731
    among = [kernel(real[i], real[j]) for i in range(4) for j in range(4) if i != j]
    fakes = [kernel(fake[i], fake[j]) for i in range(3) for j in range(3) if i != j]
    between = [kernel(a, b) for a in real for b in fake]
    expected = np.mean(among) + np.mean(fakes) - 2 * np.mean(between)
    assert measures.kernel_distance(real, fake) == pytest.approx(expected, rel=1e-4)


def test_precision_falls_for_noise_and_recall_for_few_modes():
    real = normal(7, 300)
    assert min(measures.precision_recall(real, normal(8, 300))) > 0.6
    outside = torch.cat([normal(9, 150), normal(10, 150, mean=20.0)])
    precision, recall = measures.precision_recall(real, outside)
    assert precision < 0.55
    assert recall > 0.5
    one_place = 0.3 * normal(11, 300)
    precision, recall = measures.precision_recall(real, one_place)
    assert precision > 0.9
    assert recall < 0.2


def test_density_and_coverage_tell_a_mode_that_is_missing():
    real = torch.cat([normal(12, 150), normal(13, 150, mean=10.0)])
    density, coverage = measures.density_coverage(real, normal(14, 300))
    assert density > 0.6
    assert 0.3 < coverage < 0.55
    density, coverage = measures.density_coverage(real, torch.cat([normal(15, 150), real[150:]]))
    assert density == pytest.approx(1, abs=0.2)
    assert coverage > 0.9


def test_a_healthy_generator_raises_no_alarm(watch):
    assert named(watch, healthy, gap=1.0) == []


def test_three_pictures_again_and_again_are_a_collapse(watch):
    three = healthy(3)
    assert "collapse" in named(watch, lambda count: three[torch.arange(count) % 3])


def test_three_pictures_with_a_little_noise_are_a_collapse_too(watch):
    three = healthy(3)

    def draws(count):
        noise = torch.randn(count, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(1))
        return (three[torch.arange(count) % 3] + 0.01 * noise).clamp(0, 1)

    assert "collapse" in named(watch, draws)


def test_reciting_the_training_set_is_named(watch, trained):
    recited = as_pixels(trained.pixels)
    assert named(watch, lambda count: recited[:count]) == ["memorised"]


def blobs(seed, count):
    """Pictures without any symmetry."""
    numbers = torch.rand(count, 3, 4, 4, generator=torch.Generator().manual_seed(seed))
    return F.interpolate(numbers, 64, mode="bicubic").clamp(0, 1)


def bytes_of(pixels):
    return (pixels * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()


@pytest.fixture(scope="module")
def encoder():
    return read_style_transfer(PACK).encoder


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("share", [0.5, 1.0])
def test_reciting_mirrored_pictures_is_named_too(encoder, seed, share):
    learnt = blobs(seed, 80)
    watch = Watch(encoder, picture_set(bytes_of(learnt)), picture_set(bytes_of(blobs(50, 32))))
    turned = torch.rand(80, generator=torch.Generator().manual_seed(seed)) < share
    recited = torch.where(turned[:, None, None, None], learnt.flip(3), learnt)
    assert named(watch, lambda count: recited[:count]) == ["memorised"]
    assert named(watch, lambda count: blobs(60 + seed, count)) == []


def test_what_is_not_learnt_mirrored_is_not_recited_when_mirrored(encoder):
    learnt = blobs(1, 80)
    upright = replace(picture_set(bytes_of(learnt)), mirror=False)
    watch = Watch(encoder, upright, picture_set(bytes_of(blobs(50, 32))))
    assert named(watch, lambda count: learnt[:count].flip(3)) == []


@pytest.mark.parametrize("seed", range(4))
def test_reciting_mirrored_pictures_through_the_autoencoder_is_named(encoder, seed):
    learnt = blobs(seed, 80)
    watch = Watch(encoder, picture_set(bytes_of(learnt)), picture_set(bytes_of(blobs(50, 32))))
    vae = read_vae()
    with torch.no_grad():
        recited = vae.decode(vae.encode(torch.cat([learnt[:16].flip(3), learnt[16:32]])))
    assert "memorised" in named(watch, lambda count: recited[:count].clamp(0, 1))


@pytest.mark.parametrize("noise", [0, 1])
def test_a_folder_of_copies_blinds_no_alarm(encoder, noise):
    learnt = bytes_of(blobs(1, 80))
    held_out = np.concatenate([learnt[:16], learnt[:16]]) ^ np.uint8(noise)
    watch = Watch(encoder, picture_set(learnt), picture_set(held_out))
    recited = as_pixels(learnt)
    seen, _ = watch.observe(lambda count: recited[torch.arange(count) % 3])
    assert [alarm.name for alarm in alarms(seen)][:2] == ["collapse", "memorised"]
    healthy, _ = watch.observe(lambda count: blobs(70, count))
    assert alarms(healthy) == ()
    assert max(healthy.twins_ratio, healthy.novelty_ratio) < 20


def test_a_generator_that_blurs_is_named(watch):
    def draws(count):
        small = F.avg_pool2d(healthy(count), 8)
        return F.interpolate(small, SIZE, mode="bilinear")

    assert "blurred" in named(watch, draws)


def test_a_critic_that_wins_is_named_with_its_gap(watch):
    seen, _ = watch.observe(healthy, gap=14.2)
    (alarm,) = alarms(seen)
    assert alarm.name == "critic wins"
    assert "14.2" in alarm.reason


def test_a_beginner_is_not_blamed(watch):
    three = healthy(3)
    assert named(watch, lambda count: three[torch.arange(count) % 3], progress=0.1) == []


def test_observations_lie_beside_the_checkpoint_and_go_on_with_it(watch, tmp_path):
    first, samples = watch.observe(healthy, images=100, penalties={"r1": 0.2})
    write_observations(tmp_path, [first])
    again = read_observations(tmp_path)
    assert again == [first]
    later, _ = watch.observe(healthy, images=200, gap=9.0)
    write_observations(tmp_path, [*again, later])
    record = json.loads((tmp_path / "monitors.json").read_text())
    assert [one["images"] for one in record["observations"]] == [100, 200]
    assert record["alarms"][0]["name"] == "critic wins"
    assert (tmp_path / "monitors.png").stat().st_size > 1000
    assert watch.neighbours(samples).size == (8 * 2 * SIZE, 2 * 2 * SIZE)


def test_the_penalties_that_a_run_has_are_drawn_beside_its_measures(watch):
    seen = [watch.observe(healthy, images=100 * n)[0] for n in (1, 2)]
    assert curves(seen).size == (5 * 220, 2 * 150)
    rising = [replace(one, penalties={"r1": 0.2 * n, "r2": 1.0}) for n, one in enumerate(seen)]
    assert curves(rising).size == (5 * 220, 3 * 150)
    rows = np.asarray(curves(rising))[300:]
    green = (rows == (40, 110, 60)).all(2).nonzero()
    assert green[0].max() - green[0].min() > 90
    assert green[1].max() < 220


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_leaves_the_old_observations(watch, tmp_path):
    first, _ = watch.observe(healthy, images=100)
    write_observations(tmp_path, [first])
    (tmp_path / "monitors.tmp").symlink_to("/dev/full")
    with pytest.raises(NotSaved, match=r"monitors\.json could not be written"):
        write_observations(tmp_path, [first, replace(first, images=200)])
    assert read_observations(tmp_path) == [first]
