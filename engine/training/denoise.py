"""Training of the denoiser: rectified flow on stored latents and encoded captions."""

import itertools
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from engine.diffusion.unsaid import code_of_seed
from engine.networks.denoiser import Denoiser
from engine.networks.text_encoder import TextEncoder, Tokenizer
from engine.networks.vae import Vae
from engine.training.loop import Draw
from engine.training.monitors import contact_sheet
from engine.training.store import SIZES, shard_size, whole_shards

LEARNING_RATE = 1.5e-3
CAPTION_DROPOUT = 0.12
UNSAID_DROPOUT = 0.1  # an edited picture has its own places: the network is told none
TIME_SHIFT = 0.5  # to noisier times, where it is decided what is drawn
# A share of all times is drawn evenly from the noisiest ones. The mean of a 16 x 16 patch is seen
# through sixteen times the noise that hides one place, so the large colours are settled there.
EARLY_SHARE, EARLY_FROM = 0.2, 0.8
# Another share is drawn evenly from where outlines, faces and the grain of a look are settled. With
# few of these a network leaves them soft, even where it is given all of a drawing's large shapes.
FINE_SHARE, FINE_BETWEEN = 0.45, (0.1, 0.7)
KINDS = ("latents", "tokens", "pooled", "unsaid")  # of files of a store that are learnt from


@dataclass(frozen=True, slots=True)
class Words:
    """Tokeniser and encoder together, as training and evaluation use them."""

    tokenizer: Tokenizer
    encoder: TextEncoder

    @torch.no_grad()
    def encode(self, prompts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Token features (B, T, D) and pooled vectors (B, D)."""
        tokens, pooled = self.encoder(self.tokenizer(prompts))
        return tokens, pooled


@dataclass(frozen=True, slots=True)
class Rows:
    """Latents (N, C, h, w), token features (N, T, D) and pooled vectors (N, D) of N pictures.

    `unsaid` (N, CODES) is what the captions leave open. Half floats in a store's shards, full ones
    in a step.
    """

    latents: Tensor
    tokens: Tensor
    pooled: Tensor
    unsaid: Tensor

    def to(self, device: torch.device) -> "Rows":
        """The rows on a device."""
        return Rows(*(getattr(self, kind).to(device) for kind in KINDS))


class LatentStore:
    """The encoded shards of a store, grouped by the size of their pictures.

    They stay in their files and are mapped into memory; for a GPU they are all copied to it once.
    """

    def __init__(
        self, folder: Path, shards: Sequence[int] | None = None, device: str = "cpu"
    ) -> None:
        self.folder = folder
        self.device = device
        self._shards: dict[int, Rows] = {}
        self.refresh(shards)

    def refresh(self, shards: Sequence[int] | None = None) -> None:
        """Open the given shards, or all that are whole by now."""
        wanted = whole_shards(self.folder, "pooled", "npy") if shards is None else shards
        for index in wanted:
            if index not in self._shards:
                parts = (self.folder / f"{kind}_{index:05d}.npy" for kind in KINDS)
                self._shards[index] = Rows(*(self._mapped(path) for path in parts))

    def _mapped(self, path: Path) -> Tensor:
        # "c": torch wants arrays that may be written to; nothing is written.
        return torch.from_numpy(np.load(path, mmap_mode="c")).to(self.device)

    def __len__(self) -> int:
        return sum(len(shard.pooled) for shard in self._shards.values())

    def batch(self, size: int, rng: np.random.Generator) -> Rows:
        """Rows of one picture size, from all its shards."""
        shape = SIZES[int(rng.integers(len(SIZES)))]
        numbers = (
            sorted(k for k in self._shards if shard_size(k) == shape) or sorted(self._shards)[:1]
        )
        rows: dict[int, list[int]] = {}
        for _ in range(size):
            number = numbers[int(rng.integers(len(numbers)))]
            rows.setdefault(number, []).append(int(rng.integers(len(self._shards[number].pooled))))
        parts = [
            [getattr(self._shards[number], kind)[sorted(chosen)] for number, chosen in rows.items()]
            for kind in KINDS
        ]
        return Rows(*(torch.cat(part).float() for part in parts))


class Denoise:
    """The denoiser's programme for the loop."""

    batch = 96

    def __init__(
        self,
        network: Denoiser,
        store: LatentStore,
        words: Words,
        vae: Vae,
        prompts: Sequence[str] = (),
        learning_rate: float = LEARNING_RATE,
    ) -> None:
        self.network = network
        self.learning_rate = learning_rate
        self.store = store
        self.vae = vae
        self.prompts = list(prompts)
        self.nothing = words.encode([""])
        self.words = words

    def loss(self, network: Any, draw: Draw) -> Tensor:
        """Mean squared error of the velocity at logit-normal times."""
        rows = self.store.batch(self.batch, draw.numpy)
        count = len(rows.latents)
        dropped = torch.rand(count, generator=draw.torch) < CAPTION_DROPOUT
        for part, nothing in zip((rows.tokens, rows.pooled), self.nothing, strict=True):
            part[dropped.to(part.device)] = nothing[0].to(part.device)
        rows.unsaid[torch.rand(count, generator=draw.torch) < UNSAID_DROPOUT] = 0
        t = flow_times(count, draw.torch)
        noise = torch.randn(rows.latents.shape, generator=draw.torch)
        device = next(network.parameters()).device
        rows, noise, t = rows.to(device), noise.to(device), t.to(device)
        mix = t[:, None, None, None]
        noisy = ((1 - mix) * rows.latents + mix * noise).to(memory_format=torch.channels_last)
        with torch.autocast(device.type, torch.bfloat16), _fast_attention(device):
            velocity = network(noisy, t, rows.tokens, rows.pooled, rows.unsaid)
        error: Tensor = (velocity.float() - (noise - rows.latents)).square().mean()
        return error

    def sheet(self, network: Any) -> Image.Image | None:
        """One picture for each prompt, of fixed noise."""
        if not self.prompts:
            return None
        pixels = sample_pictures(network, self.words, self.vae, self.prompts, seed=0)
        return contact_sheet(pixels, 8, self.prompts)


def _fast_attention(device: torch.device) -> AbstractContextManager[Any]:
    """Plain products on a CPU: over so few places they save an eighth of a step."""
    return sdpa_kernel(SDPBackend.MATH) if device.type == "cpu" else nullcontext()


def flow_times(count: int, generator: torch.Generator) -> Tensor:
    """Times (B,) in (0, 1) to train at: early ones, fine ones, and the others logit-normal.

    Esser et al. 2024, https://arxiv.org/abs/2403.03206, for the last, as middle times teach most.
    """
    t = (torch.randn(count, generator=generator) + TIME_SHIFT).sigmoid()
    spread, kind = torch.rand(2, count, generator=generator)
    for low, high, first, last in (
        (EARLY_FROM, 1.0, 0.0, EARLY_SHARE),
        (*FINE_BETWEEN, EARLY_SHARE, EARLY_SHARE + FINE_SHARE),
    ):
        t = torch.where((first <= kind) & (kind < last), low + (high - low) * spread, t)
    return t


@torch.no_grad()
def sample_pictures(
    network: Any,
    words: Words,
    vae: Vae,
    prompts: Sequence[str],
    *,
    seed: int,
    steps: int = 12,
    guidance_scale: float = 3.0,
    size: tuple[int, int] = (128, 128),
) -> Tensor:
    """Pixels (B, 3, H, W), picture i from seed + i, by Euler steps of rectified flow."""
    device = next(network.parameters()).device
    shape = (vae.config.latent_channels, size[0] // 8, size[1] // 8)
    noises = [
        torch.randn(shape, generator=torch.Generator().manual_seed(seed + i))
        for i in range(len(prompts))
    ]
    x = torch.stack(noises).to(device)
    tokens, pooled = (part.to(device) for part in words.encode(prompts))
    no_tokens, no_pooled = (part.to(device) for part in words.encode([""]))
    unsaid = torch.stack([code_of_seed(seed + i) for i in range(len(prompts))]).to(device)
    times = torch.linspace(1, 0, steps + 1, device=device)
    for now, then in itertools.pairwise(times):
        t = now.expand(len(x))
        with torch.autocast(device.type, torch.bfloat16):
            velocity = network(x, t, tokens, pooled, unsaid).float()
            if guidance_scale != 1:
                blank = network(
                    x, t, no_tokens.expand_as(tokens), no_pooled.expand_as(pooled), unsaid
                ).float()
                velocity = blank + guidance_scale * (velocity - blank)
        x = x + (then - now) * velocity
    return vae.decode(x.to(next(vae.parameters()).device)).cpu()
