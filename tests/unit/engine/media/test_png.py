import io
import json
import time
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from engine.media.png import (
    GenerationParameters,
    encode_png,
    image_of,
    images_of_pixels,
    pixels_of_image,
    read_parameters,
    with_parameters,
)

SMALL = Image.new("RGB", (4, 4), "red")
FULL = GenerationParameters(
    prompt="a red fox, (fur:1.2)\nin the snow",
    negative_prompt="blur, text",
    steps=20,
    sampler="Euler a",
    guidance_scale=7.0,
    seed=1,
    width=512,
    height=768,
    model="pack",
)

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
KEYS = st.from_regex(r"\A[A-Za-z][A-Za-z0-9 /\-]{1,12}\Z").map(lambda key: "x " + key.strip())
PARAMETERS = st.builds(
    GenerationParameters,
    prompt=TEXTS,
    negative_prompt=TEXTS,
    steps=st.integers(1, 150),
    sampler=TEXTS,
    guidance_scale=st.floats(1, 30).map(lambda value: round(value, 6)),
    seed=st.integers(0, 2**32 - 1),
    width=st.integers(1, 9999),
    height=st.integers(1, 9999),
    model=TEXTS,
    others=st.lists(st.tuples(KEYS, TEXTS), max_size=3, unique_by=lambda pair: pair[0]).map(tuple),
)


def test_the_text_is_what_other_studios_write():
    assert FULL.to_text() == (
        "a red fox, (fur:1.2)\nin the snow\n"
        "Negative prompt: blur, text\n"
        "Steps: 20, Sampler: Euler a, CFG scale: 7, Seed: 1, Size: 512x768, Model: pack"
    )


def test_a_text_of_another_studio_is_read_with_keys_it_does_not_know():
    text = (
        "a fox\nNegative prompt: blur\nmore blur\n"
        "Steps: 30, Sampler: DPM++ 2M, CFG scale: 6.5, Seed: 9, Size: 512x512, Model: sd, "
        'Hires upscale: 2, TI hashes: "a: 1, b: 2", Version: v1.9'
    )
    read = GenerationParameters.from_text(text)
    assert read.prompt == "a fox"
    assert read.negative_prompt == "blur\nmore blur"
    assert (read.steps, read.guidance_scale, read.seed, read.width) == (30, 6.5, 9, 512)
    assert read.others == (
        ("Hires upscale", "2"),
        ("TI hashes", "a: 1, b: 2"),
        ("Version", "v1.9"),
    )


def test_a_text_without_settings_is_all_prompt():
    assert GenerationParameters.from_text("a fox\nNote: red, fur").prompt == "a fox\nNote: red, fur"


@settings(deadline=None)
@given(PARAMETERS)
def test_whatever_was_written_is_read_back_the_same(parameters):
    assert read_parameters(encode_png(SMALL, parameters)) == parameters


@pytest.mark.parametrize(
    "prompt",
    [
        "Negative prompt: x",
        "a\nNegative prompt: b",
        " a ",
        "a\n\nb ",
        "",
        "Steps: 1, Seed: 2, CFG: 3",
    ],
)
def test_prompts_that_look_like_the_format_come_back_whole(prompt):
    parameters = GenerationParameters(prompt=prompt, steps=1, seed=2, model="m")
    assert read_parameters(encode_png(SMALL, parameters)) == parameters


PIECES = st.sampled_from(
    ["a : 1, ", "Steps: ", "Size: 0x0", ": ", ", ", '"', "\\", "\n", "x ", "9" * 30]
)


@settings(deadline=None)
@given(st.binary(max_size=200), st.one_of(st.text(max_size=100), st.lists(PIECES).map("".join)))
def test_no_bytes_and_no_text_make_reading_fail(data, text):
    read_parameters(data)
    read_parameters(b"\x89PNG\r\n\x1a\n" + data)
    GenerationParameters.from_text(text)


def test_pillow_reads_what_was_written_and_the_pixels_stay():
    png = encode_png(SMALL, GenerationParameters(prompt="一只狐狸", steps=1, seed=2, model="m"))
    with Image.open(io.BytesIO(png)) as image:
        assert image.text["parameters"].startswith("一只狐狸\nSteps: 1")
        assert image.tobytes() == SMALL.tobytes()


@pytest.mark.parametrize("prompt", ["a fox", "一只狐狸"])
def test_parameters_are_put_into_a_png_in_place_of_older_ones(prompt):
    png = encode_png(SMALL, FULL)
    newer = GenerationParameters(prompt=prompt, steps=2, seed=3, model="m")
    changed = with_parameters(png, newer)
    assert read_parameters(changed) == newer
    with Image.open(io.BytesIO(changed)) as image:
        image.load()
        assert image.text["parameters"] == newer.to_text()
        assert image.tobytes() == SMALL.tobytes()
    with pytest.raises(ValueError, match="not a PNG"):
        with_parameters(b"GIF89a", newer)


@pytest.mark.parametrize("is_compressed", [True, False])
def test_compressed_and_international_chunks_are_read(is_compressed):
    info = PngInfo()
    info.add_itxt("parameters", FULL.to_text(), zip=is_compressed)
    file = io.BytesIO()
    SMALL.save(file, "PNG", pnginfo=info)
    assert read_parameters(file.getvalue()) == FULL


def test_a_compressed_chunk_that_never_ends_is_cut():
    bomb = zlib.compress(b"a" * 50_000_000)
    body = b"parameters\0\0" + bomb
    chunk = len(body).to_bytes(4, "big") + b"zTXt" + body + b"\0\0\0\0"
    read = read_parameters(b"\x89PNG\r\n\x1a\n" + chunk)
    assert read is not None
    assert len(read.prompt) <= 200_000


@pytest.mark.parametrize("piece", ["a", "a b: ", 'a b: "', "a b:,", " ", '"', "\\", "a b c/"])
def test_long_nonsense_is_read_in_linear_time(piece):
    started = time.process_time()
    GenerationParameters.from_text(piece * (200_000 // len(piece)))
    assert time.process_time() - started < 5  # a quadratic step would take minutes


def test_a_picture_without_parameters_or_of_another_format_says_nothing():
    assert read_parameters(encode_png(SMALL)) is None
    assert read_parameters(b"") is None
    assert read_parameters(b"GIF89a") is None


def test_a_key_that_could_not_be_read_back_is_refused():
    for key in ("a: b", "", "Steps", "x", "xy "):
        with pytest.raises(ValueError, match="further key"):
            GenerationParameters(others=((key, "v"),))


def test_values_are_quoted_as_json_only_where_they_must_be():
    text = GenerationParameters(
        steps=1, seed=2, model="a, b", others=(("Note", "plain"),)
    ).to_text()
    assert text == f"Steps: 1, Seed: 2, Model: {json.dumps('a, b')}, Note: plain"


def test_pixels_become_images_and_come_back():
    pixels = np.random.default_rng(0).random((2, 3, 5, 7), dtype=np.float32)
    images = images_of_pixels(pixels)
    assert [image.size for image in images] == [(7, 5), (7, 5)]
    assert abs(pixels_of_image(images[1])[0] - pixels[1]).max() <= 0.5 / 255 + 1e-6


def test_pixels_out_of_range_are_clipped_and_nan_is_black():
    pixels = np.array([-1.0, 2.0, np.nan], dtype=np.float32).reshape(1, 3, 1, 1)
    assert images_of_pixels(pixels)[0].getpixel((0, 0)) == (0, 255, 0)


def test_transparent_parts_lie_over_white():
    assert pixels_of_image(Image.new("RGBA", (1, 1), (0, 0, 0, 0))).tolist() == [[[[1.0]]] * 3]


def test_an_image_of_our_own_is_decoded_from_its_png():
    assert image_of(encode_png(SMALL, FULL)).tobytes() == SMALL.tobytes()
