"""Mediums: what a whole picture is made of, drawn over a composed scene of any kind.

A medium is a transformation of colours and edges, whatever the picture shows, so that a network
learns it from every drawing. Sets of such pictures that may be used freely are rare; these are
painted here. Each takes pixels (H, W, 3) in bytes and a generator, and gives pixels of that size.
"""

from collections.abc import Callable, Mapping
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from engine.training.backgrounds import smooth_noise
from engine.training.looks import convolved
from engine.training.subjects import to_hsv, to_rgb

Pixels: TypeAlias = NDArray[np.uint8]
Plane: TypeAlias = NDArray[np.float32]  # (H, W) or (H, W, 3) in [0, 1]

PIXEL_GRID = 4  # pixels of the picture to one pixel of pixel art
PIXEL_COLOURS = (16, 24, 32)
INK, GRAPHITE, LEAD = (0.09, 0.08, 0.1), (0.2, 0.2, 0.22), (0.07, 0.07, 0.09)
WHITE, RICE_PAPER, WARM_PAPER = (0.985, 0.985, 0.98), (0.95, 0.92, 0.85), (0.97, 0.95, 0.9)
NIGHT = (0.035, 0.02, 0.08)  # behind neon tubes
# How steep a change of colour is, between neighbours, where a line begins and where it is full.
LINES_FROM, LINES_TO = 0.05, 0.13
FACET, PANE = 10, 24  # pixels from one corner of a facet, or middle of a pane, to the next
HATCH, CARVE = 0.95, 0.9  # radians a pixel: strokes of a pencil, grooves of a knife
WASHES = 4  # shades of ink


def in_medium(pixels: Pixels, medium: str, rng: np.random.Generator) -> Pixels:
    """A picture in a medium; as it is where that is none of `MEDIUMS`."""
    treat = MEDIUMS.get(medium)
    return treat(pixels, rng) if treat else pixels


def _pixel_art(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """The picture on a coarse grid with few colours."""
    image = Image.fromarray(pixels)
    small = image.resize(
        (image.width // PIXEL_GRID, image.height // PIXEL_GRID), Image.Resampling.BOX
    )
    colours = int(rng.choice(PIXEL_COLOURS))
    small = small.quantize(colours, dither=Image.Dither.NONE).convert("RGB")
    return np.asarray(small.resize(image.size, Image.Resampling.NEAREST))


def _oil(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """Brush strokes: wavy displacement, the most frequent colour nearby, and a canvas grain."""
    height, width, _ = pixels.shape
    flow = smooth_noise(height, width, rng, 5, 2) * 4 * np.pi
    ys, xs = np.mgrid[0:height, 0:width]
    speckle = rng.uniform(-1, 1, (height, width))
    yy = np.clip(ys + np.sin(flow) * speckle * 3.5, 0, height - 1).astype(int)
    xx = np.clip(xs + np.cos(flow) * speckle * 3.5, 0, width - 1).astype(int)
    image = Image.fromarray(pixels[yy, xx]).filter(ImageFilter.ModeFilter(5))
    painted = np.asarray(image.filter(ImageFilter.SMOOTH)).astype(np.float32)
    ridges = np.sin(np.cos(flow) * ys * 1.3 - np.sin(flow) * xs * 1.3)
    tint = smooth_noise(height, width, rng, 16, 2)[..., None] - 0.5
    painted = painted * (1 + 0.05 * ridges[..., None]) + tint * 40
    return np.asarray(np.clip(painted, 0, 255), np.uint8)


def _watercolor(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """Thin washes that pool at their edges, on grained paper that stays white at the border."""
    height, width, _ = pixels.shape
    wash = _plane(Image.fromarray(_wobbled(pixels, rng, 2.2)).filter(ImageFilter.ModeFilter(5)))
    density = 0.62 + 0.5 * smooth_noise(height, width, rng, 6, 3)
    pooled = 0.5 * _lines(wash, 0.03, 0.16)
    pigment = (1 - _softened(wash, 0.7)) * (density + pooled)[..., None]
    pigment *= (0.92 + 0.16 * rng.random((height, width, 1))) * _vignette(height, width, rng)
    return _bytes(np.asarray(WARM_PAPER, np.float32) * (1 - pigment))


def _ink(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """A few washes of grey and brush strokes of uneven width, on rice paper."""
    height, width, _ = pixels.shape
    scene = _plane(Image.fromarray(_wobbled(pixels, rng, 1.8)))
    dark = 1 - _softened(_light(scene), 1.2)
    washes = np.floor(dark * WASHES + smooth_noise(height, width, rng, 8, 2) - 0.5) / WASHES
    washes = _softened(np.asarray(washes.clip(0, 1), np.float32), 1.0)
    washes = 0.55 * washes * _vignette(height, width, rng)[..., 0]
    strokes = _lines(_softened(scene, 0.8), 0.035, 0.1)
    strokes *= 0.55 + 0.6 * smooth_noise(height, width, rng, 9, 1)
    return _inked(RICE_PAPER, INK, np.maximum(washes, strokes))


def _pencil(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """Outlines, and hatching that is denser where it is dark, of graphite on white paper."""
    height, width, _ = pixels.shape
    scene = _plane(Image.fromarray(pixels))
    ys, xs = np.mgrid[0:height, 0:width]
    waver = 2.5 * smooth_noise(height, width, rng, 4, 2)
    angle = rng.uniform(0.6, 1.0)
    strokes = 0.5 + 0.5 * np.sin(HATCH * (np.cos(angle) * xs + np.sin(angle) * ys) + 2 * waver)
    dark = (1.1 * (1 - _softened(_light(scene), 0.8)) - 0.1).clip(0, 1)
    hatched = 0.8 * dark * (0.62 + 0.38 * strokes) * (0.85 + 0.3 * rng.random((height, width)))
    lines = 0.9 * _lines(scene, 0.04, 0.16)
    return _inked(WHITE, GRAPHITE, np.maximum(hatched, lines))


def _line_art(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """Black lines where colours change, on white, and nothing else."""
    scene = _softened(_plane(Image.fromarray(_wobbled(pixels, rng, 0.8))), 0.7)
    return _inked(WHITE, INK, _lines(scene, LINES_FROM, LINES_TO))


def _pastel(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """Gentle colours rubbed along one direction into the grain of warm paper."""
    height, width, _ = pixels.shape
    scene = _plane(Image.fromarray(_wobbled(pixels, rng, 3.0)))
    scene = 0.62 * _softened(scene, 0.8) + 0.36
    side = 2 * max(height, width)  # what is turned has no corners then
    grain = Image.fromarray(_bytes(rng.random((side, side))))
    streaks = grain.filter(ImageFilter.BoxBlur((4, 0.5))).rotate(38)
    top, left = (side - height) // 2, (side - width) // 2
    rubbed = _plane(streaks)[top : top + height, left : left + width, None]
    rubbed = ((rubbed - 0.5) * 2.2 + 0.22).clip(0, 0.6)
    return _bytes(scene + rubbed * (np.asarray(WARM_PAPER, np.float32) - scene))


def _woodcut(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """Few muted colours, thick lines of the key block, and grooves where it is half dark."""
    height, width, _ = pixels.shape
    image = Image.fromarray(pixels).filter(ImageFilter.ModeFilter(5))
    flat = _plane(image.quantize(7, dither=Image.Dither.NONE).convert("RGB"))
    paper = np.asarray(RICE_PAPER, np.float32)
    printed = 0.82 * flat * (0.35 + 0.65 * paper) + 0.12 * paper
    ys, xs = np.mgrid[0:height, 0:width]
    waver = 6 * smooth_noise(height, width, rng, 3, 2)
    grooves = np.sin(CARVE * (ys + 0.25 * xs) + waver)
    dark = 1 - _softened(_light(_plane(Image.fromarray(pixels))), 1.5)
    cut = 0.7 * ((grooves - 1.15 + 1.5 * dark) * 2).clip(0, 1) * (dark > 0.25)
    lines = _lines(_softened(flat, 1.0), 0.03, 0.07)
    return _over(printed, INK, np.maximum(cut, lines))


def _low_poly(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """Triangles of one colour each, some of them turned to the light."""
    height, width, _ = pixels.shape
    rows, columns = height // FACET + 3, width // FACET + 3
    corners = np.moveaxis(np.mgrid[0:rows, 0:columns], 0, -1) - 0.6  # the first ones lie outside
    corners = (corners + rng.uniform(-0.36, 0.36, corners.shape)) * FACET
    smooth = np.asarray(Image.fromarray(pixels).filter(ImageFilter.BoxBlur(1)), np.float32)
    image = Image.fromarray(pixels)
    draw = ImageDraw.Draw(image)
    for row in range(rows - 1):
        for column in range(columns - 1):
            a, b = corners[row, column], corners[row, column + 1]
            c, d = corners[row + 1, column], corners[row + 1, column + 1]
            halves = ((a, b, c), (d, b, c)) if rng.random() < 0.5 else ((a, b, d), (a, c, d))
            for facet in halves:
                y, x = np.mean(facet, axis=0).clip(0, (height - 1, width - 1)).astype(int)
                colour = (smooth[y, x] * rng.uniform(0.88, 1.1)).clip(0, 255).astype(int)
                draw.polygon([(float(p[1]), float(p[0])) for p in facet], fill=tuple(colour))
    return np.asarray(image)


def _stained_glass(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """Panes of glowing glass, leaded along the outlines of things and across large areas."""
    height, width, _ = pixels.shape
    image = Image.fromarray(pixels).filter(ImageFilter.ModeFilter(5))
    flat = _plane(image.quantize(10, dither=Image.Dither.NONE).convert("RGB"))
    middles = np.mgrid[0:height:PANE, 0:width:PANE].reshape(2, -1).T
    middles = middles + rng.uniform(0, PANE, middles.shape)
    places = np.moveaxis(np.mgrid[0:height, 0:width], 0, -1).astype(np.float32)
    away = np.square(places[:, :, None] - middles.astype(np.float32)).sum(-1)
    panes = away.argmin(-1)
    near = np.sqrt(np.partition(away, 1, axis=-1)[..., :2])
    across = ((3.4 - (near[..., 1] - near[..., 0])) / 1.4).clip(0, 1)
    hsv = to_hsv(flat)
    hsv[..., 1] = (1.35 * hsv[..., 1]).clip(0, 1)
    hsv[..., 2] = (0.2 + 0.85 * hsv[..., 2]) * rng.uniform(0.8, 1.15, len(middles))[panes]
    glow = to_rgb(hsv.clip(0, 1)) * (1.08 - 0.012 * near[..., :1])
    lead = np.maximum(_softened(np.asarray(across, np.float32), 0.5), _lines(flat, 0.05, 0.11))
    return _over(glow, LEAD, lead)


def _neon(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """Glowing tubes where colours change, in those colours at their brightest, in the dark."""
    scene = _softened(_plane(Image.fromarray(pixels)), 0.8)
    hsv = to_hsv(scene)
    is_grey = hsv[..., 1] < 0.18
    hsv[..., 0] = np.where(is_grey, rng.choice([0.52, 0.83, 0.9]), hsv[..., 0])
    hsv[..., 1] = 0.85
    hsv[..., 2] = 1
    tubes = _lines(scene, 0.05, 0.14)[..., None] * _softened(to_rgb(hsv), 1.2)
    halo = 1.3 * _softened(tubes, 1.6) + 1.1 * _softened(tubes, 5)
    core = 0.75 * tubes.max(-1, keepdims=True) ** 2
    return _bytes(np.asarray(NIGHT, np.float32) + 0.10 * scene + 0.55 * tubes + halo + 0.4 * core)


MEDIUMS: Mapping[str, Callable[[Pixels, np.random.Generator], Pixels]] = {
    "pixel": _pixel_art,
    "oil": _oil,
    "watercolor": _watercolor,
    "ink": _ink,
    "pencil": _pencil,
    "line art": _line_art,
    "pastel": _pastel,
    "woodcut": _woodcut,
    "low poly": _low_poly,
    "stained glass": _stained_glass,
    "neon": _neon,
}


def _plane(image: Image.Image) -> Plane:
    return np.asarray(image, np.float32) / np.float32(255)


def _bytes(plane: NDArray[np.floating]) -> Pixels:
    return np.asarray((plane.clip(0, 1) * 255).round(), np.uint8)


def _light(plane: Plane) -> Plane:
    return np.asarray(plane @ np.asarray([0.299, 0.587, 0.114], np.float32))


def _softened(plane: Plane, radius: float) -> Plane:
    """A plane (H, W) or (H, W, 3) through a Gaussian; what is beyond its edges is like them."""
    taps = np.exp(-0.5 * (np.arange(-int(3 * radius + 1), int(3 * radius + 2)) / radius) ** 2)
    return convolved(plane, taps, "edge")


def _lines(plane: Plane, begin: float, full: float) -> Plane:
    """How much of a line (H, W) runs where the colours (H, W, 3) change from place to place."""
    steep = np.hypot(np.gradient(plane, axis=0), np.gradient(plane, axis=1)).max(-1)
    return np.asarray(((steep - begin) / (full - begin)).clip(0, 1), np.float32)


def _wobbled(pixels: Pixels, rng: np.random.Generator, reach: float) -> Pixels:
    """Pixels taken from up to so many pixels away, neighbours from much the same side."""
    height, width, _ = pixels.shape
    ys, xs = np.mgrid[0:height, 0:width]
    shifts = [2 * reach * (smooth_noise(height, width, rng, 14, 2) - 0.5) for _ in "yx"]
    yy, xx = (ys + shifts[0]).round().astype(int), (xs + shifts[1]).round().astype(int)
    return np.asarray(pixels[yy.clip(0, height - 1), xx.clip(0, width - 1)])


def _vignette(height: int, width: int, rng: np.random.Generator) -> Plane:
    """One (H, W, 1) but near the border, where a wavering edge falls to nothing."""
    ys, xs = np.mgrid[0:height, 0:width]
    border = np.minimum.reduce([ys, xs, height - 1 - ys, width - 1 - xs])
    wavering = border - 7 * smooth_noise(height, width, rng, 7, 3)
    return np.asarray((wavering / 2.5 + 0.6).clip(0, 1), np.float32)[..., None]


def _inked(
    paper: tuple[float, ...], ink: tuple[float, ...], amount: NDArray[np.floating]
) -> Pixels:
    return _over(np.broadcast_to(np.asarray(paper, np.float32), (*amount.shape, 3)), ink, amount)


def _over(
    plane: NDArray[np.floating], ink: tuple[float, ...], amount: NDArray[np.floating]
) -> Pixels:
    """Colours (H, W, 3) under so much (H, W) of an ink."""
    share = amount.clip(0, 1)[..., None]
    return _bytes(plane + share * (np.asarray(ink, np.float32) - plane))
