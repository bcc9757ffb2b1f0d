"""What watches a generator while it trains: measures, alarms with their reasons, files to look at.

Features are those of the pack's style encoder (its two deepest levels in four quarters of the
picture, each channel about its mean and in units of its deviation over real pictures); copies of
training pictures are looked for in small versions of the pictures themselves. A measure of kind
`..._ratio` is the generator's relative to that of real pictures never trained on, so 1 is what a
perfect one has.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor
from torch.nn import functional as F

from engine.networks.style import StyleEncoder
from engine.training import gan_measures as measures
from engine.training.gan_pictures import PictureSet
from engine.training.monitors import contact_sheet

Draws: TypeAlias = Callable[[int], Tensor]  # how many -> pixels (B, 3, S, S) in [0, 1]

SAMPLES = 128  # of each side of a comparison
LEAST_UNIT = 0.5  # of the mean deviation of all channels
SMALL = 16  # pixels of the small versions in which copies are looked for
YOUNG = 0.25  # of the budget: until then, faults are those of any beginner
_BATCH = 32
_SHOWN = 8  # pictures beside their nearest training neighbours


@dataclass(frozen=True, kw_only=True, slots=True)
class Observation:
    """The measures of one moment of a run."""

    images: int  # real ones seen so far
    progress: float  # of the budget, 0..1
    kid: float
    precision: float
    recall: float
    density: float
    coverage: float
    diversity_ratio: float  # mean distance of pairs
    twins_ratio: float  # distance to the nearest other sample
    novelty_ratio: float  # distance to the nearest training picture
    sharpness_ratio: float
    gap: float | None  # of a discriminator that saturates; None for others
    penalties: dict[str, float]


@dataclass(frozen=True, slots=True)
class Alarm:
    """A fault of a generator, and what shows it."""

    name: str
    reason: str


def alarms(seen: Observation) -> tuple[Alarm, ...]:
    """The faults that an observation shows; none for a healthy or a very young run."""
    if seen.progress < YOUNG:
        return ()
    found: list[Alarm] = []
    if seen.twins_ratio < 0.3 or seen.diversity_ratio < 0.3:
        found.append(
            Alarm(
                "collapse",
                "The samples repeat one another: the nearest other sample is "
                f"{seen.twins_ratio:.0%} as far as among real pictures, and only "
                f"{seen.coverage:.0%} of these are covered. More gradient penalty or more varied "
                "pictures help.",
            )
        )
    if seen.novelty_ratio < 0.3:
        found.append(
            Alarm(
                "memorised",
                "The samples are copies: the nearest training picture is "
                f"{seen.novelty_ratio:.0%} as far as for real pictures that were held out. More "
                "pictures or a shorter training help.",
            )
        )
    if seen.sharpness_ratio < 0.4:
        found.append(
            Alarm(
                "blurred",
                f"The samples have {seen.sharpness_ratio:.0%} of the fine contrast of real "
                "pictures: the generator averages. A longer training or less gradient penalty "
                "helps.",
            )
        )
    if seen.gap is not None and seen.gap > 8:
        found.append(
            Alarm(
                "critic wins",
                f"The discriminator tells real from generated without doubt (gap {seen.gap:.1f}), "
                "so the generator learns nothing from it. More gradient penalty, a lower learning "
                "rate or more pictures help.",
            )
        )
    return tuple(found)


class Eye:
    """Looks at pictures with the style encoder."""

    def __init__(self, encoder: StyleEncoder, pictures: Tensor) -> None:
        """Take the units of the features from real `pictures` (N, 3, S, S)."""
        self._encoder = encoder
        self._middle, self._unit = torch.zeros(1), torch.ones(1)
        real = self.features(pictures)
        deviation = real.std(0)
        # A channel that real pictures hardly stir must not drown all others.
        self._middle, self._unit = real.mean(0), deviation.clamp_min(LEAST_UNIT * deviation.mean())

    @torch.no_grad()
    def features(self, pixels: Tensor) -> Tensor:
        """Features (B, D) of pixels (B, 3, S, S)."""
        parts = []
        for batch in torch.split(pixels, _BATCH):
            deepest = self._encoder(batch)[-2:]
            quarters = [F.adaptive_avg_pool2d(level, 2).flatten(1) for level in deepest]
            parts.append(torch.cat(quarters, dim=1))
        return (torch.cat(parts) - self._middle) / self._unit


class Watch:
    """Compares a generator with pictures it learns from and with some it never sees."""

    def __init__(
        self, encoder: StyleEncoder, trained: PictureSet, held_out: PictureSet, seed: int = 0
    ) -> None:
        rng = np.random.default_rng([seed, 11])
        self._real = some_pixels(held_out, min(SAMPLES, len(held_out.pixels)), rng)
        self._eye = Eye(encoder, self._real)
        self._real_features = self._eye.features(self._real)
        self._library = small(as_pixels(trained.pixels))
        self._trained = trained
        self._own_novelty = self._novelty(self._real)[0]

    def observe(
        self,
        draws: Draws,
        images: int = 0,
        progress: float = 1.0,
        gap: float | None = None,
        penalties: dict[str, float] | None = None,
    ) -> tuple[Observation, Tensor]:
        """Measure a generator; returns the samples as well."""
        samples = draws(len(self._real)).float().cpu()
        features = self._eye.features(samples)
        real = self._real_features
        precision, recall = measures.precision_recall(real, features)
        density, coverage = measures.density_coverage(real, features)
        seen = Observation(
            images=images,
            progress=progress,
            kid=measures.kernel_distance(real, features),
            precision=precision,
            recall=recall,
            density=density,
            coverage=coverage,
            diversity_ratio=measures.diversity(features) / measures.diversity(real),
            twins_ratio=measures.twins(features) / max(1e-9, measures.twins(real)),
            novelty_ratio=self._novelty(samples)[0] / max(1e-9, self._own_novelty),
            sharpness_ratio=measures.sharpness(samples) / max(1e-9, measures.sharpness(self._real)),
            gap=gap,
            penalties=penalties or {},
        )
        return seen, samples

    def neighbours(self, samples: Tensor) -> Image.Image:
        """Samples above their nearest training pictures."""
        shown = samples[:_SHOWN]
        indices = self._novelty(shown)[1]
        nearest = as_pixels(self._trained.pixels[indices.numpy()])
        return contact_sheet(torch.cat([shown, nearest]), columns=len(shown), scale=2)

    def _novelty(self, pixels: Tensor) -> tuple[float, Tensor]:
        """Median distance to the nearest training picture, and which it is for each."""
        distances, indices = measures.nearest_rows(small(pixels), self._library)
        return float(distances.median()), indices


def small(pixels: Tensor) -> Tensor:
    """Small versions as rows, (B, 3 * SMALL^2)."""
    return F.adaptive_avg_pool2d(pixels, SMALL).flatten(1)


def as_pixels(pictures: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> Tensor:
    """Bytes (N, S, S, 3) as pixels (N, 3, S, S) in [0, 1]."""
    return torch.from_numpy(pictures.copy()).permute(0, 3, 1, 2).contiguous().float() / 255


def some_pixels(pictures: PictureSet, count: int, rng: np.random.Generator) -> Tensor:
    """`count` different pictures of a set, (count, 3, S, S)."""
    return as_pixels(pictures.pixels[rng.permutation(len(pictures.pixels))[:count]])


def write_observations(folder: Path, seen: Sequence[Observation]) -> None:
    """Write `monitors.json` and its plot, and the alarms of the last observation."""
    folder.mkdir(parents=True, exist_ok=True)
    last = alarms(seen[-1])
    record = {
        "features": "style encoder of the pack",
        "alarms": [asdict(alarm) for alarm in last],
        "observations": [asdict(one) for one in seen],
    }
    temporary = folder / "monitors.tmp"
    temporary.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    temporary.replace(folder / "monitors.json")
    plot(seen).save(folder / "monitors.png")


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
)


def plot(seen: Sequence[Observation]) -> Image.Image:
    """One small curve for each measure over pictures seen, 5 in a row."""
    wide, high = 220, 150
    image = Image.new("RGB", (5 * wide, 2 * high), "white")
    draw = ImageDraw.Draw(image)
    for number, (name, colour) in enumerate(_PLOTTED):
        left, top = number % 5 * wide, number // 5 * high
        values = [0.0 if getattr(one, name) is None else getattr(one, name) for one in seen]
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
