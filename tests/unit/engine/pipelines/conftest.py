"""A model with an exact answer, and the loop that answers a pipeline's calls with it."""

import hashlib
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
import torch
from torch.nn import functional

from engine import calls
from engine.diffusion.prediction import ModelFacts, Prediction
from engine.style.target import Style

FACTS = ModelFacts(prediction=Prediction.FLOW, latent_channels=4, has_preview=True)


def as_numbers(text, count):
    digest = hashlib.blake2b(text.encode(), digest_size=4).digest()
    generator = np.random.default_rng(int.from_bytes(digest, "big"))
    return torch.tensor(generator.standard_normal(count), dtype=torch.float32)


def a_style(colour):
    """A style that is nothing but a colour."""
    return Style(colour[None], (), colour[None], 1e-5 * torch.eye(3)[None])


class IdealModel:
    """Images are Gaussian around a colour that the prompt names, with a spread of 0.5.

    The best denoiser of such images is known, so are its pictures in the limit of many steps.
    """

    def __init__(self, facts=FACTS):
        self.facts = facts
        self.seen = []

    def answer(self, call):
        self.seen.append(call)
        match call:
            case calls.Facts():
                return self.facts
            case calls.EncodeText(prompts=prompts):
                rows = [as_numbers("".join(s.text for s in row), 6) for row in prompts]
                tokens = torch.stack(rows).view(-1, 3, 2)
                return calls.Conditioning(tokens, tokens[:, 0], tokens.new_zeros(len(rows), 0))
            case calls.Denoise(x=x, sigma=sigma, conditioning=conditioning):
                assert len(x) == len(sigma) == len(conditioning)
                colour = functional.pad(conditioning.tokens.flatten(1), (0, 2))[:, : x.shape[1]]
                colour, variance = 0.5 * colour[:, :, None, None], sigma.view(-1, 1, 1, 1) ** 2
                return colour + (x - colour) * 0.25 / (0.25 + variance)
            case calls.Encode(pixels=pixels):
                small = functional.avg_pool2d(pixels, 8) * 4 - 2
                return functional.pad(small, (0, 0, 0, 0, 0, self.facts.latent_channels - 3))
            case calls.Decode(latents=latents, preview=preview):
                pixels = (latents[:, :3] / 4 + 0.5).clamp(0, 1)
                return functional.interpolate(pixels, scale_factor=2 if preview else 8)
            case calls.Enlarge(pixels=pixels, factor=factor):
                return functional.interpolate(pixels, scale_factor=factor, mode="nearest")
            case calls.EncodeReference(pixels=pixels):
                tokens = pixels.mean((2, 3))[:, None, None]
                return torch.cat([tokens, torch.zeros_like(tokens)], dim=1)
            case calls.PresetPicture(name=name):
                return as_numbers(name, 3).sigmoid().view(3, 1, 1).expand(3, 16, 16)
            case calls.StylePreset(name=name):
                return a_style(as_numbers(name, 3).sigmoid())
            case calls.DescribeStyle(pixels=pixels):
                return a_style(pixels[0].mean((1, 2)))
            case calls.StyleCode(pixels=pixels):
                return pixels.mean((2, 3))
            case calls.Restyle(pixels=pixels, code=code, strength=strength):
                colour = code[:, :, None, None].expand_as(pixels)
                return torch.lerp(pixels, colour, strength.view(-1, 1, 1, 1))
            case calls.LayStrokes(pixels=pixels):
                return pixels
            case calls.Pause() | calls.Report():
                return None
        raise AssertionError(call)

    def asked(self, kind):
        return [call for call in self.seen if isinstance(call, kind)]


@dataclass
class Driver:
    """Runs one pipeline alone."""

    model: IdealModel = field(default_factory=IdealModel)

    def run(self, pipeline):
        result = None
        while True:
            try:
                call = pipeline.send(result)
            except StopIteration as end:
                return end.value
            result = self.model.answer(call)

    def with_facts(self, **changes):
        return Driver(IdealModel(replace(FACTS, **changes)))


@pytest.fixture
def driver():
    torch.set_num_threads(1)
    return Driver()
