"""Pairs of generator and judge in training: their gradients, samples, and the file that is kept.

A pair comes with each call as two vectors of numbers, so that nothing of a training is kept here.
It draws latents of the shipped autoencoder, whose decoder each generator's file holds too.
"""

import hashlib
import time
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from engine.calls import (
    FirstPair,
    FoolGradient,
    JudgeGradient,
    PairCall,
    PairCanvases,
    PairFeatures,
    PairSamples,
    WriteGenerator,
)
from engine.gan import losses
from engine.models.families.style_files import SHIPPED, read_style_transfer
from engine.networks.eye import quarters
from engine.networks.gan import Discriminator, GanConfig, Generator
from engine.networks.style import StyleEncoder
from engine.networks.vae import Vae, VaeConfig
from engine.networks.weights import encode_network, network_files, read_network

SIZE = 64  # pixels of a side of what is drawn
NETWORK = "gan"  # what a generator's file is called


def pair_config(vae: Vae) -> GanConfig:
    """Sizes of a pair that is quick enough for a CPU."""
    return GanConfig(
        size=SIZE // 8,
        channels=vae.config.latent_channels,
        generator_widths=(192, 128),
        generator_blocks=(2, 1),
        discriminator_widths=(192, 96),
        discriminator_blocks=(1, 1),
        spread=True,
        vae=vae.configuration(),
    )


class PairTeacher:
    """Answers calls of trainings on one device; networks are read when first asked for."""

    def __init__(self, device: torch.device, *, folder: Path = SHIPPED) -> None:
        self._device = device
        self._folder = folder

    def execute(self, calls: Sequence[PairCall]) -> list[Any]:
        """Return a result for each call, one after the other: each has weights of its own.

        Raises:
            BrokenWeights: a shipped file is missing or damaged.
        """
        return [self._answer(call) for call in calls]

    def _answer(self, call: PairCall) -> Any:
        match call:
            case FirstPair(seed=seed):
                return self._first(seed)
            case PairCanvases(pixels=pixels):
                return self._vae.encode(pixels.to(self._device)).cpu()
            case JudgeGradient():
                return self._judge_gradient(call)
            case FoolGradient():
                return self._fool_gradient(call)
            case PairSamples(generator=generator, z=z):
                _fill(self._generator, generator)
                w = self._generator.styles(z.to(self._device), self._looks(z))
                return self._generator(w).cpu()
            case PairFeatures(pixels=pixels):
                return quarters(self._encoder, pixels.to(self._device)).cpu()
            case WriteGenerator(generator=generator):
                _fill(self._generator, generator)
                self._generator.fit_means()
                return encode_network(NETWORK, self._generator)

    def _first(self, seed: int) -> tuple[Tensor, Tensor, str]:
        config = self._config  # reads the autoencoder, whose making draws numbers too
        with torch.random.fork_rng():
            torch.default_generator.manual_seed(seed)
            generator, judge = Generator(config), Discriminator(config)
        first, second = (parameters_to_vector(_taught(one)).detach() for one in (judge, generator))
        return first, second, self._version

    def _judge_gradient(self, call: JudgeGradient) -> tuple[Tensor, Tensor]:
        begun = time.perf_counter()
        _fill(self._judge, call.judge)
        _fill(self._generator, call.generator)
        fake = self._drawn(call.z)
        with torch.enable_grad():
            real = call.canvases.to(self._device)
            judge = losses.apart(self._judgement, len(real))
            verdict = losses.relativistic_verdict(judge, real, fake, call.gamma)
            gradient = _gradient(verdict.loss, self._judge)
        penalties = verdict.penalties
        numbers = [verdict.loss.detach(), verdict.gap, penalties["r1"], penalties["r2"]]
        spent = time.perf_counter() - begun
        return gradient, torch.tensor([*(float(number) for number in numbers), spent])

    def _fool_gradient(self, call: FoolGradient) -> tuple[Tensor, Tensor]:
        begun = time.perf_counter()
        _fill(self._judge, call.judge)
        _fill(self._generator, call.generator)
        with torch.enable_grad():
            real = call.canvases.to(self._device)
            loss = losses.relativistic_fooling(self._judgement, real, self._drawn(call.z))
            gradient = _gradient(loss, self._generator)
        return gradient, torch.tensor([float(loss.detach()), time.perf_counter() - begun])

    def _drawn(self, z: Tensor) -> Tensor:
        return self._generator.draw(self._generator.styles(z.to(self._device), self._looks(z)))

    def _judgement(self, canvases: Tensor) -> Tensor:
        scores: Tensor = self._judge(canvases, self._looks(canvases))
        return scores

    def _looks(self, rows: Tensor) -> Tensor:
        return torch.zeros(len(rows), dtype=torch.int64, device=self._device)

    @cached_property
    def _vae(self) -> Vae:
        configuration, weights = read_network(self._folder, "vae")
        vae = Vae(VaeConfig(**configuration))
        vae.load_state_dict(weights)
        return vae.to(self._device).eval().requires_grad_(requires_grad=False)

    @cached_property
    def _encoder(self) -> StyleEncoder:
        return read_style_transfer(self._folder).encoder.to(self._device)

    @cached_property
    def _config(self) -> GanConfig:
        return pair_config(self._vae)

    @cached_property
    def _generator(self) -> Generator:
        generator = Generator(self._config)
        assert generator.decoder is not None
        generator.decoder.load_state_dict(self._vae.decoder.state_dict())
        generator.latent_mean.copy_(self._vae.mean[:, None, None])
        generator.latent_std.copy_(self._vae.std[:, None, None])
        return generator.to(self._device)

    @cached_property
    def _judge(self) -> Discriminator:
        return Discriminator(self._config).to(self._device)

    @cached_property
    def _version(self) -> str:
        """Says which autoencoder and which sizes a pair is of."""
        digest = hashlib.sha256(repr(self._config).encode())
        for file in network_files(self._folder, "vae"):
            digest.update(file.read_bytes())
        return digest.hexdigest()[:16]


def _taught(network: nn.Module) -> list[nn.Parameter]:
    """What training changes: all but the decoder of the autoencoder."""
    return [parameter for parameter in network.parameters() if parameter.requires_grad]


def _fill(network: nn.Module, vector: Tensor) -> None:
    taught = _taught(network)
    vector_to_parameters(vector.to(taught[0].device), taught)


def _gradient(loss: Tensor, network: nn.Module) -> Tensor:
    found = torch.autograd.grad(loss, _taught(network))
    return torch.cat([one.reshape(-1) for one in found]).detach().cpu()
