"""One picture's content in the look of others: in one pass, by an optimiser, or by diffusion.

fast       Huang and Belongie 2017: statistics of features are replaced and decoded; the styles'
           brush strokes are laid over what comes of it (`engine.style.strokes`)
optimise   Gatys et al. 2016: pixels descend to the features of one and the Gram matrices of others
diffusion  the content noised and drawn again by a checkpoint that is shown the style, or is
           restyled lightly afterwards
"""

import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from PIL import Image, ImageChops
from torch import Tensor

from engine.calls import (
    Call,
    ContentFeatures,
    Facts,
    NetworkRef,
    Pipeline,
    Report,
    StyleGradient,
)
from engine.diffusion.prediction import ModelFacts
from engine.errors import OutOfMemory, UnreadableImage
from engine.events import Picture
from engine.media import png
from engine.media.animation import encode_animated_webp
from engine.pipelines.stages import denoising, moving, redrawing, restyling, sources
from engine.pipelines.stages.aside import aside
from engine.pipelines.stages.showing import preview_of
from engine.pipelines.stages.versions import restyled_versions
from engine.requests import (
    ImageToImage,
    KeepColour,
    Stride,
    StyleLoss,
    StyleMethod,
    StyleStart,
    Stylize,
    plain,
    seeds_of,
)
from engine.style.colour import colour_moments, match_colours, with_luminance_of
from engine.style.optimisers import Descent, adam, lbfgs
from engine.style.target import Style, blended, perturbed

LONGEST_SIDE = 4096  # pixels of a result
LONGEST_OPTIMISED = 1024  # pixels; an optimiser's time and memory grow with the area
LONGEST_MOVING = 640  # pixels of an animation's frames
COARSEST = 128  # pixels of the longer side at which the optimiser begins
STYLE_WEIGHT = 2.0  # of the optimiser at strength 1
PERTURBATION = 0.25  # of the statistics, at perturbation 1
REDRAWN = 0.3  # how far diffusion leaves the content at strength 1; faces are lost beyond
REDRAWN_SHOWN = 0.6  # the same where the model is shown the styles
SHOWN_WEIGHT = 200  # of the styles it is shown, as `--sw`, at strength 1
AFTER_DIFFUSION = 0.6  # strength of the light restyling
ANY_PAINTING = plain("an expressive painting with visible brush strokes")

PixelsOf = Generator[Call, Any, Tensor]
FramesOf = Generator[Call, Any, list[Tensor]]  # (3, H, W) each; of a still picture one


def run(
    request: Stylize,
    *,
    preview_interval_s: float = denoising.PREVIEW_INTERVAL_S,
    clock: denoising.Clock = time.monotonic,
) -> Pipeline:
    """Return one picture per image, in the order of their seeds; transparency is kept.

    Of an animated content all frames are restyled, alike.

    Raises:
        UnreadableImage: content, frame, style or mask is no readable picture.
        Unsupported: there is no preset of that name, or no network for the method.
    """
    opened = _opened(request)
    contents = [sources.pixels_of(sources.opaque(image)) for image in opened]
    styles = yield from _styles(request, contents)
    versions = [
        _version(request, styles, number, seed) for number, seed in enumerate(seeds_of(request))
    ]
    quick = yield from _at_once(versions, contents)
    done: list[Picture] = []
    for number, version in enumerate(versions):
        teller = _Teller(request, number, preview_interval_s, clock)
        if quick:
            frames = [quick[number]]
        else:
            frames = yield from _restyled(version, contents, teller)
        frames = _recoloured(request, frames, contents)
        frames = _masked(request, frames, contents)
        done.append((yield from aside(partial(_picture, frames, opened, request, version.seed))))
        yield Report(teller.total_of(number + 1), teller.total)
    return tuple(done)


@dataclass(frozen=True, slots=True, eq=False)
class _Version:
    """One image of a request: the request with weights and strength of its own, and its style."""

    request: Stylize
    style: Style
    changes: restyling.Changes
    seed: int


def _version(request: Stylize, styles: Sequence[Style], number: int, seed: int) -> _Version:
    weights = [reference.weight for reference in request.styles]
    if request.image_weights:
        weights = list(request.image_weights[number])
    strength = request.strength
    if request.image_strengths:
        strength = request.image_strengths[number]
    weighed = tuple(
        replace(reference, weight=weight)
        for reference, weight in zip(request.styles, weights, strict=True)
    )
    style = blended(styles, weights)
    for stride in (*request.path, Stride(seed, request.perturbation)):
        generator = torch.Generator().manual_seed(stride.seed)
        style = perturbed(style, PERTURBATION * stride.distance, generator)
    changes = restyling.learnt_of(request.styles, weights, strength)
    return _Version(replace(request, styles=weighed, strength=strength), style, changes, seed)


def _at_once(
    versions: Sequence[_Version], contents: list[Tensor]
) -> Generator[Call, Any, dict[int, Tensor]]:
    """All images of the fast method by their numbers; none where it is another, or it moves."""
    request, content = versions[0].request, contents[0]
    if request.method is not StyleMethod.FAST or request.frames:
        return {}
    done = {n: content for n, version in enumerate(versions) if version.request.strength == 0}
    left = [n for n in range(len(versions)) if n not in done]
    for changes in dict.fromkeys(versions[n].changes for n in left):
        mates = [n for n in left if versions[n].changes == changes]
        found = yield from restyled_versions(
            content,
            [versions[n].style for n in mates],
            [versions[n].request.strength for n in mates],
            changes,
        )
        done |= dict(zip(mates, found, strict=True))
    return done


class _Teller:
    """Progress of all images of a request, with previews by the wall clock."""

    def __init__(
        self, request: Stylize, number: int, interval_s: float, clock: denoising.Clock
    ) -> None:
        is_optimised = request.method is StyleMethod.OPTIMISE
        self._per_image = request.iterations if is_optimised else 1 + len(request.frames)
        self._done = number * self._per_image
        self.total = request.image_count * self._per_image
        self._has_previews = request.previews
        self._interval_s = interval_s
        self._clock = clock
        self._shown = clock()

    def total_of(self, images: int) -> int:
        """Steps of so many whole images."""
        return images * self._per_image

    def on_step(self, step: int, pixels: Tensor) -> Generator[Call, Any, None]:
        """Tell of an iteration; `pixels` (1, 3, H, W) are what it has come to."""
        preview = None
        if self._has_previews and self._clock() - self._shown >= self._interval_s:
            preview = preview_of(pixels)
            self._shown = self._clock()
        yield Report(self._done + min(step, self._per_image), self.total, preview)


def _styles(request: Stylize, contents: list[Tensor]) -> Generator[Call, Any, list[Style]]:
    """What each reference looks like."""
    is_matched = request.keep_colour is KeepColour.MATCHED
    recolour = moving.stacked(contents) if is_matched else None
    longest = max(contents[0].shape[1:])
    styles: list[Style] = []
    for reference in request.styles:
        if request.method is StyleMethod.OPTIMISE:
            network, is_sliced = NetworkRef(request.network), request.loss is StyleLoss.SLICED
            look = restyling.described(reference, network, recolour, is_sliced=is_sliced)
        else:
            look = restyling.painted_like(reference, recolour, longest)
        styles += [(yield from look)]
    return styles


def _restyled(version: _Version, contents: list[Tensor], teller: _Teller) -> FramesOf:
    request, style = version.request, version.style
    if request.strength == 0:
        return contents
    match request.method:
        case StyleMethod.FAST:
            return (
                yield from moving.restyled_frames(
                    contents, style, request.strength, version.changes, teller.on_step
                )
            )
        case StyleMethod.OPTIMISE:
            return [(yield from _optimised(version, contents[0], teller))]
        case StyleMethod.DIFFUSION:
            return [(yield from _redrawn(request, contents[0], style, version.seed))]


def _optimised(version: _Version, content: Tensor, teller: _Teller) -> PixelsOf:
    """Coarse to fine: the large strokes are settled at small sizes, where steps are cheap.

    Content counts in the style's palette: in its own it would hold against the style's. Where
    memory runs out, the size before is the finest that is worked on.
    """
    request, style = version.request, version.style
    before = content[None]
    content = restyling.in_colours_of(style, before, before, request.strength)[0]
    network = NetworkRef(request.network)
    sizes = _scales(*content.shape[1:])
    shares = _iterations(request.iterations, len(sizes))
    is_kept = request.start is StyleStart.CONTENT
    if is_kept:
        x = restyling.resized(content[None], *sizes[0])
    else:
        generator = torch.Generator().manual_seed(version.seed)
        x = torch.rand((1, 3, *sizes[0]), generator=generator)
    done = 0
    for number, (size, iterations) in enumerate(zip(sizes, shares, strict=True)):
        target = restyling.resized(content[None], *size)
        if number:
            x = _grown(x, target, is_kept=is_kept)
        # L-BFGS gains most where the picture is small; Adam's steps batch and stay cheap.
        descent = lbfgs(x, iterations) if number == 0 else adam(x, iterations)
        weight = torch.tensor([STYLE_WEIGHT * request.strength**2])
        try:
            features = yield ContentFeatures(network, target)
            x = yield from _descend(descent, network, features, style, weight, teller, done)
        except OutOfMemory:
            if number == 0:
                raise
            return _grown(x, content[None], is_kept=is_kept)[0]
        done += iterations
    return restyling.resized(x, *content.shape[1:])[0]


def _grown(x: Tensor, target: Tensor, *, is_kept: bool) -> Tensor:
    """A coarser picture at the target's size, with what it could not show of it if that is kept."""
    size, coarse = target.shape[2:], x.shape[2:]
    grown = restyling.resized(x, *size)
    if not is_kept:
        return grown
    lost = target - restyling.resized(restyling.resized(target, *coarse), *size)
    return (grown + lost).clamp(0, 1)


def _descend(
    descent: Descent,
    network: NetworkRef,
    features: Tensor,
    style: Style,
    weight: Tensor,
    teller: _Teller,
    done: int,
) -> PixelsOf:
    """Answer an optimiser's pictures with their losses and gradients, until it is content."""
    x = next(descent)
    while True:
        loss, gradient = yield StyleGradient(
            network, x, features, style.grams, weight, style.slices
        )
        try:
            x = descent.send((float(loss), gradient))
        except StopIteration as end:
            best: Tensor = end.value
            return best
        done += 1
        yield from teller.on_step(done, x)


def _redrawn(request: Stylize, content: Tensor, style: Style, seed: int) -> PixelsOf:
    """Draw the content again, shown the styles; where the model sees none, lay them over it."""
    facts: ModelFacts = yield Facts(NetworkRef(request.model))
    height, width = content.shape[1:]
    (source,) = png.images_of_pixels(content[None].numpy())
    edit = ImageToImage(
        model=request.model,
        prompt=request.prompt or ANY_PAINTING,
        seed=seed,
        width=max(64, round(width / 8) * 8),
        height=max(64, round(height / 8) * 8),
        image_count=1,
        source=png.encode_png(source),
        strength=REDRAWN * request.strength,
        previews=False,
    )
    if facts.style_side:
        edit = replace(
            edit,
            strength=REDRAWN_SHOWN * request.strength,
            style_references=request.styles,
            style_weight=round(SHOWN_WEIGHT * request.strength),
        )
    drawn = yield from redrawing.redrawn(edit, source)
    pixels = restyling.resized(drawn[0][None], height, width)
    if facts.style_side:
        return pixels[0]
    pixels = match_colours(pixels, style.mean, style.covariance)
    return (yield from restyling.restyled(pixels[0], style, AFTER_DIFFUSION * request.strength))


def _recoloured(request: Stylize, frames: list[Tensor], contents: list[Tensor]) -> list[Tensor]:
    match request.keep_colour:
        case KeepColour.NO:
            return frames
        case KeepColour.LUMINANCE:
            pairs = zip(frames, contents, strict=True)
            return [with_luminance_of(old[None], new[None])[0] for new, old in pairs]
        case KeepColour.MATCHED:
            palette = colour_moments(moving.stacked(contents)[None])
            return moving.as_one_picture(frames, lambda whole: match_colours(whole, *palette))


def _masked(request: Stylize, frames: list[Tensor], contents: list[Tensor]) -> list[Tensor]:
    """The contents, restyled where the mask is white; grey is in between, clear is black."""
    if not request.mask:
        return frames
    height, width = contents[0].shape[1:]
    opened = sources.opened(request.mask, "mask")
    mask = opened.convert("L")
    if opened.mode == "RGBA":
        mask = ImageChops.multiply(mask, opened.getchannel("A"))
    fitted = mask.resize((width, height), Image.Resampling.BILINEAR)
    share = sources.pixels_of(fitted.convert("RGB"))[:1]
    return [torch.lerp(old, new, share) for old, new in zip(contents, frames, strict=True)]


def _picture(
    frames: list[Tensor], opened: list[Image.Image], request: Stylize, seed: int
) -> Picture:
    """What was restyled, encoded; of an animation the first frame and the whole."""
    images = [_image(pixels, own) for pixels, own in zip(frames, opened, strict=True)]
    moving_picture = b""
    if request.frames:
        moving_picture = encode_animated_webp(images, request.durations_ms)
    first = images[0]
    return Picture(png.encode_png(first), seed, first.width, first.height, moving_picture)


def _image(pixels: Tensor, own: Image.Image) -> Image.Image:
    """Pixels (3, H, W) with the transparency of what they were."""
    (image,) = png.images_of_pixels(pixels[None].numpy())
    if own.mode == "RGBA":
        image.putalpha(own.getchannel("A"))
    return image


def _opened(request: Stylize) -> list[Image.Image]:
    """The content, and the frames that follow it, in the size of the result."""
    images = [
        sources.opened(request.content, "content"),
        *(sources.opened(frame, "frames") for frame in request.frames),
    ]
    if len({image.size for image in images}) > 1:
        raise UnreadableImage("frames", "differ in size: send another animation")
    return [_sized(image, request) for image in images]


def _sized(image: Image.Image, request: Stylize) -> Image.Image:
    """The size of the result."""
    limit = LONGEST_OPTIMISED if request.method is StyleMethod.OPTIMISE else LONGEST_SIDE
    if request.frames:
        limit = LONGEST_MOVING
    if request.size:
        return _scaled(image, min(request.size, limit))
    return _within(image, limit)


def _within(image: Image.Image, longest: int) -> Image.Image:
    return image if max(image.size) <= longest else _scaled(image, longest)


def _scaled(image: Image.Image, longer: int) -> Image.Image:
    scale = longer / max(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return image.resize(size, Image.Resampling.LANCZOS)


def _scales(height: int, width: int) -> list[tuple[int, int]]:
    """Sizes from coarse to fine, each twice the one before; multiples of 8, at least 32."""
    longer = max(height, width)
    count = 1
    while longer / 2**count >= COARSEST:
        count += 1
    return [
        (_snapped(height / 2**level), _snapped(width / 2**level))
        for level in range(count - 1, -1, -1)
    ]


def _snapped(side: float) -> int:
    return max(32, round(side / 8) * 8)


def _iterations(total: int, scales: int) -> list[int]:
    """Half of what is left at each scale, so that most are spent where they are cheap."""
    shares = []
    left = total
    for _ in range(scales - 1):
        share = max(1, (left + 1) // 2)
        shares.append(share)
        left = max(1, left - share)
    return [*shares, left]
