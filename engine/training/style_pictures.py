"""Labelled pictures for the style networks: what is shown, in which look, made of what."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from engine.training.materials import material_of
from engine.training.pictures import BrokenSet, Picture

SIDE = 128  # pixels of a stored picture
UNKNOWN = -1  # a label that a picture does not have
PAINTING_CROPS = 12  # of each painting, at scales from the whole to a third of it
HELD_OUT_EVERY = 16  # one painting in so many is never trained on
CONCEPT_LOOKS = 4  # a concept is learnt if so many pictures show it


@dataclass(frozen=True, slots=True)
class Labelled:
    """Pictures (N, 128, 128, 3) in bytes and their labels (N,), UNKNOWN where there is none."""

    pixels: NDArray[np.uint8]
    concepts: NDArray[np.int64]
    looks: NDArray[np.int64]
    materials: NDArray[np.int64]
    paintings: NDArray[np.int64]

    @property
    def labels(self) -> tuple[NDArray[np.int64], ...]:
        """The rows of labels: concepts, looks, materials, paintings."""
        return (self.concepts, self.looks, self.materials, self.paintings)

    @property
    def counts(self) -> tuple[int, ...]:
        """How many of each there are."""
        return tuple(int(part.max()) + 1 for part in self.labels)

    def batch(self, rng: np.random.Generator, count: int, crop: int) -> tuple[Tensor, list[Tensor]]:
        """Random crops (B, 3, crop, crop) in [0, 1], and their rows of labels."""
        chosen = rng.integers(0, len(self.pixels), count)
        pixels = random_crops(self.pixels, chosen, crop, rng)
        return pixels, [torch.from_numpy(part[chosen]) for part in self.labels]

    def parted(self, seed: int, left_out: int) -> tuple["Labelled", "Labelled"]:
        """All but `left_out` pictures, and these."""
        order = np.random.default_rng([seed, 79]).permutation(len(self.pixels))
        parts = (np.sort(order[left_out:]), np.sort(order[:left_out]))
        kept, out = (
            Labelled(self.pixels[rows], *(part[rows] for part in self.labels)) for rows in parts
        )
        return kept, out


def random_crops(
    pictures: NDArray[np.uint8], chosen: NDArray[np.int64], crop: int, rng: np.random.Generator
) -> Tensor:
    """Crops (B, 3, crop, crop) in [0, 1] of the chosen pictures, half of them mirrored."""
    room = pictures.shape[1] - crop + 1
    places = rng.integers(0, room, (len(chosen), 2))
    mirrored = rng.random(len(chosen)) < 0.5
    crops = []
    for index, (y, x), mirror in zip(chosen, places, mirrored, strict=True):
        part = pictures[index, y : y + crop, x : x + crop]
        crops.append(part[:, ::-1] if mirror else part)
    batch = torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2)
    return batch.to(memory_format=torch.channels_last).float() / 255


def look_of(picture: Picture) -> str:
    """The look of a picture by its set's columns."""
    if "style" in picture.columns:
        return f"{picture.columns.get('vendor', '')} {picture.columns.get('style', '')}"
    return f"{picture.source.name} {PurePosixPath(picture.file).parent}"


def is_painting(picture: Picture) -> bool:
    """Whether a row describes a painting."""
    return "artist" in picture.columns


def paintings_of(pictures: Sequence[Picture]) -> list[Picture]:
    """Coloured paintings in stable order."""
    return [p for p in pictures if is_painting(p) and _is_coloured(p)]


def _is_coloured(picture: Picture) -> bool:
    return picture.columns.get("colour", "colour") == "colour"


def split_paintings(pictures: Sequence[Picture]) -> tuple[list[Picture], list[Picture]]:
    """Paintings to train on, and those held out for evaluation (never a classic one)."""
    train: list[Picture] = []
    held_out: list[Picture] = []
    for number, picture in enumerate(paintings_of(pictures)):
        is_held_out = number % HELD_OUT_EVERY == 7 and not picture.file.startswith("classic")
        (held_out if is_held_out else train).append(picture)
    return train, held_out


def unseen_paintings(pictures: Sequence[Picture]) -> list[Picture]:
    """All that no network was trained on: those held out, then those known in grey only."""
    grey = [p for p in pictures if is_painting(p) and not _is_coloured(p)]
    return [*split_paintings(pictures)[1], *grey]


def labelled_pictures(pictures: Sequence[Picture], seed: int = 0) -> Labelled:
    """Decode and label all training pictures; RGBA ones lie on random backgrounds.

    Raises:
        BrokenSet: there is none.
    """
    rng = np.random.default_rng([seed, 77])
    painted, _ = split_paintings(pictures)
    drawn = [
        p
        for p in pictures
        if not is_painting(p) and p.split == "train" and p.source.name != "kodak"
    ]
    common = Counter(p.name for p in drawn)
    concepts = _numbers(name for name, count in common.items() if count >= CONCEPT_LOOKS)
    looks = _numbers(look_of(p) for p in [*drawn, *painted])
    materials = _numbers(filter(None, map(material_of, [*drawn, *painted])))
    rows: list[tuple[NDArray[np.uint8], int, int, int, int]] = []

    def row(picture: Picture, tile: NDArray[np.uint8], painting: int) -> None:
        concept = UNKNOWN if is_painting(picture) else concepts.get(picture.name, UNKNOWN)
        material = materials.get(material_of(picture) or "", UNKNOWN)
        rows.append((tile, concept, looks[look_of(picture)], material, painting))

    for picture in drawn:
        row(picture, _square(_on_background(picture.open(), rng)), UNKNOWN)
    for number, picture in enumerate(painted):
        image = picture.open().convert("RGB")
        for _ in range(PAINTING_CROPS):
            row(picture, _painting_crop(image, rng), number)
    if not rows:
        where = pictures[0].source.name if pictures else "captions.tsv"
        raise BrokenSet(where, "has no pictures to train on")
    tiles, *labels = zip(*rows, strict=True)
    return Labelled(np.stack(tiles), *(np.array(part, dtype=np.int64) for part in labels))


def _numbers(names: Iterable[str]) -> dict[str, int]:
    return {name: number for number, name in enumerate(sorted(set(names)))}


def _on_background(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    if image.mode not in ("RGBA", "LA", "P"):
        return image.convert("RGB")
    colour = tuple(int(c) for c in rng.integers(40, 256, 3))
    under = Image.new("RGBA", image.size, (*colour, 255))
    return Image.alpha_composite(under, image.convert("RGBA")).convert("RGB")


def _square(image: Image.Image) -> NDArray[np.uint8]:
    resample = Image.Resampling.NEAREST if max(image.size) <= 48 else Image.Resampling.LANCZOS
    return np.asarray(image.resize((SIDE, SIDE), resample))


def _painting_crop(image: Image.Image, rng: np.random.Generator) -> NDArray[np.uint8]:
    shorter = min(image.size)
    side = int(max(SIDE, shorter * rng.uniform(0.3, 1.0)))
    side = min(side, shorter)
    x, y = (int(rng.integers(0, length - side + 1)) for length in image.size)
    part = image.crop((x, y, x + side, y + side))
    return np.asarray(part.resize((SIDE, SIDE), Image.Resampling.LANCZOS))
