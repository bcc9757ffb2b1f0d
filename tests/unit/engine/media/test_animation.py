import io

import numpy as np
import pytest
from PIL import Image

from engine.media.animation import animation_within, encode_animated_webp, encode_gif
from engine.media.png import GenerationParameters
from engine.media.provenance import read_parameters, with_parameters

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


def noisy(count, side):
    numbers = np.random.default_rng(1)
    return [
        Image.fromarray(numbers.integers(0, 256, (side, side, 3), dtype=np.uint8))
        for _ in range(count)
    ]


def test_an_animation_is_made_to_fit_with_all_its_frames_and_what_it_says():
    said = GenerationParameters(prompt="a fox", seed=7, steps=20)
    whole = with_parameters(encode_animated_webp(noisy(4, 160), [50] * 4, quality=95), said)
    for limit in (len(whole) * 2 // 3, len(whole) // 6):
        smaller = animation_within(whole, limit)
        assert len(smaller) <= limit
        assert read_parameters(smaller) == said
        with Image.open(io.BytesIO(smaller)) as image:
            assert image.n_frames == 4
            image.load()
            assert image.info["duration"] == 50


def test_an_animation_that_can_not_be_so_small_is_none():
    whole = encode_animated_webp(noisy(3, 96), [50] * 3)
    assert animation_within(whole, 500) is None
    assert animation_within(whole, len(whole) // 4, may_scale=False) is None
