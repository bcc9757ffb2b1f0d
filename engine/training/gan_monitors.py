"""What watches a generator while it trains: features of its samples, files to look at.

Features are those of the pack's style encoder, its two deepest levels in four quarters of the
picture; `engine.gan.monitors` says what follows from them.
"""

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from engine.gan.monitors import Observation, Yardstick, alarms
from engine.networks.eye import quarters
from engine.networks.style import StyleEncoder
from engine.training.gan_pictures import PictureSet
from engine.training.loop import replace_file, replace_image
from engine.training.monitors import contact_sheet

Draws: TypeAlias = Callable[[int], Tensor]  # how many -> pixels (B, 3, S, S) in [0, 1]

SAMPLES = 128  # of each side of a comparison
_BATCH = 32
_SHOWN = 8  # pictures beside their nearest training neighbours


class Watch:
    """Compares a generator with pictures it learns from and with some it never sees."""

    def __init__(
        self, encoder: StyleEncoder, trained: PictureSet, held_out: PictureSet, seed: int = 0
    ) -> None:
        rng = np.random.default_rng([seed, 11])
        real = some_pixels(held_out, min(SAMPLES, len(held_out.pixels)), rng)
        self._encoder = encoder
        self._count = len(real)
        self._trained = trained
        self._yardstick = Yardstick(
            self._features(real), real, as_pixels(trained.pixels), mirrored=trained.mirror
        )

    def observe(
        self,
        draws: Draws,
        images: int = 0,
        progress: float = 1.0,
        gap: float | None = None,
        penalties: dict[str, float] | None = None,
    ) -> tuple[Observation, Tensor]:
        """Measure a generator; returns the samples as well."""
        samples = draws(self._count).float().cpu()
        features = self._features(samples)
        seen = self._yardstick.observe(features, samples, images, progress, gap, penalties)
        return seen, samples

    def neighbours(self, samples: Tensor) -> Image.Image:
        """Samples above their nearest training pictures."""
        shown = samples[:_SHOWN]
        indices = self._yardstick.nearest(shown)[1]
        nearest = as_pixels(self._trained.pixels[indices.numpy()])
        return contact_sheet(torch.cat([shown, nearest]), columns=len(shown), scale=2)

    @torch.no_grad()
    def _features(self, pixels: Tensor) -> Tensor:
        parts = torch.split(pixels, _BATCH)
        return torch.cat([quarters(self._encoder, part) for part in parts])


def as_pixels(pictures: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> Tensor:
    """Bytes (N, S, S, 3) as pixels (N, 3, S, S) in [0, 1]."""
    return torch.from_numpy(pictures.copy()).permute(0, 3, 1, 2).contiguous().float() / 255


def some_pixels(pictures: PictureSet, count: int, rng: np.random.Generator) -> Tensor:
    """`count` different pictures of a set, (count, 3, S, S)."""
    return as_pixels(pictures.pixels[rng.permutation(len(pictures.pixels))[:count]])


def write_observations(folder: Path, seen: Sequence[Observation]) -> None:
    """Write `monitors.json` and its plot, and the alarms of the last observation.

    Raises:
        NotSaved: there is no room; what was written before is kept.
    """
    last = alarms(seen[-1])
    record = {
        "features": "style encoder of the pack",
        "alarms": [asdict(alarm) for alarm in last],
        "observations": [asdict(one) for one in seen],
    }
    text = json.dumps(record, indent=1) + "\n"
    replace_file(folder / "monitors.json", lambda path: path.write_text(text, encoding="utf-8"))
    replace_image(folder / "monitors.png", plot(seen))


def read_observations(folder: Path) -> list[Observation]:
    """What `write_observations` wrote; empty if there is nothing."""
    path = folder / "monitors.json"
    if not path.exists():
        return []
    record = json.loads(path.read_text(encoding="utf-8"))
    return [Observation(**one) for one in record["observations"]]


_PLOTTED = (
    ("kid", (200, 60, 40)),
    ("precision", (30, 90, 200)),
    ("recall", (30, 150, 80)),
    ("density", (110, 60, 170)),
    ("coverage", (0, 140, 150)),
    ("diversity_ratio", (200, 130, 0)),
    ("twins_ratio", (120, 90, 60)),
    ("novelty_ratio", (90, 90, 90)),
    ("sharpness_ratio", (190, 60, 130)),
    ("gap", (0, 0, 0)),
    ("r1", (40, 110, 60)),
    ("r2", (150, 60, 60)),
    ("gp", (40, 110, 60)),
)
PENALTIES = ("r1", "r2", "gp")  # of gradients; a run has those of its recipe
_ACROSS = 5  # curves


def plot(seen: Sequence[Observation]) -> Image.Image:
    """One small curve for each measure and penalty over pictures seen, 5 in a row."""
    found = [asdict(one) | one.penalties for one in seen]
    plotted = [(name, colour) for name, colour in _PLOTTED if any(name in one for one in found)]
    wide, high = 220, 150
    image = Image.new("RGB", (_ACROSS * wide, math.ceil(len(plotted) / _ACROSS) * high), "white")
    draw = ImageDraw.Draw(image)
    for number, (name, colour) in enumerate(plotted):
        left, top = number % _ACROSS * wide, number // _ACROSS * high
        values = [one.get(name) or 0.0 for one in found]
        low, top_value = min(0.0, *values), max(1e-9, *values)
        draw.text((left + 8, top + 6), f"{name}: {values[-1]:.3f}", fill="black")
        draw.text((left + 8, top + 132), f"0 to {seen[-1].images:,} pictures", fill="grey")
        draw.rectangle((left + 8, top + 22, left + wide - 8, top + 128), outline="lightgrey")
        points = [
            (
                left + 8 + (wide - 16) * one.images / max(1, seen[-1].images),
                top + 126 - 100 * (value - low) / (top_value - low),
            )
            for one, value in zip(seen, values, strict=True)
        ]
        for x, y in points:
            draw.ellipse((x - 2, y - 2, x + 2, y + 2), fill=colour)
        if len(points) > 1:
            draw.line(points, fill=colour, width=2)
    return image
