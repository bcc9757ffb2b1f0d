"""A picture to show styles on where there is no other: a landscape drawn by this project."""

from functools import cache
from pathlib import Path

from PIL import Image

FILE = Path(__file__).with_name("neutral.png")


@cache
def neutral_picture() -> Image.Image:
    """RGB, 256 pixels a side."""
    with Image.open(FILE) as image:
        return image.convert("RGB")
