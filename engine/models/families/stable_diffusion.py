"""Stable Diffusion 1.x and 2.x: a denoiser and a VAE in latents, one CLIP text encoder.

Rombach et al. 2022 (https://arxiv.org/abs/2112.10752). The networks are diffusers' and
transformers' modules; loop, guidance and samplers are ours. SDXL builds on this in
`stable_diffusion_xl`.
"""

from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.calls import Conditioning
from engine.diffusion.prediction import (
    ModelFacts,
    clean_latents,
    network_input,
    training_timestep,
)
from engine.errors import Unsupported
from engine.models.catalogue import ModelInfo
from engine.models.families import Adaptation, OnLoad, Place
from engine.models.families.clip_text import padded
from engine.models.families.lora import Merger
from engine.models.families.parts import Parts, read_parts
from engine.models.families.weights import bytes_of
from engine.requests import Span
from engine.wording import Said

Pair: TypeAlias = tuple[Tensor, Tensor]

_WRAP = 8  # latents by which a tiled source is continued around its edges before encoding
_PREVIEW_SIDE = 256  # pixels; longer side of a tiny VAE's preview
_FIT_PICTURES, _FIT_SIDE = 12, 64  # what the matrix of previews is fitted to; pixels
_DECODE_PIXELS = 1024 * 1024  # decoded at once at most; the VAE is what runs out of memory


class StableDiffusion:
    """A loaded SD1 or SD2 checkpoint."""

    def __init__(self, info: ModelInfo, place: Place, parts: Parts) -> None:
        self._info = info
        self._place = place
        self._parts = parts
        self._sigmas = torch.tensor(parts.noise.training_sigmas, dtype=torch.float64)
        tiny = [parts.tiny_vae] if parts.tiny_vae else []
        self._weight_bytes = bytes_of([*parts.networks().values(), *tiny])
        self._merger = Merger(parts.networks())
        self._is_tiled = False
        self._latent_rgb: Tensor | None = None  # fitted when the first preview is asked for

    @property
    def bytes_used(self) -> int:
        """Weights, and the pristine copies of those a LoRA has changed."""
        adapter = self._parts.adapter
        beside = adapter.bytes_used if adapter else 0
        return self._weight_bytes + self._merger.bytes_kept + beside

    def facts(self) -> ModelFacts:
        """How it wants to be sampled."""
        vae = self._parts.vae.config
        scale = 2 ** (len(vae.block_out_channels) - 1)
        adapter = self._parts.adapter
        facts = self._parts.noise.facts(self._info, int(vae.latent_channels), scale)
        return replace(facts, style_side=adapter.side if adapter else 0)

    def adapt(self, adaptation: Adaptation) -> None:
        """Merge LoRAs into copies of the weights and set how convolutions see the edges."""
        if adaptation.loras != self._merger.applied:
            self._merger.apply(adaptation.loras)
        if adaptation.tile != self._is_tiled:
            self._set_tile(tile=adaptation.tile)

    def encode_text(
        self, prompts: tuple[tuple[Span, ...], ...], width: int, height: int
    ) -> Conditioning:
        """Encode prompts; longer ones take more chunks of 77 tokens."""
        del width, height
        text = self._parts.text[0]
        tokens, _ = text.encode(padded([text.chunks(prompt) for prompt in prompts]))
        nothing = tokens.new_zeros(len(prompts), 0)
        return Conditioning(tokens, nothing, nothing)

    def encode_reference(self, pixels: Tensor) -> Tensor:
        """By the adapter that the catalogue names.

        Raises:
            Unsupported: it names none.
        """
        if self._parts.adapter is None:
            name = self._info.name
            raise Unsupported(Said("{model} can't be shown style references", model=name))
        return self._parts.adapter.encode(pixels)

    def denoise(self, x: Tensor, sigma: Tensor, conditioning: Conditioning) -> Tensor:
        """One pass of the denoiser, each row at its own noise level."""
        kind, dtype = self._parts.noise.prediction, self._place.dtype
        output = self._parts.unet(
            network_input(kind, x, sigma).to(dtype),
            training_timestep(sigma, self._sigmas),
            encoder_hidden_states=self._attended(conditioning),
            added_cond_kwargs=self._added(conditioning),
            return_dict=False,
        )[0]
        return clean_latents(kind, output.float(), x, sigma)

    def _attended(self, conditioning: Conditioning) -> Tensor | tuple[Tensor, Pair]:
        """What cross attention looks at: the text, and style references where there are any."""
        dtype, style = self._place.dtype, conditioning.style
        tokens = conditioning.tokens.to(dtype)
        if style is None:
            return tokens
        return tokens, (style.tokens.to(dtype), style.scale.to(dtype))

    def _added(self, conditioning: Conditioning) -> dict[str, Tensor]:
        """What the denoiser is told besides text and time."""
        del conditioning
        return {}

    def encode(self, pixels: Tensor) -> Tensor:
        """The mean of the VAE's distribution, scaled as the denoiser knows it."""
        vae = self._parts.vae
        wrap = _WRAP if self._is_tiled else 0
        border = wrap * self.facts().latent_scale
        if border:
            pixels = F.pad(pixels, (border,) * 4, mode="circular")
        mean = vae.encode((pixels * 2 - 1).to(vae.dtype)).latent_dist.mean.float()
        height, width = mean.shape[-2:]
        inner: Tensor = mean[..., wrap : height - wrap, wrap : width - wrap]
        return inner * float(vae.config.scaling_factor)

    def decode(self, latents: Tensor) -> Tensor:
        """Decode, few rows at a time where pictures are large."""
        scale = self.facts().latent_scale
        rows = max(_DECODE_PIXELS // (latents[0, 0].numel() * scale**2), 1)
        return torch.cat([self._decoded(part) for part in torch.split(latents, rows)])

    def _decoded(self, latents: Tensor) -> Tensor:
        vae = self._parts.vae
        scaled = (latents / float(vae.config.scaling_factor)).to(vae.dtype)
        return _in_unit_range(vae.decode(scaled, return_dict=False)[0])

    def preview(self, latents: Tensor) -> Tensor:
        """By the tiny VAE if there is one, else by a matrix at latent size."""
        tiny = self._parts.tiny_vae
        if tiny is None:
            return self._flat_preview(latents)
        pixels = _in_unit_range(tiny.decode(latents.to(tiny.dtype), return_dict=False)[0])
        factor = max(pixels.shape[-2:]) // _PREVIEW_SIDE
        return F.avg_pool2d(pixels, factor) if factor > 1 else pixels

    def _flat_preview(self, latents: Tensor) -> Tensor:
        if self._latent_rgb is None:
            self._latent_rgb = self._fitted_latent_rgb()
        matrix = self._latent_rgb
        rgb = torch.einsum("bchw,cd->bdhw", latents, matrix[:-1]) + matrix[-1].view(1, 3, 1, 1)
        return rgb.clamp(0, 1)

    def _fitted_latent_rgb(self) -> Tensor:
        """The colour matrix of this very VAE, from a few soft pictures that it encodes."""
        generator = torch.Generator().manual_seed(0)
        colours = torch.rand(_FIT_PICTURES, 3, 4, 4, generator=generator)
        pixels = F.interpolate(colours, size=_FIT_SIDE, mode="bicubic").clamp(0, 1)
        latents = self.encode(pixels.to(self._place.device)).cpu()
        small = F.adaptive_avg_pool2d(pixels, (latents.shape[2], latents.shape[3]))
        return colour_matrix(latents, small).to(self._place.device)

    def enlarge(self, pixels: Tensor, factor: int) -> Tensor:
        """Refuse: a Stable Diffusion checkpoint has no upscaler."""
        del pixels, factor
        name = self._info.name
        raise Unsupported(Said("the model {name} has no upscaler; use the pack's", name=name))

    def _set_tile(self, *, tile: bool) -> None:
        self._is_tiled = tile
        # The VAE that previews is left alone: a seam in a preview does no harm.
        for network in (self._parts.unet, self._parts.vae):
            for module in network.modules():
                if isinstance(module, nn.Conv2d) and module.padding != (0, 0):
                    module.padding_mode = "circular" if tile else "zeros"


def colour_matrix(latents: Tensor, pixels: Tensor) -> Tensor:
    """The matrix (C + 1, 3) by which latents (B, C, h, w), and a 1, best give `pixels`.

    Least squares over all places of (B, 3, h, w).
    """
    inputs = latents.movedim(1, -1).flatten(0, 2).double()
    inputs = torch.cat([inputs, inputs.new_ones(len(inputs), 1)], dim=1)
    targets = pixels.movedim(1, -1).flatten(0, 2).double()
    gram = inputs.T @ inputs
    # A little ridge: with more channels than colours some are all but unused.
    gram += 1e-6 * gram.trace() * torch.eye(len(gram), dtype=gram.dtype)
    solved: Tensor = torch.linalg.solve(gram, inputs.T @ targets)
    return solved.float()


def _in_unit_range(pixels: Tensor) -> Tensor:
    return (pixels.float() / 2 + 0.5).clamp(0, 1)


def load(info: ModelInfo, files: Path, place: Place, on_progress: OnLoad) -> StableDiffusion:
    """Read a diffusers folder or a single file of SD1.x or SD2.x.

    Raises:
        ModelUnavailable: the files are missing, broken or of another family.
        UnsafeCheckpoint: they would run code.
    """
    return StableDiffusion(info, place, read_parts(info, files, place, on_progress))
