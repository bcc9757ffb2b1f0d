"""The middle squares of pictures that a generator is taught."""

import numpy as np
from PIL import Image

from engine.media.squares import middle_square


def test_sixteen_bits_keep_their_brightness():
    ramp = np.linspace(0, 0xFFFF, 64).astype(np.uint16)
    square = np.asarray(middle_square(Image.fromarray(np.tile(ramp, (64, 1))), 64))
    assert np.abs(square[0, :, 0].astype(int) - ramp // 256).max() <= 1


def test_what_is_clear_stands_on_white():
    image = Image.new("RGBA", (30, 10))
    image.paste((200, 0, 0, 255), (10, 0, 15, 10))
    square = middle_square(image, 10)
    assert (square.getpixel((1, 5)), square.getpixel((8, 5))) == ((200, 0, 0), (255, 255, 255))
