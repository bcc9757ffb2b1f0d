"""Pictures of nothing, with the edges, surfaces and occlusions of photographs: dead leaves.

Lee, Mumford and Huang 2001, "Occlusion Models for Natural Images"
(https://doi.org/10.1023/A:1011109015675). Shapes whose sizes follow a power law lie on each other;
networks learn from them much of what they learn from photographs, and they are nobody's.
"""

import torch
from torch import Tensor
from torch.nn import functional

SHAPES = 40  # in one picture


def scenery(count: int, side: int, generator: torch.Generator) -> Tensor:
    """Return pictures (count, 3, side, side) in [0, 1]."""
    return torch.stack([_picture(side, generator) for _ in range(count)])


def _picture(side: int, generator: torch.Generator) -> Tensor:
    colourful = 0.2 + 0.7 * float(torch.rand(1, generator=generator))
    picture = _surface(side, colourful, generator)
    axis = torch.linspace(0, 1, side)
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    for _ in range(SHAPES):
        size, power, angle, across, along = torch.rand(5, generator=generator).tolist()
        radius = 0.5 * (1 + size * 15) ** -0.5  # few are large, many small
        centre = torch.rand(2, generator=generator)
        turn = torch.tensor(6.3 * angle)
        u = (torch.cos(turn) * (x - centre[0]) + torch.sin(turn) * (y - centre[1])) / radius
        v = (torch.cos(turn) * (y - centre[1]) - torch.sin(turn) * (x - centre[0])) / radius
        exponent = 1.0 if power < 0.2 else 2.0 if power < 0.7 else 8.0  # kite, oval, box
        distance = (u.abs() / (0.4 + across)) ** exponent + (v.abs() / (0.4 + along)) ** exponent
        picture = torch.where(distance < 1, _surface(side, colourful, generator), picture)
    return picture


def _surface(side: int, colourful: float, generator: torch.Generator) -> Tensor:
    """A colour with a slope of light and some grain, (3, side, side)."""
    colour = torch.rand(3, 1, 1, generator=generator)
    colour = torch.lerp(colour.mean(), colour, colourful)  # most of the world is muted
    shades = torch.rand(1, 3, 2, 2, generator=generator) - 0.5
    slope = functional.interpolate(shades, (side, side), mode="bilinear", align_corners=True)[0]
    cells = int(torch.randint(4, side // 2, (1,), generator=generator))
    grain = torch.rand(1, 1, cells, cells, generator=generator) - 0.5
    rough = functional.interpolate(grain, (side, side), mode="bilinear")[0]
    amount = 0.4 * float(torch.rand(1, generator=generator)) ** 2
    return (0.1 + 0.8 * colour + 0.3 * slope + amount * rough).clamp(0, 1)
