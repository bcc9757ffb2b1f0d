"""From a request's picture to pixels."""

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor
from torch.nn import functional

from engine.errors import UnreadableImage
from engine.media import png

SPREAD_SIDE = 256  # pixels at which colours are spread: they are smooth
FULL_FROM = 4  # a pixel of a quarter of full opacity keeps its own colour


def opened(source: bytes, field: str) -> Image.Image:
    """Decode a picture that `engine.media` has cleaned, to RGB or RGBA.

    Raises:
        UnreadableImage: it is no PNG, or broken; names the request's field.
    """
    try:
        image = png.image_of(source)
    except (OSError, SyntaxError, ValueError) as error:
        raise UnreadableImage(field, "is no readable PNG: send the picture again") from error
    return image.convert("RGBA" if image.has_transparency_data else "RGB")


def opaque(image: Image.Image) -> Image.Image:
    """The picture as RGB, with the colours next to what is seen where nothing is.

    So what looks at colours, or mixes neighbours, meets none that nobody sees.
    """
    if image.mode != "RGBA":
        return image.convert("RGB")
    small = image.copy()
    small.thumbnail((SPREAD_SIDE, SPREAD_SIDE), Image.Resampling.BOX)
    spread = torch.from_numpy(np.array(small, np.float32)).permute(2, 0, 1)[None] / 255
    ground = png.images_of_pixels(_spread(spread[:, :3], spread[:, 3:]).numpy())[0]
    ground = ground.resize(image.size, Image.Resampling.BICUBIC)
    seen = image.getchannel("A").point(lambda alpha: min(255, FULL_FROM * alpha))
    return Image.composite(image.convert("RGB"), ground, seen)


def _spread(colours: Tensor, alpha: Tensor) -> Tensor:
    """Colours (1, 3, H, W) that fill what alpha (1, 1, H, W) leaves clear, from coarse to fine."""
    if min(alpha.shape[2:]) < 2 or bool((alpha == 1).all()):
        mean = (colours * alpha).mean((2, 3), keepdim=True) / alpha.mean().clamp_min(1e-6)
        ground = mean if alpha.any() else torch.ones_like(mean)
        return torch.lerp(ground.expand_as(colours), colours, alpha)
    held = functional.avg_pool2d(alpha, 2, ceil_mode=True)
    mixed = functional.avg_pool2d(colours * alpha, 2, ceil_mode=True) / held.clamp_min(1e-6)
    # What a cell holds counts as whole: its colours are spread to places where there is less.
    coarse = _spread(mixed, (held * FULL_FROM).clamp(max=1))
    ground = functional.interpolate(coarse, alpha.shape[2:], mode="bilinear")
    return torch.lerp(ground, colours, (alpha * FULL_FROM).clamp(max=1))


def covering(image: Image.Image, width: int, height: int) -> Image.Image:
    """Return the middle of the picture in just that size, its proportions kept."""
    return ImageOps.fit(image, (width, height), Image.Resampling.LANCZOS)


def pixels_of(image: Image.Image) -> Tensor:
    """Return the picture, on white where it is transparent, as (3, H, W) in [0, 1]."""
    return torch.from_numpy(png.pixels_of_image(image)[0])
