"""The program that decodes one untrusted picture, in a process that may die.

Run by its path, never imported by who decodes, so that it starts fast and holds nothing worth
stealing. On standard input it reads a line of JSON, the limits, and then the picture's bytes; on
standard output it writes a line of JSON and then PNG files:

    {"format": "JPEG", "is_animated": false, "frames": [{"bytes": 12, "width": 4, ...}]} PNG PNG ...
    {"refused": "pixels"}

Needs Pillow alone.
"""

import contextlib
import io
import itertools
import json
import os
import sys
import warnings
from collections.abc import Iterator
from typing import Any, BinaryIO

from PIL import Image, ImageCms, ImageFile

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "AVIF")
_ORIENTATION = 0x0112  # EXIF tag
_SIXTEEN_BIT = ("I", "I;16", "I;16B", "I;16L", "I;16N")


class Refused(ValueError):
    """The picture is over a limit; says which."""

    def __init__(self, limit: str) -> None:
        super().__init__(limit)
        self.limit = limit


def main() -> None:
    """Decode what stands on standard input; never fails but by the death of the process."""
    # What libraries print must not get between the lines of the answer.
    answer = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    warnings.simplefilter("ignore")
    limits = json.loads(sys.stdin.buffer.readline())
    data = sys.stdin.buffer.read()
    confine(limits["memory_bytes"], limits["time_s"])
    # Pillow's own guard against bombs looks at frames and thumbnails, too.
    Image.MAX_IMAGE_PIXELS = limits["max_pixels"]
    try:
        header, files = decode(data, limits)
    except Refused as refused:
        header, files = {"refused": refused.limit}, []
    except Image.DecompressionBombError:
        header, files = {"refused": "pixels"}, []
    except MemoryError:
        header, files = {"refused": "memory"}, []
    except Exception:  # noqa: BLE001  # broken files raise almost anything, SyntaxError included
        header, files = {"refused": "broken"}, []
    _write(answer, header, files)


def confine(memory_bytes: int, time_s: float) -> None:
    """Give up the means to do harm, as far as the system lets us."""
    try:
        import resource
    except ImportError:  # Windows: the parent's clock is the only limit there
        return
    cpu_s = int(time_s) + 2
    wanted = {
        resource.RLIMIT_AS: memory_bytes,
        resource.RLIMIT_CPU: cpu_s * (os.cpu_count() or 1),  # decoders run several threads
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_CORE: 0,
    }
    for kind, value in wanted.items():
        with contextlib.suppress(ValueError, OSError):  # a lower limit is in force
            resource.setrlimit(kind, (value, value))


def decode(data: bytes, limits: dict[str, Any]) -> tuple[dict[str, Any], list[bytes]]:
    """Decode one picture: what the answer's first line says, and a PNG for each frame.

    Raises: Refused; else whatever Pillow raises for broken files.
    """
    with Image.open(io.BytesIO(data), formats=FORMATS) as image:
        _check_size(image.size, limits)
        name = "JPEG" if image.format == "MPO" else str(image.format)
        is_animated = name != "JPEG" and _has_second_frame(image)
        if limits["all_frames"] and is_animated:
            pictures = list(_frames(image, limits))
        else:
            pictures = [(_clean(image, limits["output_side"]), 0)]
    files = [_png(picture) for picture, _ in pictures]
    frames = [
        {
            "bytes": len(file),
            "width": picture.width,
            "height": picture.height,
            "has_alpha": picture.mode == "RGBA",
            "duration_ms": duration_ms,
        }
        for file, (picture, duration_ms) in zip(files, pictures, strict=True)
    ]
    return {"format": name, "is_animated": is_animated, "frames": frames}, files


def _check_size(size: tuple[int, int], limits: dict[str, Any]) -> None:
    if max(size) > limits["max_side"]:
        raise Refused("side")
    if size[0] * size[1] > limits["max_pixels"]:
        raise Refused("pixels")


def _has_second_frame(image: ImageFile.ImageFile) -> bool:
    """Look for a second frame without counting them all: there may be no end of them."""
    try:
        image.seek(1)
    except EOFError:
        return False
    except Exception:  # noqa: BLE001  # what is broken behind the first frame is not needed
        return False
    finally:
        image.seek(0)
    return True


def _frames(
    image: ImageFile.ImageFile, limits: dict[str, Any]
) -> Iterator[tuple[Image.Image, int]]:
    pixels = 0
    for index in itertools.count():
        try:
            image.seek(index)
        except EOFError:
            return
        pixels += image.width * image.height
        if index >= limits["max_frames"] or pixels > limits["max_animation_pixels"]:
            raise Refused("frames")
        image.load()
        duration_ms = min(max(int(image.info.get("duration", 0) or 0), 0), 60_000)
        yield _clean(image, limits["output_side"]), duration_ms


def _clean(image: ImageFile.ImageFile, output_side: int) -> Image.Image:
    """Give the pixels alone: upright, RGB or RGBA in sRGB, no side above `output_side`."""
    # JPEG decodes to a half, quarter or eighth for next to nothing; 2x leaves the filter its work.
    if image.format in ("JPEG", "MPO"):
        image.draft(None, (output_side * 2, output_side * 2))
    picture: Image.Image = image
    picture.load()
    orientation, profile = _orientation(image), image.info.get("icc_profile")
    picture = eight_bit(picture)
    picture = _in_srgb(picture, profile)
    has_alpha = picture.has_transparency_data
    picture = picture.convert("RGBA" if has_alpha else "RGB")
    if has_alpha and picture.getchannel("A").getextrema() == (255, 255):
        picture = picture.convert("RGB")
    if max(picture.size) > output_side:
        picture.thumbnail((output_side, output_side), Image.Resampling.LANCZOS, reducing_gap=3.0)
    if orientation is not None:
        picture = picture.transpose(orientation)
    if picture is image:
        picture = picture.copy()
    picture.info.clear()  # comments, EXIF, XMP, profiles: none of it leaves this process
    return picture


def _orientation(image: Image.Image) -> Image.Transpose | None:
    transposes = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_270,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_90,
    }
    try:
        return transposes.get(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # noqa: BLE001  # a picture is worth showing even if its EXIF is broken
        return None


def eight_bit(picture: Image.Image) -> Image.Image:
    """The picture, or the upper eight bits of its sixteen."""
    if picture.mode in _SIXTEEN_BIT:
        # Pillow would clip at 255 where the upper eight bits are meant.
        return picture.convert("I").point(lambda value: value / 256).convert("L")
    return picture


def _in_srgb(picture: Image.Image, profile: bytes | None) -> Image.Image:
    """Convert colours by the picture's own profile; without a usable one they are taken as sRGB."""
    if not profile or picture.mode not in ("RGB", "RGBA", "CMYK"):
        return picture
    mode = "RGB" if picture.mode == "CMYK" else picture.mode
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        target = ImageCms.createProfile("sRGB")
        converted = ImageCms.profileToProfile(picture, source, target, outputMode=mode)
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return picture
    return converted or picture


def _png(picture: Image.Image) -> bytes:
    file = io.BytesIO()
    picture.save(file, "PNG", compress_level=1)  # read again within the second
    return file.getvalue()


def _write(answer: BinaryIO, header: dict[str, Any], files: list[bytes]) -> None:
    with answer, contextlib.suppress(BrokenPipeError):
        answer.write(json.dumps(header).encode() + b"\n")
        answer.writelines(files)


if __name__ == "__main__":
    main()
