"""Generators behind the worker's calls, on small random weights read from real files."""

from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from engine.calls import (
    Decode,
    DescribeLatents,
    Facts,
    InversionGradient,
    MapNoise,
    MeanOfLook,
    NetworkRef,
    Synthesise,
)
from engine.config import EngineConfig
from engine.errors import ModelUnavailable, Unsupported
from engine.gan.inversion import descend
from engine.gan.space import LatentSpace
from engine.models.catalogue import Ability, open_catalogue
from engine.models.inspection import problems
from engine.models.shelf import Shelf
from engine.networks.gan import GanConfig, Generator
from engine.networks.weights import save_network

GAN = NetworkRef("tiny-gan")
CONFIG = GanConfig(
    looks=("cat", "moon"),
    latent=6,
    styles=8,
    size=16,
    generator_widths=(16, 16),
    generator_blocks=(1, 1),
    group=8,
)

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def folder(tmp_path):
    generator = Generator(CONFIG)
    noise = torch.Generator().manual_seed(1)
    for parameter in generator.parameters():
        parameter.data.copy_(0.3 * torch.randn(parameter.shape, generator=noise))
    for parameter in generator.to_canvas.parameters():
        parameter.data.mul_(0.05)  # nearly all pixels in range, so that a search can reach them
    generator.mean_w.copy_(torch.randn(2, 8, generator=noise))
    save_network(tmp_path, "gan", generator)
    return tmp_path


@pytest.fixture
def shelf(folder):
    page = folder / "models.toml"
    page.write_text(
        f'[models.tiny-gan]\nfamily = "gan"\nwhere = "{folder}"\nlooks = ["cat", "moon"]\n'
    )
    config = EngineConfig(catalogue_files=(page,))
    return Shelf(config, open_catalogue(config), device="cpu")


def noise(seed, rows):
    return torch.randn(rows, 6, generator=torch.Generator().manual_seed(seed))


EXTRAS = 256 + 3 * 4 * 4  # for the coarsest features, and a wash of colour over 16 x 16 pixels


def points(shelf, seed, rows):
    (w,) = shelf.execute([MapNoise(GAN, noise(seed, rows), torch.zeros(rows, dtype=torch.int64))])
    return w


def test_a_generator_tells_its_looks_and_sizes(shelf):
    (space,) = shelf.execute([DescribeLatents(GAN)])
    assert space == LatentSpace(("cat", "moon"), latent=6, styles=8, size=16, extras=EXTRAS)


def test_looks_differ_and_have_their_own_means(shelf):
    z = noise(1, 1).expand(2, -1)
    (w,) = shelf.execute([MapNoise(GAN, z, torch.tensor([0, 1]))])
    assert not torch.allclose(w[0], w[1], atol=1e-3)
    first, second = shelf.execute(
        [MeanOfLook(GAN, torch.tensor([1])), MeanOfLook(GAN, torch.tensor([0, 1]))]
    )
    assert torch.equal(first[0], second[1])
    assert not torch.equal(second[0], second[1])


def test_calls_that_share_a_pass_get_what_they_get_alone(shelf):
    calls = [Synthesise(GAN, points(shelf, seed, rows)) for seed, rows in ((1, 1), (2, 3))]
    together = shelf.execute(calls)
    for call, shared in zip(calls, together, strict=True):
        assert shared.shape == (len(call.w), 3, 16, 16)
        assert shared.min() >= 0
        assert shared.max() <= 1
        assert torch.allclose(shared, shelf.execute([call])[0], atol=1e-5)


def test_extras_of_zero_change_nothing_and_others_do(shelf):
    w = points(shelf, 1, 2)
    (plain,) = shelf.execute([Synthesise(GAN, w)])
    (same,) = shelf.execute([Synthesise(GAN, F.pad(w, (0, EXTRAS)))])
    (other,) = shelf.execute([Synthesise(GAN, F.pad(w, (0, EXTRAS), value=1.0))])
    assert torch.allclose(plain, same, atol=1e-6)
    assert not torch.allclose(plain, other, atol=1e-3)
    assert Synthesise(GAN, w).batch_key != Synthesise(GAN, F.pad(w, (0, EXTRAS))).batch_key


def test_strangers_search_together_as_they_do_alone(shelf):
    (target,) = shelf.execute([Synthesise(GAN, points(shelf, 5, 2))])
    starts = [points(shelf, seed, 1) for seed in (6, 7)]

    def search(rows):
        start, wanted = (
            torch.cat([part[row] for row in rows]) for part in (starts, target[:, None])
        )
        descent = descend(start, 100)
        w = next(descent)
        while True:
            ((loss, gradient),) = shelf.execute([InversionGradient(GAN, w, wanted)])
            try:
                w = descent.send((loss, gradient))
            except StopIteration as end:
                return end.value

    calls = [InversionGradient(GAN, start, target[k : k + 1]) for k, start in enumerate(starts)]
    for shared, call in zip(shelf.execute(calls), calls, strict=True):
        (alone,) = shelf.execute([call])
        assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(shared, alone, strict=True))
    _, lowest = search([0, 1])
    _, lowest_alone = search([1])
    assert torch.allclose(lowest[1:], lowest_alone, rtol=0.05)
    ((before, _),) = shelf.execute([InversionGradient(GAN, torch.cat(starts), target)])
    assert (lowest < 0.7 * before).all()


def test_a_generator_draws_no_prompts_and_a_denoiser_no_dreams(shelf):
    with pytest.raises(Unsupported, match="dreams only"):
        shelf.execute([Facts(GAN)])
    with pytest.raises(Unsupported, match="dreams only"):
        shelf.execute([Decode(GAN, torch.zeros(1, 4, 2, 2))])
    with pytest.raises(Unsupported, match="can't dream"):
        shelf.execute([DescribeLatents(NetworkRef("atelier-pack"))])


def test_a_generator_may_be_a_single_file_of_any_name_beside_others(folder):
    (folder / "gan.safetensors").rename(folder / "cats.safetensors")
    others = replace(CONFIG, looks=("fruit",))
    save_network(folder, "gan", Generator(others))
    page = folder / "models.toml"
    page.write_text('[models.tiny-gan]\nfamily = "gan"\nwhere = "cats.safetensors"\n')
    config = EngineConfig(catalogue_files=(page,))
    catalogue = open_catalogue(config)
    assert problems(catalogue.info("tiny-gan"), config) == []
    [space] = Shelf(config, catalogue, device="cpu").execute([DescribeLatents(GAN)])
    assert space.looks == ("cat", "moon")


def test_missing_weights_are_named(shelf, folder):
    (folder / "gan.safetensors").unlink()
    with pytest.raises(ModelUnavailable, match=r"gan\.safetensors"):
        shelf.execute([DescribeLatents(GAN)])


def test_a_generator_is_offered_for_dreams_alone(folder):
    page = folder / "models.toml"
    page.write_text(f'[models.tiny-gan]\nfamily = "gan"\nwhere = "{folder}"\nlooks = ["cat"]\n')
    catalogue = open_catalogue(EngineConfig(catalogue_files=(page,)))
    assert catalogue.info("tiny-gan").abilities == {Ability.DREAM}
    assert catalogue.info("tiny-gan").looks == ("cat",)
    assert "tiny-gan" not in [name for _, name in catalogue.autocomplete("")]
    dreamers = [name for _, name in catalogue.autocomplete("", ability=Ability.DREAM)]
    assert "tiny-gan" in dreamers
    assert "atelier-pack" not in dreamers
