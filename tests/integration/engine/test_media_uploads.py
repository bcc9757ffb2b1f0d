import asyncio
import io
import os
import subprocess
import sys
import tarfile
import time
import zlib
from pathlib import Path

import pytest
from PIL import Image

from engine.errors import UnreadableImage
from engine.media.png import image_of
from engine.media.uploads import DECODER, Limits, UploadDecoder, decode_upload
from tests.shared_data import shared_file

LIMITS = Limits(time_s=30)  # a busy machine may take long to start a process
SLICES = 12  # tests that the hostile files are spread over


def png(size: tuple[int, int] = (16, 16), mode: str = "RGB") -> bytes:
    file = io.BytesIO()
    Image.new(mode, size, "red").save(file, "PNG", compress_level=1)
    return file.getvalue()


def packed(name: str) -> list[tuple[str, bytes]]:
    """Files of a tar of the optional data folder."""
    files = []
    with tarfile.open(shared_file(f"data/{name}")) as tar:
        for member in tar:
            file = tar.extractfile(member)
            if file is not None:
                files.append((member.name, file.read()))
    return files


def program(folder: Path, source: str) -> Path:
    """A stand-in for the decoder, run as a real process."""
    path = folder / "decoder.py"
    path.write_text(source)
    return path


async def refusal(data: bytes, limits: Limits = LIMITS, **options) -> str:
    with pytest.raises(UnreadableImage) as caught:
        await decode_upload(data, limits, **options)
    return str(caught.value)


async def test_a_picture_comes_back_clean():
    upload = await decode_upload(png((32, 16)), LIMITS)
    assert (upload.format, upload.width, upload.height) == ("PNG", 32, 16)
    assert not upload.is_animated
    assert not upload.had_credentials
    assert image_of(upload.png).getpixel((0, 0)) == (255, 0, 0)


async def test_the_decoder_loads_nothing_of_ours_and_no_torch():
    listing = (
        f"import runpy, sys; runpy.run_path({str(DECODER)!r});"
        "print(sorted({name.split('.')[0] for name in sys.modules}))"
    )
    run = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-I", "-c", listing], capture_output=True, check=True
    )
    loaded = run.stdout.decode()
    assert "'PIL'" in loaded
    for name in ("torch", "engine", "bot", "numpy"):
        assert f"'{name}'" not in loaded


async def test_a_file_over_the_byte_limit_is_refused_without_a_process(tmp_path):
    never = program(tmp_path, "raise SystemExit")
    message = await refusal(b"x" * 2_097_153, Limits(max_bytes=2_097_152), program=never)
    assert message == "picture is too large; send a file of at most 2 MiB"


async def test_what_has_no_known_signature_is_refused_by_the_name_of_the_upload():
    message = await refusal(b"%PDF-1.7", field="style")
    assert message == "style is no PNG, JPEG, WebP, GIF or AVIF; convert it to one"


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF"])
async def test_a_truncated_file_is_refused(kind):
    file = io.BytesIO()
    Image.effect_noise((200, 200), 90).convert("RGB").save(file, kind)
    data = file.getvalue()
    assert "cut off" in await refusal(data[: len(data) // 3])


async def test_a_bomb_of_pixels_is_refused_at_its_header():
    def chunk(kind: bytes, body: bytes) -> bytes:
        crc = zlib.crc32(kind + body).to_bytes(4, "big")
        return len(body).to_bytes(4, "big") + kind + body + crc

    side = (30_000).to_bytes(4, "big")
    pixels = zlib.compress(b"\0" * 10_000_000)
    bomb = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", side + side + b"\x08\x02\0\0\0")
    bomb += chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    assert "64 megapixels" in await refusal(bomb)


async def test_a_picture_too_long_is_refused():
    assert "16384 pixels a side" in await refusal(png((16_385, 1)))


async def test_a_decoder_that_needs_too_much_memory_is_stopped():
    if sys.platform == "win32":
        pytest.skip("this system has no limit of address space")
    limits = Limits(memory_bytes=300 * 1024**2, time_s=30, output_side=16_384)
    assert "memory" in await refusal(png((8000, 7900), "RGBA"), limits)


async def test_the_largest_picture_allowed_is_decoded_and_made_to_fit():
    upload = await decode_upload(png((8000, 8000)), LIMITS)
    assert (upload.width, upload.height) == (4096, 4096)


async def test_a_decoder_that_hangs_is_killed_in_time(tmp_path):
    pid_file = tmp_path / "pid"
    hanging = program(
        tmp_path,
        f"import os, time; open({str(pid_file)!r}, 'w').write(str(os.getpid())); time.sleep(60)",
    )
    started = time.perf_counter()
    message = await refusal(png(), Limits(time_s=2), program=hanging)
    assert "too long" in message
    assert time.perf_counter() - started < 20
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid_file.read_text()), 0)


async def test_cancelling_kills_the_decoder(tmp_path):
    pid_file = tmp_path / "pid"
    hanging = program(
        tmp_path,
        f"import os, time; open({str(pid_file)!r}, 'w').write(str(os.getpid())); time.sleep(60)",
    )
    decoding = asyncio.create_task(decode_upload(png(), LIMITS, program=hanging))
    while not (pid_file.exists() and pid_file.read_text()):
        await asyncio.sleep(0.02)
    decoding.cancel()
    with pytest.raises(asyncio.CancelledError):
        await decoding
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid_file.read_text()), 0)


@pytest.mark.parametrize(
    "source",
    [
        "import os; os.abort()",
        "raise SystemExit(1)",
        "print('nonsense')",
        "print('[]')",
        "print('{\"frames\": []}')",
        'print(\'{"format": "PNG", "is_animated": false, "frames": []}\')',
        'print(\'{"format": "PNG", "is_animated": false, "frames": [{"bytes": 9}]}\')',
        'print(\'{"format": "PNG", "is_animated": 0, "frames": [{"bytes": -1, "width": 1}]}\')',
    ],
)
async def test_a_decoder_that_dies_or_lies_costs_its_own_picture_only(tmp_path, source):
    assert "damaged" in await refusal(png(), program=program(tmp_path, source))


async def test_a_decoder_that_never_stops_answering_is_cut_off(tmp_path):
    flood = program(tmp_path, "import sys\nwhile True: sys.stdout.buffer.write(b'x' * 65536)")
    limits = Limits(max_pixels=1000, max_animation_pixels=1000, time_s=30)
    assert "more than it may" in await refusal(png(), limits, program=flood)


async def test_an_animation_without_end_is_refused_but_its_first_frame_is_not():
    frames = [Image.new("L", (8, 8), index % 256) for index in range(400)]
    file = io.BytesIO()
    frames[0].save(file, "GIF", save_all=True, append_images=frames[1:], loop=0)
    assert "too many frames" in await refusal(file.getvalue(), all_frames=True)
    upload = await decode_upload(file.getvalue(), LIMITS)
    assert upload.is_animated
    assert len(upload.frames) == 1


async def test_all_frames_come_in_order():
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "lime", "blue")]
    file = io.BytesIO()
    frames[0].save(file, "GIF", save_all=True, append_images=frames[1:], duration=[40, 50, 60])
    upload = await UploadDecoder(LIMITS).decode(file.getvalue(), all_frames=True)
    assert [frame.duration_ms for frame in upload.frames] == [40, 50, 60]
    colours = [image_of(frame.png).getpixel((0, 0)) for frame in upload.frames]
    assert colours == [(255, 0, 0), (0, 255, 0), (0, 0, 255)]


async def test_no_more_decoders_run_at_once_than_allowed_and_the_loop_stays_free(tmp_path):
    decoder = UploadDecoder(LIMITS, processes=1)
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(0.005)
            ticks += 1

    ticking = asyncio.create_task(tick())
    uploads = await asyncio.gather(*(decoder.decode(png((64, 64))) for _ in range(3)))
    ticking.cancel()
    assert len(uploads) == 3
    assert ticks > 5


async def test_dropped_credentials_are_told():
    data = png() + b"jumb....c2pa"
    assert (await decode_upload(data, LIMITS)).had_credentials


@pytest.mark.shared
@pytest.mark.timeout(120)
@pytest.mark.parametrize("part", range(SLICES))
async def test_every_hostile_file_is_decoded_or_refused_with_a_cure(part):
    files = packed("hostile_pillow.tar.xz")
    assert len(files) > 500
    decoder = UploadDecoder(LIMITS)

    async def outcome(name: str, data: bytes) -> str:
        try:
            upload = await decoder.decode(data, all_frames=True)
        except UnreadableImage as error:
            return str(error)
        for frame in upload.frames:
            image = image_of(frame.png)
            assert image.size == (frame.width, frame.height), name
            assert image.mode in ("RGB", "RGBA"), name
            assert not image.info, name
        return "decoded"

    outcomes = await asyncio.gather(*(outcome(*file) for file in files[part::SLICES]))
    assert outcomes.count("decoded") > len(outcomes) // 4
    assert all(";" in outcome for outcome in outcomes if outcome != "decoded")  # wrong; cure


@pytest.mark.shared
async def test_photographs_of_every_orientation_come_back_upright():
    photographs = [
        (name, data) for name, data in packed("exif_orientation.tar.xz") if name.endswith(".jpg")
    ]
    assert len(photographs) == 9
    decoder = UploadDecoder(Limits(output_side=120, time_s=30))
    uploads = await asyncio.gather(*(decoder.decode(data) for _, data in photographs))
    upright = image_of(uploads[0].png).resize((30, 20)).convert("L")
    for (name, _), upload in zip(photographs, uploads, strict=True):
        assert (upload.width, upload.height) == (120, 80), name
        picture = image_of(upload.png).resize((30, 20)).convert("L")
        far = sum(abs(a - b) for a, b in zip(picture.tobytes(), upright.tobytes(), strict=True))
        assert far / 600 < 12, name
