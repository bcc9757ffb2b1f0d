"""Teaching a generator what some pictures have in common, in steps that wait for all others.

Huang et al. 2024 (R3GAN), https://arxiv.org/abs/2501.05441. What is learnt is written down now and
then, so that a killed worker goes on; a request that `is_ending` makes its result of that.
"""

import math
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from engine.calls import (
    Call,
    FirstPair,
    FoolGradient,
    JudgeGradient,
    NetworkRef,
    PairCanvases,
    PairFeatures,
    PairSamples,
    Pipeline,
    Recall,
    Remember,
    Report,
    WriteGenerator,
)
from engine.descent import STEADY
from engine.errors import EngineError, InvalidRequest, NotANumber
from engine.events import Picture
from engine.gan import learning
from engine.gan.learning import Learning
from engine.gan.monitors import Observation, Yardstick, alarms
from engine.gan.plots import curves
from engine.media import png, previews
from engine.media.grids import contact_grid, stacked
from engine.pipelines.stages import denoising, sources
from engine.pipelines.stages.aside import aside
from engine.pipelines.stages.enlarging import enlarged
from engine.requests import LEAST_LEARNT, TrainGan
from engine.wording import Said

PAIR = NetworkRef("pair")
BATCH = 16  # rows of one call, few so that others wait a short time only
LATENT = 64  # numbers of z
KEPT_EVERY_S = 30.0  # of learning, after which a killed worker goes on
BEGINNING = 1000  # steps, before which nothing good can be expected
LEAST_KEPT = 20  # steps before anything is worth keeping
SHEETS = 8  # of a whole training
SHEET_PAUSES_S = (10.0, 180.0)  # shortest and longest between two of them
SHOWN = 16  # samples of a sheet
CELL_SIDE = 128  # pixels of a sample on a sheet
COMPARED = 8  # of them, each above the picture it is nearest to
HELD_OUT = 0.1  # of the pictures, that samples are compared with
LEAST_HELD_OUT, MOST_HELD_OUT = 6, 64
HEALTHY, DIVERGED, EARLY = "healthy", "diverged", "early"  # verdicts beside those of alarms

States = Generator[Call, Any, Learning]
Rows = Generator[Call, Any, Tensor]


@dataclass(frozen=True, slots=True)
class Lesson:
    """What a pair is taught, and what it is held to."""

    canvases: Tensor  # (N, C, h, w), those of mirrored pictures after the others
    pictures: Tensor  # (N/2, 3, S, S) in [0, 1], those not mirrored
    yardstick: Yardstick
    size: int  # of the samples that are compared


def run(request: TrainGan, *, clock: denoising.Clock = time.monotonic) -> Pipeline:
    """Return one picture: a sheet of samples, which carries the weights and a report.

    Raises:
        InvalidRequest: there are too few different pictures.
        EngineError: it should end or its numbers overflowed, but nothing was learnt yet.
    """
    pixels = yield from aside(partial(_squares, request))
    judge, generator, version = yield FirstPair(PAIR, request.seed)
    key = f"pair {version} {request.name} {request.seed} {request.steps} {request.minutes}"
    noted = yield Recall(key)
    known = learning.decode_state(noted, len(judge), len(generator))
    if request.is_ending and known is None:
        raise EngineError("it was cancelled before anything worth keeping was learnt")
    lesson = yield from _lesson(pixels, request.seed)
    teller = _Teller(request, clock)
    state = known or learning.begun(judge, generator)
    verdict = ""
    try:
        while _progress(request, state) < 1 and not request.is_ending:
            state = yield from _one_step(state, request, lesson, teller)
            preview: bytes | None = None
            told: tuple[tuple[str, str], ...] = ()
            if teller.is_sheet_due():
                state, seen, samples = yield from _observed(state, request, lesson, teller)
                told = _measured(seen)
                if request.previews:
                    shown = samples[:SHOWN]
                    preview = yield from aside(partial(_preview, shown, lesson, state.seen))
                teller.shown()
            yield Report(*_counted(request, state), preview, told)
            if state.seconds - teller.kept_s >= KEPT_EVERY_S and state.step >= LEAST_KEPT:
                yield Remember(key, learning.encode_state(state))
                teller.kept_s = state.seconds
        state, seen, _ = yield from _observed(state, request, lesson, teller)
    except NotANumber as error:
        kept = yield Recall(key)
        good = learning.decode_state(kept, len(judge), len(generator))
        if good is None:
            raise EngineError(
                "the training's numbers overflowed before anything was learnt; train again, or "
                "choose other pictures"
            ) from error
        state, verdict = good, DIVERGED
        state, seen, _ = yield from _observed(state, request, lesson, teller)
    # Not forgotten: where the result can't be kept for want of room, asking again is quick.
    yield Remember(key, learning.encode_state(state))
    return (yield from _result(request, state, seen, verdict, len(pixels)))


class _Teller:
    """Says when a sheet is due, by the wall clock, and remembers what was seen."""

    def __init__(self, request: TrainGan, clock: denoising.Clock) -> None:
        shortest, longest = SHEET_PAUSES_S
        self._pause_s = min(max(60 * request.minutes / SHEETS, shortest), longest)
        self._clock = clock
        self._last = clock()
        self.kept_s = -math.inf  # seconds of learning when it was last written down
        self.gap: float | None = None
        self.penalties: dict[str, float] = {}

    def is_sheet_due(self) -> bool:
        """Enough time has passed since the last one."""
        return self._clock() - self._last >= self._pause_s

    def shown(self) -> None:
        """A sheet is shown now."""
        self._last = self._clock()


def _squares(request: TrainGan) -> Tensor:
    """The pictures, (N, 3, S, S), without those that came before."""
    different = dict.fromkeys(request.pictures)
    if len(different) < LEAST_LEARNT:
        reason = "must be {least} different ones at least: of {found} only {different} differ"
        counts = {"least": LEAST_LEARNT, "found": len(request.pictures)}
        raise InvalidRequest("pictures", Said(reason, **counts, different=len(different)))
    opened = (sources.opened(data, "pictures").convert("RGB") for data in different)
    return torch.stack([sources.pixels_of(picture) for picture in opened])


def _lesson(pixels: Tensor, seed: int) -> Generator[Call, Any, Lesson]:
    """Part the pictures, encode those that are learnt, look at those that are not."""
    order = torch.randperm(len(pixels), generator=torch.Generator().manual_seed(seed))
    count = round(min(max(LEAST_HELD_OUT, HELD_OUT * len(pixels)), MOST_HELD_OUT))
    held_out, taught = pixels[order[:count]], pixels[order[count:]]
    canvases = yield from _asked(
        torch.cat([taught, taught.flip(3)]), lambda part: PairCanvases(PAIR, part)
    )
    features = yield from _features(held_out)
    yardstick = yield from aside(partial(Yardstick, features, held_out, taught, mirrored=True))
    return Lesson(canvases, taught, yardstick, count)


def _features(pixels: Tensor) -> Rows:
    return (yield from _asked(pixels, lambda part: PairFeatures(PAIR, part)))


def _asked(rows: Tensor, call_for: Callable[[Tensor], Call]) -> Rows:
    """The answers for all rows, some of which are asked for at a time."""
    parts: list[Tensor] = []
    for part in torch.split(rows, BATCH):
        parts += [(yield call_for(part))]
    return torch.cat(parts)


def _one_step(state: Learning, request: TrainGan, lesson: Lesson, teller: _Teller) -> States:
    """Both descend a little, on pictures and noise that depend on seed and step alone."""
    numbers = np.random.default_rng([request.seed, state.step])
    chosen = torch.from_numpy(numbers.integers(0, len(lesson.canvases), BATCH))
    real = lesson.canvases[chosen]
    noise = torch.from_numpy(numbers.standard_normal((2, BATCH, LATENT), dtype=np.float32))
    progress = _progress(request, state)
    rate = learning.rate_at(progress, state.step, request.steps)
    gamma = learning.gamma_at(progress)
    gradient, told = yield JudgeGradient(PAIR, state.judge, state.generator, real, noise[0], gamma)
    _, gap, r1, r2, judging_s = told.tolist()
    teller.gap, teller.penalties = gap, {"r1": r1, "r2": r2}
    state = learning.judged(state, gradient, rate)
    gradient, told = yield FoolGradient(PAIR, state.judge, state.generator, real, noise[1])
    return learning.fooled(state, gradient, rate, judging_s + float(told[1]))


def _observed(
    state: Learning, request: TrainGan, lesson: Lesson, teller: _Teller
) -> Generator[Call, Any, tuple[Learning, Observation, Tensor]]:
    """Measure the average by some samples, and keep it as the best where it is."""
    samples = yield from _samples(state.average, max(SHOWN, lesson.size), request.seed)
    features = yield from _features(samples)
    measure = partial(
        lesson.yardstick.observe,
        features,
        samples,
        state.step * BATCH,
        _progress(request, state),
        teller.gap,
        teller.penalties,
    )
    seen = yield from aside(measure)
    return learning.observed(state, seen), seen, samples


def _samples(generator: Tensor, count: int, seed: int) -> Rows:
    """What a generator draws, (count, 3, S, S)."""
    z = torch.randn(count, LATENT, generator=torch.Generator().manual_seed(seed))
    return (yield from _asked(z, lambda part: PairSamples(PAIR, generator, part)))


def _progress(request: TrainGan, state: Learning) -> float:
    return max(state.step / request.steps, state.seconds / (60 * request.minutes))


def _counted(request: TrainGan, state: Learning) -> tuple[int, int]:
    """Steps done, and how many they will be at this pace."""
    progress = max(_progress(request, state), 1e-9)
    return state.step, max(state.step, math.ceil(state.step / progress))


def _result(
    request: TrainGan, state: Learning, seen: Observation, verdict: str, pictures: int
) -> Pipeline:
    samples = yield from _samples(state.best, SHOWN, request.seed)
    weights = yield WriteGenerator(PAIR, state.best)
    large = yield from enlarged(samples, 2)
    picture = yield from aside(partial(_sheet, large, state.seen, request.seed))
    seen = _of_the_best(state, seen)
    names = [alarm.name for alarm in alarms(seen)]
    names += [verdict] if verdict else []
    is_early = state.step < BEGINNING or _progress(request, state) < STEADY
    names += [EARLY] if is_early and not verdict else []
    report = (
        ("Verdict", ", ".join(names) or HEALTHY),
        ("Pictures", str(pictures)),
        ("Training steps", str(state.step)),
        ("Training minutes", f"{state.seconds / 60:.1f}"),
        *_measured(seen)[1:],
    )
    return (replace(picture, weights=weights, report=report),)


def _of_the_best(state: Learning, last: Observation) -> Observation:
    """What the monitors saw of the network that is kept, judged as one that is done."""
    found = [one for one in state.seen if one.kid == state.best_distance]
    return replace(found[-1], progress=last.progress) if found else last


def _measured(seen: Observation) -> tuple[tuple[str, str], ...]:
    """What the monitors say: faults first, then figures."""
    return (
        ("Verdict", ", ".join(alarm.name for alarm in alarms(seen))),
        ("KID", f"{seen.kid:.3f}"),
        ("Precision", f"{seen.precision:.0%}"),
        ("Recall", f"{seen.recall:.0%}"),
        ("Density", f"{seen.density:.0%}"),
        ("Coverage", f"{seen.coverage:.0%}"),
        ("Diversity", f"{seen.diversity_ratio:.0%}"),
        ("Novelty", f"{seen.novelty_ratio:.0%}"),
        *((("Gap", f"{seen.gap:.2f}"),) if seen.gap is not None else ()),
        *((name.upper(), f"{value:.3g}") for name, value in seen.penalties.items()),
    )


def _sheet(samples: Tensor, seen: Sequence[Observation], seed: int) -> Picture:
    """Samples above the curves of what the monitors saw; none of what was learnt from."""
    grid = contact_grid(png.images_of_pixels(samples.numpy()), columns=COMPARED)
    sheet = stacked([grid, curves(seen)])
    return Picture(png.encode_png(sheet), seed, sheet.width, sheet.height)


def _preview(samples: Tensor, lesson: Lesson, seen: Sequence[Observation]) -> bytes:
    """Samples, some of them above the pictures they are nearest to, and the curves so far.

    It is for whoever has the training made, and passes: the pictures are not kept with it.
    """
    compared = samples[:COMPARED]
    nearest = lesson.pictures[lesson.yardstick.nearest(compared)[1]]
    pairs = [stacked(pair, gap=0) for pair in zip(_cells(compared), _cells(nearest), strict=True)]
    rows = [contact_grid(cells, columns=COMPARED) for cells in (_cells(samples), pairs)]
    sheet = stacked([*rows, curves(seen)])
    return previews.encode_preview(sheet, max(sheet.size))


def _cells(pixels: Tensor) -> list[Image.Image]:
    small = png.images_of_pixels(pixels.numpy())
    return [image.resize((CELL_SIDE, CELL_SIDE), Image.Resampling.BICUBIC) for image in small]
