"""A pair of generator and judge while it learns: both as vectors, what Adam remembers, how far.

Huang et al. 2024 (R3GAN), https://arxiv.org/abs/2501.05441: Adam without momentum, R1 and R2 that
fall over the run, an average of the generator's weights that is what one keeps.
"""

import json
import math
from dataclasses import asdict, dataclass, replace

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from engine.descent import adam_direction, kept_of_average, rate_factor
from engine.gan.monitors import Observation

RATE = 1e-3
GAMMA = (1.0, 0.1)  # of R1 and R2 on latents, whose deviation is 1, at the start and the end
SQUARE_KEPT = 0.99  # Adam's second beta
AVERAGE_KEPT = 0.998
WARM_STEPS = 190


@dataclass(frozen=True, slots=True, eq=False)
class Learning:
    """A pair after so many steps."""

    step: int
    seconds: float  # of computing
    judge: Tensor  # (Q,)
    judge_square: Tensor  # mean of squared gradients, like the next
    generator: Tensor  # (P,)
    generator_square: Tensor
    average: Tensor  # of the generator
    best: Tensor  # the average that came nearest to the pictures
    best_distance: float  # infinite as long as none was measured
    seen: tuple[Observation, ...] = ()  # what the monitors saw, from the beginning


def begun(judge: Tensor, generator: Tensor) -> Learning:
    """Nothing is learnt yet."""
    return Learning(
        step=0,
        seconds=0.0,
        judge=judge,
        judge_square=torch.zeros_like(judge),
        generator=generator,
        generator_square=torch.zeros_like(generator),
        average=generator,
        best=generator,
        best_distance=math.inf,
    )


def rate_at(progress: float, step: int, steps: int) -> float:
    """The learning rate: warmed up, steady, then falling."""
    return RATE * rate_factor(progress, warm=(step + 1) / max(1, min(WARM_STEPS, steps // 20)))


def gamma_at(progress: float) -> float:
    """The weight of R1 and R2."""
    first, last = GAMMA
    return first * float((last / first) ** progress)


def judged(state: Learning, gradient: Tensor, rate: float) -> Learning:
    """The judge one step on."""
    judge, square = _adam(state.judge, state.judge_square, gradient, rate, state.step)
    return replace(state, judge=judge, judge_square=square)


def fooled(state: Learning, gradient: Tensor, rate: float, seconds: float) -> Learning:
    """The generator and its average one step on, after `seconds` more."""
    generator, square = _adam(state.generator, state.generator_square, gradient, rate, state.step)
    keep = kept_of_average(AVERAGE_KEPT, state.step)
    return replace(
        state,
        step=state.step + 1,
        seconds=state.seconds + seconds,
        generator=generator,
        generator_square=square,
        average=torch.lerp(generator, state.average, keep),
    )


def observed(state: Learning, seen: Observation) -> Learning:
    """The state after its average was measured; it is the best if it is as near to the pictures."""
    state = replace(state, seen=(*state.seen, seen))
    if not seen.kid <= state.best_distance:
        return state
    return replace(state, best=state.average, best_distance=seen.kid)


def _adam(
    x: Tensor, square: Tensor, gradient: Tensor, rate: float, step: int
) -> tuple[Tensor, Tensor]:
    square = torch.lerp(gradient.square(), square, SQUARE_KEPT)
    return x - rate * adam_direction(gradient, square, step + 1, (0.0, SQUARE_KEPT)), square


def encode_state(state: Learning) -> bytes:
    """The state, so that `decode_state` goes on to the last bit where it stopped."""
    numbers = torch.tensor([state.step, state.seconds, state.best_distance], dtype=torch.float64)
    text = json.dumps([asdict(one) for one in state.seen])
    told = torch.tensor(list(text.encode()), dtype=torch.uint8)
    data: bytes = save(_vectors(state) | {"numbers": numbers, "seen": told})
    return data


def decode_state(data: bytes, judge: int, generator: int) -> Learning | None:
    """The state of a pair of so many numbers; None if it is damaged or of another pair."""
    try:
        parts = load(data)
        step, seconds, distance = parts.pop("numbers").tolist()
        told = parts.pop("seen", torch.zeros(0, dtype=torch.uint8))  # older notes have none
        seen = tuple(Observation(**one) for one in json.loads(bytes(told.tolist()) or "[]"))
        state = Learning(
            step=int(step), seconds=seconds, best_distance=distance, seen=seen, **parts
        )
    except (SafetensorError, KeyError, ValueError, TypeError):
        return None
    fits = len(state.judge) == judge and len(state.generator) == generator
    return state if fits else None


def _vectors(state: Learning) -> dict[str, Tensor]:
    names = ("judge", "judge_square", "generator", "generator_square", "average", "best")
    # Copies: the first average is the generator itself, and a file holds nothing twice.
    return {name: getattr(state, name).clone() for name in names}
