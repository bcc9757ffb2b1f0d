import io

import pytest
from PIL import Image

from engine.media.animation import encode_animated_webp
from engine.media.png import GenerationParameters, encode_png
from engine.media.provenance import read_parameters, with_parameters

FRAMES = [Image.new("RGB", (20, 12), colour) for colour in ("red", "lime", "blue")]
MOVING = encode_animated_webp(FRAMES, [100, 100, 100])
SAID = GenerationParameters(prompt="红狐狸 -> an owl", seed=7, steps=20, others=(("Frames", "3"),))


@pytest.mark.parametrize("picture", [MOVING, encode_png(FRAMES[0])])
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


def test_a_still_webp_holds_no_parameters():
    file = io.BytesIO()
    FRAMES[0].save(file, "WEBP")
    with pytest.raises(ValueError, match="no parameters"):
        with_parameters(file.getvalue(), SAID)
