"""The judge: a classifier that has seen real pictures only and names what a picture shows.

It is trained on composed scenes of real cut-outs and never sees a generated picture; the look is
named by a network of its own (`engine.training.look_judge`). Its accuracy on held-out real
pictures is reported beside everything it says.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from engine.training.backgrounds import PAINTERS
from engine.training.captions import Item, Plan
from engine.training.look_judge import (
    CHANCES,
    Drawings,
    LookJudge,
    LookJudging,
    softer,
    stage,
)
from engine.training.loop import Budget, Draw, Pictureless, Programme, Run, Settings
from engine.training.monitors import as_pixels
from engine.training.pictures import read_pictures
from engine.training.scenes import SceneMaker
from engine.training.subjects import SubjectLibrary, look_of, read_nouns

SIDE = 128  # pixels of what the judge looks at
NOUNS = 300  # it can name
SCENES = 40_000  # that the judge of things learns from


@dataclass(frozen=True, slots=True)
class Answers:
    """Logits for subject, look and background, and the features (B, D) behind them."""

    noun: Tensor
    look: Tensor
    background: Tensor
    features: Tensor


@lru_cache(maxsize=4)
def judged_nouns(data: Path) -> tuple[str, ...]:
    """The subjects the judge can name, in the order of its logits.

    The core nouns, then those that are shown in most looks.
    """
    looks: dict[str, set[str | None]] = {}
    for picture in read_pictures(data):
        if picture.split == "train":
            looks.setdefault(picture.name, set()).add(look_of(picture))
    rank = {
        noun.name: (not noun.core, -len(set().union(*(looks.get(n, set()) for n in noun.pictures))))
        for noun in read_nouns()
    }
    return tuple(sorted(rank, key=rank.__getitem__)[:NOUNS])


class Judge(nn.Module):
    """Names subject and background by one network, and which of `look_names` by another."""

    def __init__(self, nouns: int, looks: Sequence[str], backgrounds: int, width: int = 24) -> None:
        super().__init__()
        self.look_names = tuple(looks)
        self.things = ThingJudge(nouns, backgrounds, width)
        self.looks = LookJudge(len(looks), width)

    def forward(self, pixels: Tensor) -> Answers:
        """Look at pictures (B, 3, H, W) in [0, 1] of any size."""
        if pixels.shape[-2:] != (SIDE, SIDE):
            pixels = F.interpolate(pixels, (SIDE, SIDE), mode="bilinear", antialias=True)
        noun, background, features = self.things(pixels)
        return Answers(noun, self.looks(pixels), background, features)


class ThingJudge(nn.Module):
    """A small convolutional network on pictures of 128 pixels, taken in cells of 2 x 2."""

    def __init__(self, nouns: int, backgrounds: int, width: int = 24) -> None:
        super().__init__()
        self.sizes = (nouns, backgrounds)
        widths = [width * factor for factor in (1, 2, 4, 8, 12)]
        self.stages = nn.ModuleList([stage(12, width, stride=1, depth=1)])
        self.stages += [stage(before, after, stride=2) for before, after in pairwise(widths)]
        self.heads = nn.Linear(2 * sum(widths), sum(self.sizes))

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Logits for subject and background, and the features (B, D) behind them."""
        x = F.pixel_unshuffle(pixels * 2 - 1, 2)
        seen = []
        for part in self.stages:
            x = part(x)
            seen.append(x)
        features = torch.cat([_statistics(x) for x in seen], dim=1)
        noun, background = self.heads(F.dropout(features, 0.2, self.training)).split(
            self.sizes, dim=1
        )
        return noun, background, features


def _statistics(x: Tensor) -> Tensor:
    """Mean and spread of features (B, C, H, W): (B, 2 C)."""
    variance, mean = torch.var_mean(x.float(), dim=(2, 3))
    return torch.cat([mean, (variance + 1e-4).sqrt()], dim=1)


@dataclass(frozen=True, slots=True)
class LabelledScenes:
    """Pictures (N, S, S, 3) in bytes with the index of their noun, look and background."""

    pixels: NDArray[np.uint8]
    labels: NDArray[np.int64]  # (N, 3); -1 where a label does not apply
    plans: list[Plan]


def labelled_scenes(
    data: Path,
    count: int,
    seed: int,
    split: str = "train",
    looks: Sequence[str] = tuple(CHANCES),
) -> LabelledScenes:
    """Scenes of one subject each in one of the looks, from the cut-outs of a split."""
    library = SubjectLibrary.read(data, split=split)
    paintings = [p for p in read_pictures(data) if "artist" in p.columns and p.split == "train"]
    paintings = paintings[:1] if split != "train" else paintings
    nouns, grounds = judged_nouns(data), list(PAINTERS)
    # Every noun and look equally often: the judge is asked for all, the network for some more.
    maker = SceneMaker(
        library, read_nouns(), paintings, core_factor=1.0, look_weights=dict.fromkeys(looks, 1.0)
    )
    where = {noun: index for index, noun in enumerate(nouns)}
    pixels = np.empty((count, SIDE, SIDE, 3), np.uint8)
    labels = np.empty((count, 3), np.int64)
    plans: list[Plan] = []
    number = 0
    while len(plans) < count:
        scene = maker.make(np.random.default_rng([seed, 77, number]))
        number += 1
        if len(scene.plan.items) != 1 or scene.plan.items[0].noun not in where:
            continue
        pixels[len(plans)] = scene.pixels
        look = scene.plan.look
        ground = -1 if look == "photo" else grounds.index(scene.plan.background)
        labels[len(plans)] = (where[scene.plan.items[0].noun], looks.index(look), ground)
        plans.append(scene.plan)
    return LabelledScenes(pixels, labels, plans)


class Judging(Pictureless):
    """The programme of the judge of things and grounds for the loop."""

    batch = 64
    learning_rate = 1.5e-3

    def __init__(self, network: ThingJudge, scenes: LabelledScenes) -> None:
        self.network = network
        self.scenes = scenes

    def loss(self, network: Any, draw: Draw) -> Tensor:
        """Cross-entropy of both questions on scenes moved, mirrored and of other light."""
        rng = draw.numpy
        rows = rng.integers(0, len(self.scenes.pixels), self.batch)
        batch = as_pixels(self.scenes.pixels[rows])
        batch = jittered(batch, draw)
        device = next(network.parameters()).device
        with torch.random.fork_rng(), torch.autocast(device.type, torch.bfloat16):
            torch.manual_seed(int(rng.integers(2**31)))  # of its dropout
            noun, background, _ = network(batch.to(device))
        nouns, _, backgrounds = torch.from_numpy(self.scenes.labels[rows]).to(device).unbind(1)
        total = torch.zeros((), device=device)
        for part, wanted in ((noun, nouns), (background, backgrounds)):
            total = total + F.cross_entropy(
                part.float(), wanted, ignore_index=-1, label_smoothing=0.05
            )
        return total


def jittered(pixels: Tensor, draw: Draw) -> Tensor:
    """Pictures (B, 3, H, W) each mirrored or not, moved, a little softer, and of other light.

    A picture that is softer than a file of the data set does not have another look for that.
    """
    count = len(pixels)
    shifts = draw.numpy.integers(-SIDE // 12, SIDE // 12 + 1, (count, 2))
    mirrored = draw.numpy.random(count) < 0.5
    moved = torch.stack(
        [
            torch.roll(picture.flip(2) if flip else picture, tuple(shift), dims=(1, 2))
            for picture, shift, flip in zip(pixels, shifts.tolist(), mirrored, strict=True)
        ]
    )
    change = torch.rand(3, count, 1, 1, 1, generator=draw.torch)
    moved = softer(moved, change[2])
    contrast, brightness = 0.8 + 0.4 * change[0], 0.15 * (change[1] - 0.5)
    pixels = (moved - 0.5) * contrast + 0.5 + brightness
    return pixels.clamp(0, 1).to(memory_format=torch.channels_last)


@torch.no_grad()
def accuracy(judge: Judge, pixels: Tensor, labels: NDArray[np.int64]) -> tuple[float, ...]:
    """Shares of pictures (B, 3, H, W) whose subject, look and background the judge names."""
    right: list[list[bool]] = [[], [], []]
    for start in range(0, len(pixels), 64):
        answers = judge(pixels[start : start + 64])
        parts = (answers.noun, answers.look, answers.background)
        for question, (part, wanted) in enumerate(
            zip(parts, labels[start : start + 64].T, strict=True)
        ):
            named = part.argmax(1).numpy()
            right[question] += [bool(a == b) for a, b in zip(named, wanted, strict=True) if b >= 0]
    return tuple(sum(part) / max(1, len(part)) for part in right)


def single(noun: str, look: str, background: str, colour: str = "") -> Plan:
    """The plan of a prompt that the judge can check."""
    return Plan(look, (Item(noun),), background=background, background_colour=colour)


def trained_judge(
    data: Path, folder: Path, minutes: float, looks: Sequence[str] = tuple(CHANCES)
) -> Judge:
    """The judge kept in `folder`; each of its two networks is trained there first if need be."""
    with torch.random.fork_rng():
        torch.default_generator.manual_seed(6)
        judge = Judge(len(judged_nouns(data)), looks, len(PAINTERS))
    things = partial(labelled_scenes, data, SCENES, 31, looks=looks)
    lessons: dict[str, Callable[[], Programme]] = {
        "things": lambda: Judging(judge.things, things()),
        "looks": lambda: LookJudging(judge.looks, Drawings(data, seed=31, looks=looks)),
    }
    judge.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    for name, lesson in lessons.items():
        trained_part(getattr(judge, name), lesson, folder / name, minutes)
    return judge.eval().requires_grad_(requires_grad=False)


def trained_part(
    network: nn.Module, lesson: Callable[[], Programme], folder: Path, minutes: float
) -> None:
    """Give a network of the judge the weights kept in `folder`, or learn its lesson first."""
    kept = folder / "finished.pt"
    if not kept.exists():
        settings = Settings(folder, Budget(minutes=minutes), seed=6, ema=0.99, resume=True)
        Run(lesson(), settings).train()
        torch.save(network.state_dict(), kept)
    network.load_state_dict(torch.load(kept, weights_only=True))
