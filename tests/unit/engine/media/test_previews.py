import io

import numpy as np
import pytest
from PIL import Image

from engine.media.previews import encode_jpeg, encode_preview, encode_webp, webp_within

NOISE = Image.fromarray(np.random.default_rng(0).integers(0, 255, (300, 400, 3), dtype=np.uint8))


def test_a_preview_is_a_small_webp():
    encoded = encode_preview(NOISE, side=64)
    with Image.open(io.BytesIO(encoded)) as image:
        assert (image.format, image.size) == ("WEBP", (64, 48))


@pytest.mark.parametrize(("mode", "expected"), [("RGB", "RGB"), ("RGBA", "RGBA"), ("L", "RGB")])
def test_webp_keeps_alpha_where_there_is_some(mode, expected):
    image = Image.new(mode, (8, 8))
    with Image.open(io.BytesIO(encode_webp(image))) as back:
        assert back.mode == expected


def test_jpeg_has_no_alpha():
    with Image.open(io.BytesIO(encode_jpeg(Image.new("RGBA", (8, 8), "red")))) as back:
        assert (back.format, back.mode) == ("JPEG", "RGB")


def test_the_best_quality_that_fits_is_taken():
    best = encode_webp(NOISE, quality=95)
    assert webp_within(NOISE, len(best)) == best
    smaller = webp_within(NOISE, len(best) - 1)
    assert smaller is not None
    assert len(smaller) < len(best)
    assert webp_within(NOISE, 100) is None
