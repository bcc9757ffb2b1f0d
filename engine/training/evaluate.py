"""Figures and sheets of the shipped pack, by one command.

    python -m engine.training.evaluate --data DIR --work DIR --out docs/pack

Writes `figures.json` and the sample sheets below `--out` and the figures into the model cards
beside the weights. `--scale 0.2` asks a fifth of the questions; `--only speed fidelity` measures
these alone and leaves the other figures as they were written.
"""

import argparse
import csv
import json
import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from engine.gan.measures import kernel_distance
from engine.models.families.pack import make_draft, read_networks
from engine.training.adherence import adherence, painted
from engine.training.bench import GUIDANCE, STEPS, Bench
from engine.training.captions import (
    BACKGROUND_WORDS,
    LOOK_WORDS,
    RELATIONS,
    Item,
    Plan,
    plural,
)
from engine.training.cards import write_cards
from engine.training.denoise import Words
from engine.training.enlarge import large_pictures, psnr
from engine.training.job import PACK
from engine.training.judge import Judge, LabelledScenes, labelled_scenes, trained_judge
from engine.training.look_judge import judged_looks, painted_looks
from engine.training.monitors import as_bytes, as_pixels, contact_sheet
from engine.training.pictures import read_pictures
from engine.training.scenes import SceneMaker
from engine.training.shapes import centre_of_colour, colours_of, counted, stands
from engine.training.subjects import HUES, SubjectLibrary, read_nouns
from engine.training.texts import page_prompts

MEASURES = (
    *("speed", "fidelity", "sheets", "adherence", "painted", "arrangement", "likeness"),
    "parti",
)
DRAWINGS = 6  # of each thing that a generated picture is compared with
COUNTED = ("apple", "heart", "star", "balloon", "fish", "car", "rose", "orange", "bird", "cat")
PAINTED = ("apple", "heart", "star", "balloon", "fish", "car", "bird", "cat", "rose", "mushroom")
SHOWN_IN_EVERY_LOOK = ("a fox", "a sailboat at sea", "a house in a forest", "a red apple")
COLOUR_PAIRS = (("red", "blue"), ("green", "red"), ("blue", "yellow"), ("yellow", "red"))


def likeness(bench: Bench, judge: Judge, real: LabelledScenes) -> dict[str, Any]:
    """KID to real scenes, diversity of one prompt, distance to the nearest training scene.

    Training scenes show the same things in the same looks on the same grounds, each thing in
    several of its drawings, and as many others.
    """
    count = bench.number(240)
    plans = real.plans[:count]
    made = bench.draw([_said(plan) for plan in plans], seed=5000)
    other = labelled_scenes(bench.data, count, 91)
    known = np.concatenate([_training_scenes(bench.data, plans), other.pixels])
    ours, theirs, real_too, trained = (
        _features(judge, part)
        for part in (
            made,
            as_pixels(real.pixels[:count]),
            as_pixels(other.pixels),
            as_pixels(known),
        )
    )
    seeds = bench.draw(["a cat, glossy 3D"] * 16, seed=40)
    bench.keep("seeds", contact_sheet(seeds, 8))
    nearest = torch.cdist(ours, trained).min(1)
    usual = torch.cdist(theirs, trained).min(1)
    rows = list(range(min(12, count)))
    found = as_pixels(known[nearest.indices[rows].numpy()])
    bench.keep("nearest", contact_sheet(torch.cat([made[rows], found]), len(rows)))
    return {
        "kid": round(kernel_distance(ours, theirs), 4),
        "kid_of_real_to_real": round(kernel_distance(theirs, real_too), 4),
        "diversity_16_seeds": round(_spread(_features(judge, seeds)), 3),
        "diversity_real_scenes": round(_spread(theirs[:64]), 3),
        "nearest_training_distance": round(float(nearest.values.mean()), 3),
        "nearest_distance_of_held_out_real": round(float(usual.values.mean()), 3),
        "n": count,
    }


def _said(plan: Plan) -> str:
    """A prompt that asks for a plan's one thing, its ground and its look."""
    grounds = BACKGROUND_WORDS.get(plan.background, ("",)) if plan.look != "photo" else ("",)
    ground = grounds[0].format(c=plan.background_colour or "white")
    return f"{plan.items[0].noun} {ground}".rstrip() + f", {LOOK_WORDS[plan.look][0]}"


def _training_scenes(data: Path, plans: Sequence[Plan]) -> NDArray[np.uint8]:
    """Each plan's thing and look in `DRAWINGS` scenes of training drawings, where there are any."""
    maker = SceneMaker(SubjectLibrary.read(data), read_nouns(), [])
    scenes = []
    for number, plan in enumerate(plans):
        wanted = replace(plan, items=(Item(plan.items[0].noun),), place="")
        if maker.can_render(wanted):
            scenes += [
                maker.render(wanted, np.random.default_rng([number, drawing]))
                for drawing in range(DRAWINGS)
            ]
    return np.stack(scenes)


@torch.no_grad()
def _features(judge: Judge, pixels: Tensor) -> Tensor:
    parts = [judge(pixels[start : start + 64]).features for start in range(0, len(pixels), 64)]
    return torch.cat(parts)


def _spread(features: Tensor) -> float:
    """Mean distance between any two of the features (N, D)."""
    distances = torch.cdist(features, features)
    return float(distances.sum() / (len(features) * (len(features) - 1)))


def arrangement(bench: Bench) -> dict[str, Any]:
    """Shares of right counts (1-4), positions and colours, by simple vision on plain grounds."""
    rng = np.random.default_rng(3)
    numbers = ["one", "two", "three", "four"]
    prompts, wanted = [], []
    for index in range(bench.number(120)):
        noun, count = str(rng.choice(COUNTED)), index % 4 + 1
        things = noun if count == 1 else plural(noun)
        prompts.append(f"{numbers[count - 1]} {things} on a white background, flat")
        wanted.append(count)
    pictures = as_bytes(bench.draw(prompts, seed=7000))
    counts = [counted(picture) for picture in pictures]
    bench.keep("counts", contact_sheet(as_pixels(pictures[:40]), 10, prompts[:40]))
    right = [c == w for c, w in zip(counts, wanted, strict=True)]
    by_number = {
        str(n): round(float(np.mean([r for r, w in zip(right, wanted, strict=True) if w == n])), 3)
        for n in (1, 2, 3, 4)
    }
    return {
        "counts_right": round(float(np.mean(right)), 3),
        "by_count": by_number,
        "n_counts": len(right),
        **_positions(bench, rng),
        **_colours(bench, rng),
    }


def _positions(bench: Bench, rng: np.random.Generator) -> dict[str, Any]:
    prompts, asked = [], []
    for index in range(bench.number(80)):
        relation = list(RELATIONS)[index % 4]
        one, two = COLOUR_PAIRS[int(rng.integers(len(COLOUR_PAIRS)))]
        noun, other = rng.choice(COUNTED, 2, replace=False)
        prompts.append(f"a {one} {noun} {relation} a {two} {other} on a white background, flat")
        asked.append((one, two, relation))
    pictures = as_bytes(bench.draw(prompts, seed=8000))
    bench.keep("positions", contact_sheet(as_pixels(pictures[:40]), 10, prompts[:40]))
    right = [
        stands(centre_of_colour(picture, one), centre_of_colour(picture, two), relation)
        for picture, (one, two, relation) in zip(pictures, asked, strict=True)
    ]
    return {"positions_right": round(float(np.mean(right)), 3), "n_positions": len(right)}


def _colours(bench: Bench, rng: np.random.Generator) -> dict[str, Any]:
    """Whether a thing and its ground have the colours that the prompt gives each of them."""
    asked = [
        (str(rng.choice(PAINTED)), *(str(hue) for hue in rng.choice(list(HUES), 2, replace=False)))
        for _ in range(bench.number(80))
    ]
    prompts = [f"a {thing} {noun} on a {ground} background" for noun, thing, ground in asked]
    drawn = bench.draw(prompts, seed=9000)
    bench.keep("colours", contact_sheet(drawn[:40], 10, prompts[:40]))
    seen = [colours_of(picture) for picture in as_bytes(drawn)]
    pairs = [(thing, ground) for _, thing, ground in asked]
    return {
        "colours_right": _share(one == two for one, two in zip(seen, pairs, strict=True)),
        "colours_exchanged": _share(one == two[::-1] for one, two in zip(seen, pairs, strict=True)),
        "n_colours": len(seen),
    }


def _share(answers: Iterable[bool]) -> float:
    return round(float(np.mean(list(answers))), 3)


@torch.no_grad()
def fidelity(bench: Bench) -> dict[str, Any]:
    """Reconstruction and enlargement in dB, on held-out drawings and on photographs."""
    vae, upscaler = bench.networks.vae, bench.networks.upscaler
    drawings = as_pixels(large_pictures(bench.data, bench.number(48), 5, split="validation"))
    scenes = F.interpolate(drawings, scale_factor=0.5, mode="bicubic", antialias=True).clamp(0, 1)
    result: dict[str, Any] = {
        "vae_held_out_drawings_db": round(psnr(vae.decode(vae.encode(scenes)), scenes), 2),
        "n_drawings": len(drawings),
    }
    photos = _photographs(bench.data)
    if photos is not None:
        result["vae_kodak_db"] = round(psnr(vae.decode(vae.encode(photos)), photos), 2)
    for name, large in (("drawings", drawings), ("kodak", photos)):
        if large is None:
            continue
        for factor in (2, 4):
            small = F.interpolate(
                large, scale_factor=1 / factor, mode="bicubic", antialias=True
            ).clamp(0, 1)
            bicubic = F.interpolate(small, scale_factor=factor, mode="bicubic").clamp(0, 1)
            ours = upscaler.enlarge(small, factor)
            result[f"upscaler_x{factor}_{name}_db"] = round(psnr(ours, large), 2)
            result[f"bicubic_x{factor}_{name}_db"] = round(psnr(bicubic, large), 2)
            if name == "drawings":
                rows = torch.cat([bicubic[:6], ours[:6], large[:6]])
                bench.keep(f"upscaler_x{factor}", contact_sheet(rows, 6))
    rows = torch.cat([scenes[:8], vae.decode(vae.encode(scenes[:8]))])
    bench.keep("reconstruction", contact_sheet(rows, 8))
    return result


def _photographs(data: Path) -> Tensor | None:
    pictures = [p for p in read_pictures(data) if p.source.name == "kodak"]
    if not pictures:
        return None
    crops = []
    for picture in pictures:
        image = picture.open().convert("RGB")
        box = (image.width // 2 - 128, image.height // 2 - 128)
        crops.append(np.asarray(image.crop((*box, box[0] + 256, box[1] + 256))))
    return as_pixels(np.stack(crops))


def speed(bench: Bench) -> dict[str, Any]:
    """Seconds for four pictures at default steps and as a draft, upscaled to 256 pixels."""
    result: dict[str, Any] = {"threads": torch.get_num_threads()}
    for name, draw in (("default", bench.draw), ("draft", bench.draw_draft)):
        started = time.perf_counter()
        pixels = draw(["a cat on the beach, cartoon"] * 4)
        bench.networks.upscaler.enlarge(pixels, 2)
        result[f"four_pictures_{name}_s"] = round(time.perf_counter() - started, 2)
    return result


def sheets(bench: Bench) -> dict[str, Any]:
    """The page of 64 pictures, the draft page, wide and tall ones, and every look."""
    entries = page_prompts()
    prompts, captions = [e.prompt for e in entries], [e.caption for e in entries]
    pixels = bench.networks.upscaler.enlarge(bench.draw(prompts, seed=64), 2)
    page = contact_sheet(pixels, 8, captions)
    half = (page.width // 2, page.height // 2)
    bench.keep("page", page.resize(half, Image.Resampling.LANCZOS))
    drafts = bench.draw_draft(prompts[:32], seed=64)
    bench.keep("draft", contact_sheet(drafts, 8, prompts[:32]))
    for name, size in (("wide", (96, 144)), ("tall", (144, 96))):
        odd = bench.draw(prompts[:8], seed=3, size=size)
        bench.keep(name, contact_sheet(odd, 8, prompts[:8]))
    columns = math.ceil(len(LOOK_WORDS) / 2)
    looks = list(LOOK_WORDS)
    shown = [
        (thing, look)
        for part in (looks[:columns], looks[columns:])
        for thing in SHOWN_IN_EVERY_LOOK
        for look in part
    ]
    drawn = bench.draw([f"{thing}, {LOOK_WORDS[look][-1]}" for thing, look in shown], seed=20)
    bench.keep("looks", contact_sheet(drawn, columns, [look for _, look in shown]))
    return {"prompts_on_page": len(prompts)}


def parti(bench: Bench, table: Path) -> dict[str, Any]:
    """Draw prompts of PartiPrompts: none may fail; a sheet shows the first ones."""
    with table.open(encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE))
    prompts = [row["Prompt"] for row in rows][: bench.number(len(rows))]
    pixels = bench.draw_draft(prompts, seed=1)
    bench.keep("parti", contact_sheet(pixels[:64], 8, prompts[:64]))
    is_sound = bool(torch.isfinite(pixels).all())
    return {"parti_prompts": len(prompts), "parti_all_finite": is_sound}


def evaluate(
    data: Path,
    work: Path,
    out: Path,
    *,
    pack: Path,
    scale: float,
    minutes: float,
    prompts: Path,
    only: Sequence[str] = (),
) -> dict[str, Any]:
    """Run every measurement, or `only` some; returns the figures that are written by now."""
    out.mkdir(parents=True, exist_ok=True)
    networks, draft = read_networks(pack), read_networks(pack)
    make_draft(pack, draft)
    words = Words(networks.tokenizer, networks.text_encoder)
    bench = Bench(networks, draft, words, data, out, scale)
    judge = cache(partial(trained_judge, data, work / "judge", minutes))
    real = cache(partial(labelled_scenes, data, bench.number(600), 32, "validation"))
    every_look = (*judged_looks(), *painted_looks())
    written = out / "figures.json"
    figures: dict[str, Any] = json.loads(written.read_text()) if written.exists() else {}
    figures |= {"steps": STEPS, "guidance_scale": GUIDANCE}
    measures: dict[str, Callable[[], dict[str, Any]]] = {
        "speed": partial(speed, bench),
        "fidelity": partial(fidelity, bench),
        "sheets": partial(sheets, bench),
        "adherence": lambda: adherence(bench, judge(), real()),
        "painted": lambda: painted(
            bench,
            trained_judge(data, work / "judge of every look", minutes, every_look),
            labelled_scenes(data, bench.number(600), 32, "validation", every_look),
        ),
        "arrangement": partial(arrangement, bench),
        "likeness": lambda: likeness(bench, judge(), real()),
        "parti": partial(parti, bench, prompts),
    }
    if not prompts.exists():
        print(f"PartiPrompts are left out, for there is no {prompts}: name it with --prompts")
        del measures["parti"]
    for name in only or measures:
        figures[name] = measures[name]() | {"share_of_questions": scale}
        print(name, json.dumps(figures[name]), flush=True)
        written.write_text(json.dumps(figures, indent=2) + "\n")
    write_cards(pack, figures)
    return figures


def main(argv: Sequence[str] | None = None) -> None:
    """Measure the pack as the arguments ask."""
    parser = argparse.ArgumentParser(prog="engine.training.evaluate", description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True, help="keeps the judge between runs")
    parser.add_argument("--out", type=Path, default=Path("docs/pack"))
    parser.add_argument("--pack", type=Path, default=PACK)
    parser.add_argument("--scale", type=float, default=1.0, help="share of the questions asked")
    parser.add_argument(
        "--minutes", type=float, default=40.0, help="for each of the judge's networks"
    )
    parser.add_argument("--prompts", type=Path, help="PartiPrompts, else those among the data")
    parser.add_argument("--only", nargs="*", default=(), choices=MEASURES)
    given = parser.parse_args(argv)
    given.prompts = given.prompts or given.data / "parti_prompts.tsv"
    if "parti" in given.only and not given.prompts.exists():
        parser.error(f"{given.prompts} is not there: name PartiPrompts' table with --prompts")
    evaluate(**vars(given))


if __name__ == "__main__":
    main()
