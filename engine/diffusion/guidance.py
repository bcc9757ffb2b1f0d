"""Steering by the prompt: several parts of it, away from another, by house or to the letter.

Ho and Salimans 2022, "Classifier-Free Diffusion Guidance" (https://arxiv.org/abs/2207.12598);
Liu et al. 2022, "Compositional Visual Generation with Composable Diffusion Models"
(https://arxiv.org/abs/2206.01714); Lin et al. 2023 (https://arxiv.org/abs/2305.08891).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from engine.calls import Conditioning, Denoise, NetworkRef, Sampling, StyleTokens
from engine.diffusion import conditioning as rows_of
from engine.diffusion.noise import generator_of
from engine.diffusion.prediction import ModelFacts
from engine.diffusion.samplers import Denoiser
from engine.diffusion.unsaid import CODES, code_of_seed
from engine.errors import InvalidRequest
from engine.requests import Diffusion, PromptPart, Span, plain
from engine.wording import Said

MAX_PARTS = 6  # of positive weight; each is a row of every pass
STYLIZE_OWN = 100  # where a model is left as it is
STYLIZE_RANGE = 1000
HOUSE_SHARE = 0.4  # of the house look at the end of `stylize`
HOUSE_GUIDANCE = 1.3  # factor on the guidance there
LITERAL_RESCALE = 0.7  # guidance rescale at stylize 0
CHAOS_GUIDANCE = 0.35  # log-spread of the guidance between images at full chaos


@dataclass(frozen=True, slots=True)
class Wording:
    """What a text encoder is asked for one request: the positive parts, then the negative row."""

    texts: tuple[tuple[Span, ...], ...]
    weights: tuple[float, ...]  # of the positive parts, sum 1
    is_guided: bool  # the last of `texts` is the negative row


@dataclass(frozen=True, slots=True, eq=False)
class Guidance:
    """How B images are steered: blocks of B rows, one per positive part, the negative one last."""

    conditioning: Conditioning
    weights: Tensor  # (K,) of the positive parts, sum 1; (K, B) where the images' differ
    scales: Tensor  # (B,), 1 is off
    rescale: float  # 0..1
    is_guided: bool

    def __len__(self) -> int:
        return len(self.scales)


@dataclass(frozen=True, slots=True, eq=False)
class ShownStyle:
    """What a request's style references say to a model that draws by them."""

    tokens: Tensor  # (N, D)
    nothing: Tensor  # (N, D) of no picture at all: what guidance steers away from
    scale: float  # how much they count, 0..1

    def rows(self, positive: int, negative: int) -> StyleTokens:
        """For so many rows to follow, and after them so many to avoid."""
        tokens = [self.tokens] * positive + [self.nothing] * negative
        scale = torch.full((len(tokens),), self.scale, device=self.tokens.device)
        return StyleTokens(torch.stack(tokens), scale)


def wording(request: Diffusion, facts: ModelFacts) -> Wording:
    """Return what to encode for a request.

    Raises:
        InvalidRequest: the prompt has too many parts.
    """
    parts = [part for part in request.prompt if part.weight > 0]
    if len(parts) > MAX_PARTS:
        reason = Said(
            "has {count} parts of positive weight; at most {most} can be mixed",
            count=len(parts),
            most=MAX_PARTS,
        )
        raise InvalidRequest("prompt", reason)
    shares = _shares(parts)
    house = _house_share(request.stylize) if facts.house_prompt else 0.0
    if house > 0:
        parts = [*parts, *plain(facts.house_prompt)]
        shares = [*(share * (1 - house) for share in shares), house]
    texts = tuple(part.spans for part in parts)
    is_guided = request.guidance_scale > 1
    if is_guided:
        texts = (*texts, rows_of.negative_row(request.prompt))
    return Wording(texts, tuple(shares), is_guided)


def guidance_of(
    request: Diffusion,
    facts: ModelFacts,
    words: Wording,
    encoded: Conditioning,
    seeds: Sequence[int],
    shown: ShownStyle | None = None,
    *,
    is_new: bool = True,
) -> Guidance:
    """Return how the images of those seeds are steered; each depends on its own seed alone.

    Only of images that begin as noise is it decided what the prompt leaves open.
    """
    parts = [rows_of.rows(encoded, [index]) for index in range(len(words.texts))]
    positive, negative = parts[: len(words.weights)], parts[len(words.weights) :]
    blocks = [
        rows_of.strayed(part, seed, weird=request.weird, chaos=request.chaos)
        for part in positive
        for seed in seeds
    ]
    blocks += [part for part in negative for _ in seeds]
    scales = [_image_scale(request, seed) for seed in seeds]
    conditioning = rows_of.joined(blocks)
    if facts.unsaid == CODES and is_new:
        codes = torch.stack([code_of_seed(seed) for seed in seeds]).to(conditioning.extra)
        copies = len(conditioning) // len(seeds)
        conditioning = replace(conditioning, extra=codes.repeat(copies, 1))
    if shown is not None:
        style = shown.rows(len(positive) * len(seeds), len(negative) * len(seeds))
        conditioning = replace(conditioning, style=style)
    return Guidance(
        conditioning=conditioning,
        weights=torch.tensor(words.weights, device=encoded.tokens.device),
        scales=torch.tensor(scales, device=encoded.tokens.device),
        rescale=max(facts.guidance_rescale, _literal_rescale(request.stylize)),
        is_guided=words.is_guided,
    )


def guided(network: NetworkRef, guidance: Guidance) -> Denoiser:
    """Return a denoiser that asks for all rows of all images in one call."""

    def denoise(x: Tensor, sigma: float) -> Sampling:
        copies = len(guidance.conditioning) // len(x)
        sigmas = torch.full((copies * len(x),), sigma, device=x.device)
        call = Denoise(network, x.repeat(copies, 1, 1, 1), sigmas, guidance.conditioning)
        denoised: Tensor = yield call
        return combined(denoised, guidance)

    return denoise


def combined(denoised: Tensor, guidance: Guidance) -> Tensor:
    """Return one estimate per image from the blocks of rows; Liu et al. 2022, eq. 11.

    With one positive part this is Ho and Salimans 2022, eq. 6, written for clean latents.
    """
    blocks = denoised.view(-1, len(guidance), *denoised.shape[1:])  # (blocks, B, C, h, w)
    weights = guidance.weights.view(len(guidance.weights), -1, 1, 1, 1)
    positive = (blocks[: len(weights)] * weights).sum(0)
    if not guidance.is_guided:
        return positive
    negative = blocks[-1]
    steered = negative + guidance.scales.view(-1, 1, 1, 1) * (positive - negative)
    return rescaled(steered, positive, guidance.rescale)


def rescaled(steered: Tensor, positive: Tensor, amount: float) -> Tensor:
    """Bring the spread of over-steered latents back towards the prompt's own; amount 0..1.

    Lin et al. 2023, section 3.4.
    """
    if amount == 0:
        return steered
    spread = positive.std((1, 2, 3), keepdim=True) / steered.std((1, 2, 3), keepdim=True)
    # Differs from the paper: of the clean latents, not of what the network was trained to predict.
    return steered * (amount * spread + 1 - amount)


def _shares(parts: Sequence[PromptPart]) -> list[float]:
    total = sum(part.weight for part in parts)
    return [part.weight / total for part in parts]


def _above_own(stylize: int) -> float:
    """0 up to the model's own, 1 at the end of the range, by the logarithm."""
    return max(0.0, math.log(max(stylize, 1) / STYLIZE_OWN) / math.log(STYLIZE_RANGE / STYLIZE_OWN))


def _house_share(stylize: int) -> float:
    return HOUSE_SHARE * _above_own(stylize)


def _literal_rescale(stylize: int) -> float:
    return LITERAL_RESCALE * max(0.0, 1 - stylize / STYLIZE_OWN)


def _image_scale(request: Diffusion, seed: int) -> float:
    """Return the guidance scale of one image: more by house, spread by chaos; 1 stays 1."""
    factor = 1 + (HOUSE_GUIDANCE - 1) * _above_own(request.stylize)
    if request.chaos:
        draw = torch.randn((), generator=generator_of(seed, "chaos of guidance")).clamp(-2, 2)
        factor *= math.exp(CHAOS_GUIDANCE * request.chaos / 100 * float(draw))
    return 1 + (request.guidance_scale - 1) * factor
