"""Counting and locating things in plain pictures, to check counts and positions."""

import numpy as np
from numpy.typing import NDArray

from engine.training.backgrounds import COLOURS

Mask = NDArray[np.bool_]
SMALLEST = 0.012  # of the picture; anything less is a speck


def differing(pixels: NDArray[np.uint8], threshold: float = 0.16) -> Mask:
    """Where a picture (H, W, 3) on a plain ground differs from its own border's colour."""
    picture = pixels.astype(np.float32) / 255
    border = np.concatenate([picture[0], picture[-1], picture[:, 0], picture[:, -1]])
    ground = np.median(border, axis=0)
    return np.asarray(np.abs(picture - ground).max(-1) > threshold)


def regions(mask: Mask) -> list[tuple[float, float, float]]:
    """Connected regions that are no specks: centre row, centre column, area; as shares."""
    height, width = mask.shape
    left = {(int(y), int(x)) for y, x in np.argwhere(mask)}
    found = []
    while left:
        ahead = [left.pop()]
        seen = []
        while ahead:
            y, x = ahead.pop()
            seen.append((y, x))
            for near in ((y + 1, x), (y - 1, x), (y, x + 1), (y, x - 1)):
                if near in left:
                    left.remove(near)
                    ahead.append(near)
        area = len(seen) / (height * width)
        if area >= SMALLEST:
            centre = np.mean(seen, axis=0)
            found.append((float(centre[0] / height), float(centre[1] / width), area))
    return found


def counted(pixels: NDArray[np.uint8]) -> int:
    """How many things stand apart on a plain ground."""
    return len(regions(differing(pixels[::2, ::2])))


def centre_of_colour(pixels: NDArray[np.uint8], colour: str) -> tuple[float, float] | None:
    """Centre (row, column; shares) of what has a named colour, or None where nothing has."""
    mask = (_nearest_colours(pixels) == list(COLOURS).index(colour)) & differing(pixels)
    if mask.mean() < SMALLEST:
        return None
    rows, columns = np.nonzero(mask)
    return float(rows.mean() / mask.shape[0]), float(columns.mean() / mask.shape[1])


def colours_of(pixels: NDArray[np.uint8]) -> tuple[str, str]:
    """Names of the commonest colour of a thing ("" where there is none) and of its plain ground."""
    nearest, is_thing = _nearest_colours(pixels), differing(pixels)
    names = list(COLOURS)
    thing, ground = (
        names[int(np.bincount(part).argmax())] if len(part) else ""
        for part in (nearest[is_thing], nearest[~is_thing])
    )
    return thing, ground


def _nearest_colours(pixels: NDArray[np.uint8]) -> NDArray[np.int64]:
    """The number of the named colour that each pixel is nearest to."""
    picture = pixels.astype(np.float32) / 255
    distances = [np.abs(picture - np.asarray(colour)).sum(-1) for colour in COLOURS.values()]
    return np.asarray(np.argmin(np.stack(distances), axis=0))


def stands(
    one: tuple[float, float] | None, other: tuple[float, float] | None, relation: str
) -> bool:
    """Whether the first centre stands in `relation` to the second."""
    if one is None or other is None:
        return False
    down, right = one[0] - other[0], one[1] - other[1]
    sideways = abs(right) > abs(down)
    return {
        "left of": sideways and right < 0,
        "right of": sideways and right > 0,
        "above": not sideways and down < 0,
        "below": not sideways and down > 0,
    }[relation]
