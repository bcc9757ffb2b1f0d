"""The judge: a classifier that has seen real pictures only and names what a picture shows.

It is trained on composed scenes of real cut-outs and never sees a generated picture. Its own
accuracy on held-out real pictures is reported beside everything it says.
"""

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

from engine.training.backgrounds import PAINTERS
from engine.training.captions import LOOK_WORDS, Item, Plan
from engine.training.loop import Draw
from engine.training.pictures import read_pictures
from engine.training.scenes import LOOK_WEIGHTS, SceneMaker
from engine.training.subjects import SubjectLibrary, look_of, read_nouns

SIDE = 128  # pixels of what the judge looks at: looks differ in edges and grain
NOUNS = 300  # it can name
LOCAL = 3  # early stages that tell a look
HEADS = 4  # maps of where they look
# The look is what the judge is least sure of, by its own answers on real pictures.
QUESTION_WEIGHTS = (1.0, 2.0, 1.0)
# Stickers and doodles are one answer; each of the others is an answer of its own.
JUDGED_LOOK_WEIGHTS = dict.fromkeys(LOOK_WEIGHTS, 1.0) | {"sticker": 0.5, "doodle": 0.5}


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


def judged_looks() -> list[str]:
    """The looks it can name; stickers and doodles count as one, as their captions do."""
    return [look for look in LOOK_WORDS if look != "doodle"]


class Judge(nn.Module):
    """A small convolutional network on pictures of 128 pixels, taken in cells of 2 x 2.

    What a thing is shows in the late stages; they answer for subject and background. Its look is
    in the statistics of edges and grain (Gatys et al. 2016): it is told from the early stages
    alone, whose places see less than half of the picture, and there of the thing more than of its
    ground. Late stages would know the drawing by heart and name the look of one that is like it.
    """

    def __init__(self, nouns: int, looks: int, backgrounds: int, width: int = 24) -> None:
        super().__init__()
        self.sizes = (nouns, backgrounds)
        widths = [width * factor for factor in (1, 2, 4, 8, 12)]
        self.stages = nn.ModuleList([_stage(12, width, stride=1, depth=1)])
        self.stages += [_stage(before, after, stride=2) for before, after in pairwise(widths)]
        self.place = nn.Conv2d(widths[LOCAL - 1], HEADS, 1)
        self.look = nn.Linear(2 * HEADS * sum(widths[:LOCAL]), looks)
        self.heads = nn.Linear(2 * sum(widths), sum(self.sizes))

    def forward(self, pixels: Tensor) -> Answers:
        """Look at pictures (B, 3, H, W) in [0, 1] of any size."""
        if pixels.shape[-2:] != (SIDE, SIDE):
            pixels = F.interpolate(pixels, (SIDE, SIDE), mode="bilinear", antialias=True)
        x = F.pixel_unshuffle(pixels * 2 - 1, 2)
        seen = []
        for stage in self.stages:
            x = stage(x)
            seen.append(x)
        features = torch.cat([_statistics(x) for x in seen], dim=1)
        noun, background = self.heads(F.dropout(features, 0.2, self.training)).split(
            self.sizes, dim=1
        )
        chances = self.place(seen[LOCAL - 1]).float().flatten(2).softmax(2)
        chances = chances.view(len(x), HEADS, *seen[LOCAL - 1].shape[-2:])
        local = [_statistics(x, chances) for x in seen[:LOCAL]]
        look = self.look(F.dropout(torch.cat(local, dim=1), 0.1, self.training))
        return Answers(noun, look, background, features)


def _stage(before: int, after: int, stride: int, depth: int = 2) -> nn.Sequential:
    layers: list[nn.Module] = []
    for number in range(depth):
        layers += [
            nn.Conv2d(after if number else before, after, 3, 1 if number else stride, padding=1),
            nn.GroupNorm(8, after),
            nn.SiLU(),
        ]
    return nn.Sequential(*layers)


def _statistics(x: Tensor, chances: Tensor | None = None) -> Tensor:
    """Mean and spread of features (B, C, H, W): (B, 2 C), or (B, 2 C K) weighed by K maps."""
    x = x.float()
    if chances is None:
        variance, mean = torch.var_mean(x, dim=(2, 3))
        return torch.cat([mean, (variance + 1e-4).sqrt()], dim=1)
    weights = F.interpolate(chances, x.shape[-2:], mode="nearest")
    weights = weights / weights.sum((2, 3), keepdim=True)
    weighed = weights.flatten(2).mT
    mean = x.flatten(2) @ weighed  # (B, C, K)
    square = x.square().flatten(2) @ weighed
    spread = ((square - mean.square()).clamp(min=0) + 1e-4).sqrt()
    return torch.cat([mean.flatten(1), spread.flatten(1)], dim=1)


@dataclass(frozen=True, slots=True)
class LabelledScenes:
    """Pictures (N, S, S, 3) in bytes with the index of their noun, look and background."""

    pixels: NDArray[np.uint8]
    labels: NDArray[np.int64]  # (N, 3); -1 where a label does not apply
    plans: list[Plan]


def labelled_scenes(
    data: Path, count: int, seed: int, split: str = "train", side: int = SIDE
) -> LabelledScenes:
    """Scenes of one subject each, from the cut-outs of a split."""
    library = SubjectLibrary.read(data, split=split)
    paintings = [p for p in read_pictures(data) if "artist" in p.columns]
    paintings = paintings[:1] if split != "train" else paintings
    # Every noun and look equally often: the judge is asked for all, the network for some more.
    maker = SceneMaker(
        library, read_nouns(), paintings, core_factor=1.0, look_weights=JUDGED_LOOK_WEIGHTS
    )
    nouns, looks, grounds = judged_nouns(data), judged_looks(), list(PAINTERS)
    where = {noun: index for index, noun in enumerate(nouns)}
    pixels = np.empty((count, side, side, 3), np.uint8)
    labels = np.empty((count, 3), np.int64)
    plans: list[Plan] = []
    number = 0
    while len(plans) < count:
        scene = maker.make(np.random.default_rng([seed, 77, number]))
        number += 1
        if len(scene.plan.items) != 1 or scene.plan.items[0].noun not in where:
            continue
        image = Image.fromarray(scene.pixels).resize((side, side), Image.Resampling.BOX)
        pixels[len(plans)] = np.asarray(image)
        look = "sticker" if scene.plan.look == "doodle" else scene.plan.look
        ground = -1 if look == "photo" else grounds.index(scene.plan.background)
        labels[len(plans)] = (where[scene.plan.items[0].noun], looks.index(look), ground)
        plans.append(scene.plan)
    return LabelledScenes(pixels, labels, plans)


class Judging:
    """The judge's programme for the loop."""

    batch = 64
    learning_rate = 1.5e-3

    def __init__(self, network: Judge, scenes: LabelledScenes) -> None:
        self.network = network
        self.scenes = scenes

    def loss(self, network: Any, draw: Draw) -> Tensor:
        """Cross-entropy of the three questions on scenes moved, mirrored and of other light."""
        rng = draw.numpy
        rows = rng.integers(0, len(self.scenes.pixels), self.batch)
        batch = torch.from_numpy(self.scenes.pixels[rows]).permute(0, 3, 1, 2).float() / 255
        batch = jittered(batch, draw)
        device = next(network.parameters()).device
        with torch.random.fork_rng(), torch.autocast(device.type, torch.bfloat16):
            torch.manual_seed(int(rng.integers(2**31)))  # of its dropout
            answers = network(batch.to(device))
        labels = torch.from_numpy(self.scenes.labels[rows]).to(device)
        parts = (answers.noun, answers.look, answers.background)
        total = torch.zeros((), device=device)
        for part, wanted, weight in zip(parts, labels.unbind(1), QUESTION_WEIGHTS, strict=True):
            total = total + weight * F.cross_entropy(
                part.float(), wanted, ignore_index=-1, label_smoothing=0.05
            )
        return total

    def sheet(self, network: Any) -> Image.Image | None:
        """Nothing to look at."""
        del network
        return None


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
    soft = F.avg_pool2d(F.pad(moved, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
    moved = moved.lerp(soft, (1.6 * change[2] - 0.6).clamp(min=0))
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
