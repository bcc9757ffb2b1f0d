"""Frames of an animation in one look: the same statistics for all, strokes that move along.

Ruder et al. 2016, "Artistic Style Transfer for Videos" (https://arxiv.org/abs/1604.08610)
"""

from collections.abc import Callable, Generator, Sequence
from functools import partial
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.nn import functional

from engine.calls import Call, LayStrokes, Restyle, StyleCode
from engine.errors import OutOfMemory
from engine.pipelines.stages.aside import aside
from engine.pipelines.stages.restyling import (
    SMALL_GRID,
    SMALL_PIECE,
    STYLE_NETWORK,
    Changes,
    PixelsOf,
    cropped,
    in_palette_of,
    in_pieces,
    in_tiles,
    padded,
    with_shapes_of,
)
from engine.style.motion import brought, way_back
from engine.style.strokes import Strokes
from engine.style.target import Style

AT_ONCE = 4  # frames of one call, so that progress is told and others get their turn
SAME = 0.03  # how much colours may differ, 0..1, that something counts as what was there before
HELD = 0.85  # of the frame before, where all of it is there still
NEARBY = 7  # pixels of the square in which something new is looked for

FramesOf = Generator[Call, Any, list[Tensor]]
C = TypeVar("C", Restyle, LayStrokes)
OnFrames = Callable[[int, Tensor], Generator[Call, Any, None]]  # hears how many are done


def restyled_frames(
    frames: Sequence[Tensor],
    style: Style,
    strength: float,
    changes: Changes,
    on_frames: OnFrames,
) -> FramesOf:
    """Return frames (3, H, W) of one size, each in the style's one row."""
    codes = yield StyleCode(STYLE_NETWORK, torch.stack([padded(frame) for frame in frames]))
    own = codes.mean(0, keepdim=True)  # a scene's light must not make the style flicker

    def painting(part: Tensor) -> Restyle:
        rows = [row.expand(len(part), -1) for row in (style.code, own)]
        weight = torch.full((len(part),), strength)
        return Restyle(STYLE_NETWORK, part, rows[0], weight, rows[1], changes)

    done = yield from _part_by_part(frames, painting, _in_small_tiles, on_frames)
    content = stacked(frames)[None]
    colouring = partial(with_shapes_of, content, style=style, strength=strength)
    painted = yield from aside(partial(as_one_picture, done, colouring))
    if style.strokes is not None:
        stroked = yield from _stroked(painted, style.strokes, strength)
        before = partial(in_palette_of, stacked(painted)[None])
        painted = yield from aside(partial(as_one_picture, stroked, before))
    return (yield from aside(partial(steadied, frames, painted)))


def _stroked(frames: Sequence[Tensor], strokes: Strokes, strength: float) -> FramesOf:
    """Frames (3, H, W) with strokes on them."""

    def laying(part: Tensor) -> LayStrokes:
        rows = [row.expand(len(part), -1, -1) for row in (strokes.bases, strokes.details)]
        weight = torch.full((len(part),), strength)
        return LayStrokes(STYLE_NETWORK, part, rows[0], rows[1], weight)

    return (yield from _part_by_part(frames, laying, _in_small_pieces))


def _in_small_tiles(call: Restyle) -> PixelsOf:
    return in_tiles(call.pixels[0], call, SMALL_GRID)


def _in_small_pieces(call: LayStrokes) -> PixelsOf:
    return in_pieces(call.pixels[0], call, SMALL_PIECE)


def _part_by_part(
    frames: Sequence[Tensor],
    call_of: Callable[[Tensor], C],
    cut_up: Callable[[C], PixelsOf],
    on_frames: OnFrames | None = None,
) -> FramesOf:
    """What a call answers for frames (3, H, W), of which it gets a few at once.

    Where memory runs out each frame is cut up.
    """
    height, width = frames[0].shape[1:]
    canvas = torch.stack([padded(frame) for frame in frames])
    done: list[Tensor] = []
    for part in torch.split(canvas, AT_ONCE):
        try:
            pixels: Sequence[Tensor] = yield call_of(part)
        except OutOfMemory:
            pixels = []
            for frame in part:
                pixels.append((yield from cut_up(call_of(frame[None]))))
        done += [cropped(frame, height, width) for frame in pixels]
        if on_frames is not None:
            yield from on_frames(len(done), done[-1][None])
    return done


def as_one_picture(frames: Sequence[Tensor], change: Callable[[Tensor], Tensor]) -> list[Tensor]:
    """Frames (3, H, W) changed as one picture (1, 3, n*H, W): their colours move together."""
    whole = change(stacked(frames)[None])[0]
    return list(torch.split(whole, frames[0].shape[1], dim=1))


def stacked(frames: Sequence[Tensor]) -> Tensor:
    """Frames (3, H, W) under each other, (3, n*H, W)."""
    return torch.cat(list(frames), dim=1)


def steadied(contents: Sequence[Tensor], restyled: Sequence[Tensor]) -> list[Tensor]:
    """Mix each frame with the one before it, moved as its content moves; (3, H, W) each.

    Differs from the paper: blocks are matched by whole pixels in place of optical flow.
    """
    done = [restyled[0]]
    for before, now, frame in zip(contents, contents[1:], restyled[1:], strict=False):
        way = way_back(now, before)
        change = (now - brought(before, way)).abs().mean(0)[None, None]
        grainless = functional.avg_pool2d(change, 3, stride=1, padding=1)
        # The greatest change nearby counts, so that edges of what comes into sight leave no trail.
        nearby = functional.max_pool2d(grainless, NEARBY, stride=1, padding=NEARBY // 2)[0]
        held = HELD * torch.exp(-((nearby / SAME) ** 2))
        done.append(torch.lerp(frame, brought(done[-1], way), held))
    return done
