"""Small and lossy: WebP for progress, thumbnails and chats with a file limit."""

import io

from PIL import Image

from engine.media.grids import thumbnail

PREVIEW_SIDE = 256  # pixels
_QUALITIES = (95, 90, 82, 72)  # below the last one, drawings show their blocks


def encode_preview(image: Image.Image, side: int = PREVIEW_SIDE) -> bytes:
    """Encode a small WebP within a few milliseconds; no side above `side` pixels."""
    return encode_webp(thumbnail(image, side), quality=70, effort=0)


def encode_webp(image: Image.Image, *, quality: int = 90, effort: int = 4) -> bytes:
    """Encode a lossy WebP; `quality` 0..100, `effort` 0 (fast) .. 6 (small)."""
    file = io.BytesIO()
    mode = "RGBA" if image.has_transparency_data else "RGB"
    image.convert(mode).save(file, "WEBP", quality=quality, method=effort)
    return file.getvalue()


def encode_jpeg(image: Image.Image, *, quality: int = 85) -> bytes:
    """Encode a JPEG without alpha; `quality` 0..95."""
    file = io.BytesIO()
    image.convert("RGB").save(file, "JPEG", quality=quality)
    return file.getvalue()


def webp_within(image: Image.Image, max_bytes: int) -> bytes | None:
    """Encode the best good-looking WebP of at most `max_bytes`; None where there is none."""
    for quality in _QUALITIES:
        encoded = encode_webp(image, quality=quality)
        if len(encoded) <= max_bytes:
            return encoded
    return None
