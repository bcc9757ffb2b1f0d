"""Finishing of the autoencoder's decoder on latents as the denoiser leaves them.

A decoder that has only seen latents of true pictures shows what a denoiser left undecided as
smears. Here it learns to make a sharp picture of it: it is trained on scenes that were noised and
denoised again, against a critic of patches. The encoder stays, and with it the latents.

The critic's loss is that of Huang et al. 2024, https://arxiv.org/abs/2501.05441, at each place; how
much it counts is set by the size of its gradient, after Esser et al. 2021 (VQGAN),
https://arxiv.org/abs/2012.09841, eq. 7.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

from engine.gan.losses import squared_gradients
from engine.networks.denoiser import Denoiser
from engine.networks.style import StyleEncoder
from engine.networks.vae import Decoder, Vae
from engine.training.autoencode import pixel_loss
from engine.training.denoise import LatentStore, Words, denoised
from engine.training.loop import Draw
from engine.training.monitors import contact_sheet

LEAST_NOISE, MOST_NOISE = 0.15, 0.8  # times from which scenes are denoised again
LEFT_STEPS = 3  # of Euler, from there to the picture
GUIDANCE_SCALE = 4.0
EXACT_SHARE = 0.4  # of rows whose latents are those of the picture itself
# The rest is told less of single pixels the farther its latents are from the picture's.
FORGIVEN = 0.05
SEEN_WEIGHT = 0.1  # of differences that a network sees, beside those of pixels
SEEN = 64  # pixels on a side of the part that it is shown
# Size of the critic's gradient, as a share of that of an absolute difference at every place: it
# must not grow with the errors that it makes itself.
CRITIC_SHARE_EXACT, CRITIC_SHARE_LEFT = 0.1, 0.7
GAMMA = 0.3  # of the critic's penalties


class Critic(nn.Module):
    """Tells true patches from decoded ones: pixels (B, 3, H, W) -> scores (B, H/8 * W/8).

    It is shown what people see, in [0, 1]: else it would know decoded ones by what is beyond, and
    teach strong colours a pattern of dots.
    """

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, width, 4, 2, 1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(width, 2 * width, 4, 2, 1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(2 * width, 4 * width, 4, 2, 1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(4 * width, 4 * width, 3, 1, 1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(4 * width, 1, 3, 1, 1),
        )

    def forward(self, pixels: Tensor) -> Tensor:
        """Judge pixels in [0, 1]."""
        scores: Tensor = self.layers(pixels * 2 - 1).float().flatten(1)
        return scores


class Finisher(nn.Module):
    """The decoder and its critic, as one network of one run."""

    def __init__(self, decoder: Decoder) -> None:
        super().__init__()
        self.decoder = decoder
        self.critic = Critic()


@torch.no_grad()
def leave_latents(store: LatentStore, index: int, denoiser: Denoiser, words: Words) -> None:
    """Write a shard's latents as the denoiser leaves them: noised, and denoised by their captions.

    Each scene begins at a time of its own between `LEAST_NOISE` and `MOST_NOISE`.
    """
    shard = store.shard(index)
    generator = torch.Generator().manual_seed(index)
    parts = []
    for start in range(0, len(shard.latents), 64):
        latents, tokens, pooled = (
            part[start : start + 64].float() for part in (shard.latents, shard.tokens, shard.pooled)
        )
        t = torch.rand(len(latents), generator=generator)
        t = LEAST_NOISE + (MOST_NOISE - LEAST_NOISE) * t
        noise = torch.randn(latents.shape, generator=generator)
        mix = t[:, None, None, None]
        device = next(denoiser.parameters()).device
        times = t * torch.linspace(1, 0, LEFT_STEPS + 1)[:, None]
        left = denoised(
            denoiser,
            ((1 - mix) * latents + mix * noise).to(device),
            times.to(device),
            (tokens.to(device), pooled.to(device)),
            words.encode([""]),
            GUIDANCE_SCALE,
        )
        parts.append(left.half().cpu().numpy())
    path = left_file(store.folder, index)
    temporary = path.with_suffix(".tmp.npy")
    np.save(temporary, np.concatenate(parts))
    temporary.replace(path)


def left_file(folder: Path, index: int) -> Path:
    """Where the latents of a shard are kept as the denoiser leaves them."""
    return folder / f"left_{index:05d}.npy"


class Finish:
    """The decoder's programme for the loop.

    `pictures` are bytes (N, H, W, 3); `exact` and `left` are their normalised latents
    (N, C, H/8, W/8) and those as the denoiser leaves them.
    """

    batch = 24
    learning_rate = 4e-4

    def __init__(
        self,
        vae: Vae,
        eye: StyleEncoder,
        pictures: NDArray[np.uint8],
        exact: NDArray[np.float16],
        left: NDArray[np.float16],
        held_out: int = 16,
    ) -> None:
        self.vae = vae
        self.eye = eye.eval().requires_grad_(requires_grad=False)
        vae.decoder.requires_grad_()
        self.network = Finisher(vae.decoder).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.pictures, self.exact, self.left = pictures, exact, left
        self.held_out = min(held_out, len(pictures) // 2)

    def loss(self, network: Any, draw: Draw) -> Tensor:
        """Pixels, edges and features of the picture, and what the critic says; and its own loss."""
        device = next(network.parameters()).device
        wanted, latents, distance = (part.to(device) for part in self._batch(draw.numpy))
        with torch.autocast(device.type, torch.bfloat16):
            out = self._decoded(network.decoder, latents)
            gradient, error = self._gradient(network.critic, out, wanted, distance, draw)
            judged = self._critic_loss(network.critic, out.detach().clamp(0, 1), wanted)
        # Has the error's value and the wanted gradient.
        carried = (out * gradient).sum()
        loss: Tensor = error + carried - carried.detach() + judged - judged.detach()
        return loss

    def _batch(self, rng: np.random.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Pictures (B, 3, H, W), latents, and the mean square by which these are not theirs."""
        rows = rng.integers(self.held_out, len(self.pictures), self.batch)
        exact = torch.from_numpy(self.exact[rows]).float()
        left = torch.from_numpy(self.left[rows]).float()
        is_exact = torch.from_numpy(np.arange(self.batch) < round(EXACT_SHARE * self.batch))
        latents = torch.where(is_exact[:, None, None, None], exact, left)
        distance = (latents - exact).square().mean(dim=(1, 2, 3))
        wanted = torch.from_numpy(self.pictures[rows]).permute(0, 3, 1, 2).float() / 255
        as_convolved = torch.channels_last
        return wanted.to(memory_format=as_convolved), latents, distance

    def _decoded(self, decoder: Decoder, latents: Tensor) -> Tensor:
        mean, std = (
            part.to(latents.device)[:, None, None] for part in (self.vae.mean, self.vae.std)
        )
        raw = (latents * std + mean).to(memory_format=torch.channels_last)
        out: Tensor = decoder(raw).float() / 2 + 0.5
        return out

    def _gradient(
        self, critic: Critic, out: Tensor, wanted: Tensor, distance: Tensor, draw: Draw
    ) -> tuple[Tensor, Tensor]:
        """By which pictures should change, and the mean error of the picture alone."""
        pixels = out.detach().requires_grad_()
        told = FORGIVEN / (FORGIVEN + distance)  # (B,) in (0, 1]
        error = (told * pixel_loss(pixels, wanted)).mean()
        window = (..., *self._window(wanted, draw))
        error = error + SEEN_WEIGHT * self._seen(pixels[window], wanted[window])
        with torch.no_grad():
            true = critic(wanted)
        fooling = F.softplus(true - critic(pixels.clamp(0, 1))).mean()
        (by_error,) = torch.autograd.grad(error, pixels)
        (by_critic,) = torch.autograd.grad(fooling, pixels)
        total = by_error.clone()
        exact = distance == 0
        for rows, share in ((exact, CRITIC_SHARE_EXACT), (~exact, CRITIC_SHARE_LEFT)):
            found = by_critic[rows]
            deviation = found.square().mean().sqrt().clamp_min(1e-20)
            total[rows] += share * told[rows].mean() / pixels.numel() * found / deviation
        return total, error.detach()

    @staticmethod
    def _window(wanted: Tensor, draw: Draw) -> tuple[slice, slice]:
        """A part of the pictures: a network's features of the whole would cost more than it all."""
        starts = [int(draw.numpy.integers(max(1, side - SEEN + 1))) for side in wanted.shape[-2:]]
        top, left = starts
        return slice(top, top + SEEN), slice(left, left + SEEN)

    def _seen(self, pixels: Tensor, wanted: Tensor) -> Tensor:
        """By how much the features of two pictures differ, relative to their size."""
        with torch.no_grad():
            targets = self.eye(wanted)
        total = torch.zeros((), device=pixels.device)
        for found, target in zip(self.eye(pixels), targets, strict=True):
            difference = (found.float() - target.float()).square().mean()
            total = total + difference / target.float().square().mean().clamp_min(1e-6)
        return total

    @staticmethod
    def _critic_loss(critic: Critic, fake: Tensor, real: Tensor) -> Tensor:
        """How seldom a true place seems truer than the decoded one, with R1 and R2."""
        both = torch.cat([real, fake]).requires_grad_()
        scores = critic(both)
        of_real, of_fake = scores.chunk(2)
        squared = squared_gradients(scores.sum(1) / scores.shape[1] ** 0.5, both)
        count = len(real)
        penalty = squared[:count].mean() + squared[count:].mean()
        return F.softplus(of_fake - of_real).mean() + GAMMA / 2 * penalty

    @torch.no_grad()
    def sheet(self, network: Any) -> Image.Image:
        """Pictures that were left out, above what the decoder makes of what is left of them."""
        device = next(network.parameters()).device
        rows = slice(0, self.held_out)
        wanted = torch.from_numpy(self.pictures[rows].copy()).permute(0, 3, 1, 2).float() / 255
        left = torch.from_numpy(self.left[rows]).float()
        made = self._decoded(network.decoder, left.to(device)).clamp(0, 1).cpu()
        parts = [
            part for k in range(0, len(wanted), 8) for part in (wanted[k : k + 8], made[k : k + 8])
        ]
        return contact_sheet(torch.cat(parts), columns=8)
