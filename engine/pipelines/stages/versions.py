"""Several versions of one picture by the fast network, which looks at the picture only once."""

from collections.abc import Generator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from engine.calls import Call, LayStrokes, Pause, Restyle
from engine.errors import OutOfMemory
from engine.pipelines.stages.restyling import Changes, OnShare, PixelsOf, restyled, unheard
from engine.style.target import Style

LARGE = 4_000_000  # pixels above which versions are made one by one: together they'd fill memory

Versions = Generator[Call, Any, list[Tensor]]


def restyled_versions(
    pixels: Tensor,
    styles: Sequence[Style],
    strengths: Sequence[float],
    changes: Changes = (),
    on_share: OnShare = unheard,
) -> Versions:
    """Return pixels (3, H, W) in each of the styles, each of one row, by its strength.

    Of what is cut into parts, `on_share` hears how much is done.
    """
    pairs = list(zip(styles, strengths, strict=True))
    if len(pairs) > 1 and pixels.shape[1] * pixels.shape[2] > LARGE:
        return (yield from _one_by_one(pixels, pairs, changes, on_share))
    ways = [restyled(pixels, style, strength, changes, on_share) for style, strength in pairs]
    # They differ in nothing but numbers, so that they ask for the same things at the same time.
    calls = [next(way) for way in ways]
    while True:
        try:
            answers = yield from _answered(calls)
        except OutOfMemory as error:
            calls = [way.throw(error) for way in ways]
            continue
        steps: list[Call | Tensor] = []
        for way, answer in zip(ways, answers, strict=True):
            steps += [(yield from _step(way, answer))]
        calls = [step for step in steps if not isinstance(step, Tensor)]
        if not calls:
            return [step for step in steps if isinstance(step, Tensor)]


def _one_by_one(
    pixels: Tensor,
    pairs: Sequence[tuple[Style, float]],
    changes: Changes,
    on_share: OnShare,
) -> Versions:
    """Each version by itself, as a part of the whole."""

    def on_own_share(number: int, share: float) -> Generator[Call, Any, None]:
        yield from on_share((number + share) / len(pairs))

    done: list[Tensor] = []
    for number, (style, strength) in enumerate(pairs):
        telling = partial(on_own_share, number)
        done += [(yield from restyled(pixels, style, strength, changes, telling))]
    return done


def _answered(calls: Sequence[Call]) -> Versions:
    """The answers to calls of one kind about one picture, of one pass."""
    rows: Tensor
    if restyles := [call for call in calls if isinstance(call, Restyle)]:
        owns = [call.own for call in restyles if call.own is not None]
        rows = yield replace(
            restyles[0],
            pixels=restyles[0].pixels.expand(len(restyles), -1, -1, -1),
            code=torch.cat([call.code for call in restyles]),
            strength=torch.cat([call.strength for call in restyles]),
            own=torch.cat(owns) if owns else None,
        )
        return list(torch.split(rows, 1))
    if layings := [call for call in calls if isinstance(call, LayStrokes)]:
        rows = yield replace(
            layings[0],
            pixels=torch.cat([call.pixels for call in layings]),
            bases=torch.cat([call.bases for call in layings]),
            details=torch.cat([call.details for call in layings]),
            strength=torch.cat([call.strength for call in layings]),
        )
        return list(torch.split(rows, 1))
    answer: Tensor = yield calls[0]
    return [answer] * len(calls)


def _step(way: PixelsOf, answer: Tensor) -> Generator[Call, Any, Call | Tensor]:
    """What a version asks of the networks next, or its pixels.

    Its work aside is waited for, so that no two versions take memory for theirs at once.
    """
    try:
        call = way.send(answer)
        while isinstance(call, Pause):
            yield call
            call = way.send(None)
    except StopIteration as end:
        pixels: Tensor = end.value
        return pixels
    return call
