"""From a request's picture to pixels."""

import torch
from PIL import Image, ImageOps
from torch import Tensor

from engine.errors import UnreadableImage
from engine.media import png


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


def covering(image: Image.Image, width: int, height: int) -> Image.Image:
    """Return the middle of the picture in just that size, its proportions kept."""
    return ImageOps.fit(image, (width, height), Image.Resampling.LANCZOS)


def pixels_of(image: Image.Image) -> Tensor:
    """Return the picture, on white where it is transparent, as (3, H, W) in [0, 1]."""
    return torch.from_numpy(png.pixels_of_image(image)[0])
