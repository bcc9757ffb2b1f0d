"""Training of the style encoder: name a crop's concept, look, material and very painting."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from engine.networks.style import StyleConfig, StyleEncoder
from engine.training.loop import Draw, Pictureless
from engine.training.style_pictures import UNKNOWN, Labelled

QUESTIONS = ("concept", "look", "material", "painting")


class StyleClassifier(nn.Module):
    """The encoder and four heads on its deepest features and all its statistics."""

    def __init__(self, config: StyleConfig, counts: Sequence[int]) -> None:
        super().__init__()
        self.encoder = StyleEncoder(config)
        # Of what the pictures don't tell there is one answer, which is never asked for.
        concepts, looks, materials, paintings = (max(1, count) for count in counts)
        deepest, code = config.widths[-1], 2 * sum(config.widths)
        self.concept = nn.Sequential(
            nn.Conv2d(deepest, 256, 3, stride=2, padding=1), nn.ReLU(),
            nn.Conv2d(256, 256, 3, stride=2, padding=1), nn.ReLU(),
            nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(1024, concepts),
        )  # fmt: skip
        self.look = nn.Linear(code, looks)
        self.material = nn.Linear(code, materials)
        self.painting = nn.Linear(code, paintings)

    def forward(self, pixels: Tensor) -> list[Tensor]:
        """Logits of concept, look, material and painting."""
        features = self.encoder(pixels)
        code = torch.cat([_moments(level) for level in features], dim=1)
        of_all = [head(code) for head in (self.look, self.material, self.painting)]
        return [self.concept(features[-1]), *of_all]


class TrainStyleEncoder(Pictureless):
    """The encoder's programme for the loop."""

    batch = 48
    learning_rate = 2e-3
    crop = 96  # pixels

    def __init__(self, network: StyleClassifier, pictures: Labelled) -> None:
        self.network = network
        self.pictures = pictures

    def loss(self, network: nn.Module, draw: Draw) -> Tensor:
        """Cross-entropy of the four labels, each over the rows that have it."""
        pixels, labels = self.pictures.batch(draw.numpy, self.batch, self.crop)
        device = next(network.parameters()).device
        with torch.autocast(device.type, torch.bfloat16):
            answers = network(pixels.to(device))
        losses = [
            F.cross_entropy(
                answer.float(), label.to(device), ignore_index=UNKNOWN, label_smoothing=0.05
            )
            for answer, label in zip(answers, labels, strict=True)
            if bool((label != UNKNOWN).any())
        ]
        return torch.stack(losses).mean()


@torch.no_grad()
def shares_named(network: StyleClassifier, pictures: Labelled) -> dict[str, float]:
    """How many of the labels of pictures the network names, by what they say; NaN for none."""
    pixels = torch.from_numpy(pictures.pixels).permute(0, 3, 1, 2)
    answers = [network(part.float() / 255) for part in torch.split(pixels, 32)]
    shares = {}
    for said, wanted, logits in zip(
        QUESTIONS, pictures.labels, zip(*answers, strict=True), strict=True
    ):
        named = torch.cat(logits).argmax(1).numpy()
        asked = wanted != UNKNOWN
        shares[said] = float((named == wanted)[asked].mean()) if asked.any() else math.nan
    return shares


@torch.no_grad()
def equalise(encoder: StyleEncoder, pictures: Labelled) -> None:
    """Set the encoder's scales so that every channel has mean 1 over pictures (Gatys 2016, 2).

    Without it some channels and levels would rule the losses.
    """
    for level in range(len(encoder.config.widths)):
        getattr(encoder, f"scale{level}").fill_(1.0)
    some = torch.from_numpy(pictures.pixels[:: max(1, len(pictures.pixels) // 512)].copy())
    totals = [torch.zeros(width) for width in encoder.config.widths]
    some = some.permute(0, 3, 1, 2).float().div(255)
    parts = torch.split(some, 32)
    for part in parts:
        means = [features.mean((0, 2, 3)) for features in encoder(part)]
        totals = [total + mean / len(parts) for total, mean in zip(totals, means, strict=True)]
    for level, total in enumerate(totals):
        # A channel that never fires stays as quiet as it is.
        getattr(encoder, f"scale{level}").copy_(1 / total.clamp_min(0.02 * float(total.mean())))


def _moments(features: Tensor) -> Tensor:
    flat = features.flatten(2).float()
    return torch.cat([flat.mean(-1), (flat.var(-1, unbiased=False) + 1e-4).sqrt()], dim=1)
