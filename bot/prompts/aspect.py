"""From an aspect such as 3:2 to a picture size of about constant pixel count."""

import math


def aspect_size(aspect: tuple[int, int], pixel_budget: int, multiple: int) -> tuple[int, int]:
    """Give the width and height in pixels nearest to `aspect` with about `pixel_budget` pixels.

    Both sides are multiples of `multiple` and at least one multiple long. Among the neighbours of
    the exact size, the one that misses shape and area least is taken.
    """
    if min(*aspect, pixel_budget, multiple) < 1:
        raise ValueError("aspect, pixel_budget and multiple must be positive")
    ratio = aspect[0] / aspect[1]
    width, height = math.sqrt(pixel_budget * ratio), math.sqrt(pixel_budget / ratio)
    candidates = [
        (w, h) for w in _neighbours(width, multiple) for h in _neighbours(height, multiple)
    ]
    return min(candidates, key=lambda size: _miss(size, ratio, pixel_budget))


def _neighbours(side: float, multiple: int) -> tuple[int, int]:
    below = max(1, math.floor(side / multiple))
    return below * multiple, (below + 1) * multiple


def _miss(size: tuple[int, int], ratio: float, pixel_budget: int) -> float:
    width, height = size
    # The shape is what was asked for, so it counts twice.
    shape = abs(math.log(width / height / ratio))
    area = abs(math.log(width * height / pixel_budget))
    return 2 * shape + area
