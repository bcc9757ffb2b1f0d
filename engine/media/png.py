"""PNG out and its parameters in and out, in the form AUTOMATIC1111's studio writes.

    a red fox                                                        prompt, any number of lines
    Negative prompt: blur                                            any number of lines
    Steps: 20, Sampler: Euler a, CFG scale: 7, Seed: 1, Size: 512x512, Model: "a, b"

The last line holds what made the picture; values with `,`, `:` or a line break are JSON strings.
"""

import io
import json
import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo

KEYWORD = "parameters"
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_MAX_TEXT_BYTES = 200_000
_MAX_CHUNKS = 20_000
_NEGATIVE = "Negative prompt:"
_EXACT_PROMPT, _EXACT_NEGATIVE = "Exact prompt", "Exact negative prompt"
_KEY = re.compile(r"\w[\w \-/]{0,59}[\w\-/]")
_PAIR = re.compile(r'\s*(\w[\w \-/]{1,60}):\s*("(?:\\.|[^\\"])*"|[^,]*)(?:,|$)')
_NEEDS_QUOTES = re.compile(r'[,:\x00-\x1f]|^[\s"]|\s$|^$')
_LEAST_PAIRS = 3  # fewer on the last line: it belongs to the prompt


@dataclass(frozen=True, kw_only=True, slots=True)
class GenerationParameters:
    """What made a picture, as far as it says; None and empty for what it does not say."""

    prompt: str = ""
    negative_prompt: str = ""
    steps: int | None = None
    sampler: str | None = None
    guidance_scale: float | None = None
    seed: int | None = None
    width: int | None = None  # pixels
    height: int | None = None  # pixels
    model: str | None = None
    others: tuple[tuple[str, str], ...] = ()  # further keys of the last line, in order

    def __post_init__(self) -> None:
        for key, _ in self.others:
            if not _is_further(key):
                raise ValueError(f"{key!r} can't be a further key")

    def to_text(self) -> str:
        """Write the text of the `parameters` chunk."""
        text = self._written(())
        back = GenerationParameters.from_text(text)
        if (back.prompt, back.negative_prompt) == (self.prompt, self.negative_prompt):
            return text
        # Outer white space and lines that look like syntax get lost; others skip these two keys.
        exact = ((_EXACT_PROMPT, self.prompt), (_EXACT_NEGATIVE, self.negative_prompt))
        return self._written(exact)

    def _written(self, exact: tuple[tuple[str, str], ...]) -> str:
        pairs = ", ".join(f"{key}: {_quoted(value)}" for key, value in (*self._pairs(), *exact))
        negative = f"{_NEGATIVE} {self.negative_prompt}" if self.negative_prompt else ""
        return "\n".join(filter(None, (self.prompt, negative, pairs)))

    def _pairs(self) -> Iterator[tuple[str, str]]:
        size = f"{self.width}x{self.height}" if self.width and self.height else None
        known = (self.steps, self.sampler, self.guidance_scale, self.seed, size, self.model)
        for key, value in zip(_KNOWN, known, strict=False):
            if value is not None:
                yield key, f"{value:.12g}" if isinstance(value, float) else str(value)
        yield from self.others

    @classmethod
    def from_text(cls, text: str) -> "GenerationParameters":
        """Read the text of a `parameters` chunk; what can't be read is left out."""
        *lines, last = text.strip().split("\n")
        pairs = list(_settings(last))
        if len(pairs) < _LEAST_PAIRS:
            lines, pairs = [*lines, last], []
        prompt, negative = _prompts(lines)
        values = dict(pairs)
        size = re.fullmatch(r"(\d{1,6})x(\d{1,6})", values.get("Size", ""))
        return cls(
            prompt=values.get(_EXACT_PROMPT, prompt),
            negative_prompt=values.get(_EXACT_NEGATIVE, negative),
            steps=_whole(values.get("Steps")),
            sampler=values.get("Sampler"),
            guidance_scale=_number(values.get("CFG scale")),
            seed=_whole(values.get("Seed")),
            width=int(size[1]) if size else None,
            height=int(size[2]) if size else None,
            model=values.get("Model"),
            others=tuple((key, value) for key, value in pairs if _is_further(key)),
        )


_KNOWN = ("Steps", "Sampler", "CFG scale", "Seed", "Size", "Model", _EXACT_PROMPT, _EXACT_NEGATIVE)


def encode_png(image: Image.Image, parameters: GenerationParameters | None = None) -> bytes:
    """Encode an image, with what made it as a text chunk before the pixels."""
    info = PngInfo()
    if parameters is not None:
        # add_text writes tEXt for Latin-1 and iTXt for all else.
        info.add_text(KEYWORD, parameters.to_text())
    file = io.BytesIO()
    # Pillow's own level, 6, takes four times as long to be 5 % smaller.
    image.save(file, "PNG", pnginfo=info, compress_level=4)
    return file.getvalue()


def with_parameters(png: bytes, parameters: GenerationParameters) -> bytes:
    """Put parameters into a PNG of our own, in place of those it has; pixels stay untouched.

    Raises: ValueError for what is no PNG.
    """
    if not png.startswith(_SIGNATURE):
        raise ValueError("not a PNG")
    kept = [raw for kind, body, raw in _chunks(png) if not _is_parameters(kind, body)]
    text = parameters.to_text()
    kind, body = _text_chunk(text)
    chunk = struct.pack(">I", len(body)) + kind + body
    chunk += struct.pack(">I", zlib.crc32(kind + body))
    return b"".join((_SIGNATURE, kept[0], chunk, *kept[1:]))


def read_parameters(data: bytes) -> GenerationParameters | None:
    """Read what made a picture from the bytes of a PNG; None where it does not say.

    Looks at chunks alone and decodes no pixels, so that it is safe for untrusted bytes, whatever
    they are.
    """
    if not data.startswith(_SIGNATURE):
        return None
    for kind, body, _ in _chunks(data):
        if _is_parameters(kind, body):
            text = _chunk_text(kind, body)
            if text:
                return GenerationParameters.from_text(text)
    return None


def image_of(png: bytes) -> Image.Image:
    """Decode a PNG of our own; uploads go through `uploads` instead."""
    image = Image.open(io.BytesIO(png), formats=("PNG",))
    image.load()
    return image


def images_of_pixels(pixels: NDArray[np.floating]) -> list[Image.Image]:
    """Make an image of each row of pixels (B, 3, H, W) in [0, 1]; what is outside is clipped."""
    bytes_ = (np.clip(np.nan_to_num(pixels), 0.0, 1.0) * 255.0).round().astype(np.uint8)
    return [Image.fromarray(row) for row in np.ascontiguousarray(bytes_.transpose(0, 2, 3, 1))]


def on_white(image: Image.Image) -> Image.Image:
    """The image in RGB, on white where it is clear."""
    if not image.has_transparency_data:
        return image.convert("RGB")
    white = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(white, image.convert("RGBA")).convert("RGB")


def pixels_of_image(image: Image.Image) -> NDArray[np.float32]:
    """Give the pixels (1, 3, H, W) in [0, 1] of an image; alpha is laid over white."""
    values = np.asarray(on_white(image), dtype=np.float32) / 255.0
    return np.ascontiguousarray(values.transpose(2, 0, 1)[None])


def _chunks(png: bytes) -> Iterator[tuple[bytes, bytes, bytes]]:
    """Kind, body and the whole of each chunk, as far as they go."""
    position = len(_SIGNATURE)
    for _ in range(_MAX_CHUNKS):
        if position + 12 > len(png):
            return
        (length,) = struct.unpack_from(">I", png, position)
        end = position + 12 + length
        if end > len(png):
            return
        yield png[position + 4 : position + 8], png[position + 8 : end - 4], png[position:end]
        position = end


def _is_parameters(kind: bytes, body: bytes) -> bool:
    return kind in (b"tEXt", b"zTXt", b"iTXt") and body.startswith(KEYWORD.encode() + b"\0")


def _text_chunk(text: str) -> tuple[bytes, bytes]:
    keyword = KEYWORD.encode() + b"\0"
    try:
        return b"tEXt", keyword + text.encode("latin-1")
    except UnicodeEncodeError:
        # No compression, no language, no translated keyword.
        return b"iTXt", keyword + b"\0\0\0\0" + text.encode("utf-8", "replace")


def _chunk_text(kind: bytes, body: bytes) -> str:
    """Text of a text chunk; empty for what is broken or too long."""
    rest = body.partition(b"\0")[2]
    if kind == b"tEXt":
        return rest[:_MAX_TEXT_BYTES].decode("latin-1")
    if kind == b"zTXt":
        return _inflated(rest[1:]).decode("latin-1")
    is_compressed, rest = rest[:1] == b"\1", rest[2:]
    text = rest.split(b"\0", 2)[-1]
    return (_inflated(text) if is_compressed else text[:_MAX_TEXT_BYTES]).decode("utf-8", "replace")


def _inflated(data: bytes) -> bytes:
    try:
        return zlib.decompressobj().decompress(data, _MAX_TEXT_BYTES)
    except zlib.error:
        return b""


def _prompts(lines: list[str]) -> tuple[str, str]:
    prompt: list[str] = []
    negative: list[str] = []
    current = prompt
    for line in lines:
        if line.startswith(_NEGATIVE) and current is prompt:
            current = negative
            current.append(line.removeprefix(_NEGATIVE).strip())
        else:
            current.append(line.strip())
    return "\n".join(prompt).strip(), "\n".join(negative).strip()


def _settings(line: str) -> Iterator[tuple[str, str]]:
    """Keys and values of the last line; what is neither is passed over up to the next comma."""
    position = 0
    while 0 <= position < len(line):
        match = _PAIR.match(line, position)
        if match:
            yield match[1].strip(), _unquoted(match[2])
            position = match.end()
        else:
            position = line.find(",", position) + 1 or len(line)


def _is_further(key: str) -> bool:
    return bool(_KEY.fullmatch(key)) and key not in _KNOWN


def _quoted(value: str) -> str:
    return json.dumps(value, ensure_ascii=False) if _NEEDS_QUOTES.search(value) else value


def _unquoted(value: str) -> str:
    value = value.strip()
    if not value.startswith('"'):
        return value
    try:
        return str(json.loads(value))
    except ValueError:
        return value


def _whole(value: str | None) -> int | None:
    return int(value) if value and re.fullmatch(r"-?\d{1,20}", value) else None


def _number(value: str | None) -> float | None:
    return float(value) if value and re.fullmatch(r"-?\d{1,9}(\.\d{1,17})?", value) else None
