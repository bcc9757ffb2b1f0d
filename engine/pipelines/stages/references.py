"""Style references as a model is shown them, where it draws by them; else they are laid over."""

from collections.abc import Generator
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from engine.calls import Call, EncodeReference, NetworkRef, PresetPicture
from engine.diffusion.guidance import ShownStyle
from engine.diffusion.prediction import ModelFacts
from engine.pipelines.stages import restyling, sources
from engine.requests import Diffusion, StyleReference


def are_shown(request: Diffusion, facts: ModelFacts) -> bool:
    """Whether the model itself draws in the look of the request's style references."""
    return bool(facts.style_side and request.style_references and request.style_weight)


def shown(
    request: Diffusion, facts: ModelFacts, network: NetworkRef
) -> Generator[Call, Any, ShownStyle | None]:
    """What the references say to the model, as much as each weighs; None where it sees none.

    Raises:
        UnreadableImage: a reference is no readable picture.
        Unsupported: there is no preset of that name.
    """
    if not are_shown(request, facts):
        return None
    pixels: list[Tensor] = []
    for reference in request.style_references:
        pixels += [(yield from _seen(reference, facts.style_side))]
    encoded: Tensor = yield EncodeReference(network, torch.stack(pixels))
    weights = [reference.weight for reference in request.style_references]
    shares = encoded.new_tensor([weight / sum(weights) for weight in weights])
    tokens, nothing = torch.einsum("b,bknd->knd", shares, encoded)
    return ShownStyle(tokens, nothing, restyling.strength_of(request))


def _seen(reference: StyleReference, side: int) -> Generator[Call, Any, Tensor]:
    """A reference as (3, side, side)."""
    if reference.preset:
        painting: Tensor = yield PresetPicture(reference.preset)
        shorter = min(painting.shape[1:])
        top, left = ((length - shorter) // 2 for length in painting.shape[1:])
        middle = painting[:, top : top + shorter, left : left + shorter]
        return restyling.resized(middle, side, side)
    return sources.pixels_of(_middle(sources.opened(reference.image, "styles"), side))


def _middle(image: Image.Image, side: int) -> Image.Image:
    """The middle square, resampled just as CLIP was trained to see pictures."""
    shorter, longer = sorted(image.size)
    length = int(side * longer / shorter)
    begin = (length - side) // 2
    # Nothing but the square is resampled: the whole of a thin picture would be huge.
    first, last = (edge * longer / length for edge in (begin, begin + side))
    box = (0, first, shorter, last) if image.width <= image.height else (first, 0, last, shorter)
    return image.resize((side, side), Image.Resampling.BICUBIC, box=box)
