"""Training of the upscaler on drawings and natural pictures that were made small."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageFilter
from torch import Tensor
from torch.nn import functional as F

from engine.media.png import on_white
from engine.networks.upscaler import Upscaler, enlarged
from engine.training.backgrounds import COLOURS, PAINTERS, paint_background
from engine.training.loop import Draw
from engine.training.monitors import as_pixels, contact_sheet
from engine.training.pictures import BrokenSet, Picture, held_out_apart, read_pictures

SIDE = 256  # pixels of the large pictures


def large_pictures(data: Path, count: int, seed: int, split: str = "train") -> NDArray[np.uint8]:
    """Pictures (N, 256, 256, 3) with true detail: big drawings, paintings and photographs.

    Raises:
        BrokenSet: there is none to take them from, or one can't be read.
    """
    groups = _groups(held_out_apart(read_pictures(data), split))
    if not groups:
        raise BrokenSet(
            str(data),
            f"has no picture to learn enlarging from in its part for {split}: give ten or more "
            "drawings, paintings or whole pictures; photographs of the column group are too small",
        )
    names = sorted(groups)
    out = np.empty((count, SIDE, SIDE, 3), np.uint8)
    for index in range(count):
        rng = np.random.default_rng([seed, index])
        name = names[int(rng.integers(len(names)))] if rng.random() < 0.5 else "drawing"
        name = name if name in groups else names[0]
        options = groups[name]
        picture = options[int(rng.integers(len(options)))]
        out[index] = _large(picture.open(), name, rng)
    return out


def _groups(pictures: list[Picture]) -> dict[str, list[Picture]]:
    groups: dict[str, list[Picture]] = {}
    for picture in pictures:
        columns = picture.columns
        if columns.get("style") in {"3d", "flat", "cartoon", "blob", "sticker", "flatcartoon"}:
            groups.setdefault(
                "drawing" if columns["style"] == "3d" else "small drawing", []
            ).append(picture)
        elif "artist" in columns:
            groups.setdefault("painting", []).append(picture)
        elif picture.file.startswith("dcss/"):
            groups.setdefault("sprite", []).append(picture)
        elif picture.is_whole:
            groups.setdefault("painting", []).append(picture)
    return groups


def _large(image: Image.Image, group: str, rng: np.random.Generator) -> NDArray[np.uint8]:
    if group == "painting":
        image = on_white(image)
        side = min(SIDE, *image.size)
        x = int(rng.integers(image.width - side + 1))
        y = int(rng.integers(image.height - side + 1))
        crop = image.crop((x, y, x + side, y + side))
        return np.asarray(crop.resize((SIDE, SIDE), Image.Resampling.LANCZOS))
    kind = str(rng.choice(list(PAINTERS)))
    colour = str(rng.choice(list(COLOURS)))
    ground = paint_background(kind, colour, SIDE, SIDE, rng).pixels
    canvas = Image.fromarray((ground * 255).round().astype(np.uint8))
    image = image.convert("RGBA")
    if group == "sprite":
        cell = 8
        image = image.resize((image.width * cell, image.height * cell), Image.Resampling.NEAREST)
    for _ in range(4 if group == "small drawing" else 1):
        x = int(rng.integers(min(0, SIDE - image.width), max(1, SIDE - image.width + 1)))
        y = int(rng.integers(min(0, SIDE - image.height), max(1, SIDE - image.height + 1)))
        canvas.paste(image, (x, y), image)
    return np.asarray(canvas)


def degraded(pixels: Tensor, factor: int, rng: np.random.Generator) -> Tensor:
    """Large pixels (3, H, W) made `factor` times smaller, sometimes soft or JPEG-compressed."""
    size = (pixels.shape[1] // factor, pixels.shape[2] // factor)
    small = F.interpolate(pixels[None], size, mode="bicubic", align_corners=False, antialias=True)[
        0
    ].clamp(0, 1)
    chance = rng.random()
    if chance > 0.2:
        return small
    image = Image.fromarray((small.permute(1, 2, 0) * 255).round().byte().numpy())
    if chance < 0.08:
        image = image.filter(ImageFilter.GaussianBlur(float(rng.uniform(0.2, 0.6))))
    else:
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=int(rng.integers(70, 96)))
        image = Image.open(buffer)
    return torch.from_numpy(np.asarray(image).copy()).permute(2, 0, 1).float() / 255


class Enlarge:
    """The upscaler's programme for the loop, on a store of large pictures."""

    batch = 16
    learning_rate = 1.5e-3
    crop = 64  # pixels of the large picture

    def __init__(
        self, network: Upscaler, pictures: NDArray[np.uint8], held_out: NDArray[np.uint8]
    ) -> None:
        self.network = network
        self.pictures = pictures
        self.held_out = held_out

    def loss(self, network: Any, draw: Draw) -> Tensor:
        """Mean absolute error of one batch of crops, at one factor."""
        rng = draw.numpy
        factor = 2 if rng.random() < 0.6 else 4
        large, small = [], []
        for index in rng.integers(0, len(self.pictures), self.batch):
            y, x = rng.integers(0, SIDE - self.crop + 1, 2)
            crop = self.pictures[index, y : y + self.crop, x : x + self.crop]
            crop = crop[:, ::-1] if rng.random() < 0.5 else crop
            pixels = torch.from_numpy(crop.copy()).permute(2, 0, 1).float() / 255
            large.append(pixels)
            small.append(degraded(pixels, factor, rng))
        device = next(network.parameters()).device
        wanted, seen = torch.stack(large).to(device), torch.stack(small).to(device)
        seen = seen.to(memory_format=torch.channels_last)
        with torch.autocast(device.type, torch.bfloat16):
            out = network(seen, factor)
        error: Tensor = (out.float() - wanted).abs().mean()
        return error

    def sheet(self, network: Any) -> Image.Image:
        """Held-out pictures by bicubic enlargement, by the network, and the originals."""
        wanted = as_pixels(self.held_out[:6])
        small = F.interpolate(wanted, scale_factor=0.5, mode="bicubic", antialias=True).clamp(0, 1)
        ours = network(small.to(next(network.parameters()).device), 2).cpu()
        return contact_sheet(torch.cat([enlarged(small, 2), ours, wanted]), 6)

    @torch.no_grad()
    def gain(self, network: Upscaler, factor: int) -> tuple[float, float]:
        """PSNR in dB over held-out pictures: of bicubic enlargement, and of the network."""
        wanted = as_pixels(self.held_out)
        small = F.interpolate(
            wanted, scale_factor=1 / factor, mode="bicubic", antialias=True
        ).clamp(0, 1)
        plain, ours = enlarged(small, factor).clamp(0, 1), network.enlarge(small, factor)
        return psnr(plain, wanted), psnr(ours, wanted)


def psnr(one: Tensor, two: Tensor) -> float:
    """Mean peak signal-to-noise ratio in dB of pictures (B, 3, H, W) in [0, 1]."""
    error = (one - two).square().mean(dim=(1, 2, 3)).clamp_min(1e-8)
    return float((-10 * error.log10()).mean())
