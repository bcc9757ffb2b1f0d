"""A look laid over pixels in one pass of the fast network, in tiles where they are many."""

from collections.abc import Callable, Generator, Sequence
from dataclasses import replace
from functools import partial
from itertools import product
from typing import Any, TypeVar

import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from engine.calls import (
    Call,
    DescribeStyle,
    LayStrokes,
    NetworkRef,
    PresetPicture,
    Restyle,
    StyleCode,
    StylePreset,
)
from engine.errors import OutOfMemory, UnreadableImage
from engine.pipelines.stages import sources
from engine.pipelines.stages.aside import aside
from engine.pipelines.stages.tiling import Grid, Mosaic, tiles_of
from engine.requests import Diffusion, StyleReference
from engine.style.colour import FAINTEST, colour_moments, match_colours
from engine.style.strokes import REACH, Strokes, strokes_of
from engine.style.target import Style, blended

STYLE_NETWORK = NetworkRef("style")
MULTIPLE = 8  # of the sides that the network takes
LEAST_SIDE = 32  # pixels; smaller pictures are enlarged for the pass
OVERVIEW_SIDE = 768  # pixels of the picture whose statistics all tiles share
WHOLE_PIXELS = 1024 * 1024  # that are restyled in one piece
# The network looks 53 pixels far, rounded up to its multiple.
GRID = Grid(side=640, overlap=160, blind=56)
SMALL_GRID = Grid(side=256, overlap=136, blind=56)
PIECE = 512  # pixels of a side of what strokes are laid on at once; a multiple of REACH
SMALL_PIECE = 128  # the same where memory runs out
PAINTED = 0.7  # of the work that is not strokes

STYLE_SIDE = 512  # pixels of the longer side at which a style is looked at
LEAST_STYLE_SIDE = 128  # the same for its strokes on the smallest of contents
KEPT = 0.2  # of the content, in the style's colours, in what the network paints
HALF_WEIGHT = 50  # the `--sw` that takes half of a style

PixelsOf = Generator[Call, Any, Tensor]
StyleOf = Generator[Call, Any, Style]
C = TypeVar("C", Restyle, LayStrokes)
P = TypeVar("P", Grid, int)  # how a canvas is cut
OnShare = Callable[[float], Generator[Call, Any, None]]  # hears how much is done, 0..1
Changes = tuple[tuple[bytes, float], ...]  # what was learnt of styles, and how much counts


def in_the_look_of_references(
    images: Sequence[Tensor], request: Diffusion
) -> Generator[Call, Any, list[Tensor]]:
    """Lay the look of a request's style references over its images (3, H, W).

    Raises:
        UnreadableImage: a reference is no readable picture.
        Unsupported: there is no preset of that name.
    """
    if not request.style_references or request.style_weight == 0:
        return list(images)
    style, strength, changes = yield from look_of_references(request, max(images[0].shape[1:]))
    done: list[Tensor] = []
    for pixels in images:
        done += [(yield from restyled(pixels, style, strength, changes))]
    return done


def look_of_references(
    request: Diffusion, longest: int
) -> Generator[Call, Any, tuple[Style, float, Changes]]:
    """The style that references mix to, for contents with a longer side of `longest` pixels.

    With it the strength that a request lays it with, and what was learnt of it.
    """
    references = request.style_references
    styles: list[Style] = []
    for reference in references:
        styles += [(yield from painted_like(reference, longest=longest))]
    weights = [reference.weight for reference in references]
    strength = strength_of(request)
    return blended(styles, weights), strength, learnt_of(references, weights, strength)


def strength_of(request: Diffusion) -> float:
    """How much of its style references a request takes, 0..1."""
    return request.style_weight / (request.style_weight + HALF_WEIGHT)


def described(
    reference: StyleReference,
    network: NetworkRef,
    palette: Tensor | None = None,
    *,
    is_sliced: bool = False,
) -> StyleOf:
    """Look at a style reference; with `palette` (3, H, W) as if it had those colours.

    Of a painting that ships, the shipped network's statistics ship too; others look at its picture.
    """
    style, _ = yield from _described(reference, network, palette, is_sliced=is_sliced)
    return style


def painted_like(
    reference: StyleReference, palette: Tensor | None = None, longest: int = STYLE_SIDE
) -> StyleOf:
    """Look at a style reference as `described` does, and at its brush strokes.

    They are as large as on a reproduction with a longer side of `longest` pixels: the content's.
    """
    style, pixels = yield from _described(reference, STYLE_NETWORK, palette, is_sliced=False)
    if pixels is None:
        pixels = yield from _seen(reference, palette)
    strokes = yield from aside(partial(strokes_of, _within(pixels, longest)))
    return replace(style, strokes=strokes)


def _within(pixels: Tensor, longest: int) -> Tensor:
    """A style's picture (1, 3, H, W), smaller if it must be; patches need some room in it."""
    scale = max(longest, LEAST_STYLE_SIDE) / max(pixels.shape[2:])
    if scale >= 1:
        return pixels
    sides = (max(LEAST_SIDE, round(n * scale / MULTIPLE) * MULTIPLE) for n in pixels.shape[2:])
    return resized(pixels, *sides)


def _described(
    reference: StyleReference, network: NetworkRef, palette: Tensor | None, *, is_sliced: bool
) -> Generator[Call, Any, tuple[Style, Tensor | None]]:
    """A style and the picture that was looked at; None where nothing needed to be."""
    is_kept = reference.is_kept and palette is None
    if reference.preset and network == STYLE_NETWORK and palette is None and not is_sliced:
        preset: Style = yield StylePreset(network, reference.preset)
        return preset, None
    pixels = yield from _seen(reference, palette)
    style: Style = yield DescribeStyle(network, pixels, is_kept, is_sliced)
    return style, pixels


def _seen(reference: StyleReference, palette: Tensor | None) -> PixelsOf:
    """The picture of a reference, (1, 3, H, W), at a size that shows its strokes."""
    if reference.preset:
        painting: Tensor = yield PresetPicture(reference.preset)
        pixels = padded(painting)[None]
    else:
        pixels = _attached(reference)
    if palette is not None:
        moments = yield from aside(partial(colour_moments, palette[None]))
        pixels = match_colours(pixels, *moments)
    return pixels


def _attached(reference: StyleReference) -> Tensor:
    image = sources.opened(reference.image, "styles")
    if image.mode == "RGBA" and image.getchannel("A").getextrema()[1] == 0:
        raise UnreadableImage("styles", "is wholly transparent: send one that shows something")
    scale = min(1.0, STYLE_SIDE / max(image.size))
    width, height = (
        max(LEAST_SIDE, round(side * scale / MULTIPLE) * MULTIPLE) for side in image.size
    )
    small = image.resize((width, height), Image.Resampling.LANCZOS)
    return sources.pixels_of(sources.opaque(small))[None]


def learnt_of(
    references: Sequence[StyleReference], weights: Sequence[float], strength: float
) -> Changes:
    """What trainings made of the references, as far as each counts."""
    total = sum(weights)
    pairs = zip(references, weights, strict=True)
    return tuple((r.learnt, strength * w / total) for r, w in pairs if r.learnt and w > 0)


def unheard(share: float) -> Generator[Call, Any, None]:
    """Tell nobody how much is done."""
    del share
    yield from ()


def restyled(
    pixels: Tensor,
    style: Style,
    strength: float,
    changes: Changes = (),
    on_share: OnShare = unheard,
) -> PixelsOf:
    """Return pixels (3, H, W) in [0, 1] in the style's one row, at their own size.

    Tiles share the statistics of the whole picture and overlap by more than the network sees, so
    that no seam shows. Where memory runs out the picture is cut smaller. The network paints; which
    colours there are is then set exactly, and the style's strokes are laid. Of what is cut into
    parts, `on_share` hears how much is done.
    """
    height, width = pixels.shape[1:]
    canvas = padded(pixels)
    weight = torch.tensor([strength])
    brush = Restyle(STYLE_NETWORK, canvas[None], style.code, weight, changes=changes)
    painting = partial(in_tiles, on_share=lambda share: on_share(PAINTED * share))
    canvas = yield from _whole_or_cut(canvas, brush, painting, GRID, SMALL_GRID)
    painted = cropped(canvas, height, width)[None]
    colouring = partial(with_shapes_of, pixels[None], painted, style, strength)
    coloured = (yield from aside(colouring))[0]
    if style.strokes is None:
        return coloured
    laying = partial(in_pieces, on_share=lambda share: on_share(PAINTED + (1 - PAINTED) * share))
    stroked = yield from _stroked(coloured, style.strokes, weight, laying)
    return (yield from aside(partial(in_palette_of, coloured[None], stroked[None])))[0]


def _whole_or_cut(
    canvas: Tensor, call: C, cut: Callable[[Tensor, C, P], PixelsOf], usual: P, small: P
) -> PixelsOf:
    """What a call makes of a canvas (3, H, W), cut where it is large or memory runs out."""
    try:
        if not _is_small(canvas):
            return (yield from cut(canvas, call, usual))
        whole: Tensor = yield call
    except OutOfMemory:
        return (yield from cut(canvas, call, small))
    return whole[0]


def _is_small(canvas: Tensor) -> bool:
    return canvas.shape[1] * canvas.shape[2] <= WHOLE_PIXELS


def _stroked(
    pixels: Tensor,
    strokes: Strokes,
    strength: Tensor,
    laying: Callable[[Tensor, LayStrokes, int], PixelsOf],
) -> PixelsOf:
    """Pixels (3, H, W) with strokes on them; `laying` lays them on what is cut into parts."""
    canvas = padded(pixels)
    call = LayStrokes(STYLE_NETWORK, canvas[None], strokes.bases, strokes.details, strength)
    canvas = yield from _whole_or_cut(canvas, call, laying, PIECE, SMALL_PIECE)
    return cropped(canvas, *pixels.shape[1:])


def in_pieces(canvas: Tensor, call: LayStrokes, side: int, on_share: OnShare = unheard) -> PixelsOf:
    """The same strokes as on the whole, as each piece is looked at as far around as they reach."""
    height, width = canvas.shape[1:]
    done = torch.empty_like(canvas)
    corners = list(product(range(0, height, side), range(0, width, side)))
    for number, (top, left) in enumerate(corners, start=1):
        above, before = max(0, top - REACH), max(0, left - REACH)
        around = canvas[:, above : top + side + REACH, before : left + side + REACH]
        laid: Tensor = yield replace(call, pixels=around[None])
        piece = laid[0, :, top - above :, left - before :][:, :side, :side]
        done[:, top : top + side, left : left + side] = piece
        yield from on_share(number / len(corners))
    return done


def in_colours_of(style: Style, painted: Tensor, before: Tensor, strength: float) -> Tensor:
    """Painted pixels (B, 3, H, W) between the palette they had `before` and that of the style."""
    own = match_colours(painted, *colour_moments(before, FAINTEST), FAINTEST)
    grain = FAINTEST * torch.eye(3)
    theirs = match_colours(painted, style.mean, style.covariance + grain, FAINTEST)
    return own.lerp_(theirs, strength)


def with_shapes_of(content: Tensor, painted: Tensor, style: Style, strength: float) -> Tensor:
    """Painted pixels (1, 3, H, W) in the colours of the style, with some of the content's shapes.

    The network blurs what is small; strokes take its place where there are no shapes.
    """
    theirs = in_colours_of(style, painted, content, strength)
    own = in_colours_of(style, content, content, strength)
    return in_palette_of(theirs, own.lerp_(theirs, 1 - KEPT))


def in_palette_of(before: Tensor, after: Tensor) -> Tensor:
    """Pixels (1, 3, H, W) `after` they were changed, with the palette they had `before`."""
    return match_colours(after, *colour_moments(before, FAINTEST), FAINTEST)


def cropped(canvas: Tensor, height: int, width: int) -> Tensor:
    """What `padded` put around pixels is taken away again; (3, height, width) in [0, 1]."""
    if min(height, width) < LEAST_SIDE:
        return resized(canvas, height, width)
    return canvas[:, :height, :width].clamp(0, 1)


def in_tiles(canvas: Tensor, brush: Restyle, grid: Grid, on_share: OnShare = unheard) -> PixelsOf:
    """The canvas (3, H, W) restyled tile by tile, by statistics that all share."""
    if brush.own is None:
        own = yield StyleCode(STYLE_NETWORK, _overview(canvas)[None])
        brush = replace(brush, own=own)
    mosaic = Mosaic(canvas.shape[1], canvas.shape[2], 1)
    tiles = tiles_of(canvas.shape[1], canvas.shape[2], grid)
    for number, tile in enumerate(tiles, start=1):
        piece = yield from _tile(tile.cut(canvas), brush)
        mosaic.add(tile, piece)
        yield from on_share(number / len(tiles))
    return mosaic.picture()


def _tile(pixels: Tensor, brush: Restyle) -> PixelsOf:
    height, width = pixels.shape[1:]
    restyled_tile = yield replace(brush, pixels=padded(pixels)[None])
    piece: Tensor = restyled_tile[0, :, :height, :width]
    return piece


def padded(pixels: Tensor) -> Tensor:
    """At least `LEAST_SIDE` and a multiple of 8 on each side; the border is mirrored."""
    height, width = pixels.shape[1:]
    if min(height, width) < LEAST_SIDE:
        scale = LEAST_SIDE / min(height, width)
        height, width = round(height * scale), round(width * scale)
        pixels = resized(pixels, height, width)
    right, bottom = -width % MULTIPLE, -height % MULTIPLE
    return functional.pad(pixels[None], (0, right, 0, bottom), mode="reflect")[0]


def _overview(canvas: Tensor) -> Tensor:
    longer = max(canvas.shape[1:])
    if longer <= OVERVIEW_SIDE:
        return canvas
    height, width = (
        max(MULTIPLE, round(side * OVERVIEW_SIDE / longer / MULTIPLE) * MULTIPLE)
        for side in canvas.shape[1:]
    )
    return resized(canvas, height, width)


def resized(pixels: Tensor, height: int, width: int) -> Tensor:
    """Pixels (..., 3, H, W) in [0, 1] in another size; as they are where it is theirs."""
    if tuple(pixels.shape[-2:]) == (height, width):
        return pixels
    scaled = functional.interpolate(
        pixels.view(-1, *pixels.shape[-3:]),
        (height, width),
        mode="bicubic",
        antialias=True,
        align_corners=False,
    )
    return scaled.clamp(0, 1).view(*pixels.shape[:-2], height, width)
