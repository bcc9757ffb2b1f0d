import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from engine.media.animation import encode_animated_webp
from engine.media.png import GenerationParameters, encode_png
from engine.media.provenance import read_parameters, with_parameters

FRAMES = [Image.new("RGB", (20, 12), colour) for colour in ("red", "lime", "blue")]
MOVING = encode_animated_webp(FRAMES, [100, 100, 100])
SAME = encode_animated_webp(FRAMES[:1] * 3, [100, 100, 100])
SAID = GenerationParameters(prompt="红狐狸 -> an owl", seed=7, steps=20, others=(("Frames", "3"),))


@pytest.mark.parametrize("picture", [MOVING, SAME, encode_png(FRAMES[0])])
def test_what_is_written_is_read_again(picture):
    once = with_parameters(picture, SAID)
    assert read_parameters(once) == SAID
    again = with_parameters(once, GenerationParameters(prompt="a fox", seed=1, steps=2))
    found = read_parameters(again)
    assert (found.prompt, found.seed) == ("a fox", 1)


def test_frames_and_durations_stay_as_they_were():
    with Image.open(io.BytesIO(with_parameters(MOVING, SAID))) as image:
        assert image.n_frames == 3
        image.seek(2)
        red, _, blue = image.convert("RGB").getpixel((9, 6))
        assert (red < 12, blue > 240) == (True, True)
        assert image.info["duration"] == 100
        assert image.getexif().get_ifd(0x8769)[0x9286].startswith(b"UNICODE")


@pytest.mark.parametrize(("mode", "colour"), [("RGB", (255, 0, 0)), ("RGBA", (255, 0, 0, 90))])
def test_an_animation_in_which_nothing_moves_looks_as_before(mode, colour):
    still = encode_animated_webp([Image.new(mode, (20, 12), colour)] * 2, [100, 100])
    with (
        Image.open(io.BytesIO(still)) as before,
        Image.open(io.BytesIO(with_parameters(still, SAID))) as after,
    ):
        assert (after.mode, after.size) == (mode, (20, 12))
        assert after.tobytes() == before.tobytes()


def test_a_webp_without_parameters_says_nothing():
    assert read_parameters(MOVING) is None


@pytest.mark.parametrize("cut", [11, 13, 25, 40, 200])
def test_cut_and_broken_files_say_nothing_and_raise_nothing(cut):
    assert read_parameters(with_parameters(MOVING, SAID)[:cut]) is None


def test_a_broken_exif_says_nothing():
    whole = with_parameters(MOVING, SAID)
    at = whole.index(b"EXIF") + 8
    for broken in (b"\0" * 12, b"II*\0" + b"\xff" * 8, b"MM\0*" + b"\xff" * 8):
        assert read_parameters(whole[:at] + broken + whole[at + 12 :]) is None


def box(kind, *held):
    body = b"".join(held)
    return (8 + len(body)).to_bytes(4, "big") + kind + body


OFFSETS = box(b"stco", bytes(7), b"\2", bytes(3), b"d", bytes(2), b"\1\0")  # 100 and 256
TRACK = box(b"trak", box(b"mdia", box(b"minf", box(b"stbl", OFFSETS))))
FRONT = (box(b"ftyp", b"isom"), box(b"moov", TRACK, box(b"udta", b"?")), box(b"mdat", b"..."))


def offsets_of(mp4):
    at = mp4.index(b"stco") + 12
    return [int.from_bytes(mp4[place : place + 4], "big") for place in (at, at + 4)]


def test_a_movie_s_pictures_are_found_where_they_moved_to():
    silent = b"".join(FRONT)
    told = with_parameters(silent, SAID)
    assert read_parameters(told) == SAID
    further = len(told) - len(silent)
    assert offsets_of(told) == [100 + further, 256 + further]
    behind = with_parameters(b"".join((FRONT[0], FRONT[2], FRONT[1])), SAID)
    assert offsets_of(behind) == [100, 256]


def test_a_file_without_a_movie_holds_no_parameters():
    with pytest.raises(ValueError, match="no MP4"):
        with_parameters(FRONT[0], SAID)


@given(st.integers(0, 300), st.binary(max_size=12))
def test_broken_movies_say_something_or_nothing_and_raise_nothing(at, broken):
    whole = with_parameters(b"".join(FRONT), SAID)
    read_parameters(whole[:at])
    read_parameters(whole[:at] + broken + whole[at + len(broken) :])


def test_a_webp_without_a_picture_holds_no_parameters():
    with pytest.raises(ValueError, match="no parameters"):
        with_parameters(MOVING[:12], SAID)
