"""One picture's content in the look of others: in one pass, by an optimiser, or by diffusion.

fast       Huang and Belongie 2017: statistics of features are replaced and decoded
optimise   Gatys et al. 2016: pixels descend to the features of one and the Gram matrices of others
diffusion  the content noised and drawn again by a checkpoint, then restyled lightly
"""

import time
from collections.abc import Generator
from functools import partial
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from engine.calls import (
    Call,
    ContentFeatures,
    NetworkRef,
    Pipeline,
    Report,
    StyleGradient,
    StylePreset,
)
from engine.events import Picture
from engine.media import png
from engine.pipelines.stages import denoising, redrawing, restyling, sources
from engine.pipelines.stages.aside import aside
from engine.pipelines.stages.showing import preview_of
from engine.requests import (
    ImageToImage,
    KeepColour,
    StyleMethod,
    StyleReference,
    Stylize,
    plain,
    seeds_of,
)
from engine.style.colour import colour_moments, match_colours, with_luminance_of
from engine.style.optimisers import Descent, adam, lbfgs
from engine.style.target import Style, blended, perturbed

LONGEST_SIDE = 4096  # pixels of a result
LONGEST_OPTIMISED = 1024  # pixels; an optimiser's time and memory grow with the area
COARSEST = 128  # pixels of the longer side at which the optimiser begins
STYLE_WEIGHT = 2.0  # of the optimiser at strength 1
PERTURBATION = 0.25  # of the statistics, at perturbation 1
REDRAWN = 0.55  # how far diffusion leaves the content at strength 1
AFTER_DIFFUSION = 0.6  # strength of the light restyling
ANY_PAINTING = plain("an expressive painting with visible brush strokes")

PixelsOf = Generator[Call, Any, Tensor]


def run(
    request: Stylize,
    *,
    preview_interval_s: float = denoising.PREVIEW_INTERVAL_S,
    clock: denoising.Clock = time.monotonic,
) -> Pipeline:
    """Return one picture per image, in the order of their seeds; transparency is kept.

    Raises:
        UnreadableImage: content, style or mask is no readable picture.
        Unsupported: there is no preset of that name, or no network for the method.
    """
    opened = _sized(sources.opened(request.content, "content"), request)
    content = sources.pixels_of(opened)
    styles = yield from _styles(request, content)
    usual = [reference.weight for reference in request.styles]
    done: list[Picture] = []
    for number, seed in enumerate(seeds_of(request)):
        generator = torch.Generator().manual_seed(seed)
        style = blended(styles, request.image_weights[number] if request.image_weights else usual)
        own = perturbed(style, PERTURBATION * request.perturbation, generator)
        teller = _Teller(request, number, preview_interval_s, clock)
        pixels = yield from _restyled(request, content, own, seed, teller)
        pixels = _recoloured(request, pixels, content)
        pixels = _masked(request, pixels, content)
        done.append((yield from aside(partial(_picture, pixels, opened, seed))))
        yield Report(teller.total_of(number + 1), teller.total)
    return tuple(done)


class _Teller:
    """Progress of all images of a request, with previews by the wall clock."""

    def __init__(
        self, request: Stylize, number: int, interval_s: float, clock: denoising.Clock
    ) -> None:
        is_optimised = request.method is StyleMethod.OPTIMISE
        self._per_image = request.iterations if is_optimised else 1
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


def _styles(request: Stylize, content: Tensor) -> Generator[Call, Any, list[Style]]:
    """What each reference looks like."""
    network = NetworkRef(request.network if request.method is StyleMethod.OPTIMISE else "style")
    styles: list[Style] = []
    for reference in request.styles:
        styles += [(yield from _described(reference, network, request, content))]
    return styles


def _described(
    reference: StyleReference, network: NetworkRef, request: Stylize, content: Tensor
) -> Generator[Call, Any, Style]:
    if reference.preset:
        preset: Style = yield StylePreset(network, reference.preset)
        return preset
    recolour = content if request.keep_colour is KeepColour.MATCHED else None
    return (yield from restyling.described(reference.image, network, recolour))


def _restyled(
    request: Stylize, content: Tensor, style: Style, seed: int, teller: _Teller
) -> PixelsOf:
    if request.strength == 0:
        return content
    match request.method:
        case StyleMethod.FAST:
            return (yield from restyling.restyled(content, style, request.strength))
        case StyleMethod.OPTIMISE:
            return (yield from _optimised(request, content, style, teller))
        case StyleMethod.DIFFUSION:
            return (yield from _redrawn(request, content, style, seed))


def _optimised(request: Stylize, content: Tensor, style: Style, teller: _Teller) -> PixelsOf:
    """Coarse to fine: the large strokes are settled at small sizes, where steps are cheap."""
    network = NetworkRef(request.network)
    sizes = _scales(*content.shape[1:])
    shares = _iterations(request.iterations, len(sizes))
    x = functional.interpolate(content[None], sizes[0], mode="bilinear", antialias=True)
    done = 0
    for number, (size, iterations) in enumerate(zip(sizes, shares, strict=True)):
        target = _at(content[None], size)
        if number:
            # What the coarser size could not show is taken from the content.
            coarse = (x.shape[2], x.shape[3])
            lost = target - _at(_at(target, coarse), size)
            x = (_at(x, size) + lost).clamp(0, 1)
        features = yield ContentFeatures(network, target)
        # L-BFGS gains most where the picture is small; Adam's steps batch and stay cheap.
        descent = lbfgs(x, iterations) if number == 0 else adam(x, iterations)
        weight = torch.tensor([STYLE_WEIGHT * request.strength**2])
        x = yield from _descend(descent, network, features, style, weight, teller, done)
        done += iterations
    return _at(x, (content.shape[1], content.shape[2]))[0]


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
        loss, gradient = yield StyleGradient(network, x, features, style.grams, weight)
        try:
            x = descent.send((float(loss), gradient))
        except StopIteration as end:
            best: Tensor = end.value
            return best
        done += 1
        yield from teller.on_step(done, x)


def _redrawn(request: Stylize, content: Tensor, style: Style, seed: int) -> PixelsOf:
    """Draw the content again with the checkpoint, then give it the style's statistics."""
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
    drawn = yield from redrawing.redrawn(edit, source)
    pixels = _at(drawn[0][None], (height, width))
    pixels = match_colours(pixels, style.mean, style.covariance)
    return (yield from restyling.restyled(pixels[0], style, AFTER_DIFFUSION * request.strength))


def _recoloured(request: Stylize, pixels: Tensor, content: Tensor) -> Tensor:
    match request.keep_colour:
        case KeepColour.NO:
            return pixels
        case KeepColour.LUMINANCE:
            return with_luminance_of(content[None], pixels[None])[0]
        case KeepColour.MATCHED:
            return match_colours(pixels[None], *colour_moments(content[None]))[0]


def _masked(request: Stylize, pixels: Tensor, content: Tensor) -> Tensor:
    """The content, restyled where the mask is white; grey is in between."""
    if not request.mask:
        return pixels
    mask = sources.opened(request.mask, "mask").convert("L")
    fitted = mask.resize((content.shape[2], content.shape[1]), Image.Resampling.BILINEAR)
    return torch.lerp(content, pixels, sources.pixels_of(fitted.convert("RGB"))[:1])


def _picture(pixels: Tensor, opened: Image.Image, seed: int) -> Picture:
    (image,) = png.images_of_pixels(pixels[None].numpy())
    if opened.mode == "RGBA":
        image.putalpha(opened.getchannel("A"))
    return Picture(png.encode_png(image), seed, image.width, image.height)


def _sized(image: Image.Image, request: Stylize) -> Image.Image:
    """The size of the result."""
    limit = LONGEST_OPTIMISED if request.method is not StyleMethod.FAST else LONGEST_SIDE
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


def _at(pixels: Tensor, size: tuple[int, int]) -> Tensor:
    if tuple(pixels.shape[2:]) == size:
        return pixels
    scaled = functional.interpolate(
        pixels, size, mode="bicubic", antialias=True, align_corners=False
    )
    return scaled.clamp(0, 1)
