"""The measures of a run, drawn: one small curve each over the pictures it has seen."""

import math
from collections.abc import Sequence
from dataclasses import asdict

from PIL import Image, ImageDraw

from engine.gan.monitors import Observation

_PLOTTED = (
    ("kid", (200, 60, 40)),
    ("precision", (30, 90, 200)),
    ("recall", (30, 150, 80)),
    ("density", (110, 60, 170)),
    ("coverage", (0, 140, 150)),
    ("diversity_ratio", (200, 130, 0)),
    ("twins_ratio", (120, 90, 60)),
    ("novelty_ratio", (90, 90, 90)),
    ("sharpness_ratio", (190, 60, 130)),
    ("gap", (0, 0, 0)),
    ("r1", (40, 110, 60)),
    ("r2", (150, 60, 60)),
    ("gp", (40, 110, 60)),
)
_ACROSS = 5  # curves


def curves(seen: Sequence[Observation]) -> Image.Image:
    """One small curve for each measure and penalty over pictures seen, 5 in a row."""
    found = [asdict(one) | one.penalties for one in seen]
    plotted = [(name, colour) for name, colour in _PLOTTED if any(name in one for one in found)]
    wide, high = 220, 150
    image = Image.new("RGB", (_ACROSS * wide, math.ceil(len(plotted) / _ACROSS) * high), "white")
    draw = ImageDraw.Draw(image)
    for number, (name, colour) in enumerate(plotted):
        left, top = number % _ACROSS * wide, number // _ACROSS * high
        values = [one.get(name) or 0.0 for one in found]
        low, top_value = min(0.0, *values), max(1e-9, *values)
        draw.text((left + 8, top + 6), f"{name}: {values[-1]:.3f}", fill="black")
        draw.text((left + 8, top + 132), f"0 to {seen[-1].images:,} pictures", fill="grey")
        draw.rectangle((left + 8, top + 22, left + wide - 8, top + 128), outline="lightgrey")
        points = [
            (
                left + 8 + (wide - 16) * one.images / max(1, seen[-1].images),
                top + 126 - 100 * (value - low) / (top_value - low),
            )
            for one, value in zip(seen, values, strict=True)
        ]
        for x, y in points:
            draw.ellipse((x - 2, y - 2, x + 2, y + 2), fill=colour)
        if len(points) > 1:
            draw.line(points, fill=colour, width=2)
    return image
