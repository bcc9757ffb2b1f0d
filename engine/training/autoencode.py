"""Training of the autoencoder: reconstruct pictures through 8x smaller latents."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from engine.networks.vae import Vae, reparametrised
from engine.training.loop import Draw
from engine.training.monitors import as_pixels, contact_sheet

KL_WEIGHT = 1e-4  # per latent value; keeps the latents near one another, far from blurring them
EDGE_WEIGHT = 0.5


def edge_loss(a: Tensor, b: Tensor) -> Tensor:
    """Mean absolute difference of the pictures' slopes at full and half size."""
    total = torch.zeros((), device=a.device)
    for _ in range(2):
        error = a - b
        total = total + (error[..., 1:] - error[..., :-1]).abs().mean()
        total = total + (error[..., 1:, :] - error[..., :-1, :]).abs().mean()
        a, b = F.avg_pool2d(a, 2), F.avg_pool2d(b, 2)
    return total


class Autoencode:
    """The autoencoder's programme for the loop, on a store of pictures (N, H, W, 3) in bytes."""

    batch = 32
    learning_rate = 2e-3
    crop = 64  # pixels; the network is convolutional, so small crops of many pictures teach most

    def __init__(self, network: Vae, pictures: NDArray[np.uint8], held_out: int = 64) -> None:
        self.network = network
        self.pictures = pictures[held_out:]
        self.held_out = pictures[:held_out]

    def loss(self, network: Any, draw: Draw) -> Tensor:
        """L1 + squared error + edges + KL divergence of one batch of crops."""
        pixels = self._crops(draw.numpy).to(next(network.parameters()).device)
        with torch.autocast(pixels.device.type, torch.bfloat16):
            mean, log_variance = network.posterior(pixels)
            noise = torch.randn(mean.shape, generator=draw.torch).to(mean.device)
            out = network.decode_raw(reparametrised(mean.float(), log_variance.float(), noise))
        out, mean, log_variance = out.float(), mean.float(), log_variance.float()
        error = out - pixels
        kl = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).mean()
        main = error.abs().mean() + 4 * error.square().mean()
        loss: Tensor = main + EDGE_WEIGHT * edge_loss(out, pixels) + KL_WEIGHT * kl
        return loss

    def _crops(self, rng: np.random.Generator) -> Tensor:
        whole = rng.random() < 0.2
        size = self.pictures.shape[1] if whole else self.crop
        count = max(1, self.batch * self.crop**2 // size**2)
        chosen = rng.integers(0, len(self.pictures), count)
        room = self.pictures.shape[1] - size + 1
        crops = []
        for index, y, x in zip(
            chosen, rng.integers(0, room, count), rng.integers(0, room, count), strict=True
        ):
            crop = self.pictures[index, y : y + size, x : x + size]
            crops.append(crop[:, ::-1] if rng.random() < 0.5 else crop)
        batch = torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2)
        return batch.to(memory_format=torch.channels_last).float() / 255

    def sheet(self, network: Any) -> Image.Image:
        """Held-out pictures above their reconstructions."""
        pixels = as_pixels(self.held_out[:16])
        device = next(network.parameters()).device
        again = network.decode(network.encode(pixels.to(device))).cpu()
        rows = [part for k in (0, 8) for part in (pixels[k : k + 8], again[k : k + 8])]
        return contact_sheet(torch.cat(rows), columns=8)

    @torch.no_grad()
    def psnr(self, network: Vae) -> float:
        """Mean peak signal-to-noise ratio in dB over the held-out pictures."""
        pixels = as_pixels(self.held_out)
        error = (network.decode(network.encode(pixels)) - pixels).square().mean(dim=(1, 2, 3))
        return float((-10 * error.clamp_min(1e-8).log10()).mean())


@torch.no_grad()
def fit_statistics(network: Vae, pictures: NDArray[np.uint8], batch: int = 64) -> None:
    """Set the latents' mean and deviation per channel and the linear preview from pictures."""
    latents, colours = [], []
    for start in range(0, len(pictures), batch):
        pixels = torch.from_numpy(pictures[start : start + batch].copy()).permute(0, 3, 1, 2)
        pixels = pixels.float() / 255
        latents.append(network.posterior(pixels)[0].permute(0, 2, 3, 1).flatten(0, 2))
        colours.append(F.avg_pool2d(pixels, 8).permute(0, 2, 3, 1).flatten(0, 2))
    values, colour = torch.cat(latents), torch.cat(colours)
    network.mean.copy_(values.mean(0))
    network.std.copy_(values.std(0))
    normal = (values - network.mean) / network.std
    with_one = torch.cat([normal, torch.ones(len(normal), 1)], dim=1)
    network.latent_rgb.copy_(torch.linalg.lstsq(with_one, colour).solution)
