"""MP4 by the real encoder: what players need, what sizes need, and that nothing is lost."""

import io
import math
import sys

import numpy as np
import pytest
from PIL import Image

from engine.errors import Unsupported
from engine.media.animation import encode_animated_webp
from engine.media.mp4 import is_video
from engine.media.png import GenerationParameters
from engine.media.provenance import read_parameters, with_parameters
from engine.media.video import encode_mp4, video_frames, video_within

av = pytest.importorskip("av")


def frames(count=6, size=(64, 48), mode="RGB"):
    """A bright square that wanders over a ramp of colours."""
    made = []
    for index in range(count):
        x, y = np.meshgrid(np.linspace(0, 255, size[0]), np.linspace(0, 255, size[1]))
        pixels = np.stack([x, y, 255 - x], axis=2).astype(np.uint8)
        pixels[8:24, 4 * index : 4 * index + 16] = (250, 250, 20)
        made.append(Image.fromarray(pixels).convert(mode))
    return made


def opened(mp4):
    return av.open(io.BytesIO(mp4), "r")


def boxes(mp4):
    """The names of the top boxes of the file, in order."""
    found, place = [], 0
    while place + 8 <= len(mp4):
        length, name = int.from_bytes(mp4[place : place + 4], "big"), mp4[place + 4 : place + 8]
        found.append(name.decode("ascii"))
        place += length or len(mp4)
    return found


def test_it_is_what_chats_and_browsers_play():
    mp4 = encode_mp4(frames(), [100] * 6)
    assert is_video(mp4)
    with opened(mp4) as container:
        [stream] = container.streams
        assert stream.codec_context.name in ("h264", "vp9", "libdav1d", "av1")
        assert stream.codec_context.pix_fmt == "yuv420p"
        assert (stream.width, stream.height) == (64, 48)
    names = boxes(mp4)
    assert names.index("moov") < names.index("mdat"), "it plays before it has all arrived"


def test_all_frames_are_there_for_as_long_as_asked():
    durations = [40, 40, 200, 40, 40, 120]
    made, told = video_frames(encode_mp4(frames(), durations))
    assert len(made) == 6
    assert told[:5] == durations[:5]
    assert sum(told) == pytest.approx(sum(durations), abs=130)


def test_frames_look_as_they_did():
    wanted = frames()
    made, _ = video_frames(encode_mp4(wanted, [80] * 6))
    for before, after in zip(wanted, made, strict=True):
        error = np.asarray(before, float) - np.asarray(after, float)
        assert 20 * math.log10(255 / np.sqrt((error**2).mean())) > 30


def test_the_same_frames_are_the_same_bytes():
    assert encode_mp4(frames(), [80] * 6) == encode_mp4(frames(), [80] * 6)


def test_odd_sides_lose_a_line_and_clear_parts_become_white():
    clear = Image.new("RGBA", (65, 51), (0, 0, 0, 0))
    made, _ = video_frames(encode_mp4([clear, clear], [100, 100]))
    assert made[0].size == (64, 50)
    assert min(made[0].resize((1, 1)).getpixel((0, 0))) > 250


def test_it_becomes_coarser_then_smaller_to_fit():
    rng = np.random.default_rng(1)
    noise = [Image.fromarray(rng.integers(0, 256, (160, 160, 3), dtype=np.uint8)) for _ in range(6)]
    whole = encode_mp4(noise, [100] * 6)
    fitting = video_within(encode_animated_webp(noise, [100] * 6), len(whole) // 6)
    assert len(fitting) <= len(whole) // 6
    again = video_within(whole, len(whole) // 8)
    assert len(again) <= len(whole) // 8
    assert len(video_frames(again)[0]) == 6
    assert video_within(whole, 200) is None
    assert video_within(whole, len(whole) // 40, may_scale=False) is None


SAID = GenerationParameters(prompt="红狐狸 -> an owl", seed=7, steps=20, others=(("Frames", "6"),))


def test_it_says_how_it_was_made_and_plays_as_before():
    silent = encode_mp4(frames(), [100] * 6)
    assert read_parameters(silent) is None
    told = with_parameters(silent, SAID)
    assert read_parameters(told) == SAID
    assert read_parameters(with_parameters(told, SAID)) == SAID
    with opened(told) as container:  # as every player reads it
        assert container.metadata["comment"] == SAID.to_text()
    before, durations = video_frames(silent)
    after, same = video_frames(told)
    assert durations == same
    assert [one.tobytes() for one in before] == [one.tobytes() for one in after]
    assert boxes(told) == boxes(silent)


def test_a_smaller_version_says_it_too():
    moving = with_parameters(encode_animated_webp(frames(), [100] * 6), SAID)
    smaller = video_within(moving, 10**6)
    assert read_parameters(smaller) == SAID
    assert read_parameters(video_within(smaller, len(smaller) - 1)) == SAID


@pytest.mark.parametrize("count", [0, 1])
def test_one_frame_is_a_video_and_none_is_a_mistake(count):
    if count:
        assert len(video_frames(encode_mp4(frames(1), [500]))[0]) == 1
    else:
        with pytest.raises(ValueError, match="at least one"):
            encode_mp4([], [])


def test_where_the_library_is_missing_it_says_so(monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(Unsupported, match="ask for WebP"):
        encode_mp4(frames(), [100] * 6)
    assert video_within(encode_animated_webp(frames(), [100] * 6), 10**6) is None
