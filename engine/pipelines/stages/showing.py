"""How a picture looks that is not done yet."""

from PIL import Image
from torch import Tensor

from engine.media import grids, png, previews

CELL_SIDE = 128  # pixels of one image's longer side in a preview of several


def preview_of(pixels: Tensor) -> bytes:
    """Encode pictures (B, 3, H, W) in [0, 1], small as they may be, as one WebP."""
    images = png.images_of_pixels(pixels.cpu().numpy())
    side = previews.PREVIEW_SIDE if len(images) == 1 else CELL_SIDE
    grid = grids.contact_grid([_resized(image, side) for image in images], gap=0)
    return previews.encode_preview(grid)


def _resized(image: Image.Image, side: int) -> Image.Image:
    """Bring the longer side to `side` pixels; a model may answer with one pixel per latent."""
    scale = side / max(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return image.resize(size, Image.Resampling.BICUBIC)
