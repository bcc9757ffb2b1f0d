"""What watches a generator while it trains: features of its samples, files to look at.

Features are those of the pack's style encoder, its two deepest levels in four quarters of the
picture; `engine.gan.monitors` says what follows from them.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from engine.gan.monitors import Observation, Yardstick, alarms
from engine.gan.plots import curves
from engine.networks.eye import quarters
from engine.networks.style import StyleEncoder
from engine.training.gan_pictures import PictureSet
from engine.training.loop import replace_file, replace_image
from engine.training.monitors import as_pixels, contact_sheet

Draws: TypeAlias = Callable[[int], Tensor]  # how many -> pixels (B, 3, S, S) in [0, 1]

SAMPLES = 128  # of each side of a comparison
_BATCH = 32
_SHOWN = 8  # pictures beside their nearest training neighbours
PENALTIES = ("r1", "r2", "gp")  # of gradients; a run has those of its recipe


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
    replace_image(folder / "monitors.png", curves(seen))


def read_observations(folder: Path) -> list[Observation]:
    """What `write_observations` wrote; empty if there is nothing."""
    path = folder / "monitors.json"
    if not path.exists():
        return []
    record = json.loads(path.read_text(encoding="utf-8"))
    return [Observation(**one) for one in record["observations"]]
