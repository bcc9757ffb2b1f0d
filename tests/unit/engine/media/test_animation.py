import io

import pytest
from PIL import Image

from engine.media.animation import encode_animated_webp, encode_gif

COLOURS = ("red", "lime", "blue")
FRAMES = [Image.new("RGB", (16, 12), colour) for colour in COLOURS]


@pytest.mark.parametrize(("encode", "kind"), [(encode_animated_webp, "WEBP"), (encode_gif, "GIF")])
def test_frames_come_back_in_order_with_their_durations_and_loop(encode, kind):
    with Image.open(io.BytesIO(encode(FRAMES, [100, 200, 10]))) as animation:
        assert (animation.format, animation.size, animation.n_frames) == (kind, (16, 12), 3)
        assert animation.info["loop"] == 0
        durations = []
        for index, frame in enumerate(FRAMES):
            animation.seek(index)
            animation.load()
            durations.append(animation.info["duration"])
            seen = animation.convert("RGB").getpixel((8, 6))
            wanted = frame.getpixel((0, 0))
            assert max(abs(a - b) for a, b in zip(seen, wanted, strict=True)) < 12
        assert durations == [100, 200, 20]


@pytest.mark.parametrize("encode", [encode_animated_webp, encode_gif])
def test_transparent_parts_stay_transparent_and_leave_no_trails(encode):
    frames = []
    for left in (0, 8):
        frame = Image.new("RGBA", (16, 8), (0, 0, 0, 0))
        frame.paste((255, 0, 0, 255), (left, 0, left + 8, 8))
        frames.append(frame)
    with Image.open(io.BytesIO(encode(frames, [100, 100]))) as animation:
        for index, (seen, clear) in enumerate([(4, 12), (12, 4)]):
            animation.seek(index)
            frame = animation.convert("RGBA")
            assert frame.getpixel((seen, 4))[3] == 255
            assert frame.getpixel((clear, 4))[3] == 0


@pytest.mark.parametrize("encode", [encode_animated_webp, encode_gif])
@pytest.mark.parametrize(
    ("frames", "durations"),
    [([], []), (FRAMES, [100]), ([*FRAMES, Image.new("RGB", (1, 1))], [100] * 4)],
)
def test_frames_that_do_not_belong_together_are_an_error(encode, frames, durations):
    with pytest.raises(ValueError, match="animation"):
        encode(frames, durations)
