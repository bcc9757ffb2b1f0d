"""The middle square of a picture, as generators learn it."""

import io

from PIL import Image

from engine.media.decoder import eight_bit

SIDE = 64  # pixels of what is taught to a generator


def middle_square(image: Image.Image, side: int) -> Image.Image:
    """The middle of a picture on white, RGB, `side` pixels wide and high."""
    image = eight_bit(image).convert("RGBA")
    shorter = min(image.size)
    left, top = (image.width - shorter) // 2, (image.height - shorter) // 2
    image = image.crop((left, top, left + shorter, top + shorter))
    image = image.resize((side, side), Image.Resampling.LANCZOS)
    ground = Image.new("RGBA", image.size, "white")
    ground.alpha_composite(image)
    return ground.convert("RGB")


def lesson_of(picture: bytes) -> bytes:
    """A PNG or WebP of our own as the small PNG that a generator is taught."""
    with Image.open(io.BytesIO(picture), formats=("PNG", "WEBP")) as image:
        square = middle_square(image, SIDE)
    file = io.BytesIO()
    square.save(file, "PNG")
    return file.getvalue()
