"""From pixels to encoded bytes."""

import io

import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

PREVIEW_SIDE = 256  # pixels of the longer side, all images together
PREVIEW_QUALITY = 70


def png_of(pixels: Tensor) -> bytes:
    """Encode pixels (3, H, W) in [0, 1] on the CPU as PNG."""
    return png_of_image(image_of(pixels))


def png_of_image(image: Image.Image) -> bytes:
    """Encode a picture as PNG."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=4)
    return buffer.getvalue()


def preview_of(pixels: Tensor) -> bytes:
    """Encode pictures (B, 3, H, W) in [0, 1] as one small WebP, two in a row."""
    images = pixels.cpu()
    columns = 1 if len(images) == 1 else 2
    images = torch.cat([images, images.new_ones((-len(images) % columns, *images.shape[1:]))])
    lines = [torch.cat(list(line), 2) for line in images.view(-1, columns, *images.shape[1:])]
    sheet = torch.cat(lines, 1)
    scale = PREVIEW_SIDE / max(sheet.shape[1:])
    if scale != 1:
        sheet = functional.interpolate(
            sheet[None], scale_factor=scale, mode="bilinear", antialias=scale < 1
        )[0]
    buffer = io.BytesIO()
    image_of(sheet).save(buffer, "WEBP", quality=PREVIEW_QUALITY, method=0)
    return buffer.getvalue()


def image_of(pixels: Tensor) -> Image.Image:
    """Round pixels (3, H, W) in [0, 1] to a PIL image."""
    rounded = (pixels.clamp(0, 1) * 255).round().to(torch.uint8)
    return Image.fromarray(rounded.permute(1, 2, 0).contiguous().numpy())
