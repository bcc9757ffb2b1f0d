"""A generator of random weights, 16 pixels wide and of two looks, in a catalogue of its own."""

from pathlib import Path

import torch

from engine.networks.gan import GanConfig, Generator
from engine.networks.weights import save_network

NAME = "atelier-dreams"  # takes the place of the shipped one
LOOKS = ("cat", "moon")


def tiny_generator() -> Generator:
    """The generator; the same one each time."""
    config = GanConfig(
        looks=LOOKS,
        size=16,
        latent=6,
        styles=8,
        generator_widths=(16, 16),
        generator_blocks=(1, 1),
        group=8,
    )
    generator = Generator(config)
    noise = torch.Generator().manual_seed(1)
    for parameter in generator.parameters():
        parameter.data.copy_(0.2 * torch.randn(parameter.shape, generator=noise))
    generator.mean_w.copy_(torch.randn(2, 8, generator=noise))
    return generator.eval().requires_grad_(requires_grad=False)


def write_tiny_gan(folder: Path) -> Path:
    """Write its weights; returns the catalogue file that names it."""
    save_network(folder, "gan", tiny_generator())
    return write_gan_entry(folder)


def write_gan_entry(folder: Path, name: str = NAME) -> Path:
    """Write a catalogue file that names it, as a stand-in engine needs no weights."""
    page = folder / f"{name}.toml"
    looks = ", ".join(f'"{look}"' for look in LOOKS)
    page.write_text(f'[models.{name}]\nfamily = "gan"\nwhere = "{folder}"\nlooks = [{looks}]\n')
    return page
