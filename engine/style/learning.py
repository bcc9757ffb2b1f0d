"""What is learnt of one style, and the state of learning it; both as safetensors."""

from dataclasses import dataclass

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from engine.descent import adam_direction

WARM_STEPS = 10  # in which the rate rises, as the first gradients tell little
RATE = 3e-3


@dataclass(frozen=True, slots=True, eq=False)
class Learning:
    """A change (P,) of a network after so many steps, and Adam's two memories."""

    step: int
    change: Tensor
    mean: Tensor
    square: Tensor


def begun(change: Tensor) -> Learning:
    """Nothing is learnt yet."""
    return Learning(0, change, torch.zeros_like(change), torch.zeros_like(change))


def learnt(state: Learning, gradient: Tensor, steps: int) -> Learning:
    """One step of Adam of `steps` in all; the rate falls to nought over the second half."""
    step = state.step + 1
    mean = state.mean.lerp(gradient, 0.1)
    square = state.square.lerp(gradient.square(), 0.01)
    rate = RATE * min(1.0, step / WARM_STEPS, 2 * (1 - state.step / steps) + 0.02)
    return Learning(step, state.change - rate * adam_direction(mean, square, step), mean, square)


def encode_state(state: Learning) -> bytes:
    """The state, so that `decode_state` goes on to the last bit where it stopped."""
    step = torch.tensor([state.step])
    parts = {"step": step, "change": state.change, "mean": state.mean, "square": state.square}
    data: bytes = save(parts)
    return data


def decode_state(data: bytes, size: int) -> Learning | None:
    """The state of a change of `size` numbers; None if it is damaged or of another network."""
    try:
        parts = load(data)
        state = Learning(int(parts["step"]), parts["change"], parts["mean"], parts["square"])
    except (SafetensorError, KeyError, ValueError):
        return None
    return state if all(len(part) == size for part in parts.values() if len(part) > 1) else None


def encode_change(change: Tensor, version: str) -> bytes:
    """A change (P,) of the network of that version, in half precision."""
    data: bytes = save({f"change {version}": change.half()})
    return data


def decode_change(data: bytes, version: str) -> Tensor | None:
    """The change (P,); None if it is damaged or of a network of another version."""
    try:
        change = load(data).get(f"change {version}")
    except SafetensorError:
        return None
    return None if change is None else change.float()
