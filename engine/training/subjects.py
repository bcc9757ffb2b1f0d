"""Cut-out subjects by noun and look, and what may be done to them: trim, recolour, turn.

Nouns come from `nouns.tsv` beside this file: the things a small network is asked to know well,
with their synonyms and the names under which picture sets hold them. Other names form the tail.
"""

import colorsys
import csv
import re
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from engine.training.backgrounds import COLOURS
from engine.training.pictures import Picture, read_pictures

Rgba: TypeAlias = NDArray[np.uint8]

LOOKS = ("3d", "flat", "cartoon", "blob", "sticker", "doodle", "pixel", "photo")
# Hues in turns. Only these can be reached by turning a subject's hue.
HUES = {
    "red": 0.995,
    "orange": 0.075,
    "yellow": 0.14,
    "green": 0.35,
    "teal": 0.49,
    "blue": 0.61,
    "purple": 0.76,
    "pink": 0.92,
}
# Where one hue's name ends and the next begins, in turns: what people call green is wide.
_HUE_ENDS = {
    0.03: "red",
    0.11: "orange",
    0.168: "yellow",
    0.45: "green",
    0.54: "teal",
    0.70: "blue",
    0.84: "purple",
    0.965: "pink",
    1.0: "red",
}
# Names that say too little, or that a small network cannot draw: signs, letters, gestures, clocks.
_NOT_DRAWN = re.compile(
    r"\b(flag|keycap|button|arrow|o clock|thirty|square|circle|symbol|sign|input|heavy|mark|index"
    r"|mans?|men|woman|womens?|person|people|family|couple|gesture|medium|no|japanese|finger"
    r"|diamond|zodiac|button|aries|taurus|gemini|cancer|leo|virgo|libra|scorpio|sagittarius"
    r"|capricorn|aquarius|pisces|ophiuchus|gesturing|hand|hands|fist|digit|banknote|nude|bikini"
    r"|breast|pregnant|cigarette|pistol|smoking|banknote|card|suit|playing)\b"
)


@dataclass(frozen=True, slots=True)
class Noun:
    """A thing with its synonyms and the picture names that show it."""

    name: str
    group: str
    core: bool  # one of the hundred that a small network is taught before all others
    synonyms: tuple[str, ...]
    pictures: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Subject:
    """One cut-out (or a whole photograph) of a noun in a look."""

    noun: str
    look: str
    rgba: Rgba
    colour: str  # its own dominant colour, "" when there is no single one
    common: bool  # in `nouns.tsv`, not in the tail


def read_nouns() -> list[Noun]:
    """The table of common nouns."""
    text = (files("engine.training") / "nouns.tsv").read_text(encoding="utf-8")
    nouns = []
    for row in csv.DictReader(text.splitlines(), delimiter="\t"):
        synonyms = tuple(word for word in row["synonyms"].split("; ") if word)
        pictures = tuple(row["pictures"].split("; "))
        core = row["core"] == "yes"
        nouns.append(Noun(row["noun"], row["group"], core, synonyms, pictures))
    return nouns


def look_of(picture: Picture) -> str | None:
    """Which of `LOOKS` a picture has; None for sets that hold no subjects."""
    columns = picture.columns
    style, vendor = columns.get("style", ""), columns.get("vendor", "")
    if style in {"3d", "flat", "cartoon", "blob"}:
        return style
    if style == "flatcartoon":
        return "doodle" if vendor.startswith("fx") else "sticker"
    if picture.file.startswith("dcss/"):
        return "pixel"
    if "group" in columns:
        return "photo"
    return None


def trimmed(image: Image.Image, longest: int) -> Rgba:
    """RGBA without its transparent margin, at most `longest` pixels on a side."""
    image = image.convert("RGBA")
    box = image.getchannel("A").point(lambda alpha: 255 if alpha > 16 else 0).getbbox()
    image = image.crop(box) if box else image
    if max(image.size) > longest:
        image.thumbnail((longest, longest), Image.Resampling.LANCZOS)
    return np.asarray(image).copy()


def to_hsv(rgb: NDArray[np.float32]) -> NDArray[np.float32]:
    """RGB (..., 3) in [0, 1] to hue (turns), saturation, value."""
    high, low = rgb.max(-1), rgb.min(-1)
    span = high - low
    safe = np.where(span > 1e-6, span, 1)
    r, g, b = rgb[..., 0], rgb[..., 1], rgb[..., 2]
    hue = np.where(
        high == r, (g - b) / safe % 6, np.where(high == g, (b - r) / safe + 2, (r - g) / safe + 4)
    )
    hue = np.where(span > 1e-6, hue / 6, 0)
    saturation = np.where(high > 1e-6, span / np.where(high > 1e-6, high, 1), 0)
    return np.stack([hue, saturation, high], -1).astype(np.float32)


def to_rgb(hsv: NDArray[np.float32]) -> NDArray[np.float32]:
    """Hue (turns), saturation, value to RGB in [0, 1]."""
    hue, saturation, value = hsv[..., 0], hsv[..., 1], hsv[..., 2]
    channels = []
    for n in (5, 3, 1):
        k = (n + hue * 6) % 6
        channels.append(value - value * saturation * np.clip(np.minimum(k, 4 - k), 0, 1))
    return np.stack(channels, -1).astype(np.float32)


def _named_colour(name: str) -> str:
    """The colour that a picture's own name begins with ("green apple"), or ""."""
    first = name.split(" ", maxsplit=1)[0].lower()
    return first if first in COLOURS else ""


def _is_dark_orange(mean: NDArray[np.float32]) -> bool:
    hue, _, value = colorsys.rgb_to_hsv(*(float(part) for part in mean))
    return 0.02 < hue < 0.12 and value < 0.62


def dominant_colour(rgba: Rgba) -> str:
    """Name of the one colour that covers most of a cut-out, or "" when none does."""
    solid = np.asarray(rgba[rgba[..., 3] > 128][:, :3] / 255, np.float32)
    if len(solid) < 20:
        return ""
    hsv = to_hsv(solid)
    vivid = (hsv[:, 1] > 0.35) & (hsv[:, 2] > 0.2)
    if vivid.mean() > 0.55:
        return _one_hue(solid[vivid], hsv[vivid])
    if vivid.mean() > 0.2:
        return ""
    value = float(hsv[:, 2].mean())
    if value > 0.84:
        return "white"
    return "black" if value < 0.25 else "grey" if 0.4 < value < 0.75 else ""


def _one_hue(solid: NDArray[np.float32], hsv: NDArray[np.float32]) -> str:
    angle = hsv[:, 0] * 2 * np.pi
    centre = float(np.arctan2(np.sin(angle).mean(), np.cos(angle).mean()) / (2 * np.pi)) % 1
    gap = np.abs((hsv[:, 0] - centre + 0.5) % 1 - 0.5)
    if (gap < 0.07).mean() < 0.75:
        return ""
    if _is_dark_orange(solid.mean(0)):
        return "brown"
    return next(name for end, name in _HUE_ENDS.items() if centre <= end)


def recoloured(rgba: Rgba, colour: str) -> Rgba | None:
    """The subject with its main hue turned to `colour`, or None where that does not give it."""
    if colour not in HUES:
        return None
    rgb = np.asarray(rgba[..., :3] / 255, np.float32)
    hsv = to_hsv(rgb)
    vivid = (hsv[..., 1] > 0.25) & (hsv[..., 2] > 0.2) & (rgba[..., 3] > 128)
    if vivid.sum() < 0.5 * (rgba[..., 3] > 128).sum():
        return None
    angle = hsv[..., 0][vivid] * 2 * np.pi
    centre = np.arctan2(np.sin(angle).mean(), np.cos(angle).mean()) / (2 * np.pi)
    turned = hsv.copy()
    turned[..., 0] = (hsv[..., 0] - centre + HUES[colour]) % 1
    target = np.asarray(COLOURS[colour], np.float32)
    wanted = float(target.max())
    lift = np.clip(wanted / max(0.2, float(hsv[..., 2][vivid].mean())), 0.8, 1.5)
    turned[..., 2] = np.clip(np.where(vivid, hsv[..., 2] * lift, hsv[..., 2]), 0, 1)
    if colour == "pink":
        turned[..., 1] *= np.where(vivid, 0.6, 1)
    out = rgba.copy()
    out[..., :3] = (to_rgb(turned) * 255).round().astype(np.uint8)
    mean = to_rgb(turned)[vivid].mean(0)
    nearest = min(COLOURS, key=lambda name: float(np.abs(mean - COLOURS[name]).sum()))
    return out if nearest == colour else None


class SubjectLibrary:
    """All training subjects of a data folder, by look and noun."""

    def __init__(self, subjects: list[Subject]) -> None:
        self.common: dict[str, dict[str, list[Subject]]] = {look: {} for look in LOOKS}
        self.tail: dict[str, dict[str, list[Subject]]] = {look: {} for look in LOOKS}
        for subject in subjects:
            table = self.common if subject.common else self.tail
            table[subject.look].setdefault(subject.noun, []).append(subject)

    @classmethod
    def read(cls, folder: Path, longest: int = 128, split: str = "train") -> "SubjectLibrary":
        """Decode every subject of `split` below a data folder (see `pictures.read_pictures`)."""
        noun_of: dict[str, list[str]] = {}
        for noun in read_nouns():
            for name in noun.pictures:
                noun_of.setdefault(name, []).append(noun.name)
        subjects = []
        for picture in read_pictures(folder):
            if picture.split == split and (look := look_of(picture)):
                subjects += _subjects_of(picture, look, noun_of, longest)
        return cls(subjects)


def _subjects_of(
    picture: Picture, look: str, noun_of: dict[str, list[str]], longest: int
) -> list[Subject]:
    nouns = noun_of.get(picture.name, [])
    if not nouns and (look in {"photo", "pixel"} or _NOT_DRAWN.search(picture.name)):
        return []
    rgba = trimmed(picture.open(), longest)
    colour = "" if look == "photo" else _named_colour(picture.name) or dominant_colour(rgba)
    if not nouns:
        return [Subject(picture.name, look, rgba, colour, common=False)]
    return [Subject(noun, look, rgba, colour, common=True) for noun in nouns]
