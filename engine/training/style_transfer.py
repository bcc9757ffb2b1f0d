"""Training of the style decoder: content of one picture, statistics of another.

The loss is that of `engine.style.objective`; a part of the pictures is restyled as themselves.
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from engine.networks.style import StyleTransfer, adapt, statistics
from engine.style import losses
from engine.style.objective import Weights, restyling_loss
from engine.training.loop import Draw
from engine.training.monitors import as_pixels, contact_sheet
from engine.training.style_pictures import random_crops

WEIGHTS = Weights(content=8.0, statistics=2.0, gram=0.5, variation=2.0, overflow=4.0)
IDENTITY_WEIGHT = 8.0
IDENTITY_SHARE = 4  # one row in so many is restyled as itself and must come back


class TrainStyleTransfer:
    """The decoder's programme; the encoder stays as it is."""

    batch = 8
    learning_rate = 2e-3

    def __init__(
        self,
        network: StyleTransfer,
        contents: NDArray[np.uint8],
        styles: NDArray[np.uint8],
        held_out: int = 8,
    ) -> None:
        self.network = network
        network.encoder.requires_grad_(requires_grad=False)
        held_out = min(held_out, len(contents) // 2, len(styles) // 2)
        self.contents, self.styles = contents[held_out:], styles[held_out:]
        self.sheet_contents, self.sheet_styles = contents[:held_out], styles[:held_out]

    def loss(self, network: Any, draw: Draw) -> Tensor:
        """Content + statistics + Gram + smoothness, and identity for some rows."""
        rng = draw.numpy
        # Small crops teach most for their cost; large ones keep the statistics honest.
        crop = int(rng.choice((64, 96, 128), p=(0.6, 0.3, 0.1)))
        count = max(4, self.batch * 96**2 // crop**2)
        content = random_crops(self.contents, rng.integers(0, len(self.contents), count), crop, rng)
        style = random_crops(self.styles, rng.integers(0, len(self.styles), count), crop, rng)
        kept = max(1, count // IDENTITY_SHARE)
        style[:kept] = content[:kept]
        device = next(network.parameters()).device
        content, style = content.to(device), style.to(device)
        with torch.autocast(device.type, torch.bfloat16):
            return restyle_loss(network, content, style, kept)

    @torch.no_grad()
    def sheet(self, network: Any) -> Image.Image | None:
        """Styles in the first row, then each content followed by its restyled versions.

        None where there are too few pictures to leave any out for it.
        """
        device = next(network.parameters()).device
        parts = (self.sheet_contents, self.sheet_styles)
        contents, styles = (as_pixels(part).to(device) for part in parts)
        if not len(contents):
            return None
        codes = network.encoder.style_code(styles)
        whole = torch.ones(len(styles), device=device)
        rows = [torch.ones_like(contents[:1]), styles]
        for content in contents:
            many = content.expand(len(styles), -1, -1, -1)
            rows += [content[None], network(many, codes, whole).clamp(0, 1)]
        return contact_sheet(torch.cat(rows), columns=len(styles) + 1)


def restyle_loss(network: Any, content: Tensor, style: Tensor, kept: int) -> Tensor:
    """The loss of content and style crops (B, 3, H, W); in the first `kept` rows they are one."""
    encoder = network.encoder
    with torch.no_grad():
        features = encoder(content)
        wanted = encoder(style)
        codes = [statistics(level) for level in wanted]
        grams = [losses.gram_matrix(level) for level in wanted]
        target = adapt(features[-1], codes[-1])
    adapted = [adapt(level, code) for level, code in zip(features, codes, strict=True)]
    pixels = network.decoder(adapted).float()
    again = encoder(pixels.clamp(-0.2, 1.2))
    identity = (pixels[:kept] - content[:kept]).abs().mean()
    loss = restyling_loss(pixels, again, target, codes, grams, WEIGHTS)
    whole: Tensor = loss + IDENTITY_WEIGHT * identity
    return whole
