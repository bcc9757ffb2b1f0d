"""What the measurements of a pack share: its networks, and how and where they draw."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from engine.models.families.pack import Networks
from engine.training import few_steps
from engine.training.denoise import Words, sample_pictures

STEPS, GUIDANCE = 24, 5.0  # what the catalogue names as defaults


@dataclass(frozen=True, slots=True)
class Bench:
    """The pack, the judge and where the pictures are."""

    networks: Networks
    draft: Networks  # whose denoiser draws in few steps
    words: Words
    data: Path
    out: Path
    scale: float

    def draw(self, prompts: Sequence[str], seed: int = 0, **settings: Any) -> Tensor:
        """Pictures (B, 3, 128, 128) of prompts, 16 at a time."""
        values = {"steps": STEPS, "guidance_scale": GUIDANCE, **settings}
        parts = [
            sample_pictures(
                self.networks.denoiser,
                self.words,
                self.networks.vae,
                prompts[start : start + 16],
                seed=seed + start,
                **values,
            )
            for start in range(0, len(prompts), 16)
        ]
        return torch.cat(parts)

    def draw_draft(self, prompts: Sequence[str], seed: int = 0) -> Tensor:
        """The same in few steps without guidance."""
        drafts = replace(self, networks=self.draft)
        return drafts.draw(prompts, seed, steps=few_steps.STEPS, guidance_scale=1.0)

    def keep(self, name: str, sheet: Image.Image) -> None:
        """Write a sheet of pictures among the figures."""
        sheet.save(self.out / f"{name}.webp", quality=90, method=6)

    def number(self, full: int) -> int:
        """How many of `full` questions this run asks."""
        return max(4, round(full * self.scale))
