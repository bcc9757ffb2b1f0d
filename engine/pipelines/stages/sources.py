"""From a request's picture to pixels."""

import io

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from engine.errors import UnreadableImage


def opened(png: bytes, field: str) -> Image.Image:
    """Decode a picture that `engine.media` has cleaned; RGB or RGBA.

    Raises:
        UnreadableImage: it is no PNG, or broken; names the request's field.
    """
    try:
        with Image.open(io.BytesIO(png), formats=("PNG",)) as image:
            return image.convert("RGBA" if image.has_transparency_data else "RGB")
    except (OSError, SyntaxError, ValueError) as error:
        raise UnreadableImage(field, "is no readable PNG: send the picture again") from error


def opaque(image: Image.Image) -> Image.Image:
    """Return the picture in RGB, on white where it was transparent."""
    if image.mode == "RGB":
        return image
    white = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(white, image.convert("RGBA")).convert("RGB")


def covering(image: Image.Image, width: int, height: int) -> Image.Image:
    """Return the middle of the picture in just that size, its proportions kept."""
    return ImageOps.fit(image, (width, height), Image.Resampling.LANCZOS)


def pixels_of(image: Image.Image) -> Tensor:
    """Return an RGB picture as (3, H, W) in [0, 1]."""
    values = torch.from_numpy(np.array(image, dtype=np.float32))
    return values.permute(2, 0, 1) / 255
