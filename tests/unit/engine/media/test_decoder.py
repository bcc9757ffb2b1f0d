import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms

from engine.media.decoder import Refused, decode
from engine.media.png import image_of

LIMITS: dict[str, Any] = {
    "max_pixels": 1_000_000,
    "max_side": 2000,
    "max_frames": 5,
    "max_animation_pixels": 1_000_000,
    "output_side": 512,
    "all_frames": False,
}


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def decoded(data: bytes, **limits: Any) -> Image.Image:
    _, files = decode(data, LIMITS | limits)
    return image_of(files[0])


def halves(
    left: Any, right: Any, size: tuple[int, int] = (64, 32), mode: str = "RGB"
) -> Image.Image:
    image = Image.new(mode, size, left)
    image.paste(right, (size[0] // 2, 0, *size))
    return image


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "AVIF"])
def test_each_format_is_decoded_to_its_colours(kind):
    picture = decoded(encoded(halves("red", "blue"), kind))
    assert picture.mode == "RGB"
    assert picture.size == (64, 32)
    pixels = np.asarray(picture, dtype=int)
    assert abs(pixels[16, 8] - (255, 0, 0)).max() < 12
    assert abs(pixels[16, 56] - (0, 0, 255)).max() < 12


@pytest.mark.parametrize("kind", ["BMP", "TIFF", "TGA", "ICO", "PPM"])
def test_other_formats_are_never_opened(kind):
    with pytest.raises(Image.UnidentifiedImageError):
        decode(encoded(halves("red", "blue"), kind), LIMITS)


@pytest.mark.parametrize("mode", ["1", "L", "P", "CMYK"])
def test_every_colour_mode_becomes_rgb(mode):
    kind = "JPEG" if mode == "CMYK" else "PNG"
    picture = decoded(encoded(halves("white", "black").convert(mode), kind))
    assert picture.mode == "RGB"
    assert picture.getpixel((8, 8))[0] > 240
    assert picture.getpixel((56, 8))[0] < 15


def test_sixteen_bits_keep_their_brightness():
    grey = Image.fromarray(np.full((8, 8), 0x8080, dtype=np.uint16))
    assert decoded(encoded(grey, "PNG")).getpixel((4, 4)) == (128, 128, 128)


def test_alpha_is_kept_where_there_is_some_and_dropped_where_all_is_opaque():
    see_through = halves((255, 0, 0, 0), (0, 0, 255, 255), mode="RGBA")
    assert decoded(encoded(see_through, "PNG")).mode == "RGBA"
    assert decoded(encoded(Image.new("RGBA", (8, 8), "red"), "PNG")).mode == "RGB"


def test_a_transparent_palette_colour_becomes_alpha():
    image = halves(0, 1, mode="P")
    image.putpalette([255, 0, 0, 0, 0, 255])
    assert decoded(encoded(image, "GIF", transparency=0)).getpixel((8, 8))[3] == 0


def test_metadata_is_gone():
    exif = Image.Exif()
    exif[0x010E] = "secret place"
    source = halves("red", "blue")
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    data = encoded(source, "JPEG", exif=exif, comment=b"secret place", icc_profile=profile)
    assert b"secret place" in data
    _, files = decode(data, LIMITS)
    assert b"secret" not in files[0]
    assert image_of(files[0]).info == {}


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_picture_stands_upright_whatever_its_orientation(orientation):
    upright = Image.new("RGB", (48, 32), "black")
    upright.paste("red", (0, 0, 24, 16))
    turned_back = {
        1: [],
        2: [Image.Transpose.FLIP_LEFT_RIGHT],
        3: [Image.Transpose.ROTATE_180],
        4: [Image.Transpose.FLIP_TOP_BOTTOM],
        5: [Image.Transpose.TRANSPOSE],
        6: [Image.Transpose.ROTATE_90],
        7: [Image.Transpose.TRANSVERSE],
        8: [Image.Transpose.ROTATE_270],
    }
    stored = upright
    for transpose in turned_back[orientation]:
        stored = stored.transpose(transpose)
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture = decoded(encoded(stored, "PNG", exif=exif))
    assert picture.tobytes() == upright.tobytes()


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_broken_exif_does_not_cost_the_picture():
    data = encoded(halves("red", "blue"), "JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff")
    assert decoded(data).size == (64, 32)


def test_colours_are_converted_by_the_picture_s_own_profile():
    lab_ish = ImageCms.ImageCmsProfile(ImageCms.createProfile("XYZ")).tobytes()
    plain = decoded(encoded(Image.new("RGB", (8, 8), (200, 100, 50)), "PNG"))
    profiled = decoded(
        encoded(Image.new("RGB", (8, 8), (200, 100, 50)), "PNG", icc_profile=lab_ish)
    )
    assert plain.getpixel((0, 0)) == (200, 100, 50)
    assert profiled.size == (8, 8)  # a profile of another colour space is passed over
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    same = decoded(encoded(Image.new("RGB", (8, 8), (200, 100, 50)), "PNG", icc_profile=srgb))
    assert same.getpixel((0, 0)) == (200, 100, 50)


@pytest.mark.parametrize(("kind", "size"), [("PNG", (900, 600)), ("JPEG", (1500, 600))])
def test_large_pictures_are_made_to_fit(kind, size):
    picture = decoded(encoded(halves("red", "blue", size), kind))
    assert max(picture.size) == 512
    assert picture.width / picture.height == pytest.approx(size[0] / size[1], rel=0.01)


@pytest.mark.parametrize(
    ("size", "limit"), [((2001, 1), "side"), ((1, 2001), "side"), ((1001, 1000), "pixels")]
)
def test_sizes_over_the_limits_are_refused_before_decoding(size, limit):
    with pytest.raises(Refused) as caught:
        decode(encoded(Image.new("1", size), "PNG"), LIMITS)
    assert caught.value.limit == limit


def test_a_size_claimed_by_the_header_alone_is_refused():
    data = bytearray(encoded(Image.new("1", (8, 8)), "PNG"))
    data[16:24] = struct.pack(">II", 1_000_000, 1)
    data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    with pytest.raises(Refused):
        decode(bytes(data), LIMITS)


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_all_frames_come_with_their_durations_where_asked(kind):
    colours = [Image.new("RGB", (16, 16), colour) for colour in ("red", "lime", "blue")]
    data = encoded(
        colours[0], kind, save_all=True, append_images=colours[1:], duration=[100, 200, 300]
    )
    header, files = decode(data, LIMITS | {"all_frames": True})
    assert header["is_animated"]
    assert [frame["duration_ms"] for frame in header["frames"]] == [100, 200, 300]
    for file, source in zip(files, colours, strict=True):
        decoded_colour = np.array(image_of(file).convert("RGB").getpixel((8, 8)))
        assert abs(decoded_colour - source.getpixel((8, 8))).max() < 12
    header, files = decode(data, LIMITS)
    assert len(files) == 1
    assert header["is_animated"]


def test_too_many_frames_are_refused_only_where_all_are_asked_for():
    frames = [Image.new("L", (8, 8), level) for level in range(0, 240, 40)]
    data = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert len(decode(data, LIMITS)[1]) == 1
    with pytest.raises(Refused) as caught:
        decode(data, LIMITS | {"all_frames": True})
    assert caught.value.limit == "frames"


def test_many_large_frames_are_refused_by_their_sum():
    frames = [Image.new("L", (500, 500), level) for level in (0, 100, 200, 250)]
    data = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    with pytest.raises(Refused):
        decode(data, LIMITS | {"all_frames": True, "max_animation_pixels": 800_000})
