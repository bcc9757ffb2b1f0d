"""The loop of a pair: runs that go on where they stopped, and runs that must end."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from engine.networks.dcgan import Critic, DcganGenerator
from engine.networks.gan import Discriminator, GanConfig, Generator
from engine.training.adversarial import Duel, OtherRecipe
from engine.training.gan_pictures import PictureSet, TooFewPictures, folder_pictures
from engine.training.gan_recipes import plain, r3gan, r3gan_pixels, wgan_gp
from engine.training.loop import Budget, Diverged, NotSaved, Settings, split_seed

pytestmark = pytest.mark.usefixtures("one_thread")

CONFIG = GanConfig(
    looks=("dark", "light"),
    size=16,
    latent=4,
    styles=8,
    generator_widths=(16, 8),
    generator_blocks=(1, 1),
    discriminator_widths=(8,),
    discriminator_blocks=(1,),
    group=4,
)


def pictures():
    rng = np.random.default_rng(1)
    looks = np.arange(24) % 2
    colours = rng.integers(0, 80, (24, 1, 1, 3)) + 160 * looks[:, None, None, None]
    pixels = np.broadcast_to(colours, (24, 16, 16, 3)).astype(np.uint8)
    return PictureSet(pixels, looks, CONFIG.looks)


def duel(out: Path, images: int = 96, *, resume: bool = False, recipe=None, **changes) -> Duel:
    torch.default_generator.manual_seed(3)
    settings = Settings(
        out, Budget(images=images), seed=5, resume=resume, warmup_images=8, ema=0.9, bar=False
    )
    recipe = recipe or r3gan(1e-3)
    if recipe.design == "dcgan":
        pair = (DcganGenerator(CONFIG), Critic(CONFIG))
    else:
        pair = (Generator(CONFIG), Discriminator(CONFIG))
    return Duel(*pair, recipe, pictures(), settings, batch=4, **changes)


def weights(run: Duel) -> torch.Tensor:
    return torch.cat([value.double().flatten() for value in run.average.values()])


@pytest.mark.parametrize("recipe", [r3gan, r3gan_pixels, wgan_gp])
def test_an_interrupted_run_ends_with_the_weights_of_an_uninterrupted_one(tmp_path, recipe):
    images = 96 * recipe().judge_steps
    whole = duel(tmp_path / "whole", images, recipe=recipe())
    whole.train()
    duel(tmp_path / "parts", images, recipe=recipe()).train(lambda standing: standing.step >= 9)
    rest = duel(tmp_path / "parts", images, recipe=recipe(), resume=True)
    assert rest.progress.step == 9
    rest.train()
    assert torch.allclose(weights(whole), weights(rest), atol=1e-6)


def test_looking_at_a_run_does_not_change_it(tmp_path):
    seen = []
    plain = duel(tmp_path / "a")
    plain.train()
    watched = duel(tmp_path / "b", observe=lambda _, standing: seen.append(standing.images))
    for _ in range(24):
        watched._step()
        watched.draw()
    assert len(seen) == 24
    assert torch.equal(weights(plain), weights(watched))


def test_a_trained_generator_waits_until_the_judge_has_seen_something(tmp_path):
    run = duel(tmp_path, judge_first=40)
    before = [value.clone() for value in run.generator.parameters()]
    judged = next(run.discriminator.parameters()).clone()
    for _ in range(10):
        run._step()
    assert all(map(torch.equal, run.generator.parameters(), before))
    assert not torch.equal(next(run.discriminator.parameters()), judged)
    run._step()
    assert not all(map(torch.equal, run.generator.parameters(), before))


def test_the_generator_learns_which_look_is_dark(tmp_path):
    run = duel(tmp_path, 640, recipe=r3gan(4e-3))
    generator = run.train().eval()
    z = torch.randn(16, 4, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        dark, light = (
            generator(generator.styles(z, torch.full((16,), look))).mean() for look in (0, 1)
        )
    assert dark < light - 0.2


def test_nan_ends_the_run_and_the_last_good_checkpoint_stays(tmp_path):
    run = duel(tmp_path)
    run.train(lambda standing: standing.step >= 5)
    before = (tmp_path / "checkpoint.pt").read_bytes()
    again = duel(tmp_path, resume=True)
    with torch.no_grad():
        next(again.generator.parameters()).fill_(float("nan"))
    with pytest.raises(Diverged, match="checkpoint of 20 pictures is kept"):
        again.train()
    assert (tmp_path / "checkpoint.pt").read_bytes() == before


def test_weights_that_are_not_finite_are_never_saved(tmp_path):
    run = duel(tmp_path)
    run.train(lambda standing: standing.step >= 5)
    before = (tmp_path / "checkpoint.pt").read_bytes()
    with torch.no_grad():
        next(run.discriminator.parameters())[0] = float("inf")
    with pytest.raises(Diverged):
        run.save()
    assert (tmp_path / "checkpoint.pt").read_bytes() == before


@pytest.mark.parametrize(("recipe", "is_steadiest"), [(r3gan, True), (plain, False)])
def test_a_run_that_diverges_before_its_first_checkpoint_says_that_there_is_none(
    tmp_path, recipe, is_steadiest
):
    run = duel(tmp_path, recipe=recipe())
    with torch.no_grad():
        next(run.generator.parameters()).fill_(float("nan"))
    with pytest.raises(Diverged, match="Nothing was saved yet") as ended:
        run.train()
    assert "Begin anew with another --seed" in str(ended.value)
    assert "--resume" not in str(ended.value)
    assert ("r3gan" in str(ended.value)) != is_steadiest


def test_a_run_does_not_go_on_with_another_recipe(tmp_path):
    duel(tmp_path, recipe=r3gan()).train(lambda standing: standing.step >= 2)
    with pytest.raises(OtherRecipe, match="with the recipe r3gan: go on with --recipe r3gan, or"):
        duel(tmp_path, recipe=wgan_gp(), resume=True)


def test_a_run_that_goes_on_with_another_seed_keeps_the_same_pictures_apart(tmp_path):
    run = duel(tmp_path)
    run.train(lambda standing: standing.step >= 2)
    other = replace(run.settings, seed=9, resume=True)
    assert split_seed(other) == 5
    again = Duel(run.generator, run.discriminator, r3gan(), pictures(), other, batch=4)
    again.train(lambda standing: standing.step >= 4)
    assert split_seed(replace(other, seed=11)) == 5
    assert split_seed(replace(other, resume=False)) == 9


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_leaves_the_old_checkpoint(tmp_path):
    run = duel(tmp_path)
    run.train(lambda standing: standing.step >= 3)
    before = (tmp_path / "checkpoint.pt").read_bytes()
    (tmp_path / "checkpoint.tmp").symlink_to("/dev/full")
    with pytest.raises(NotSaved, match="what was saved before it is kept"):
        duel(tmp_path, resume=True).train(lambda standing: standing.step >= 6)
    assert (tmp_path / "checkpoint.pt").read_bytes() == before
    assert json.loads((tmp_path / "progress.json").read_text())["images"] == 12


def save(folder: Path, name: str, seed: int, size: tuple[int, int] = (20, 30)) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    shape = (size[1], size[0], 3)
    pixels = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    Image.fromarray(pixels).save(folder / name)


def test_any_folder_of_pictures_of_any_size_will_do(tmp_path):
    for number in range(16):
        save(tmp_path / f"part{number % 2}", f"{number}.png", number, (8 + number, 40 - number))
    Image.new("RGBA", (9, 9)).save(tmp_path / "clear.webp")
    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    found = folder_pictures(tmp_path, 16)
    assert found.pixels.shape == (17, 16, 16, 3)
    assert found.names == ("any",)
    assert (found.pixels == 255).all(axis=(1, 2, 3)).sum() == 1  # the transparent one, on white


@pytest.mark.parametrize("suffix", ["avif", "tif", "tiff", "TIF"])
def test_still_pictures_of_less_common_kinds_are_taken_too(tmp_path, suffix):
    for number in range(16):
        save(tmp_path, f"{number}.{suffix}", number)
    assert len(folder_pictures(tmp_path, 16)) == 16


def test_copies_count_once_so_that_none_is_held_out_and_learnt(tmp_path):
    for number in range(40):
        save(tmp_path, f"{number:02}.png", number % 20)
    found = folder_pictures(tmp_path, 16)
    assert len(found) == 20
    trained, held_out = found.split(0.3, 0)
    learnt = {one.tobytes() for one in trained.pixels}
    assert not learnt & {one.tobytes() for one in held_out.pixels}


@pytest.mark.parametrize(
    ("seeds", "message"),
    [
        ([], "There are no pictures in"),
        ([1, 2, 3], "There are only 3 pictures"),
        ([1] * 40, "Of the 40 pictures .* only 1 differ"),
    ],
)
def test_too_little_to_learn_from_is_said_clearly(tmp_path, seeds, message):
    for number, seed in enumerate(seeds):
        save(tmp_path, f"{number}.png", seed)
    with pytest.raises(TooFewPictures, match=message):
        folder_pictures(tmp_path, 16)
