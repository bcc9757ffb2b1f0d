"""Pictures to train a generator on: any folder, or the looks of the shipped one.

Results are squares in bytes, (N, S, S, 3), and the index of each one's look, (N,).
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps
from torch import Tensor

from engine.media.squares import middle_square
from engine.networks.vae import Vae
from engine.training.backgrounds import COLOURS, colour_near, paint_background
from engine.training.pictures import UNREADABLE, Picture, read_pictures
from engine.training.subjects import trimmed

LEAST = 16  # different pictures: from fewer, a generator learns nothing but them
SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".avif", ".tif", ".tiff"})
SHIPPED_LOOKS = ("avatar", "fruit", "landscape", "smiley")
SCENERY = ("hills", "sea", "sunset", "starry sky", "meadow", "beach", "desert", "snow")
_MOST_PIXELS = 50_000_000
_ENCODED_AT_ONCE = 32
_ROUND_FACES = frozenset(
    [*(f"1f6{n:02x}" for n in range(0x38)), "1f641", "1f642", "1f643", "1f644"]
    + [f"1f9{n}" for n in (10, 11, 12, 13, 14, 15, 17, 20, 21, 23, 24, 25, 27, 28, 29)]
    + [f"1f97{n}" for n in (0, 1, 2, 3, 4, 5, 6, "a")]
)


class TooFewPictures(Exception):
    """A folder holds too few different pictures to learn from."""

    def __init__(self, folder: str, found: int, different: int) -> None:
        super().__init__(folder, found, different)
        self.folder = folder
        self.found = found
        self.different = different

    def __str__(self) -> str:
        need = f"a generator needs at least {LEAST} different ones: add pictures"
        if not self.found:
            return f"There are no pictures in {self.folder}; {need}."
        if self.different < self.found:
            return (
                f"Of the {self.found} pictures in {self.folder} only {self.different} "
                f"differ; {need}."
            )
        return f"There are only {self.found} pictures in {self.folder}; {need}."


@dataclass(frozen=True, slots=True)
class PictureSet:
    """What a generator learns: squares of some looks."""

    pixels: NDArray[np.uint8]  # (N, S, S, 3)
    looks: NDArray[np.int64]  # (N,)
    names: tuple[str, ...]  # of the looks
    mirror: bool = True  # a mirrored picture is as good as the picture

    def __len__(self) -> int:
        return len(self.pixels)

    def canvases(self, chosen: NDArray[np.int64], turned: NDArray[np.bool_]) -> Tensor:
        """What a pair sees of some pictures: pixels (B, 3, S, S), some of them mirrored."""
        pixels = self.pixels[chosen]
        if self.mirror:
            pixels = np.where(turned[:, None, None, None], pixels[:, :, ::-1], pixels)
        batch = torch.from_numpy(np.ascontiguousarray(pixels)).permute(0, 3, 1, 2)
        return batch.contiguous().float() / 255

    def split(self, share: float, seed: int) -> tuple["PictureSet", "PictureSet"]:
        """Part the set at random: the first part without `share` of it, and that share."""
        order = np.random.default_rng([seed, 7]).permutation(len(self.pixels))
        count = max(1, round(len(order) * share))
        return self._only(order[count:]), self._only(order[:count])

    def digest(self) -> str:
        """What tells this set from any other: of other pictures, or parted in another way."""
        found = hashlib.sha256(f"{self.pixels.shape} {self.mirror}".encode())
        for part in (self.pixels, self.looks):
            found.update(np.ascontiguousarray(part).tobytes())
        return found.hexdigest()

    def _only(self, chosen: NDArray[np.int64]) -> "PictureSet":
        return PictureSet(self.pixels[chosen], self.looks[chosen], self.names, self.mirror)


@dataclass(frozen=True, slots=True)
class EncodedSet:
    """The same pictures as normalised latents of an autoencoder."""

    latents: Tensor  # (N, C, h, h) in half floats
    mirrored: Tensor  # of the mirrored pictures; empty where these are none of the set
    looks: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.latents)

    def canvases(self, chosen: NDArray[np.int64], turned: NDArray[np.bool_]) -> Tensor:
        """What a pair sees of some pictures: latents (B, C, h, h), some of mirrored ones."""
        rows = torch.from_numpy(chosen)
        latents = self.latents[rows]
        if len(self.mirrored):
            choice = torch.from_numpy(turned)[:, None, None, None]
            latents = torch.where(choice, self.mirrored[rows], latents)
        return latents.float()


@torch.no_grad()
def encoded(pictures: PictureSet, vae: Vae) -> EncodedSet:
    """Encode a set once, so that training never needs the encoder."""

    def latents(pixels: NDArray[np.uint8]) -> Tensor:
        parts = []
        for start in range(0, len(pixels), _ENCODED_AT_ONCE):
            chunk = torch.from_numpy(pixels[start : start + _ENCODED_AT_ONCE].copy())
            with torch.autocast("cpu", torch.bfloat16):
                parts.append(vae.encode(chunk.permute(0, 3, 1, 2).float() / 255).half())
        return torch.cat(parts).contiguous()

    turned = latents(pictures.pixels[:, :, ::-1]) if pictures.mirror else torch.empty(0)
    return EncodedSet(latents(pictures.pixels), turned, pictures.looks)


def folder_pictures(folder: Path, size: int, apart_from: Path | None = None) -> PictureSet:
    """All pictures below a folder, of any sizes, as one look; broken files are left out.

    So are copies: one that is held out would be no new picture to a pair that learns the other.
    So is what lies below `apart_from`: the sheets of a run.

    Transparent pictures stand on white; the middle square is taken of those that are no squares.

    Raises:
        TooFewPictures: there are fewer than `LEAST` different ones.
    """
    squares = [square(image, size) for image in _images_below(folder, apart_from)]
    different = {found.tobytes(): found for found in squares}
    if len(different) < LEAST:
        raise TooFewPictures(str(folder), len(squares), len(different))
    pixels = np.stack(list(different.values()))
    return PictureSet(pixels, np.zeros(len(pixels), np.int64), ("any",))


def _images_below(folder: Path, apart_from: Path | None) -> Iterator[Image.Image]:
    paths = folder.rglob("*") if folder.is_dir() else iter(())
    left_out = None if apart_from is None else apart_from.resolve()
    for path in sorted(path for path in paths if path.suffix.lower() in SUFFIXES):
        if left_out is not None and path.resolve().is_relative_to(left_out):
            continue
        try:
            with Image.open(path) as image:
                if image.width * image.height <= _MOST_PIXELS:
                    yield ImageOps.exif_transpose(image)
        except UNREADABLE:
            continue


def square(image: Image.Image, size: int) -> NDArray[np.uint8]:
    """The middle square of a picture on white, (size, size, 3)."""
    return np.asarray(middle_square(image, size)).copy()


def shipped_pictures(
    folder: Path, size: int, count: int, seed: int, split: str = "train"
) -> PictureSet:
    """`count` squares of each look of the shipped generator, composed from the pack's data.

    `split` is `train` or `validation`: of emoji, fruit and layers of avatars, every tenth is kept
    for validation; landscapes are painted from other seeds.

    Raises:
        NoPictures: there is no captions.tsv below the folder.
    """
    pictures = read_pictures(folder)
    painters: tuple[Callable[[np.random.Generator], NDArray[np.uint8]], ...] = (
        _avatars(pictures, size, split),
        _fruit(pictures, size, split),
        lambda rng: _landscape(rng, size),
        _smileys(pictures, size, split),
    )
    squares, looks = [], []
    for index, paint in enumerate(painters):
        rng = np.random.default_rng([seed, index, split == "train"])
        squares += [paint(rng) for _ in range(count)]
        looks += [index] * count
    return PictureSet(np.stack(squares), np.asarray(looks), SHIPPED_LOOKS, mirror=False)


def _kept(found: Sequence[Picture], split: str) -> list[Picture]:
    return [p for k, p in enumerate(found) if (k % 10 == 9) == (split == "validation")]


def _avatars(
    pictures: Sequence[Picture], size: int, split: str
) -> Callable[[np.random.Generator], NDArray[np.uint8]]:
    layers = []
    for part in ("1-bodies", "2-accessories", "3-heads", "4-glasses"):
        found = [p for p in pictures if p.file.startswith(f"nouns/{part}/")]
        found = _kept(found, split) if part == "3-heads" else found
        layers.append([p.open().convert("RGBA").resize((32, 32), 0) for p in found])

    def paint(rng: np.random.Generator) -> NDArray[np.uint8]:
        image = _plain(rng, 32)
        for layer in layers:
            image.alpha_composite(layer[rng.integers(len(layer))])
        return np.asarray(image.convert("RGB").resize((size, size), Image.Resampling.NEAREST))

    return paint


def _plain(rng: np.random.Generator, side: int) -> Image.Image:
    name = list(COLOURS)[rng.integers(len(COLOURS))]
    shade = (colour_near(name, rng) * 255).astype(int)
    return Image.new("RGBA", (side, side), (*(int(value) for value in shade), 255))


def _fruit(
    pictures: Sequence[Picture], size: int, split: str
) -> Callable[[np.random.Generator], NDArray[np.uint8]]:
    found = [p for p in pictures if p.columns.get("group", "").startswith("Fruit")]
    photographs = [p.open().convert("RGB") for p in _kept(found, split)]

    def paint(rng: np.random.Generator) -> NDArray[np.uint8]:
        image = photographs[rng.integers(len(photographs))]
        side = int(min(image.size) * rng.uniform(0.75, 1))
        left, top = (int(rng.integers(0, length - side + 1)) for length in image.size)
        box = (left, top, left + side, top + side)
        return np.asarray(image.resize((size, size), Image.Resampling.LANCZOS, box=box))

    return paint


def _landscape(rng: np.random.Generator, size: int) -> NDArray[np.uint8]:
    kind = SCENERY[rng.integers(len(SCENERY))]
    pixels = paint_background(kind, "", size, size, rng).pixels
    return (pixels * 255).round().astype(np.uint8)


def _smileys(
    pictures: Sequence[Picture], size: int, split: str
) -> Callable[[np.random.Generator], NDArray[np.uint8]]:
    found = [
        p
        for p in pictures
        if p.columns.get("codepoints") in _ROUND_FACES
        and p.columns.get("style") in {"3d", "flat", "cartoon", "flatcartoon"}
        and p.columns.get("vendor") != "fxemoji"
    ]
    faces = [Image.fromarray(trimmed(p.open(), 128)) for p in _kept(found, split)]

    def paint(rng: np.random.Generator) -> NDArray[np.uint8]:
        image, face = _plain(rng, size), faces[rng.integers(len(faces))]
        scale = size * rng.uniform(0.8, 0.92) / max(face.size)
        wide, high = (max(1, round(side * scale)) for side in face.size)
        face = face.resize((wide, high), Image.Resampling.LANCZOS)
        place = tuple(int((size - side) * rng.uniform(0.4, 0.6)) for side in (wide, high))
        image.alpha_composite(face, (place[0], place[1]))
        return np.asarray(image.convert("RGB"))

    return paint
