"""One picture's content in the look of others: in one pass, by an optimiser, or by diffusion.

fast       Huang and Belongie 2017: statistics of features are replaced and decoded; the styles'
           brush strokes are laid over what comes of it (`engine.style.strokes`)
optimise   Gatys et al. 2016: pixels descend to the features of one and the Gram matrices of others
diffusion  the content noised and drawn again by a checkpoint that is shown the style, or is
           restyled lightly afterwards
"""

import math
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from PIL import Image, ImageChops
from torch import Tensor
from torch.nn import functional

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
    MAX_SIDE,
    MAX_STEPS,
    MIN_SIDE,
    SIZE_STEP,
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
MARGIN = 8  # pixels around what is optimised: its border would else get a frame of its own
STYLE_WEIGHT = 2.0  # of the optimiser at strength 1
PERTURBATION = 0.25  # of the statistics, at perturbation 1
REDRAWN = 0.3  # how far diffusion leaves the content at strength 1; faces are lost beyond
REDRAWN_SHOWN = 0.6  # the same where the model is shown the styles
LEAST_REDRAWN = 2  # steps of the drawing that are taken at least
SHOWN_WEIGHT = 200  # of the styles it is shown, as `--sw`, at strength 1
AFTER_DIFFUSION = 0.6  # strength of the light restyling
ANY_PAINTING = plain("an expressive painting with visible brush strokes")

PARTS = 100  # steps that are told of an image that has none of its own
DRAWN = 0.9  # of the work of diffusion that is not the light restyling

PixelsOf = Generator[Call, Any, Tensor]
FramesOf = Generator[Call, Any, list[Tensor]]  # (3, H, W) each; of a still picture one
Sharing = Callable[..., Report]  # share done and preview, if there is one -> what is told


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
    opened, contents = yield from aside(partial(_prepared, request))
    styles = yield from _styles(request, contents)
    versions = [
        _version(request, styles, number, seed) for number, seed in enumerate(seeds_of(request))
    ]
    teller = _Teller(request, preview_interval_s, clock)
    at_once = yield from _at_once(request, versions, contents, teller)
    done: list[Picture] = []
    for number, version in enumerate(versions):
        if number in at_once:
            frames = [at_once[number]]
        else:
            frames = yield from _restyled(version, contents, teller, number)
        finishing = partial(_finished, frames, contents, opened, request, version.seed)
        done.append((yield from aside(finishing)))
        yield teller.after(len(versions) if at_once else number + 1)
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
    request: Stylize, versions: Sequence[_Version], contents: list[Tensor], teller: "_Teller"
) -> Generator[Call, Any, dict[int, Tensor]]:
    """All images of a still picture by their numbers: what they have in common is done once.

    None where it moves, or is optimised.
    """
    if request.frames or request.method is StyleMethod.OPTIMISE:
        return {}
    content = contents[0]
    done = {n: content for n, version in enumerate(versions) if version.request.strength == 0}
    left = [n for n in range(len(versions)) if n not in done]
    is_drawn = request.method is StyleMethod.DIFFUSION
    differ = bool(request.image_weights or request.image_strengths)
    ways = {n: n * differ if is_drawn else versions[n].changes for n in left}
    for way in dict.fromkeys(ways.values()):
        mates = [n for n in left if ways[n] == way]
        group = [versions[n] for n in mates]
        shared = teller.sharing(len(done), len(group))
        if is_drawn:
            found = yield from _redrawn(group, content, teller, shared)
        else:
            found = yield from restyled_versions(
                content,
                [version.style for version in group],
                [version.request.strength for version in group],
                group[0].changes,
                partial(_share_told, shared),
            )
        done |= dict(zip(mates, found, strict=True))
    return done


class _Teller:
    """Progress of all images of a request, with previews by the wall clock."""

    def __init__(self, request: Stylize, interval_s: float, clock: denoising.Clock) -> None:
        if request.method is StyleMethod.OPTIMISE:
            self._per_image = request.iterations
        else:
            self._per_image = 1 + len(request.frames) if request.frames else PARTS
        self.total = request.image_count * self._per_image
        self._has_previews = request.previews
        self.interval_s = interval_s
        self.clock = clock
        self._shown = clock()

    def after(self, images: int) -> Report:
        """What is told when so many images are done."""
        return Report(images * self._per_image, self.total)

    def stepping(self, number: int) -> moving.OnFrames:
        """Tells of the steps of an image; pixels (1, 3, H, W) are what it has come to."""

        def on_step(step: int, pixels: Tensor) -> Generator[Call, Any, None]:
            preview = None
            if self._has_previews and self.clock() - self._shown >= self.interval_s:
                preview = preview_of(pixels)
                self._shown = self.clock()
            done = number * self._per_image + min(step, self._per_image)
            yield Report(done, self.total, preview)

        return on_step

    def sharing(self, images: int, mates: int) -> Sharing:
        """Tells which share of so many mates is done, when so many images were before them."""

        def shared(share: float, preview: bytes | None = None) -> Report:
            return Report(round((images + share * mates) * self._per_image), self.total, preview)

        return shared


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


def _restyled(version: _Version, contents: list[Tensor], teller: _Teller, number: int) -> FramesOf:
    """One image that moves or is optimised."""
    request, on_step = version.request, teller.stepping(number)
    if request.strength == 0:
        return contents
    if request.method is StyleMethod.OPTIMISE:
        return [(yield from _optimised(version, contents[0], on_step))]
    return (
        yield from moving.restyled_frames(
            contents, version.style, request.strength, version.changes, on_step
        )
    )


def _optimised(version: _Version, content: Tensor, on_step: moving.OnFrames) -> PixelsOf:
    """Coarse to fine: the large strokes are settled at small sizes, where steps are cheap.

    Content counts in the style's palette: in its own it would hold against the style's. Where
    memory runs out, the size before is the finest that is worked on.
    """
    request, style = version.request, version.style
    before = content[None]
    colouring = partial(restyling.in_colours_of, style, before, before, request.strength)
    content = (yield from aside(colouring))[0]
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
        x, target = _framed(x), _framed(target)
        # L-BFGS gains most where the picture is small; Adam's steps batch and stay cheap.
        descent = lbfgs(x, iterations) if number == 0 else adam(x, iterations)
        weight = torch.tensor([STYLE_WEIGHT * request.strength**2])
        try:
            features = yield ContentFeatures(network, target)
            x = yield from _descend(descent, network, features, style, weight, on_step, done)
        except OutOfMemory:
            if number == 0:
                raise
            return _grown(_unframed(x), content[None], is_kept=is_kept)[0]
        x = _unframed(x)
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
    on_step: moving.OnFrames,
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
        yield from on_step(done, _unframed(x))


def _framed(x: Tensor) -> Tensor:
    """Pictures (B, 3, H, W) that go on for a margin as they would in a mirror at their border."""
    return functional.pad(x, [MARGIN] * 4, mode="reflect")


def _unframed(x: Tensor) -> Tensor:
    return x[..., MARGIN:-MARGIN, MARGIN:-MARGIN]


def _redrawn(
    versions: Sequence[_Version], content: Tensor, teller: _Teller, shared: Sharing
) -> FramesOf:
    """Draw the content again, shown the styles; where the model sees none, lay them over it.

    The versions differ in seed and style alone, and are drawn in one pass. What is too large or too
    thin to be drawn is scaled for it and back.
    """
    request = versions[0].request
    facts: ModelFacts = yield Facts(NetworkRef(request.model))
    height, width = content.shape[1:]
    scale = min(1.0, MAX_SIDE / max(height, width))
    drawn_height, drawn_width = (
        max(MIN_SIDE, round(side * scale / SIZE_STEP) * SIZE_STEP) for side in (height, width)
    )
    source = yield from aside(partial(_source, content, drawn_height, drawn_width))
    strength = (REDRAWN_SHOWN if facts.style_side else REDRAWN) * request.strength
    edit = ImageToImage(
        model=request.model,
        prompt=request.prompt or ANY_PAINTING,
        seed=versions[0].seed,
        width=drawn_width,
        height=drawn_height,
        steps=_steps(facts, strength),
        guidance_scale=facts.guidance_scale,
        sampler=facts.sampler,
        schedule=facts.schedule,
        image_count=len(versions),
        source=(yield from aside(partial(png.encode_png, source))),
        strength=strength,
        previews=request.previews,
    )
    if facts.style_side:
        edit = replace(
            edit,
            style_references=request.styles,
            style_weight=round(SHOWN_WEIGHT * request.strength),
        )
    drawing = redrawing.redrawn(
        edit, source, preview_interval_s=teller.interval_s, clock=teller.clock
    )
    drawn = yield from _told(drawing, shared)
    images = yield from aside(partial(restyling.resized, torch.stack(drawn), height, width))
    if facts.style_side:
        return list(images)
    done: list[Tensor] = []
    for version, pixels in zip(versions, images, strict=True):
        style = version.style
        colouring = partial(match_colours, pixels[None], style.mean, style.covariance)
        coloured = (yield from aside(colouring))[0]
        strength = AFTER_DIFFUSION * request.strength
        done.append((yield from restyling.restyled(coloured, style, strength)))
    return done


def _source(content: Tensor, height: int, width: int) -> Image.Image:
    """Pixels (3, H, W) as they are drawn again."""
    (source,) = png.images_of_pixels(restyling.resized(content[None], height, width).numpy())
    return source


def _steps(facts: ModelFacts, strength: float) -> int:
    """The model's own, or more where an edit of that strength would take too few of them."""
    enough = LEAST_REDRAWN / max(strength, LEAST_REDRAWN / MAX_STEPS)
    return max(facts.steps, min(MAX_STEPS, math.ceil(enough)))


def _told(drawing: FramesOf, shared: Sharing) -> FramesOf:
    """The same, whose reports are told as shares of a whole."""
    answer: Any = None
    while True:
        failed = isinstance(answer, OutOfMemory)
        try:
            call = drawing.throw(answer) if failed else drawing.send(answer)
        except StopIteration as end:
            images: list[Tensor] = end.value
            return images
        if isinstance(call, Report):
            call = shared(DRAWN * call.step / call.total, call.preview)
        try:
            answer = yield call
        except OutOfMemory as error:
            answer = error


def _share_told(shared: Sharing, share: float) -> Generator[Call, Any, None]:
    yield shared(share)


def _finished(
    frames: list[Tensor],
    contents: list[Tensor],
    opened: list[Image.Image],
    request: Stylize,
    seed: int,
) -> Picture:
    """What was restyled, in the colours and the places that are asked for, encoded.

    Raises:
        UnreadableImage: the mask is no readable picture.
    """
    frames = _recoloured(request, frames, contents)
    frames = _masked(request, frames, contents)
    return _picture(frames, opened, request, seed)


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


def _prepared(request: Stylize) -> tuple[list[Image.Image], list[Tensor]]:
    """The content and the frames that follow it, in the size of the result; and their pixels."""
    images = [
        sources.opened(request.content, "content"),
        *(sources.opened(frame, "frames") for frame in request.frames),
    ]
    if len({image.size for image in images}) > 1:
        raise UnreadableImage("frames", "differ in size: send another animation")
    opened = [_sized(image, request) for image in images]
    return opened, [sources.pixels_of(sources.opaque(image)) for image in opened]


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
