"""SDXL: two text encoders, and a denoiser that is told the picture's sizes.

Podell et al. 2023 (https://arxiv.org/abs/2307.01952).
"""

from pathlib import Path

import torch
from torch import Tensor

from engine.calls import Conditioning
from engine.models.catalogue import ModelInfo
from engine.models.families import OnLoad, Place
from engine.models.families.clip_text import padded
from engine.models.families.parts import read_parts
from engine.models.families.stable_diffusion import StableDiffusion
from engine.requests import Span


class StableDiffusionXL(StableDiffusion):
    """A loaded SDXL base checkpoint."""

    def encode_text(
        self, prompts: tuple[tuple[Span, ...], ...], width: int, height: int
    ) -> Conditioning:
        """Join what both encoders say; the second one's pooled state and the sizes go along."""
        texts = self._parts.text
        pairs = [text.encode(padded([text.chunks(p) for p in prompts])) for text in texts]
        tokens = torch.cat([tokens for tokens, _ in pairs], dim=-1)
        # Original size, position of the crop, target size: as of a picture nobody has cropped.
        sizes = tokens.new_tensor([height, width, 0, 0, height, width])
        return Conditioning(tokens, pairs[-1][1], sizes.expand(len(prompts), -1))

    def _added(self, conditioning: Conditioning) -> dict[str, Tensor]:
        dtype = self._place.dtype
        return {
            "text_embeds": conditioning.pooled.to(dtype),
            "time_ids": conditioning.extra.to(dtype),
        }


def load(info: ModelInfo, files: Path, place: Place, on_progress: OnLoad) -> StableDiffusionXL:
    """Read a diffusers folder or a single file of SDXL.

    Raises:
        ModelUnavailable: the files are missing, broken or of another family.
        UnsafeCheckpoint: they would run code.
    """
    return StableDiffusionXL(info, place, read_parts(info, files, place, on_progress))
