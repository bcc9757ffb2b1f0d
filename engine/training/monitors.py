"""What a person watches while a network trains: sheets of pictures and the loss curve."""

import math
import textwrap
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from torch import Tensor


def as_bytes(pixels: Tensor) -> NDArray[np.uint8]:
    """Pixels (B, 3, H, W) in [0, 1] as bytes (B, H, W, 3)."""
    array = pixels.clamp(0, 1).mul(255).round().to(torch.uint8).permute(0, 2, 3, 1)
    return np.ascontiguousarray(array.numpy())


def as_pixels(pictures: NDArray[np.uint8]) -> Tensor:
    """Bytes (B, H, W, 3) as pixels (B, 3, H, W) in [0, 1]."""
    return torch.from_numpy(pictures.copy()).permute(0, 3, 1, 2).contiguous().float() / 255


def to_image(pixels: Tensor) -> Image.Image:
    """One picture (3, H, W) in [0, 1] as an RGB image."""
    array = pixels.detach().clamp(0, 1).mul(255).round().to(torch.uint8).permute(1, 2, 0)
    return Image.fromarray(np.ascontiguousarray(array.cpu().numpy()))


def contact_sheet(
    pixels: Tensor, columns: int, captions: Sequence[str] = (), scale: int = 1
) -> Image.Image:
    """Pictures (B, 3, H, W) in rows of `columns`, each above the start of its caption."""
    count, _, height, width = pixels.shape
    height, width = height * scale, width * scale
    band = 24 if captions else 0
    rows = math.ceil(count / columns)
    sheet = Image.new("RGB", (columns * width, rows * (height + band)), "white")
    draw = ImageDraw.Draw(sheet)
    for index in range(count):
        x, y = index % columns * width, index // columns * (height + band)
        image = to_image(pixels[index])
        sheet.paste(image.resize((width, height), Image.Resampling.NEAREST), (x, y))
        if captions:
            lines = textwrap.wrap(captions[index], width // 6, max_lines=2, placeholder="...")
            draw.text((x + 2, y + height), "\n".join(lines), fill="black", spacing=1)
    return sheet


def draw_loss_curve(losses: Sequence[float], images: int) -> Image.Image:
    """The loss over all `images` seen, as a 640 x 320 picture.

    Upwards it is logarithmic, but linear where a loss is not positive, as that of a critic.
    """
    image = Image.new("RGB", (640, 320), "white")
    draw = ImageDraw.Draw(image)
    values = [loss for loss in losses if math.isfinite(loss)]
    if len(values) < 2:
        return image
    least, most = f"{min(values):.4f}", f"{max(values):.4f}"
    if min(values) > 0:
        values = [math.log(value) for value in values]
    low, high = min(values), max(values)
    span = max(1e-6, high - low)
    points = [
        (50 + 580 * index / (len(values) - 1), 290 - 270 * (value - low) / span)
        for index, value in enumerate(values)
    ]
    draw.line(points, fill=(30, 90, 200), width=2)
    draw.line([(50, 10), (50, 290), (630, 290)], fill="black")
    draw.text((4, 10), most, fill="black")
    draw.text((4, 280), least, fill="black")
    draw.text((480, 300), f"{images:,} pictures", fill="black")
    return image
