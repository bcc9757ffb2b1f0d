"""The models that ship with the studio: one text encoder, denoiser, autoencoder and upscaler."""

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from engine.calls import Conditioning
from engine.diffusion.prediction import (
    ModelFacts,
    Prediction,
    clean_latents,
    flow_time,
    network_input,
)
from engine.errors import ModelUnavailable, Unsupported
from engine.models.catalogue import ModelInfo
from engine.models.families import Adaptation, OnLoad, Place
from engine.models.files import PACK_NETWORKS
from engine.networks.denoiser import Denoiser, DenoiserConfig
from engine.networks.lora import merge_lora
from engine.networks.text_encoder import TextEncoder, TextEncoderConfig, Tokenizer
from engine.networks.upscaler import Upscaler, UpscalerConfig
from engine.networks.vae import Vae, VaeConfig
from engine.networks.weights import BrokenWeights, read_network
from engine.requests import Span
from engine.wording import Said

DRAFT = "denoiser-draft"  # the change of the denoiser that draws in few steps, unguided
NATIVE = 128  # pixels of the squares it draws
OUTPUT_UPSCALE = 2
SIZE_MULTIPLE = 16  # pixels: the denoiser halves its latents once


@dataclass(frozen=True, slots=True)
class Networks:
    """The four networks and the tokeniser, on one device."""

    tokenizer: Tokenizer
    text_encoder: TextEncoder
    denoiser: Denoiser
    vae: Vae
    upscaler: Upscaler


def read_tokenizer(folder: Path, length: int) -> Tokenizer:
    """The word pieces and the Chinese lexicon beside the weights.

    Raises:
        BrokenWeights: a file is missing.
    """
    try:
        pieces = (folder / "vocabulary.txt").read_text(encoding="utf-8").splitlines()
        lines = (folder / "lexicon_zh.tsv").read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise BrokenWeights(str(error.filename), "the file is missing") from error
    lexicon = {
        row["chinese"]: row["english"]
        for row in csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)
    }
    return Tokenizer(pieces, lexicon, length)


def read_networks(folder: Path, on_progress: OnLoad = lambda _: None) -> Networks:
    """Read the whole pack from a folder, in fp32 on the CPU.

    Raises:
        BrokenWeights: a file is missing, damaged or does not fit.
    """
    loaded: dict[str, Any] = {}
    for number, name in enumerate(PACK_NETWORKS, 1):
        configuration, weights = read_network(folder, name)
        try:
            network = _built(name, configuration)
            network.load_state_dict(weights)
        except (TypeError, RuntimeError) as error:
            raise BrokenWeights(str(folder / name), f"the weights do not fit ({error})") from error
        loaded[name] = network.eval().requires_grad_(requires_grad=False)
        on_progress(number / len(PACK_NETWORKS))
    tokenizer = read_tokenizer(folder, loaded["text_encoder"].config.length)
    return Networks(tokenizer, **loaded)


def _built(name: str, values: dict[str, Any]) -> nn.Module:
    match name:
        case "text_encoder":
            return TextEncoder(TextEncoderConfig(**values))
        case "denoiser":
            return Denoiser(DenoiserConfig(**values))
        case "vae":
            return Vae(VaeConfig(**values))
        case _:
            return Upscaler(UpscalerConfig(**values))


def make_draft(folder: Path, networks: Networks) -> None:
    """Turn the denoiser into the one that needs few steps and no guidance.

    Raises:
        BrokenWeights: the change is missing, damaged or does not fit.
    """
    _, changes = read_network(folder, DRAFT)
    try:
        merge_lora(networks.denoiser, changes)
    except (KeyError, RuntimeError) as error:
        raise BrokenWeights(str(folder / DRAFT), f"the change does not fit ({error})") from error


class PackModel:
    """The pack, loaded."""

    def __init__(self, info: ModelInfo, place: Place, networks: Networks) -> None:
        self._info = info
        self._place = place
        self._networks = networks
        self._modules: list[nn.Module] = [getattr(networks, name) for name in PACK_NETWORKS]
        for module in self._modules:
            module.to(place.device)
            module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    @property
    def bytes_used(self) -> int:
        """Device memory of the weights."""
        tensors = (t for module in self._modules for t in module.state_dict().values())
        return sum(tensor.nbytes for tensor in tensors)

    def facts(self) -> ModelFacts:
        """How it wants to be sampled."""
        info = self._info
        return ModelFacts(
            prediction=Prediction.FLOW,
            latent_channels=self._networks.vae.config.latent_channels,
            sampler=info.sampler,
            schedule=info.schedule,
            steps=info.steps,
            guidance_scale=info.guidance_scale,
            size_multiple=SIZE_MULTIPLE,
            native_size=NATIVE,
            has_preview=True,
            output_upscale=OUTPUT_UPSCALE,
            unsaid=self._networks.denoiser.config.unsaid,
            house_prompt=info.house_prompt,
        )

    def adapt(self, adaptation: Adaptation) -> None:
        """Accept only the pristine weights.

        Raises:
            Unsupported: a LoRA or seamless tiling is asked for.
        """
        if adaptation.loras:
            reason = "{model} takes no LoRA: choose a larger model"
            raise Unsupported(Said(reason, model=self._info.name))
        if adaptation.tile:
            reason = "{model} can't make seamless tiles: leave out --tile"
            raise Unsupported(Said(reason, model=self._info.name))

    def encode_text(
        self, prompts: tuple[tuple[Span, ...], ...], width: int, height: int
    ) -> Conditioning:
        """Encode prompts; a span's weight scales the features of its tokens."""
        del width, height
        networks, device = self._networks, self._place.device
        ids = networks.tokenizer([" ".join(span.text for span in spans) for spans in prompts])
        tokens, pooled = networks.text_encoder(ids.to(device))
        weights = torch.stack([self._weights(spans) for spans in prompts]).to(device)
        nothing = pooled.new_zeros(len(ids), networks.denoiser.config.unsaid)
        return Conditioning(tokens * weights[..., None], pooled, nothing)

    def _weights(self, spans: tuple[Span, ...]) -> Tensor:
        """One weight for each place of the sequence; the first one is the start token's."""
        tokenizer = self._networks.tokenizer
        weights = [1.0]
        for span in spans:
            weights += [span.weight] * len(tokenizer.pieces(span.text))
        weights = weights[: tokenizer.length - 1]
        return torch.tensor(weights + [1.0] * (tokenizer.length - len(weights)))

    def encode_reference(self, pixels: Tensor) -> Tensor:
        """Refuse: the pack's denoiser knows words alone."""
        del pixels
        raise Unsupported(Said("{model} can't be shown style references", model=self._info.name))

    def denoise(self, x: Tensor, sigma: Tensor, conditioning: Conditioning) -> Tensor:
        """One pass of the denoiser, each row at its own noise level."""
        seen = network_input(Prediction.FLOW, x, sigma).to(memory_format=torch.channels_last)
        time = flow_time(sigma)
        velocity = self._networks.denoiser(
            seen, time, conditioning.tokens, conditioning.pooled, conditioning.extra
        )
        return clean_latents(Prediction.FLOW, velocity.float(), x, sigma)

    def encode(self, pixels: Tensor) -> Tensor:
        """Normalised latents (B, C, h, w)."""
        return self._networks.vae.encode(pixels)

    def decode(self, latents: Tensor) -> Tensor:
        """Pixels in [0, 1] at the size the pack draws, before its upscaler."""
        return self._networks.vae.decode(latents)

    def preview(self, latents: Tensor) -> Tensor:
        """One colour per latent."""
        return self._networks.vae.preview(latents)

    def enlarge(self, pixels: Tensor, factor: int) -> Tensor:
        """Enlarge with the pack's upscaler.

        Raises:
            Unsupported: it was not trained for that factor.
        """
        upscaler = self._networks.upscaler
        if factor not in upscaler.config.factors:
            able = " or ".join(str(n) for n in upscaler.config.factors)
            reason = "the pack enlarges {able} times, not {factor} times"
            raise Unsupported(Said(reason, able=able, factor=factor))
        return upscaler.enlarge(pixels, factor)


def load(info: ModelInfo, files: Path, place: Place, on_progress: OnLoad) -> PackModel:
    """Read the pack from its folder.

    Raises:
        ModelUnavailable: a file is missing, broken or of another network.
    """
    try:
        networks = read_networks(files, on_progress)
        if info.variant == "draft":
            make_draft(files, networks)
    except BrokenWeights as error:
        raise ModelUnavailable(info.name, str(error)) from error
    return PackModel(info, place, networks)
