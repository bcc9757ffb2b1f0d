"""The training programs of generators.

python -m engine.training gan --data DIR --out DIR --minutes 60 --recipe r3gan
python -m engine.training gan-pack --data DIR --out DIR --minutes 60 [--start engine/models/pack]
python -m engine.training export-gan --data DIR --out DIR

`gan` takes any folder of pictures and leaves a model folder with its catalogue entry in
`OUT/gan/model`; `gan-pack` trains the shipped generator, and `export-gan` puts it into the pack.
"""

import re
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import torch
from PIL import Image
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from engine.gan.monitors import Observation, alarms
from engine.models.families.gan import NETWORK, Drawer, read_generator
from engine.models.families.style_files import read_style_transfer
from engine.networks.dcgan import Critic, DcganGenerator
from engine.networks.gan import Discriminator, GanConfig, Generator
from engine.networks.vae import Vae, VaeConfig
from engine.networks.weights import BrokenWeights, read_network, save_network
from engine.training.adversarial import Bout, Duel
from engine.training.gan_monitors import (
    PENALTIES,
    Watch,
    read_observations,
    write_observations,
)
from engine.training.gan_pictures import (
    SHIPPED_LOOKS,
    EncodedSet,
    PictureSet,
    encoded,
    folder_pictures,
    shipped_pictures,
)
from engine.training.gan_recipes import RECIPES, Recipe
from engine.training.job import PACK, Job
from engine.training.loop import (
    load_average,
    replace_file,
    replace_image,
    replace_weights,
    split_seed,
)
from engine.training.monitors import contact_sheet, draw_loss_curve

SIZE = 64  # pixels of a side
EACH = 6000  # pictures of each look of the shipped generator
HELD_OUT = 0.1  # of a folder, for the monitors
_LEAST_HELD_OUT, _MOST_HELD_OUT = 6, 256
_SHEET_COLUMNS = 12
# A trained generator unlearns from a discriminator that knows nothing. Going on, the discriminator
# sees so many pictures alone first, and both learn more slowly than from nothing.
JUDGE_FIRST = 20_000
SLOWER = 0.2

CLASSIC_WIDTHS = (256, 128, 64, 32)


def networks_of(
    recipe: Recipe, looks: tuple[str, ...], vae: Vae, seed: int
) -> tuple[Drawer, nn.Module]:
    """A new pair for a recipe, whose first weights come from `seed`."""
    with torch.random.fork_rng():
        torch.default_generator.manual_seed(seed)
        if recipe.design == "dcgan":
            config = GanConfig(looks=looks, design="dcgan", generator_widths=CLASSIC_WIDTHS)
            return DcganGenerator(config), Critic(config)
        config = latent_config(looks, vae) if recipe.in_latents else pixel_config(looks)
        generator = Generator(config)
        if generator.decoder is not None:
            generator.decoder.load_state_dict(vae.decoder.state_dict())
            generator.latent_mean.copy_(vae.mean[:, None, None])
            generator.latent_std.copy_(vae.std[:, None, None])
        return generator, Discriminator(config)


def latent_config(looks: tuple[str, ...], vae: Vae) -> GanConfig:
    """Sizes of a pair that works on the latents of an autoencoder."""
    return GanConfig(
        looks=looks,
        size=SIZE // 8,
        channels=vae.config.latent_channels,
        generator_widths=(256, 192),
        generator_blocks=(2, 2),
        discriminator_widths=(256, 128),
        discriminator_blocks=(1, 2),
        spread=True,
        vae=vae.configuration(),
    )


def pixel_config(looks: tuple[str, ...]) -> GanConfig:
    """Sizes of a pair that works on pixels."""
    return GanConfig(
        looks=looks,
        size=SIZE,
        generator_widths=(256, 128, 64, 48),
        generator_blocks=(1, 1, 1, 1),
        discriminator_widths=(192, 96, 48, 24),
        discriminator_blocks=(1, 1, 1, 1),
        finest=24,
        spread=True,
    )


def read_vae() -> Vae:
    """The pack's autoencoder."""
    configuration, weights = read_network(PACK, "vae")
    vae = Vae(VaeConfig(**configuration))
    vae.load_state_dict(weights)
    return vae.eval().requires_grad_(requires_grad=False)


def train_gan(job: Job) -> Drawer:
    """Train a generator on any folder of pictures, and write it as a model.

    Raises:
        TooFewPictures: there is too little to learn from.
        OtherRecipe: the run is to go on, but began with another recipe.
        Diverged: the numbers overflowed; the last checkpoint is kept.
        NotSaved: there is no room for a file; the last checkpoint is kept.
    """
    everything = folder_pictures(job.data, SIZE, job.out / "gan")
    count = min(max(_LEAST_HELD_OUT, HELD_OUT * len(everything)), _MOST_HELD_OUT)
    trained, held_out = everything.split(count / len(everything), split_seed(job.settings("gan")))
    generator = _duel(job, trained, held_out)
    write_model(generator, job.out / "gan" / "model", job.data.resolve().name)
    return generator


def train_shipped(job: Job) -> Drawer:
    """Train the generator of the pack on looks composed from the pack's data."""
    return _duel(job, prepared(job, "train"), prepared(job, "validation"))


def prepared(job: Job, split: str) -> PictureSet:
    """The shipped generator's pictures, composed once and kept.

    A run that goes on has those it began with.

    Raises:
        NotSaved: there is no room for them.
    """
    file = job.out / f"gan-{split}.npz"
    count = EACH if split == "train" else EACH // 10
    seed = split_seed(job.settings("gan"))
    origin = f"{job.data.resolve()} {SIZE} {count} {seed}"
    kept = _kept_pictures(file, origin)
    if kept is not None:
        return kept
    found = shipped_pictures(job.data, SIZE, count, seed, split)
    replace_file(file, partial(_write_pictures, found, origin))
    return found


def _kept_pictures(file: Path, origin: str) -> PictureSet | None:
    """The pictures in a file; None where it is missing, damaged or of another origin."""
    try:
        with file.open("rb") as data, np.load(data) as kept:
            if str(kept["origin"]) != origin:
                return None
            names = tuple(str(name) for name in kept["names"])
            return PictureSet(kept["pixels"], kept["looks"], names, mirror=False)
    except (OSError, EOFError, BadZipFile, KeyError, ValueError):
        return None


def _write_pictures(pictures: PictureSet, origin: str, path: Path) -> None:
    parts = {"pixels": pictures.pixels, "looks": pictures.looks, "names": pictures.names}
    with path.open("wb") as file:
        np.savez(file, origin=origin, **parts)  # type: ignore[arg-type]


def _duel(job: Job, trained: PictureSet, held_out: PictureSet) -> Drawer:
    recipe = RECIPES[job.recipe]()
    vae = read_vae()
    generator, discriminator = networks_of(recipe, trained.names, vae, job.seed)
    if job.start is not None:
        _fill(generator, job.start)
        recipe = replace(recipe, learning_rate=SLOWER * recipe.learning_rate)
    settings = job.settings("gan")
    real = _encoded_once(settings.out, trained, vae) if recipe.in_latents else trained
    encoder = read_style_transfer(PACK).encoder
    watch = Watch(encoder, trained, held_out, split_seed(settings))
    seen = read_observations(settings.out) if job.resume else []

    def observe(network: nn.Module, bout: Bout) -> None:
        assert isinstance(network, Generator | DcganGenerator)
        replace_image(settings.out / f"sheet_{bout.images:08d}.png", sheet_of(network))
        observation, samples = observed(watch, network, bout, recipe, job)
        seen.append(observation)
        write_observations(settings.out, seen)
        replace_image(settings.out / "nearest.png", watch.neighbours(samples))
        losses = [one["judge"] for one in bout.measures]
        replace_image(settings.out / "loss.png", draw_loss_curve(losses, bout.images))
        _say(observation)

    duel = Duel(
        generator,
        discriminator,
        recipe,
        real,
        settings,
        judge_first=JUDGE_FIRST if job.start is not None else 0,
        observe=observe,
    )
    duel.train()
    generator.eval().fit_means()
    return generator


def observed(
    watch: Watch, generator: Drawer, bout: Bout, recipe: Recipe, job: Job
) -> tuple[Observation, Tensor]:
    """Measure a generator, with what its run has noted last; returns the samples as well."""
    last = bout.measures[-1] if bout.measures else {}
    return watch.observe(
        lambda count: some_samples(generator, count, job.seed),
        bout.images,
        job.budget.progress(bout.images, bout.seconds),
        last.get("gap") if recipe.saturates else None,
        {name: last[name] for name in PENALTIES if name in last},
    )


def _fill(generator: Drawer, pack: Path) -> None:
    """Give a generator the weights of a pack's, to go on from.

    Raises:
        BrokenWeights: there is none, or it is of other sizes or looks.
    """
    found = read_generator(pack)
    drawn = ", ".join(found.config.looks)
    if drawn != ", ".join(generator.config.looks):
        raise BrokenWeights(str(pack), f"its generator draws {drawn}; leave out --start")
    try:
        generator.load_state_dict(found.state_dict())
    except RuntimeError as error:
        raise BrokenWeights(str(pack), "its generator is of other sizes") from error


def _encoded_once(folder: Path, pictures: PictureSet, vae: Vae) -> EncodedSet:
    """The pictures as latents, kept beside the checkpoint for a run that goes on.

    Raises:
        NotSaved: there is no room for them.
    """
    file, digest = folder / "latents.safetensors", pictures.digest()
    kept = _kept_latents(file, digest)
    if kept is not None:
        return EncodedSet(kept["latents"], kept["mirrored"], pictures.looks)
    found = encoded(pictures, vae)
    tensors = {"latents": found.latents, "mirrored": found.mirrored}
    replace_file(file, lambda path: save_file(tensors, path, {"pictures": digest}))
    return found


def _kept_latents(file: Path, digest: str) -> dict[str, Tensor] | None:
    """The latents in a file; None where it is missing, damaged or of other pictures."""
    try:
        with safe_open(file, framework="pt") as kept:
            if (kept.metadata() or {}).get("pictures") != digest:
                return None
            return {name: kept.get_tensor(name) for name in ("latents", "mirrored")}
    except (OSError, SafetensorError):
        return None


def _say(seen: Observation) -> None:
    print(f"gan: {seen.images:,} pictures, KID {seen.kid:.3f}, coverage {seen.coverage:.0%}")
    for alarm in alarms(seen):
        print(f"gan: {alarm.name}: {alarm.reason}")


@torch.no_grad()
def some_samples(generator: Drawer, count: int, seed: int) -> Tensor:
    """Samples of all looks in turn, (count, 3, S, S)."""
    draw = torch.Generator().manual_seed(seed)
    z = torch.randn(count, generator.config.latent, generator=draw)
    looks = torch.arange(count) % len(generator.config.looks)
    device = next(generator.parameters()).device
    parts = zip(torch.split(z.to(device), 32), torch.split(looks.to(device), 32), strict=True)
    return torch.cat([generator(generator.styles(*part)) for part in parts])


@torch.no_grad()
def sheet_of(generator: Drawer) -> Image.Image:
    """A row of samples of each look, of the same noise."""
    config = generator.config
    z = torch.randn(_SHEET_COLUMNS, config.latent, generator=torch.Generator().manual_seed(1))
    device = next(generator.parameters()).device
    rows = []
    for look in range(len(config.looks)):
        looks = torch.full((len(z),), look, device=device)
        rows.append(generator(generator.styles(z.to(device), looks)))
    return contact_sheet(torch.cat(rows), columns=_SHEET_COLUMNS)


def write_model(generator: Drawer, folder: Path, title: str) -> None:
    """Write a generator as a folder with the catalogue that lists it.

    Raises:
        NotSaved: there is no room; a model that was there before is kept.
    """
    replace_network(folder, generator)
    looks = ", ".join(f'"{look}"' for look in generator.config.looks)
    name = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")
    entry = f'[models.{name or "gan"}]\nfamily = "gan"\nwhere = "{folder.resolve()}"\n'
    text = f"{entry}looks = [{looks}]\n"
    replace_file(folder / "catalogue.toml", lambda path: path.write_text(text, encoding="utf-8"))


def replace_network(folder: Path, generator: Drawer) -> None:
    """Put a generator's files in the place of older ones once they are whole.

    Raises:
        NotSaved: there is no room; the older ones are kept.
    """
    replace_weights(folder, lambda made: save_network(made, NETWORK, generator.cpu()))


def export_gan(job: Job) -> None:
    """Write the averaged generator below `job.out` into the pack."""
    generator, _ = networks_of(RECIPES[job.recipe](), SHIPPED_LOOKS, read_vae(), job.seed)
    load_average(generator, job.out / "gan")
    generator.eval().fit_means()
    replace_network(job.pack, generator)


GAN_PROGRAMS: dict[str, Callable[[Job], object]] = {
    "gan": train_gan,
    "gan-pack": train_shipped,
    "export-gan": export_gan,
}
