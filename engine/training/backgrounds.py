"""Procedural backgrounds: plain colours, gradients and small landscapes, drawn from a seed.

Every background is a float array (H, W, 3) in [0, 1] and comes with the words that name it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Pixels: TypeAlias = NDArray[np.float32]
Random: TypeAlias = np.random.Generator

COLOURS: dict[str, tuple[float, float, float]] = {
    "red": (0.85, 0.14, 0.15),
    "orange": (0.97, 0.55, 0.12),
    "yellow": (0.98, 0.85, 0.20),
    "green": (0.20, 0.65, 0.28),
    "teal": (0.10, 0.60, 0.60),
    "blue": (0.15, 0.38, 0.85),
    "purple": (0.48, 0.22, 0.72),
    "pink": (0.97, 0.55, 0.72),
    "brown": (0.48, 0.30, 0.17),
    "white": (0.97, 0.97, 0.96),
    "grey": (0.55, 0.56, 0.58),
    "black": (0.06, 0.06, 0.08),
}


@dataclass(frozen=True, slots=True)
class Background:
    """A picture to stand behind subjects, and the name that captions give it."""

    kind: str
    colour: str  # "" where the kind has none
    pixels: Pixels


def colour_near(name: str, rng: Random, spread: float = 0.05) -> Pixels:
    """A colour (3,) near the named one, so that captions tolerate a range of shades."""
    shade = np.asarray(COLOURS[name]) * rng.uniform(0.9, 1.08) + rng.uniform(-spread, spread, 3)
    return np.clip(shade, 0, 1).astype(np.float32)


def smooth_noise(height: int, width: int, rng: Random, cells: int, octaves: int = 3) -> Pixels:
    """Value noise (H, W) in [0, 1]: random grids of growing detail, blended bilinearly."""
    total = np.zeros((height, width), np.float32)
    weight, norm = 1.0, 0.0
    for octave in range(octaves):
        n = cells * 2**octave
        grid = rng.random((n + 2, n + 2), dtype=np.float32)
        total += weight * _stretch(grid, height, width, n)
        norm += weight
        weight *= 0.5
    return total / np.float32(norm)


def _stretch(grid: Pixels, height: int, width: int, n: int) -> Pixels:
    ys = np.linspace(0, n, height, dtype=np.float32)
    xs = np.linspace(0, n, width, dtype=np.float32)
    iy, ix = ys.astype(int), xs.astype(int)
    fy, fx = (ys - iy)[:, None], (xs - ix)[None]
    fy, fx = fy * fy * (3 - 2 * fy), fx * fx * (3 - 2 * fx)
    top = grid[iy][:, ix] * (1 - fx) + grid[iy][:, ix + 1] * fx
    low = grid[iy + 1][:, ix] * (1 - fx) + grid[iy + 1][:, ix + 1] * fx
    return np.asarray(top * (1 - fy) + low * fy, np.float32)


def _ramp(top: Pixels, bottom: Pixels, height: int, width: int) -> Pixels:
    t = np.linspace(0, 1, height, dtype=np.float32)[:, None, None]
    return np.broadcast_to(top * (1 - t) + bottom * t, (height, width, 3)).copy()


def _rgb(*values: float) -> Pixels:
    return np.asarray(values, np.float32)


def _jitter(colour: Pixels, rng: Random, spread: float = 0.05) -> Pixels:
    return np.clip(colour + rng.uniform(-spread, spread, 3), 0, 1).astype(np.float32)


def _skyline(height: int, width: int, rng: Random, level: float, rough: float) -> Pixels:
    """A line of heights (W,) in pixels around `level` of the picture, waves of random phase."""
    x = np.linspace(0, 1, width, dtype=np.float32)
    line = np.full(width, level, np.float32)
    for k in (1, 2, 4):
        line += np.float32(rough / k * rng.uniform(0.4, 1)) * np.sin(
            2 * np.pi * (k * x * rng.uniform(0.7, 1.3) + rng.random())
        ).astype(np.float32)
    return line * height


def _fill_below(pixels: Pixels, line: Pixels, colour: Pixels) -> None:
    rows = np.arange(pixels.shape[0], dtype=np.float32)[:, None]
    cover = np.clip(rows - line[None] + 0.5, 0, 1)[..., None]
    pixels += cover * (colour - pixels)


def _disc(pixels: Pixels, cy: float, cx: float, radius: float, colour: Pixels, glow: float) -> None:
    height, width, _ = pixels.shape
    ys, xs = np.mgrid[0:height, 0:width].astype(np.float32)
    distance = np.hypot(ys - cy, xs - cx)
    cover = np.clip(radius - distance + 0.5, 0, 1)
    if glow:
        cover = np.maximum(cover, glow * np.exp(-np.maximum(distance - radius, 0) / radius))
    pixels += cover[..., None].astype(np.float32) * (colour - pixels)


def _plain(height: int, width: int, rng: Random, colour: str) -> Pixels:
    return np.broadcast_to(colour_near(colour, rng), (height, width, 3)).copy()


def _gradient(height: int, width: int, rng: Random, colour: str) -> Pixels:
    one = colour_near(colour, rng)
    shift = rng.uniform(0.2, 0.5)
    other = one * (1 - shift) if one.mean() > 0.6 else one * (1 - shift) + shift
    if rng.random() < 0.5:
        one, other = other, one
    ys, xs = np.mgrid[0:height, 0:width].astype(np.float32)
    if rng.random() < 0.3:
        t = np.hypot(ys / height - 0.5, xs / width - 0.5) * 1.4
    else:
        angle = rng.uniform(0, 2 * np.pi)
        t = (ys / height - 0.5) * np.sin(angle) + (xs / width - 0.5) * np.cos(angle) + 0.5
    t = np.clip(t, 0, 1)[..., None]
    return np.asarray(one * (1 - t) + other * t, np.float32)


def _sky(height: int, width: int, rng: Random, _: str) -> Pixels:
    pixels = _ramp(
        _jitter(_rgb(0.28, 0.55, 0.92), rng), _jitter(_rgb(0.70, 0.87, 0.98), rng), height, width
    )
    cloud = smooth_noise(height, width, rng, int(rng.integers(2, 5)), 4)
    cover = np.clip((cloud - rng.uniform(0.5, 0.6)) * 6, 0, 1)[..., None]
    return np.asarray(pixels + cover * (0.97 - pixels), np.float32)


def _sunset(height: int, width: int, rng: Random, _: str) -> Pixels:
    half = height // 2
    top = _jitter(_rgb(0.32, 0.18, 0.48), rng)
    middle = _jitter(_rgb(0.95, 0.45, 0.32), rng)
    low = _jitter(_rgb(1.0, 0.78, 0.40), rng)
    pixels = np.concatenate(
        [_ramp(top, middle, half, width), _ramp(middle, low, height - half, width)]
    )
    cx, cy = rng.uniform(0.15, 0.85) * width, rng.uniform(0.45, 0.75) * height
    _disc(pixels, cy, cx, rng.uniform(0.07, 0.13) * height, _rgb(1, 0.93, 0.66), 0.6)
    ground = _skyline(height, width, rng, rng.uniform(0.74, 0.86), 0.03)
    _fill_below(pixels, ground, _jitter(_rgb(0.22, 0.10, 0.22), rng))
    return pixels


def _stars(pixels: Pixels, rng: Random, count: int) -> None:
    height, width, _ = pixels.shape
    for _i in range(count):
        y, x = int(rng.integers(0, height)), int(rng.integers(0, width))
        light = np.float32(rng.uniform(0.5, 1.0))
        pixels[y, x] = np.maximum(pixels[y, x], light)
        if rng.random() < 0.35:
            for dy, dx in ((0, 1), (1, 0), (0, -1), (-1, 0)):
                yy, xx = min(max(y + dy, 0), height - 1), min(max(x + dx, 0), width - 1)
                pixels[yy, xx] = np.maximum(pixels[yy, xx], light * 0.6)


def _starry(height: int, width: int, rng: Random, _: str) -> Pixels:
    pixels = _ramp(
        _jitter(_rgb(0.03, 0.04, 0.16), rng, 0.03),
        _jitter(_rgb(0.14, 0.16, 0.40), rng),
        height,
        width,
    )
    _stars(pixels, rng, int(rng.integers(40, 90)) * height * width // 16384)
    if rng.random() < 0.6:
        _disc(
            pixels,
            rng.uniform(0.1, 0.3) * height,
            rng.uniform(0.1, 0.9) * width,
            rng.uniform(0.06, 0.1) * height,
            _rgb(0.98, 0.96, 0.84),
            0.25,
        )
    if rng.random() < 0.5:
        line = _skyline(height, width, rng, rng.uniform(0.8, 0.92), 0.03)
        _fill_below(pixels, line, _rgb(0.03, 0.05, 0.10))
    return pixels


def _sea(height: int, width: int, rng: Random, _: str) -> Pixels:
    pixels = _ramp(
        _jitter(_rgb(0.45, 0.70, 0.95), rng), _jitter(_rgb(0.85, 0.94, 0.98), rng), height, width
    )
    horizon = int(rng.uniform(0.4, 0.6) * height)
    deep = height - horizon
    water = _ramp(
        _jitter(_rgb(0.12, 0.48, 0.72), rng), _jitter(_rgb(0.04, 0.25, 0.50), rng), deep, width
    )
    rows = np.linspace(0.2, 1, deep, dtype=np.float32)[:, None]
    waves = np.sin(
        60 * rows**0.5 + 6 * smooth_noise(deep, width, rng, 4, 2) + rng.uniform(0, 6)
    ).astype(np.float32)
    water += (np.clip(waves - 0.6, 0, 1) * 0.35)[..., None]
    pixels[horizon:] = np.clip(water, 0, 1)
    return pixels


def _hills(height: int, width: int, rng: Random, _: str) -> Pixels:
    pixels = _ramp(
        _jitter(_rgb(0.45, 0.72, 0.95), rng), _jitter(_rgb(0.86, 0.94, 0.98), rng), height, width
    )
    if rng.random() < 0.4:
        cx = rng.uniform(0.1, 0.9) * width
        _disc(pixels, rng.uniform(0.1, 0.25) * height, cx, 0.08 * height, _rgb(1, 0.9, 0.4), 0.2)
    level = rng.uniform(0.5, 0.62)
    for shade in (0.75, 0.6, 0.45):
        line = _skyline(height, width, rng, level, 0.05)
        _fill_below(pixels, line, _jitter(_rgb(0.55 * shade, 0.95 * shade, 0.4 * shade), rng, 0.04))
        level += rng.uniform(0.10, 0.16)
    return pixels


def _forest(height: int, width: int, rng: Random, _: str) -> Pixels:
    pixels = _ramp(
        _jitter(_rgb(0.62, 0.82, 0.66), rng), _jitter(_rgb(0.80, 0.90, 0.68), rng), height, width
    )
    columns = np.arange(width, dtype=np.float32)
    for shade, count in ((0.75, 9), (0.55, 7), (0.38, 5)):
        line = np.full(width, np.float32(height * (1.02 - 0.22 * shade)))
        for _i in range(count):
            centre, tall = rng.uniform(0, width), rng.uniform(0.35, 0.62) * height
            tip = height * (0.98 - 0.2 * shade) - tall
            slope = rng.uniform(3.0, 4.5)
            line = np.minimum(line, tip + np.abs(columns - centre) * np.float32(slope))
        _fill_below(
            pixels, line, _jitter(_rgb(0.28 * shade, 0.72 * shade, 0.36 * shade), rng, 0.03)
        )
    ground = _skyline(height, width, rng, 0.88, 0.01)
    _fill_below(pixels, ground, _jitter(_rgb(0.22, 0.40, 0.16), rng, 0.04))
    return pixels


def _room(height: int, width: int, rng: Random, _: str) -> Pixels:
    wall = colour_near(str(rng.choice(["yellow", "teal", "pink", "white", "blue", "orange"])), rng)
    wall = wall * 0.45 + 0.5
    pixels = np.broadcast_to(wall, (height, width, 3)).astype(np.float32)
    floor = int(rng.uniform(0.66, 0.78) * height)
    wood = _jitter(_rgb(0.62, 0.42, 0.26), rng)
    pixels[floor:] = wood
    for line in range(floor, height, max(5, height // 16)):
        pixels[line] = wood * 0.82
    pixels[floor : floor + max(2, height // 48)] = 0.95
    x0, y0 = int(rng.uniform(0.06, 0.62) * width), int(0.1 * height)
    w, h = int(0.3 * width), int(0.34 * height)
    pixels[y0 : y0 + h, x0 : x0 + w] = 0.97
    b = max(2, height // 40)
    pixels[y0 + b : y0 + h - b, x0 + b : x0 + w - b] = _jitter(_rgb(0.62, 0.84, 0.97), rng)
    pixels[y0 : y0 + h, x0 + w // 2 - b // 2 : x0 + w // 2 + (b + 1) // 2] = 0.97
    return pixels


def _table(height: int, width: int, rng: Random, colour: str) -> Pixels:
    wall = _jitter(_rgb(0.88, 0.86, 0.82), rng, 0.08)
    pixels = _ramp(wall, wall * 0.92, height, width)
    edge = int(rng.uniform(0.55, 0.68) * height)
    top = colour_near(colour, rng)
    pixels[edge:] = _ramp(np.clip(top * 1.05, 0, 1), top * 0.85, height - edge, width)
    if colour == "brown":
        grain = smooth_noise(height - edge, width, rng, 3, 3)
        pixels[edge:] *= (0.85 + 0.3 * np.abs(np.sin(30 * grain)))[..., None]
    pixels[edge : edge + max(1, height // 64)] = np.clip(top * 1.2 + 0.08, 0, 1)
    return np.clip(pixels, 0, 1)


def _snow(height: int, width: int, rng: Random, _: str) -> Pixels:
    pixels = _ramp(
        _jitter(_rgb(0.56, 0.68, 0.82), rng), _jitter(_rgb(0.82, 0.88, 0.94), rng), height, width
    )
    level = rng.uniform(0.58, 0.68)
    for shade in (0.86, 0.92, 0.97):
        line = _skyline(height, width, rng, level, 0.03)
        _fill_below(pixels, line, _rgb(shade - 0.03, shade, min(1, shade + 0.03)))
        level += 0.11
    for _i in range(int(rng.integers(30, 60)) * height * width // 16384):
        y, x = int(rng.integers(0, height - 1)), int(rng.integers(0, width - 1))
        pixels[y : y + 2, x : x + 2] = 1
    return pixels


def _meadow(height: int, width: int, rng: Random, _: str) -> Pixels:
    pixels = _ramp(
        _jitter(_rgb(0.50, 0.76, 0.96), rng), _jitter(_rgb(0.86, 0.95, 0.98), rng), height, width
    )
    line = _skyline(height, width, rng, rng.uniform(0.55, 0.68), 0.015)
    _fill_below(pixels, line, _jitter(_rgb(0.42, 0.72, 0.28), rng, 0.04))
    for _i in range(int(rng.integers(16, 36)) * height * width // 16384):
        x = int(rng.integers(1, width - 2))
        y = int(rng.uniform(line[x] + 3, height - 3)) if line[x] + 3 < height - 3 else height - 3
        petal = colour_near(str(rng.choice(["white", "yellow", "pink", "red"])), rng)
        pixels[y : y + 2, x : x + 2] = petal
    return pixels


def _beach(height: int, width: int, rng: Random, _: str) -> Pixels:
    pixels = _sea(height, width, rng, "")
    line = _skyline(height, width, rng, rng.uniform(0.68, 0.78), 0.015)
    _fill_below(pixels, line - height * 0.02, _rgb(0.93, 0.97, 0.98))
    _fill_below(pixels, line, _jitter(_rgb(0.93, 0.82, 0.58), rng, 0.04))
    return pixels


def _desert(height: int, width: int, rng: Random, _: str) -> Pixels:
    pixels = _ramp(
        _jitter(_rgb(0.50, 0.75, 0.95), rng), _jitter(_rgb(0.98, 0.92, 0.78), rng), height, width
    )
    level = rng.uniform(0.55, 0.65)
    for shade in (0.82, 0.9, 1.0):
        line = _skyline(height, width, rng, level, 0.05)
        _fill_below(pixels, line, _jitter(_rgb(0.93, 0.72, 0.42) * np.float32(shade), rng, 0.03))
        level += 0.13
    return pixels


def _city(height: int, width: int, rng: Random, _: str) -> Pixels:
    pixels = _ramp(
        _jitter(_rgb(0.55, 0.74, 0.92), rng), _jitter(_rgb(0.93, 0.92, 0.88), rng), height, width
    )
    ground = int(0.85 * height)
    x = 0
    while x < width:
        w = int(rng.uniform(0.1, 0.2) * width)
        top = int(rng.uniform(0.2, 0.6) * height)
        wall = _jitter(_rgb(0.55, 0.58, 0.66), rng, 0.14)
        pixels[top:ground, x : x + w] = wall
        step = max(6, height // 14)
        for wy in range(top + 4, ground - 4, step):
            for wx in range(x + 3, min(x + w, width) - 4, step):
                pixels[wy : wy + step // 2, wx : wx + step // 2] = _rgb(0.98, 0.92, 0.66)
        x += w + 1
    pixels[ground:] = _rgb(0.36, 0.37, 0.40)
    return pixels


Painter: TypeAlias = Callable[[int, int, Random, str], Pixels]

PAINTERS: dict[str, Painter] = {
    "plain": _plain,
    "gradient": _gradient,
    "sky": _sky,
    "sunset": _sunset,
    "starry sky": _starry,
    "sea": _sea,
    "hills": _hills,
    "forest": _forest,
    "room": _room,
    "table": _table,
    "snow": _snow,
    "meadow": _meadow,
    "beach": _beach,
    "desert": _desert,
    "city": _city,
}
COLOURED = ("plain", "gradient", "table")


def paint_background(kind: str, colour: str, height: int, width: int, rng: Random) -> Background:
    """Draw one background of a kind in `PAINTERS`; `colour` counts for the `COLOURED` kinds.

    Raises:
        KeyError: the kind or the colour is unknown.
    """
    pixels = PAINTERS[kind](height, width, rng, colour)
    named = colour if kind in COLOURED else ""
    return Background(kind, named, np.clip(pixels, 0, 1).astype(np.float32))
