"""Several versions of one picture by the fast network, which looks at the picture only once."""

from collections.abc import Generator, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from engine.calls import Call, LayStrokes, Restyle
from engine.errors import OutOfMemory
from engine.pipelines.stages.restyling import Changes, OnShare, PixelsOf, restyled, unheard
from engine.style.target import Style

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
    pairs = zip(styles, strengths, strict=True)
    ways = [restyled(pixels, style, strength, changes, on_share) for style, strength in pairs]
    # They differ in nothing but numbers, so that they ask for the same things at the same time.
    calls = [next(way) for way in ways]
    while True:
        try:
            answers = yield from _answered(calls)
        except OutOfMemory as error:
            calls = [way.throw(error) for way in ways]
            continue
        steps = [_step(way, answer) for way, answer in zip(ways, answers, strict=True)]
        calls = [step for step in steps if not isinstance(step, Tensor)]
        if not calls:
            return [step for step in steps if isinstance(step, Tensor)]


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


def _step(way: PixelsOf, answer: Tensor) -> Call | Tensor:
    """What a version asks for next, or its pixels."""
    try:
        return way.send(answer)
    except StopIteration as end:
        pixels: Tensor = end.value
        return pixels
