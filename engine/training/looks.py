"""What tells one look from another, drawn on cut-outs that have their final size.

Drawings by different hands share lines and palettes: nobody could say by whose hand an apple is.
What a word of style promises is drawn here on all things alike, so that a network learns it from
every drawing and gives it to things that it never saw in that look.
"""

import math
from collections.abc import Callable, Mapping
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from engine.training.subjects import Rgba

Plane: TypeAlias = NDArray[np.float32]

LEAST = 8  # pixels on a side: smaller things have no room for a manner
INK, PAPER = (0.1, 0.08, 0.125), (1.0, 1.0, 1.0)
# Widths as shares of a thing's longest side.
BORDER, RIM = 0.05, 0.014  # of a sticker: white paper, and the shade at its edge
RIM_SHADE = 0.45
OUTLINE = 0.031  # of a cartoon
# How much darker a place is than what is around it where an inner line begins, and where it is ink.
LINES_FROM, LINES_TO = 0.05, 0.16
ROUNDNESS, PUFF = 0.035, 0.09  # of a blob: of its outline, and how far its slopes reach
STEEPNESS, SHADE, SHINE = 0.16, 0.55, 0.45  # of these slopes; away from the light and towards it
KNEADED, DENTS, MATTE = 0.05, 0.07, 0.16  # of clay: its slopes, how wide and how deep its dents are
CEL_OUTLINE, CELS = 0.018, 3  # of an anime figure: its width, and its shades
LINE_COLOUR = (0.2, 0.1, 0.2)  # of its lines


def in_look(rgba: Rgba, look: str) -> Rgba:
    """A cut-out (H, W, 4) in the manner of a look, of the same size.

    Stickers get a border of white paper, cartoons lines of ink, blobs round and puffy bodies, anime
    figures few shades and thin lines, clay ones soft slopes and dents. Other looks are those of the
    drawings themselves, or of the whole picture (`engine.training.mediums`).
    """
    treat = _MANNERS.get(look)
    if treat is None or min(rgba.shape[:2]) < LEAST:
        return rgba
    plane = np.asarray(rgba, np.float32) / np.float32(255)
    treated = treat(plane, max(rgba.shape[:2]))
    return np.asarray((treated.clip(0, 1) * 255).round(), np.uint8)


def _sticker(rgba: Plane, side: int) -> Plane:
    border, rim = max(2.0, BORDER * side), max(1.0, RIM * side)
    drawing = _shrunk(rgba, border + rim)
    paper = _grown(drawing[..., 3], border)
    shade = _blurred(_grown(drawing[..., 3], border + rim / 2), rim / 2)
    return _over(drawing, _over(_layer(PAPER, paper), _layer(INK, shade * RIM_SHADE)))


def _cartoon(rgba: Plane, side: int) -> Plane:
    width = max(1.4, OUTLINE * side)
    drawing = _shrunk(rgba, width)
    light = drawing[..., :3].mean(-1) * drawing[..., 3]
    darker = _blurred(light, width * 1.4) - _blurred(light, width * 0.35)
    lines = ((darker - LINES_FROM) / (LINES_TO - LINES_FROM)).clip(0, 1)
    return _outlined(drawing, INK, lines, width)


def _blob(rgba: Plane, side: int) -> Plane:
    reach = ROUNDNESS * side
    drawing = _shrunk(rgba, reach)
    alpha = drawing[..., 3:]
    body = ((_blurred(_grown(drawing[..., 3], 0.6 * reach), reach) - 0.5) * 5 + 0.5).clip(0, 1)
    around = _around(drawing, reach)
    colours = around + alpha * (drawing[..., :3] - around)
    height = _blurred(body, PUFF * side)
    uphill = np.gradient(height, axis=0) + np.gradient(height, axis=1)
    slope = (STEEPNESS * side * uphill)[..., None]  # the light is above on the left
    colours = colours * (1 + SHADE * slope.clip(max=0)).clip(0.45, 1)
    colours = colours + (SHINE * slope.clip(min=0)).clip(0, 0.4) * (1 - colours)
    return np.dstack([colours, body])


def _anime(rgba: Plane, side: int) -> Plane:
    width = max(1.0, CEL_OUTLINE * side)
    drawing = _shrunk(rgba, width)
    light, alpha = drawing[..., :3].max(-1), drawing[..., 3]
    soft = _blurred(light * alpha, width) / (_blurred(alpha, width) + 1e-3)
    cels = ((np.floor(soft * CELS + 0.15) + 0.55) / CELS).clip(0.3, 0.98)
    grey = drawing[..., :3].mean(-1, keepdims=True)
    vivid = grey + 1.3 * (drawing[..., :3] - grey)
    drawing[..., :3] = vivid * (cels / soft.clip(0.05))[..., None].clip(0.6, 1.5)
    darker = _blurred(light * alpha, width * 1.8) - _blurred(light * alpha, width * 0.4)
    lines = ((darker - 0.04) / 0.1).clip(0, 1)
    return _outlined(drawing, LINE_COLOUR, lines, width)


def _clay(rgba: Plane, side: int) -> Plane:
    reach = ROUNDNESS * side
    drawing = _shrunk(rgba, reach)
    body = _blurred(_grown(drawing[..., 3], 0.4 * reach), 0.6 * reach)
    body = ((body - 0.5) * 4 + 0.5).clip(0, 1)
    colours = _around(drawing, 0.35 * reach)  # one lump of clay runs into the next
    light = (colours.mean(-1) * body).astype(np.float32)
    dents = np.random.default_rng(side).normal(size=body.shape).astype(np.float32)
    dents = _blurred(dents, DENTS * side / 2)
    dents *= MATTE / max(1e-6, float(dents.std()))
    height = _blurred(body, KNEADED * side) + 0.8 * _blurred(light, 0.012 * side)
    uphill = np.gradient(height, axis=0) + np.gradient(height, axis=1)
    shade = 1 + (1.15 * STEEPNESS * side * uphill).clip(-0.5, 0.22) + 0.35 * dents
    grey = colours.mean(-1, keepdims=True)
    return np.dstack([(0.1 + 0.82 * (grey + 0.85 * (colours - grey))) * shade[..., None], body])


_MANNERS: Mapping[str, Callable[[Plane, int], Plane]] = {
    "sticker": _sticker,
    "cartoon": _cartoon,
    "blob": _blob,
    "anime": _anime,
    "clay": _clay,
}


def _shrunk(rgba: Plane, margin: float) -> Plane:
    """A cut-out in its own frame, smaller by so many pixels on each side."""
    height, width = rgba.shape[:2]
    wide, tall = (max(1, round(length - 2 * margin)) for length in (width, height))
    image = Image.fromarray((rgba * 255).round().astype(np.uint8))
    smaller = image.resize((wide, tall), Image.Resampling.LANCZOS)
    out = Image.new("RGBA", (width, height))
    out.paste(smaller, ((width - wide) // 2, (height - tall) // 2))
    return np.asarray(out, np.float32) / np.float32(255)


def _outlined(
    drawing: Plane, colour: tuple[float, float, float], lines: Plane, width: float
) -> Plane:
    """A cut-out with so much (H, W) of inner lines, and a line of that width around it."""
    alpha = drawing[..., 3]
    # Inner lines end before the outline, which is drawn around the thing, not in it.
    inner = (lines * (1 - _grown(1 - alpha, width)))[..., None]
    drawing[..., :3] += inner * (np.asarray(colour, np.float32) - drawing[..., :3])
    return _over(drawing, _layer(colour, _grown(alpha, width)))


def _around(drawing: Plane, reach: float) -> Plane:
    """The mean colours (H, W, 3) of a cut-out near each place, beside it as well."""
    seen = [_blurred(drawing[..., k] * drawing[..., 3], reach) for k in range(3)]
    return np.asarray(np.stack(seen, -1) / (_blurred(drawing[..., 3], reach)[..., None] + 1e-3))


def _grown(alpha: Plane, radius: float) -> Plane:
    """A mask (H, W) grown by a disc with a soft edge."""
    reach = math.ceil(radius)
    padded = np.pad(alpha, reach)
    height, width = alpha.shape
    out = alpha.copy()
    for dy in range(-reach, reach + 1):
        for dx in range(-reach, reach + 1):
            near = min(1.0, radius + 0.5 - math.hypot(dy, dx))
            if near > 0:
                there = padded[reach + dy : reach + dy + height, reach + dx : reach + dx + width]
                np.maximum(out, there * np.float32(near), out=out)
    return out


def _blurred(plane: Plane, radius: float) -> Plane:
    """A plane (H, W), with nothing beyond its edges, through a Gaussian of that deviation."""
    reach = max(1, math.ceil(2.5 * radius))
    taps = np.exp(-0.5 * (np.arange(-reach, reach + 1) / max(radius, 0.1)) ** 2)
    return convolved(plane, taps, "constant")


def convolved(
    plane: Plane, taps: NDArray[np.floating], beyond: Literal["constant", "edge"]
) -> Plane:
    """A plane (H, W) or (H, W, C) through taps, an odd number, along both of its sides.

    What is `beyond` its edges is nothing, or like them.
    """
    taps, reach = (taps / taps.sum()).astype(np.float32), len(taps) // 2
    for axis in (0, 1):
        edge = [(reach, reach) if k == axis else (0, 0) for k in range(plane.ndim)]
        padded = np.moveaxis(np.pad(plane, edge, mode=beyond), axis, 0)
        parts = [tap * padded[k : k + plane.shape[axis]] for k, tap in enumerate(taps)]
        plane = np.moveaxis(np.asarray(np.sum(parts, axis=0), np.float32), 0, axis)
    return plane


def _layer(colour: tuple[float, float, float], alpha: Plane) -> Plane:
    out = np.empty((*alpha.shape, 4), np.float32)
    out[..., :3], out[..., 3] = colour, alpha
    return out


def _over(above: Plane, below: Plane) -> Plane:
    """One layer (H, W, 4) over another, of straight alpha."""
    high, low = above[..., 3:], below[..., 3:]
    alpha = high + low * (1 - high)
    colours = above[..., :3] * high + below[..., :3] * low * (1 - high)
    return np.dstack([colours / alpha.clip(1e-4), alpha])
