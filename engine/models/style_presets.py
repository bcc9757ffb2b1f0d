"""The looks that ship with the pack, by name; no weights and no torch here."""

import io
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from PIL import Image

FILE = Path(__file__).with_name("pack") / "style-presets.toml"
PICTURES = Path(__file__).with_name("pack") / "style-presets"


@dataclass(frozen=True, slots=True)
class StylePresetInfo:
    """A painting whose look may be taken by its name."""

    name: str  # as members type it
    title: str
    title_zh: str
    artist: str
    artist_zh: str
    year: str
    colours: tuple[str, ...]  # four of its own as #rrggbb, from dark to light
    source: str  # the picture's place in the training data

    @property
    def painting(self) -> Path:
        """The whole painting, 512 pixels on the longer side, as WebP."""
        return PICTURES / "whole" / f"{self.name}.webp"

    @property
    def picture(self) -> Path:
        """The middle of the painting, 128 pixels a side, as WebP."""
        return PICTURES / f"{self.name}.webp"

    def png(self) -> bytes:
        """The same as PNG."""
        file = io.BytesIO()
        with Image.open(self.picture) as picture:
            picture.save(file, "PNG")
        return file.getvalue()

    def titled(self, locale: str = "en-US") -> str:
        """Title, artist and year in the language of a locale."""
        if locale.lower().startswith("zh"):
            return f"{self.title_zh}（{self.artist_zh}，{self.year}）"
        return f"{self.title} ({self.artist}, {self.year})"


@cache
def style_presets() -> tuple[StylePresetInfo, ...]:
    """All of them, in the order of the file."""
    table = tomllib.loads(FILE.read_text(encoding="utf-8"))
    return tuple(
        StylePresetInfo(name=name, **values | {"colours": tuple(values["colours"])})
        for name, values in table.items()
    )
