"""Several frames in one file: animated WebP and GIF that loop for ever."""

import io
from collections.abc import Callable, Sequence

from PIL import Image

from engine.media import provenance

_QUALITIES = (70, 50)  # tried one after the other where a file must be smaller
_SCALE_STEP = 0.75
_SMALLEST_SIDE = 64  # pixels
_CLEAR = 255  # index of a GIF's transparent colour; colours take the others
SHORTEST_MS = 20  # browsers show shorter frames for a tenth of a second


def encode_animated_webp(
    frames: Sequence[Image.Image], durations_ms: Sequence[int], *, quality: int = 85
) -> bytes:
    """Encode frames of one size as WebP, each shown for its duration; alpha is kept.

    Raises: ValueError without frames, or where sizes or the number of durations differ.
    """
    check_frames(frames, durations_ms)
    has_alpha = any(frame.has_transparency_data for frame in frames)
    mode = "RGBA" if has_alpha else "RGB"
    first, *rest = [frame.convert(mode) for frame in frames]
    file = io.BytesIO()
    first.save(
        file,
        "WEBP",
        save_all=True,
        append_images=rest,
        duration=_shown_for(durations_ms),
        loop=0,
        quality=quality,
        method=3,
        # The encoder may crop frames to what is opaque and leave the alpha flag out of the file;
        # readers that believe the flag then show black. Whole frames keep it.
        **({"kmax": 1} if has_alpha else {}),
    )
    return file.getvalue()


def encode_gif(frames: Sequence[Image.Image], durations_ms: Sequence[int]) -> bytes:
    """Encode frames of one size as GIF of one palette, so that still parts don't flicker.

    Alpha becomes on or off at one half.
    Raises: ValueError without frames, or where sizes or the number of durations differ.
    """
    check_frames(frames, durations_ms)
    palette = _palette(frames)
    first, *rest = [_indexed(frame, palette) for frame in frames]
    is_transparent = any(frame.has_transparency_data for frame in frames)
    file = io.BytesIO()
    first.save(
        file,
        "GIF",
        save_all=True,
        append_images=rest,
        duration=_shown_for(durations_ms),
        loop=0,
        disposal=2 if is_transparent else 1,
        optimize=False,
        **({"transparency": _CLEAR} if is_transparent else {}),
    )
    return file.getvalue()


def animation_within(webp: bytes, max_bytes: int, *, may_scale: bool = True) -> bytes | None:
    """Encode an animated WebP of our own again, coarser and then smaller, in `max_bytes` at most.

    What it says of how it was made is kept. None where it can't be so small.
    """
    frames, durations = frames_of(webp)
    parameters = provenance.read_parameters(webp)

    def encode(smaller: Sequence[Image.Image], quality: int) -> bytes:
        encoded = encode_animated_webp(smaller, durations, quality=quality)
        return provenance.with_parameters(encoded, parameters) if parameters else encoded

    return fitted(frames, encode, _QUALITIES, max_bytes, may_scale=may_scale)


def fitted(
    frames: Sequence[Image.Image],
    encode: Callable[[Sequence[Image.Image], int], bytes],
    qualities: Sequence[int],
    max_bytes: int,
    *,
    may_scale: bool,
) -> bytes | None:
    """Encode frames at one quality after the other, then smaller ones, until the bytes are few.

    None where they never are.
    """
    while True:
        for quality in qualities:
            encoded = encode(frames, quality)
            if len(encoded) <= max_bytes:
                return encoded
        width, height = (round(side * _SCALE_STEP) for side in frames[0].size)
        if not may_scale or min(width, height) < _SMALLEST_SIDE:
            return None
        frames = [frame.resize((width, height), Image.Resampling.LANCZOS) for frame in frames]


def frames_of(webp: bytes) -> tuple[list[Image.Image], list[int]]:
    """The frames of an animated WebP of our own, and how long each is shown in milliseconds."""
    frames, durations = [], []
    with Image.open(io.BytesIO(webp), formats=("WEBP",)) as source:
        for index in range(getattr(source, "n_frames", 1)):
            source.seek(index)
            frames.append(source.convert("RGBA" if source.has_transparency_data else "RGB"))
            durations.append(int(source.info.get("duration", SHORTEST_MS)))
    return frames, durations


def _palette(frames: Sequence[Image.Image]) -> Image.Image:
    """Choose 255 colours for all frames together, from a strip of small copies."""
    small = [frame.convert("RGB").resize((64, 64)) for frame in frames[:: -(-len(frames) // 16)]]
    strip = Image.new("RGB", (64, 64 * len(small)))
    for index, copy in enumerate(small):
        strip.paste(copy, (0, 64 * index))
    return strip.quantize(_CLEAR)


def _indexed(frame: Image.Image, palette: Image.Image) -> Image.Image:
    # Without dithering: noise that differs between frames would crawl.
    indexed = frame.convert("RGB").quantize(palette=palette, dither=Image.Dither.NONE)
    if frame.has_transparency_data:
        alpha = frame.convert("RGBA").getchannel("A")
        indexed.paste(_CLEAR, mask=alpha.point(lambda value: 255 if value < 128 else 0))
    return indexed


def _shown_for(durations_ms: Sequence[int]) -> list[int]:
    return [max(SHORTEST_MS, duration_ms) for duration_ms in durations_ms]


def check_frames(frames: Sequence[Image.Image], durations_ms: Sequence[int]) -> None:
    """Raise ValueError without frames, or where sizes or the number of durations differ."""
    if not frames:
        raise ValueError("an animation needs at least one frame")
    if len(frames) != len(durations_ms):
        raise ValueError("an animation needs a duration for each frame")
    if len({frame.size for frame in frames}) > 1:
        raise ValueError("all frames of an animation must have one size")
