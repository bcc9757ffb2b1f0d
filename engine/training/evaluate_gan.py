"""`python -m engine.training.evaluate_gan --data DIR --work DIR`: figures of the shipped generator.

Distances and shares are those of `gan_monitors`, in features of the pack's style encoder: compare
them with one another, not with figures of other projects. Held-out pictures are composed of emoji,
fruit and heads that the generator was never shown; the halves of the training pictures say what a
perfect model could score. Recipes are compared after equal seconds of training from nothing; on a
machine that does other work as well, `--recipe-seconds 0` leaves the figures of the last time.
Speeds are of processor time: set OMP_NUM_THREADS=1, so that a second is one of one core.
"""

import argparse
import json
import time
from collections.abc import Callable, Generator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from engine import registry
from engine.calls import Call, DescribeLatents, NetworkRef, Pause, Report
from engine.config import EngineConfig
from engine.events import Picture
from engine.gan.measures import sharpness
from engine.gan.monitors import Observation, alarms
from engine.media import png
from engine.models.catalogue import Ability, open_catalogue
from engine.models.families import Place
from engine.models.families.gan import Drawer, GanModel, read_generator
from engine.models.families.style_files import read_style_transfer
from engine.models.shelf import Shelf
from engine.pipelines.stages import dreaming
from engine.requests import Morph, Request, TextToImage, Waypoint, plain
from engine.training.adversarial import Duel
from engine.training.gan_monitors import Watch
from engine.training.gan_pictures import PictureSet, encoded
from engine.training.gan_programs import networks_of, prepared, read_vae, some_samples
from engine.training.gan_recipes import RECIPES
from engine.training.job import PACK, Job
from engine.training.loop import Budget, Settings
from engine.training.monitors import as_pixels, contact_sheet

SHEET = 64  # samples
AT_ONCE = 32  # pictures that the autoencoder takes
FRAMES = 24  # of an animation
CONTRASTED = 64  # pictures of each look whose sharpness is compared
SEARCHES = 4  # pictures of each kind whose latents are searched for
MATRIX = 1024  # side of the matrices whose product measures the device's limit
_MEASURED = ("kid", "precision", "recall", "density", "coverage", "diversity_ratio")

Figures = dict[str, Any]


def main() -> None:
    """Measure, print, and write `figures.json`, `figures.md` and the sheets."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True, help="where prepared pictures are kept")
    parser.add_argument("--out", type=Path, default=Path("docs/gan"))
    parser.add_argument("--pack", type=Path, default=PACK)
    parser.add_argument("--recipe-seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    job = Job(data=given.data, out=given.work, budget=Budget(minutes=1), seed=given.seed)
    trained, held_out = prepared(job, "train"), prepared(job, "validation")
    generator = read_generator(given.pack)
    figures: Figures = {
        "sets": sets(generator, trained, held_out, given.seed),
        "fine contrast": contrast(generator, held_out, given.seed),
        "recipes": recipes(trained, held_out, given)
        if given.recipe_seconds
        else last_recipes(given),
        "inversion": inversion(generator, held_out),
        "autoencoder": {"held-out psnr db": reconstruction(held_out)},
        "speed": speed(generator),
        "morph": morphs(),
    }
    samples = some_samples(generator, SHEET, given.seed + 1)
    contact_sheet(samples, columns=16).save(given.out / "samples.png")
    text = json.dumps(figures, indent=1)
    (given.out / "figures.json").write_text(text + "\n", encoding="utf-8")
    (given.out / "figures.md").write_text(as_tables(figures), encoding="utf-8")
    print(as_tables(figures))


def watch_of(trained: PictureSet, held_out: PictureSet, seed: int) -> Watch:
    """Compares generators with held-out pictures, in the pack's features."""
    return Watch(read_style_transfer(PACK).encoder, trained, held_out, seed)


def sets(generator: Drawer, trained: PictureSet, held_out: PictureSet, seed: int) -> Figures:
    """The generator, and a half of the training pictures, each against pictures it never saw."""
    seen, _ = watch_of(trained, held_out, seed).observe(
        lambda count: some_samples(generator, count, seed)
    )
    one, other = trained.split(0.5, seed)
    best, _ = watch_of(one, other, seed).observe(lambda count: as_pixels(one.pixels[:count]))
    half, _ = watch_of(trained, held_out, seed).observe(lambda count: as_pixels(one.pixels[:count]))
    again, _ = watch_of(trained, held_out, seed).observe(lambda count: rebuilt(one, count))
    return {
        "generator to held-out": measured(seen),
        "training pictures to held-out": measured(half),
        "the same through the autoencoder": measured(again),
        "halves of the training pictures": measured(best),
        "alarms of the generator": [alarm.name for alarm in alarms(seen)],
    }


@torch.no_grad()
def rebuilt(pictures: PictureSet, count: int) -> Tensor:
    """Reconstructions of the first pictures: what a generator without fault would draw."""
    vae = read_vae()
    parts = torch.split(as_pixels(pictures.pixels[:count]), AT_ONCE)
    return torch.cat([vae.decode(vae.encode(part)) for part in parts])


@torch.no_grad()
def contrast(generator: Drawer, held_out: PictureSet, seed: int) -> Figures:
    """The share of held-out pictures' sharpness in samples of each look, and in reconstructions.

    The autoencoder draws both, so that the latter is the most a generator could have.
    """
    vae, looks = read_vae(), held_out.names
    samples = some_samples(generator, len(looks) * CONTRASTED, seed)
    found: Figures = {}
    for look, name in enumerate(looks):
        pixels = as_pixels(held_out.pixels[held_out.looks == look][:CONTRASTED])
        real = sharpness(pixels)
        found[name] = {
            "samples": round(sharpness(samples[look :: len(looks)]) / real, 2),
            "reconstructions": round(sharpness(vae.decode(vae.encode(pixels))) / real, 2),
        }
    return found


def measured(seen: Observation) -> Figures:
    """What is reported of an observation."""
    return {name: round(getattr(seen, name), 4) for name in _MEASURED}


def recipes(trained: PictureSet, held_out: PictureSet, given: argparse.Namespace) -> Figures:
    """Each recipe after equal seconds from nothing."""
    if not given.recipe_seconds:
        return last_recipes(given)
    vae = read_vae()
    watch = watch_of(trained, held_out, given.seed)
    found: Figures = {"seconds of training each": given.recipe_seconds}
    for name in ("r3gan", "r3gan-pixels", "wgan-gp"):
        recipe = RECIPES[name]()
        pair = networks_of(recipe, trained.names, vae, given.seed)
        real = encoded(trained, vae) if recipe.in_latents else trained
        settings = Settings(
            given.work / f"compared-{name}",
            Budget(minutes=given.recipe_seconds / 60),
            seed=given.seed,
            sheet_every_s=1e9,
            bar=False,
        )
        duel = Duel(*pair, recipe, real, settings)
        generator = pair[0]
        duel.train()
        generator.eval()
        seen, samples = watch.observe(_samples_of(generator, given.seed))
        contact_sheet(samples[:16], columns=16).save(given.out / f"recipe-{name}.png")
        found[name] = {"pictures": duel.progress.images, **measured(seen)}
    return found


def last_recipes(given: argparse.Namespace) -> Figures:
    """The recipes' figures that are in the folder already."""
    kept: Figures = json.loads((given.out / "figures.json").read_text())["recipes"]
    return kept


def _samples_of(generator: Drawer, seed: int) -> Callable[[int], Tensor]:
    return lambda count: some_samples(generator, count, seed)


def inversion(generator: Drawer, held_out: PictureSet) -> Figures:
    """How near a search comes to own samples and to unseen pictures, as `/dream like` searches."""
    own = some_samples(generator, SEARCHES, seed=5)
    rng = np.random.default_rng(5)
    unseen = as_pixels(held_out.pixels[rng.permutation(len(held_out))[:SEARCHES]])
    return {
        "iterations": dreaming.ITERATIONS,
        "own samples psnr db": searched(generator, own),
        "held-out psnr db": searched(generator, unseen),
        "held-out psnr db by w alone": searched(generator, unseen, has_extras=False),
    }


def searched(generator: Drawer, targets: Tensor, *, has_extras: bool = True) -> float:
    """Mean PSNR in dB of what is found for each picture (B, 3, S, S)."""
    model, network = GanModel(Place(torch.device("cpu"), torch.float32), generator), NetworkRef("")
    [space] = model.execute([DescribeLatents(network)])
    space = space if has_extras else replace(space, extras=0)
    found = []
    for target in targets:
        looks = range(len(space.looks))
        search = dreaming.found(network, space, target, looks, lambda _: _nothing())
        found.append(driven(search, lambda call: model.execute([call])[0]))
    with torch.no_grad():
        error = (generator(torch.cat(found)) - targets).square().flatten(1).mean(1)
    return round(float((-10 * error.log10()).mean()), 2)


def _nothing() -> Generator[Call, Any, None]:
    yield from ()


@torch.no_grad()
def reconstruction(held_out: PictureSet) -> float:
    """Mean PSNR in dB of the pack's autoencoder, the limit of what is drawn through it."""
    vae = read_vae()
    rng = np.random.default_rng(5)
    pixels = as_pixels(held_out.pixels[rng.permutation(len(held_out))[:SHEET]])
    error = (vae.decode(vae.encode(pixels)) - pixels).square().flatten(1).mean(1)
    return round(float((-10 * error.log10()).mean()), 2)


@torch.no_grad()
def speed(generator: Drawer) -> Figures:
    """Samples a processor second at batch 1 and 64, and which share of the limit they take."""
    matrix = torch.randn(MATRIX, MATRIX)
    limit = 2 * MATRIX**3 / fastest(lambda: matrix @ matrix, times=60)
    found: Figures = {
        "threads": torch.get_num_threads(),
        "limit gflops": round(limit / 1e9, 1),
        "parameters": sum(parameter.numel() for parameter in generator.parameters()),
    }
    for batch in (1, 64):
        z = torch.randn(batch, generator.config.latent)
        looks = torch.zeros(batch, dtype=torch.int64)

        def draw(z: Tensor = z, looks: Tensor = looks) -> Tensor:
            pixels: Tensor = generator(generator.styles(z, looks))
            return pixels

        counter = FlopCounterMode(display=False)
        with counter:
            draw()
        seconds = fastest(draw)
        found[f"batch {batch}"] = {
            "samples a second": round(batch / seconds, 1),
            "mflop a sample": round(counter.get_total_flops() / batch / 1e6, 1),
            "share of the limit": round(counter.get_total_flops() / seconds / limit, 3),
        }
    return found


def morphs(frames: int = FRAMES) -> Figures:
    """Frames a processor second of animations, as chats ask for them, from request to files."""
    config = EngineConfig(devices=("cpu",))
    catalogue = open_catalogue(config)
    shelf = Shelf(config, catalogue, device="cpu")
    dreamer = next(info.name for info in catalogue.models() if Ability.DREAM in info.abilities)
    drafter = catalogue.info(catalogue.default.draft_model or catalogue.default.name)
    drawing = TextToImage(
        model=drafter.name,
        prompt=plain("a fox"),
        seed=1,
        width=drafter.width,
        height=drafter.height,
        steps=drafter.draft_steps,
        guidance_scale=drafter.draft_guidance_scale,
        sampler=drafter.sampler,
        schedule=drafter.schedule,
        image_count=1,
        previews=False,
    )
    picture, other = (
        png.encode_png(Image.new("RGB", (drawing.width, drawing.height), colour))
        for colour in ("red", "blue")
    )
    kinds = {
        "dreams": (Waypoint(seed=1), Waypoint(seed=2)),
        "pictures": (Waypoint(picture=picture), Waypoint(picture=other)),
        "words": (Waypoint(prompt=plain("a fox")), Waypoint(prompt=plain("an owl"))),
    }
    found: Figures = {"frames": frames, "threads": torch.get_num_threads()}
    for kind, stops in kinds.items():
        request = Morph(stops=stops, drawing=drawing, frames=frames, dreams=dreamer)
        answered(shelf, replace(request, frames=2))  # loads what is needed
        begun = time.process_time()
        answered(shelf, request)
        seconds = time.process_time() - begun
        found[kind] = {"frames a second": round(frames / seconds, 2), "seconds": round(seconds, 2)}
    return found


def answered(shelf: Shelf, request: Request) -> tuple[Picture, ...]:
    """What a request ends with, alone."""
    pipeline = registry.start(request, preview_interval_s=1e9)
    pictures: tuple[Picture, ...] = driven(pipeline, lambda call: shelf.execute([call])[0])
    return pictures


def driven(pipeline: Generator[Any, Any, Any], execute: Callable[[Any], object]) -> Any:
    """What a pipeline returns, whose calls are answered at once."""
    answer: object = None
    while True:
        try:
            call = pipeline.send(answer)
        except StopIteration as end:
            return end.value
        answer = None if isinstance(call, Pause | Report) else execute(call)


def fastest(run: Callable[[], object], times: int = 12) -> float:
    """Processor seconds of the fastest of some runs: the others were disturbed."""
    best = float("inf")
    for _ in range(times):
        begun = time.process_time()
        run()
        best = min(best, time.process_time() - begun)
    return best


def as_tables(figures: Figures) -> str:
    """The figures in Markdown."""
    lines = ["# Figures of the generator", "", "Written by `engine.training.evaluate_gan`.", ""]
    for name, part in figures.items():
        lines += [f"## {name}", ""]
        rows = {key: value for key, value in part.items() if isinstance(value, dict)}
        if rows:
            columns = list(next(iter(rows.values())))
            lines += [f"| | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
            for key, row in rows.items():
                lines.append(f"| {key} | {' | '.join(str(row[c]) for c in columns)} |")
            lines.append("")
        lines += [f"- {key}: {value}" for key, value in part.items() if key not in rows]
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"


if __name__ == "__main__":
    main()
