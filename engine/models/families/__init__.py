"""What the shelf expects of every kind of model; one module per family implements it.

A family's module has `load(info, files, place, on_progress) -> LoadedModel` and is named in
`engine.models.shelf`. Rows of a batch never influence each other: no batch norm, no padding to a
mate's length. All tensors given and answered are fp32 on `place.device`; what a network computes
in is its own affair.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import torch
from torch import Tensor

from engine.calls import Conditioning, GanCall
from engine.diffusion.prediction import ModelFacts
from engine.models.catalogue import ModelInfo
from engine.requests import Span


@dataclass(frozen=True, slots=True)
class Place:
    """Where a model lives and what it computes in."""

    device: torch.device
    dtype: torch.dtype  # fp32 on a CPU; fp16 or bf16 on CUDA


@dataclass(frozen=True, slots=True)
class Adaptation:
    """What is applied on top of the pristine weights."""

    loras: tuple[tuple[Path, float], ...] = ()  # safetensors file and weight
    tile: bool = False  # convolutions wrap around the edges


PRISTINE = Adaptation()

OnLoad: TypeAlias = Callable[[float], None]  # hears the fraction that is read, 0..1


class LoadedModel(Protocol):
    """A model on its device."""

    @property
    def bytes_used(self) -> int:
        """Device memory its weights take, copies for adaptations included."""
        ...

    def facts(self) -> ModelFacts:
        """How it wants to be sampled."""
        ...

    def adapt(self, adaptation: Adaptation) -> None:
        """Make what follows run under `adaptation`; `PRISTINE` restores the weights bit by bit.

        Raises:
            ModelUnavailable: a LoRA is broken or of another family.
            Unsupported: the family has no means for it.
        """
        ...

    def encode_text(
        self, prompts: tuple[tuple[Span, ...], ...], width: int, height: int
    ) -> Conditioning:
        """Encode the prompts of one call, as many rows; `width` and `height` are the images'.

        T is the same for all rows of a call and depends on nothing outside it.
        """
        ...

    def encode_reference(self, pixels: Tensor) -> Tensor:
        """Style references (B, 3, S, S) in [0, 1] -> (B, 2, N, D): each one's tokens, and no one's.

        Raises:
            Unsupported: the model does not draw by them.
        """
        ...

    def denoise(self, x: Tensor, sigma: Tensor, conditioning: Conditioning) -> Tensor:
        """Clean latents of `x` = clean + sigma * noise; (B, C, h, w) and (B,) -> (B, C, h, w)."""
        ...

    def encode(self, pixels: Tensor) -> Tensor:
        """(B, 3, H, W) in [0, 1] -> latents (B, C, h, w), without randomness."""
        ...

    def decode(self, latents: Tensor) -> Tensor:
        """Latents (B, C, h, w) -> pixels (B, 3, H, W) in [0, 1]."""
        ...

    def preview(self, latents: Tensor) -> Tensor:
        """A small cheap estimate of `decode`; (B, 3, any, any) in [0, 1]."""
        ...

    def enlarge(self, pixels: Tensor, factor: int) -> Tensor:
        """(B, 3, H, W) -> (B, 3, factor*H, factor*W), both in [0, 1].

        Raises:
            Unsupported: there is no upscaler, or not of that factor.
        """
        ...


class LoadedGan(Protocol):
    """A generator of the family `gan` on its device; it answers calls of its own."""

    @property
    def bytes_used(self) -> int:
        """Device memory its weights take."""
        ...

    def execute(self, calls: Sequence[GanCall]) -> list[Any]:
        """Return a result for each call, all of one batch key, from one pass of all their rows."""
        ...


class Loader(Protocol):
    """How a family reads a model."""

    def __call__(
        self, info: ModelInfo, files: Path, place: Place, on_progress: OnLoad
    ) -> LoadedModel | LoadedGan:
        """Read the model from `files`, a folder or single file, without touching any network.

        Raises:
            ModelUnavailable: the files are missing, broken or of another family.
            UnsafeCheckpoint: they would run code.
        """
        ...
