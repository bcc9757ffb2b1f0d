"""Pixels to latents and back: large pictures in tiles, so that a pass takes a bounded memory.

Smaller ones go in tiles too where there is too little memory for them whole.

A tile's inner edges count for nothing as far as a convolution would look beyond them, so that our
own autoencoder draws no seam at all; others, that look at the whole, blend over the overlap.
"""

from collections.abc import Generator
from typing import Any

import torch
from torch import Tensor

from engine.calls import Call, Decode, Encode, NetworkRef
from engine.errors import OutOfMemory
from engine.pipelines.stages.tiling import Grid, Mosaic, Tile, tiles_of

AT_ONCE = 2**20  # pixels of one call
GRID = Grid(side=64, overlap=32, blind=12)  # of latents

Tensors = Generator[Call, Any, Tensor]


def encoded(network: NetworkRef, pixels: Tensor, scale: int) -> Tensors:
    """Latents (B, C, h, w) of pixels (B, 3, h * scale, w * scale)."""
    rows: list[Tensor] = []
    for chunk in _chunks(pixels, 1):
        latents: Tensor | None = None
        if _is_small(chunk, 1) or network.tile:
            latents = yield from _whole(Encode(network, chunk))
        if latents is None:
            latents = yield from _encoded_in_tiles(network, chunk, scale)
        rows.append(latents)
    return torch.cat(rows)


def decoded(network: NetworkRef, latents: Tensor, scale: int) -> Tensors:
    """Pixels (B, 3, h * scale, w * scale) of latents (B, C, h, w), for few enough rows."""
    pixels: Tensor | None = None
    if _is_small(latents, scale) or network.tile:
        pixels = yield from _whole(Decode(network, latents))
    if pixels is None:
        pixels = yield from _decoded_in_tiles(network, latents, scale)
    return pixels


def _whole(call: Encode | Decode) -> Generator[Call, Any, Tensor | None]:
    """The result of a call; None where there is too little memory and tiles may do with it."""
    try:
        whole: Tensor = yield call
    except OutOfMemory:
        if call.network.tile:  # its edges meet, and tiles would part them
            raise
        return None
    return whole


def _encoded_in_tiles(network: NetworkRef, pixels: Tensor, scale: int) -> Tensors:
    rows: list[Tensor] = []
    for row in pixels:
        height, width = (side // scale for side in row.shape[1:])
        mosaic: Mosaic | None = None
        for tile in tiles_of(height, width, GRID):
            part = yield Encode(network, _cut(row[None], tile, scale))
            mosaic = mosaic or Mosaic(height, width, 1, part.shape[1])
            mosaic.add(tile, part[0])
        assert mosaic is not None
        rows.append(mosaic.picture())
    return torch.stack(rows)


def _decoded_in_tiles(network: NetworkRef, latents: Tensor, scale: int) -> Tensors:
    rows: list[Tensor] = []
    for row in latents:
        height, width = row.shape[1:]
        mosaic = Mosaic(height, width, scale)
        for tile in tiles_of(height, width, GRID):
            part = yield Decode(network, _cut(row[None], tile, 1))
            mosaic.add(tile, part[0])
        rows.append(mosaic.picture())
    return torch.stack(rows)


def _chunks(rows: Tensor, scale: int) -> tuple[Tensor, ...]:
    """As many rows at a time as fit into one call."""
    return torch.split(rows, max(1, AT_ONCE // _pixels(rows, scale)))


def _is_small(rows: Tensor, scale: int) -> bool:
    return _pixels(rows, scale) <= AT_ONCE


def _pixels(rows: Tensor, scale: int) -> int:
    return rows.shape[2] * rows.shape[3] * scale**2


def _cut(rows: Tensor, tile: Tile, scale: int) -> Tensor:
    vertical = slice(tile.rows.start * scale, tile.rows.stop * scale)
    horizontal = slice(tile.columns.start * scale, tile.columns.stop * scale)
    return rows[:, :, vertical, horizontal]
