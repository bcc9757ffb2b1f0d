"""The judge of looks: a classifier of real drawings that tells by whose hand a thing is drawn.

It learns from single drawings, every one of a look whatever it shows, pasted on grounds as the
scenes have them; never from a generated picture. See `engine.training.judge` for the whole judge.
"""

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

from engine.training.backgrounds import COLOURS, PAINTERS, paint_background
from engine.training.captions import LOOK_WORDS
from engine.training.loop import Draw, Pictureless
from engine.training.mediums import in_medium
from engine.training.monitors import as_pixels
from engine.training.pictures import read_pictures
from engine.training.scenes import SOURCES, drawn_by_pixel, scaled, set_down
from engine.training.subjects import HUES, Rgba, look_of, recoloured, trimmed

CROP = 96  # pixels of a drawing with some of its ground
HEADS = 4  # maps of where the judge looks
CODES = 32  # features of a colour
FREQUENCIES = (1, 2, 4)  # of the waves a channel is told by
GROUNDS = 3000  # that are painted once
GROUND_SIDE = 160  # pixels; crops of it are many grounds
RECOLOURED = 0.1  # of the drawings: most are asked for in their own colours
# How often each look is shown; pixel art, photographs and oil paintings are told at a glance.
CHANCES = {
    "3d": 1.0, "flat": 1.0, "cartoon": 1.0, "blob": 1.0, "sticker": 1.0,
    "pixel": 0.5, "photo": 0.3, "oil": 0.3,
}  # fmt: skip
PAINTED_CHANCE = 0.6  # of each look that is painted over drawings


def judged_looks() -> list[str]:
    """The looks that drawings of the sets have, so far as they have a manner of their own.

    Doodles have none.
    """
    return list(CHANCES)


def painted_looks() -> list[str]:
    """The looks of which no set has any drawings: they are painted over those of others."""
    return [look for look in LOOK_WORDS if look not in {*CHANCES, "doodle"}]


class LookJudge(nn.Module):
    """Pictures (B, 3, H, W) in [0, 1] -> logits of so many looks, (B, L).

    A look is in the statistics of edges and grain (Gatys et al. 2016) and in its palette. Edges are
    told by early stages, whose places see less than half of a picture: late ones would know a
    drawing by heart and name the look of one that is like it. Colours are told by waves of each
    channel (Tancik et al. 2020, https://arxiv.org/abs/2006.10739), as a convolution by itself
    hardly tells the yellow of one drawer from that of another. Maps of places say where the thing
    is; statistics are taken there.
    """

    def __init__(self, looks: int, width: int = 24) -> None:
        super().__init__()
        widths = [width, 2 * width, 4 * width]
        waves = 3 * (1 + 2 * len(FREQUENCIES))
        self.colours = nn.Sequential(
            nn.Conv2d(waves, 2 * width, 1), nn.SiLU(), nn.Conv2d(2 * width, CODES, 1), nn.SiLU()
        )
        self.edges = nn.Conv2d(12, width, 3, padding=1)
        self.shades = nn.Conv2d(CODES, width, 1)
        self.first = nn.Sequential(nn.GroupNorm(8, width), nn.SiLU())
        self.stages = nn.ModuleList(
            stage(before, after, stride=2) for before, after in pairwise(widths)
        )
        self.place = nn.Conv2d(widths[-1], HEADS, 1)
        size = 2 * HEADS * (CODES + sum(widths))
        self.look = nn.Sequential(nn.LayerNorm(size), nn.Dropout(0.1), nn.Linear(size, looks))

    def forward(self, pixels: Tensor) -> Tensor:
        """Name the look of pictures of any even size whose things are drawn at their own size."""
        pixels = pixels * 2 - 1
        codes = self.colours(_waves(F.avg_pool2d(pixels, 2)))
        x = self.first(self.edges(F.pixel_unshuffle(pixels, 2)) + self.shades(codes))
        seen = [codes, x]
        for part in self.stages:
            x = part(x)
            seen.append(x)
        chances = self.place(x).float().flatten(2).softmax(2)
        chances = chances.view(len(x), HEADS, *x.shape[-2:])
        out: Tensor = self.look(torch.cat([_at_places(level, chances) for level in seen], dim=1))
        return out


def stage(before: int, after: int, stride: int, depth: int = 2) -> nn.Sequential:
    """Convolutions of which the first changes width and size."""
    layers: list[nn.Module] = []
    for number in range(depth):
        layers += [
            nn.Conv2d(after if number else before, after, 3, 1 if number else stride, padding=1),
            nn.GroupNorm(8, after),
            nn.SiLU(),
        ]
    return nn.Sequential(*layers)


def _waves(colours: Tensor) -> Tensor:
    """Colours (B, 3, H, W) in [-1, 1], and sines and cosines of each channel."""
    waves = [wave(math.pi * k * colours) for k in FREQUENCIES for wave in (torch.sin, torch.cos)]
    return torch.cat([colours, *waves], dim=1)


def _at_places(x: Tensor, chances: Tensor) -> Tensor:
    """Mean and spread of features (B, C, H, W) weighed by K maps: (B, 2 C K)."""
    weights = F.interpolate(chances, x.shape[-2:], mode="nearest")
    weights = (weights / weights.sum((2, 3), keepdim=True)).flatten(2).mT
    values = x.float().flatten(2)
    mean = values @ weights  # (B, C, K)
    spread = ((values.square() @ weights - mean.square()).clamp(min=0) + 1e-4).sqrt()
    return torch.cat([mean.flatten(1), spread.flatten(1)], dim=1)


class Drawings:
    """Draws pieces (CROP, CROP, 3) of scenes with one drawing of a look each."""

    def __init__(
        self,
        data: Path,
        seed: int,
        grounds: int = GROUNDS,
        looks: Sequence[str] = tuple(CHANCES),
    ) -> None:
        self._of: dict[str, list[Rgba]] = {}
        for picture in read_pictures(data):
            look = look_of(picture)
            if picture.split == "train" and look is not None:
                self._of.setdefault(look, []).append(trimmed(picture.open(), 128))
        rng = np.random.default_rng([seed, 78])
        self._grounds = [_ground(rng) for _ in range(grounds)]
        self.judged = tuple(looks)
        self.looks = [look for look in looks if self._sources(look)]
        chances = np.array([CHANCES.get(look, PAINTED_CHANCE) for look in self.looks])
        self._chances = chances / chances.sum()

    def _sources(self, look: str) -> list[str]:
        return [source for source in SOURCES.get(look, (look,)) if source in self._of]

    def draw(self, rng: np.random.Generator) -> tuple[NDArray[np.uint8], str]:
        """One piece, and the judged look that it has."""
        look = self.looks[int(rng.choice(len(self.looks), p=self._chances))]
        sources = self._sources(look)
        source = sources[int(rng.integers(len(sources)))]
        rgba = self._of[source][int(rng.integers(len(self._of[source])))]
        pixels = _photograph(rgba, rng) if look == "photo" else self._pasted(rgba, look, rng)
        return pixels, look

    def _pasted(self, rgba: Rgba, look: str, rng: np.random.Generator) -> NDArray[np.uint8]:
        if rng.random() < RECOLOURED:
            turned = recoloured(rgba, list(HUES)[int(rng.integers(len(HUES)))])
            rgba = rgba if turned is None else turned
        kind, ground = self._grounds[int(rng.integers(len(self._grounds)))]
        y, x = rng.integers(0, GROUND_SIDE - CROP + 1, 2)
        piece = Image.fromarray(ground[y : y + CROP, x : x + CROP])
        image = Image.fromarray(rgba)
        if look != "pixel" and rng.random() < 0.15:
            image = image.rotate(rng.uniform(-10, 10), Image.Resampling.BICUBIC, expand=True)
        side = rng.uniform(75, 115) if rng.random() < 0.8 else rng.uniform(38, 75)
        image = scaled(image, side, is_sprite=drawn_by_pixel(rgba))
        left, top = (round(CROP / 2 + rng.uniform(-12, 12) - length / 2) for length in image.size)
        set_down(piece, image, (left, top), look, kind)
        return in_medium(np.asarray(piece), look, rng)


def _ground(rng: np.random.Generator) -> tuple[str, NDArray[np.uint8]]:
    """A kind of ground, and its pixels."""
    kind = list(PAINTERS)[int(rng.integers(len(PAINTERS)))]
    colour = list(COLOURS)[int(rng.integers(len(COLOURS)))]
    ground = paint_background(kind, colour, GROUND_SIDE, GROUND_SIDE, rng)
    return kind, np.asarray((ground.pixels * 255).round().astype(np.uint8))


def _photograph(rgba: Rgba, rng: np.random.Generator) -> NDArray[np.uint8]:
    side = int(min(rgba.shape[:2]) * rng.uniform(0.6, 1))
    y, x = (int(rng.integers(0, length - side + 1)) for length in rgba.shape[:2])
    image = Image.fromarray(rgba[y : y + side, x : x + side, :3].copy())
    return np.asarray(image.resize((CROP, CROP), Image.Resampling.BICUBIC))


class LookJudging(Pictureless):
    """The programme of the judge of looks for the loop."""

    batch = 64
    learning_rate = 2e-3

    def __init__(self, network: LookJudge, drawings: Drawings) -> None:
        self.network = network
        self.drawings = drawings
        self._number: Mapping[str, int] = {
            look: number for number, look in enumerate(drawings.judged)
        }

    def loss(self, network: Any, draw: Draw) -> Tensor:
        """Cross-entropy of the looks of drawings mirrored or not and a little changed."""
        rng = draw.numpy
        drawn = [self.drawings.draw(rng) for _ in range(self.batch)]
        pieces = np.stack(
            [pixels[:, ::-1] if rng.random() < 0.5 else pixels for pixels, _ in drawn]
        )
        pixels = as_pixels(pieces)
        device = next(network.parameters()).device
        pixels = a_little_changed(pixels, draw.torch).to(device)
        with torch.random.fork_rng(), torch.autocast(device.type, torch.bfloat16):
            torch.manual_seed(int(rng.integers(2**31)))  # of its dropout
            named = network(pixels)
        wanted = torch.tensor([self._number[look] for _, look in drawn], device=device)
        return F.cross_entropy(named.float(), wanted, label_smoothing=0.05)


def a_little_changed(pixels: Tensor, generator: torch.Generator) -> Tensor:
    """Pictures (B, 3, H, W) a little softer, of hardly other light and colours, with some grain.

    None of it changes a look; but much of it would hide the palette.
    """
    count = len(pixels)
    change = torch.rand(4, count, 1, 1, 1, generator=generator)
    pixels = softer(pixels, change[0])
    contrast, brightness = 0.96 + 0.08 * change[1], 0.04 * (change[2] - 0.5)
    tint = 0.04 * (torch.rand(count, 3, 1, 1, generator=generator) - 0.5)
    grain = 0.02 * change[3] * torch.randn(pixels.shape, generator=generator)
    pixels = (pixels - 0.5) * contrast + 0.5 + brightness + tint + grain
    return pixels.clamp(0, 1).to(memory_format=torch.channels_last)


def softer(pixels: Tensor, chance: Tensor) -> Tensor:
    """Pictures (B, 3, H, W), some softer: the more, the nearer `chance` (B, 1, 1, 1) is to 1."""
    soft = F.avg_pool2d(F.pad(pixels, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
    return pixels.lerp(soft, (1.6 * chance - 0.6).clamp(min=0))
