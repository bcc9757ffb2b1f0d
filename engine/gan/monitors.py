"""How good a generator is, in figures and words: measures of samples and the faults they show.

A measure of kind `..._ratio` is the generator's relative to that of real pictures never trained on,
so 1 is what a perfect one has. Features come from elsewhere, (N, D); here each channel is taken
about its mean and in units of its deviation over real pictures. Copies of training pictures are
looked for in small versions of the pictures themselves.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from engine.gan import measures

LEAST_UNIT = 0.5  # of the mean deviation of all channels
SMALL = 16  # pixels of the small versions in which copies are looked for
# Of the mean distance of pairs: real pictures that come twice are nearer than any measure may be.
LEAST_TWINS = 0.15
LEAST_NOVELTY = 0.08
YOUNG = 0.25  # of the budget: until then, faults are those of any beginner


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


class Yardstick:
    """Real pictures that were never trained on, and those that were: what samples are held to."""

    def __init__(
        self, features: Tensor, pixels: Tensor, trained: Tensor, *, mirrored: bool = False
    ) -> None:
        """Take features (N, D) and `pixels` (N, 3, S, S) of the former, pixels of the latter.

        With `mirrored`, these are learnt mirrored as well, so a mirrored copy is a copy.
        """
        deviation = features.std(0)
        # A channel that real pictures hardly stir must not drown all others.
        self._middle = features.mean(0)
        self._unit = deviation.clamp_min(LEAST_UNIT * deviation.mean())
        self._real = self._scaled(features)
        self._sharpness = measures.sharpness(pixels)
        self._count = len(trained)
        library = small(trained)
        self._library = torch.cat([library, small(trained.flip(3))]) if mirrored else library
        self._diversity = max(1e-9, measures.diversity(self._real))
        self._twins = max(measures.twins(self._real), LEAST_TWINS * self._diversity)
        least_novelty = LEAST_NOVELTY * measures.diversity(small(pixels))
        self._own_novelty = max(1e-9, least_novelty, self.nearest(pixels)[0])

    def observe(
        self,
        features: Tensor,
        samples: Tensor,
        images: int = 0,
        progress: float = 1.0,
        gap: float | None = None,
        penalties: dict[str, float] | None = None,
    ) -> Observation:
        """Measure samples (M, 3, S, S) by their features (M, D)."""
        seen, real = self._scaled(features), self._real
        precision, recall = measures.precision_recall(real, seen)
        density, coverage = measures.density_coverage(real, seen)
        return Observation(
            images=images,
            progress=progress,
            kid=measures.kernel_distance(real, seen),
            precision=precision,
            recall=recall,
            density=density,
            coverage=coverage,
            diversity_ratio=measures.diversity(seen) / self._diversity,
            twins_ratio=measures.twins(seen) / self._twins,
            novelty_ratio=self.nearest(samples)[0] / self._own_novelty,
            sharpness_ratio=measures.sharpness(samples) / max(1e-9, self._sharpness),
            gap=gap,
            penalties=penalties or {},
        )

    def nearest(self, pixels: Tensor) -> tuple[float, Tensor]:
        """Median distance to the nearest training picture, and which it is for each."""
        distances, indices = measures.nearest_rows(small(pixels), self._library)
        return float(distances.median()), indices % self._count

    def _scaled(self, features: Tensor) -> Tensor:
        return (features - self._middle) / self._unit


def small(pixels: Tensor) -> Tensor:
    """Small versions as rows, (B, 3 * SMALL^2)."""
    return F.adaptive_avg_pool2d(pixels, SMALL).flatten(1)
