"""Whether pictures show the things, looks and grounds that their prompts ask for."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.networks.vae import Vae
from engine.training.backgrounds import PAINTERS
from engine.training.bench import Bench
from engine.training.captions import LOOK_WORDS
from engine.training.judge import Judge, LabelledScenes, accuracy, judged_nouns, single
from engine.training.look_judge import painted_looks
from engine.training.monitors import as_pixels, contact_sheet
from engine.training.scenes import SOURCES, SceneMaker
from engine.training.subjects import SubjectLibrary, read_nouns


def adherence(bench: Bench, judge: Judge, real: LabelledScenes) -> dict[str, Any]:
    """What the judge names of generated pictures, for trained and for held-out pairs.

    A pair of thing and look is held out if no drawing of it was trained on; the pairs of all
    drawings that the data holds out, of some of which others were trained on, are asked for as
    well. Beside each stands what the judge names of real drawings of the same things in the same
    looks on the same grounds, and of these as the autoencoder gives them back, through which all
    that is generated comes too.
    """
    trained, held_out = (SubjectLibrary.read(bench.data, split=s) for s in ("train", "validation"))
    result = _noted(judge, "judge_on_held_out_real", as_pixels(real.pixels), real.labels)
    unseen = _unseen(held_out, trained)
    everything = set(judged_nouns(bench.data))
    core = everything & {noun.name for noun in read_nouns() if noun.core}
    for name, library, pairs, nouns, full in (
        ("trained_core", trained, _pairs(trained), core, 200),
        ("trained_all", trained, _pairs(trained), everything, 150),
        ("held_out", held_out, unseen, everything, 150),
        ("held_out_drawings", held_out, _pairs(held_out), everything, 150),
    ):
        asked = [pair for pair in pairs if pair[1] in nouns]
        result |= _answers(bench, judge, name, asked, library, full)
    return result


def painted(bench: Bench, judge: Judge, real: LabelledScenes) -> dict[str, Any]:
    """The same of core things in looks of which no set has drawings, by a judge of every look."""
    library = SubjectLibrary.read(bench.data)
    result = _noted(judge, "judge_on_held_out_real", as_pixels(real.pixels), real.labels)
    core = {noun.name for noun in read_nouns() if noun.core} & set(judged_nouns(bench.data))
    pairs = [
        (look, noun)
        for look in painted_looks()
        for noun in sorted(core)
        if any(noun in library.common[source] for source in SOURCES[look])
    ]
    return result | _answers(bench, judge, "painted", pairs, library, 220)


def _answers(
    bench: Bench,
    judge: Judge,
    name: str,
    pairs: Sequence[tuple[str, str]],
    library: SubjectLibrary,
    full: int,
) -> dict[str, Any]:
    """What the judge names of pictures and drafts of pairs, and of a library's own drawings."""
    nouns = judged_nouns(bench.data)
    prompts, labels = _pair_prompts(pairs, nouns, judge.look_names, bench.number(full))
    pixels = bench.draw(prompts, seed=1000)
    bench.keep(f"judged_{name}", contact_sheet(pixels[:40], 10, prompts[:40]))
    drawn = _as_asked(library, labels, nouns, judge.look_names)
    shown = {
        name: pixels,
        f"{name}_drafts": bench.draw_draft(prompts, seed=1000),
        f"{name}_real": drawn,
        f"{name}_real_through_the_autoencoder": _given_back(bench.networks.vae, drawn),
    }
    result: dict[str, Any] = {f"{name}_pairs": len(pairs)}
    for key, pictures in shown.items():
        result |= _noted(judge, key, pictures, labels)
    return result


def _noted(judge: Judge, name: str, pixels: Tensor, labels: NDArray[np.int64]) -> dict[str, Any]:
    return {
        name: _shares(accuracy(judge, pixels, labels), len(pixels)),
        f"{name}_by_look": _by_look(judge, pixels, labels),
    }


def _as_asked(
    library: SubjectLibrary,
    labels: NDArray[np.int64],
    nouns: Sequence[str],
    looks: Sequence[str],
) -> Tensor:
    """Real drawings (B, 3, 128, 128) of a library that answer the questions `labels`."""
    grounds = list(PAINTERS)
    maker = SceneMaker(library, read_nouns(), [])
    return as_pixels(
        np.stack(
            [
                maker.render(
                    single(nouns[noun], looks[look], grounds[ground]),
                    np.random.default_rng([13, number]),
                )
                for number, (noun, look, ground) in enumerate(labels.tolist())
            ]
        )
    )


def _given_back(vae: Vae, pixels: Tensor) -> Tensor:
    """Pictures (B, 3, H, W) through the autoencoder."""
    return torch.cat([vae.decode(vae.encode(part)).clamp(0, 1) for part in torch.split(pixels, 16)])


def _shares(found: tuple[float, ...], count: int) -> dict[str, float]:
    names = ("subject", "look", "background")
    return {key: round(value, 3) for key, value in zip(names, found, strict=True)} | {"n": count}


def _by_look(judge: Judge, pixels: Tensor, labels: NDArray[np.int64]) -> dict[str, float]:
    """The share of pictures of each look whose look is named."""
    looks = judge.look_names
    asked = {look: np.flatnonzero(labels[:, 1] == looks.index(look)) for look in looks}
    return {
        look: round(accuracy(judge, pixels[torch.from_numpy(rows)], labels[rows])[1], 2)
        for look, rows in asked.items()
        if len(rows)
    }


def _pairs(library: SubjectLibrary) -> list[tuple[str, str]]:
    """The looks and nouns that a library shows."""
    return [
        (look, noun)
        for look, table in library.common.items()
        for noun in table
        if look not in {"photo", "doodle"}
    ]


def _unseen(held_out: SubjectLibrary, trained: SubjectLibrary) -> list[tuple[str, str]]:
    """Pairs of the held-out drawings of which no other drawing was trained on."""
    known = set(_pairs(trained))
    return [pair for pair in _pairs(held_out) if pair not in known]


def _pair_prompts(
    pairs: Sequence[tuple[str, str]], nouns: Sequence[str], looks: Sequence[str], count: int
) -> tuple[list[str], NDArray[np.int64]]:
    grounds = list(PAINTERS)
    scenes = {
        "sunset": "at sunset", "starry sky": "under a starry sky", "forest": "in a forest",
        "snow": "in the snow", "beach": "on the beach", "hills": "on green hills",
        "sea": "in front of the sea", "city": "in the city", "desert": "in the desert",
    }  # fmt: skip
    rng = np.random.default_rng(9)
    prompts, labels = [], []
    for _ in range(count):
        look, noun = pairs[int(rng.integers(len(pairs)))]
        ground = str(rng.choice(list(scenes)))
        prompts.append(f"{noun} {scenes[ground]}, {LOOK_WORDS[look][0]}")
        labels.append((nouns.index(noun), looks.index(look), grounds.index(ground)))
    return prompts, np.asarray(labels)
