"""Animations as MP4 that chats and browsers play where they stand.

PyAV (BSD licence) encodes with FFmpeg; its wheels carry x264 under the GPL. Where PyAV is missing
there is no video; where its FFmpeg has no H.264 encoder, VP9 or AV1 take its place.
"""

import io
import tempfile
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

from PIL import Image

from engine.errors import Unsupported
from engine.media import provenance
from engine.media.animation import check_frames, fitted, frames_of
from engine.media.mp4 import SUFFIX, is_video

_CODECS = {
    # x264's tree of macroblocks now and then gives other bytes for the same frames.
    "libx264": {"preset": "medium", "mbtree": "0"},
    "libopenh264": {},
    "libvpx-vp9": {"b:v": "0", "row-mt": "0"},
    "libsvtav1": {"preset": "8"},
}
_FINE, _COARSER = 18, (26, 32)  # constant rate factors; tried one after the other to be smaller
_CLOCK = 1000  # ticks a second, so that durations are milliseconds
_BT709 = 1  # what H.264 calls it, for primaries, transfer and matrix


def require_encoder() -> None:
    """See that videos can be made.

    Raises:
        Unsupported: there is no encoder.
    """
    _encoder(_library())


def encode_mp4(
    frames: Sequence[Image.Image], durations_ms: Sequence[int], *, crf: int = _FINE
) -> bytes:
    """Encode frames of one size, each shown for its duration; the same bytes each time.

    Alpha is laid on white, and a side of an odd length loses a line: 4:2:0 needs even ones.
    Raises:
        ValueError: there are no frames, or sizes or the number of durations differ.
        Unsupported: there is no encoder.
    """
    check_frames(frames, durations_ms)
    av = _library()
    codec = _encoder(av)
    # A file, as the index is moved to the front in a second pass that opens it by its name.
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"video.{SUFFIX}")
        with av.open(str(path), "w", options={"movflags": "+faststart"}) as container:
            _write(av, container, codec, frames, durations_ms, crf)
        return path.read_bytes()


def _write(
    av: Any,
    container: Any,
    codec: str,
    frames: Sequence[Image.Image],
    durations_ms: Sequence[int],
    crf: int,
) -> None:
    rate = Fraction(_CLOCK * len(durations_ms), max(1, sum(durations_ms)))
    stream = container.add_stream(codec, rate=rate.limit_denominator(1001))
    stream.width, stream.height = _even(frames[0])
    stream.pix_fmt = "yuv420p"
    context = stream.codec_context
    context.time_base = Fraction(1, _CLOCK)
    context.thread_count = 1  # others compute meanwhile, and the bytes depend on nothing
    context.options = {**_CODECS[codec], "crf": str(crf)}
    context.color_primaries = context.color_trc = context.colorspace = _BT709
    moment = 0
    for image, duration_ms in zip(frames, durations_ms, strict=True):
        whole = av.VideoFrame.from_image(_flat(image))
        picture = whole.reformat(format="yuv420p", dst_colorspace="ITU709")
        picture.pts, picture.time_base = moment, context.time_base
        picture.duration = duration_ms
        moment += duration_ms
        container.mux(stream.encode(picture))
    container.mux(stream.encode())


def video_within(animation: bytes, max_bytes: int, *, may_scale: bool = True) -> bytes | None:
    """Encode an animated WebP or MP4 of our own as MP4 in `max_bytes` at most: coarser, smaller.

    What it says of how it was made is kept. None where it can't be so small, or where there is no
    encoder.
    """
    parameters = provenance.read_parameters(animation)

    def encode(smaller: Sequence[Image.Image], crf: int) -> bytes:
        encoded = encode_mp4(smaller, durations, crf=crf)
        return provenance.with_parameters(encoded, parameters) if parameters else encoded

    try:
        frames, durations = video_frames(animation) if is_video(animation) else frames_of(animation)
        return fitted(
            frames,
            encode,
            (_FINE, *_COARSER),
            max_bytes,
            may_scale=may_scale,
        )
    except Unsupported:
        return None


def video_frames(mp4: bytes) -> tuple[list[Image.Image], list[int]]:
    """The frames of an MP4 of our own, and how long each is shown in milliseconds.

    Raises:
        Unsupported: there is no decoder.
    """
    av = _library()
    frames, moments = [], []
    with av.open(io.BytesIO(mp4), "r", format="mp4") as container:
        [stream] = container.streams.video
        for frame in container.decode(stream):
            frames.append(frame.to_image())
            moments.append(round(_CLOCK * frame.time))
        whole = round(_CLOCK * float(stream.duration * stream.time_base))
    ends = [*moments[1:], max(whole, moments[-1] + 1)]
    return frames, [end - start for start, end in zip(moments, ends, strict=True)]


def _library() -> Any:
    try:
        import av  # a tenth of a second, and not everybody has it
    except ImportError as error:
        raise Unsupported("MP4 can't be made here; ask for WebP") from error
    return av


def _encoder(av: Any) -> str:
    """The first encoder that this FFmpeg has."""
    for name in _CODECS:
        if name in av.codecs_available:
            return name
    raise Unsupported("MP4 can't be made here; ask for WebP")


def _even(image: Image.Image) -> tuple[int, int]:
    return image.width // 2 * 2, image.height // 2 * 2


def _flat(image: Image.Image) -> Image.Image:
    if image.has_transparency_data:
        ground = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(ground, image.convert("RGBA"))
    return image.convert("RGB").crop((0, 0, *_even(image)))
