"""Learning one style: a small change of the fast decoder, so that one pass comes closer to it.

Johnson et al. 2016, "Perceptual Losses for Real-Time Style Transfer"
(https://arxiv.org/abs/1603.08155). Differs from the paper: nothing is learnt from scratch, and the
contents are pictures of nothing (`engine.style.scenery`), so that no photographs are needed.
"""

import hashlib
import time
from collections.abc import Generator
from functools import partial
from typing import Any

import torch
from torch import Tensor

from engine.calls import Call, ChangeGradient, FirstChange, Pipeline, Recall, Remember, Report
from engine.events import Picture
from engine.media import png
from engine.media.grids import contact_grid
from engine.media.neutral import neutral_picture
from engine.pipelines.stages import denoising, restyling, sources
from engine.pipelines.stages.aside import aside
from engine.pipelines.stages.restyling import STYLE_NETWORK
from engine.pipelines.stages.showing import preview_of
from engine.requests import StyleReference, TrainStyle
from engine.style.learning import (
    Learning,
    begun,
    decode_state,
    encode_change,
    encode_state,
    learnt,
)
from engine.style.scenery import scenery
from engine.style.target import Style

SCENES = 24  # pictures from which crops are taken
SCENE_SIDE = 192  # pixels
CROP = 96  # pixels
ROWS = 2  # crops of one step, few so that others wait a short time only
KEPT_EVERY = 25  # steps, after which a killed worker goes on
SHOWN_SIDE = 320  # pixels of one picture of the result

StateOf = Generator[Call, Any, Learning]


def run(
    request: TrainStyle,
    *,
    preview_interval_s: float = denoising.PREVIEW_INTERVAL_S,
    clock: denoising.Clock = time.monotonic,
) -> Pipeline:
    """Return one picture: the style, a landscape, and that in the style before and after.

    The picture carries what was learnt. A killed worker goes on where its notes end.

    Raises:
        UnreadableImage: the style is no readable picture.
    """
    style = yield from restyling.painted_like(StyleReference(request.style))
    first, version = yield FirstChange(STYLE_NETWORK, request.seed)
    key = _key_of(request, version)
    noted = yield Recall(key)
    state = decode_state(noted, len(first)) or begun(first)
    generator = torch.Generator().manual_seed(request.seed)
    scenes = yield from aside(partial(scenery, SCENES, SCENE_SIDE, generator))
    sample = sources.pixels_of(neutral_picture())
    shown = clock()
    while state.step < request.steps:
        state = yield from _one_step(state, request, style, scenes)
        preview = None
        if request.previews and clock() - shown >= preview_interval_s:
            changes = ((encode_change(state.change, version), 1.0),)
            preview = preview_of((yield from restyling.restyled(sample, style, 1.0, changes))[None])
            shown = clock()
        yield Report(state.step, request.steps, preview)
        if state.step % KEPT_EVERY == 0:
            yield Remember(key, encode_state(state))
    weights = encode_change(state.change, version)
    before = yield from restyling.restyled(sample, style, 1.0)
    after = yield from restyling.restyled(sample, style, 1.0, ((weights, 1.0),))
    picture = yield from aside(partial(_picture, request, before, after, weights))
    yield Remember(key, b"")
    return (picture,)


def _one_step(state: Learning, request: TrainStyle, style: Style, scenes: Tensor) -> StateOf:
    """Descend a little, on crops that depend on seed and step alone."""
    numbers = torch.Generator().manual_seed(request.seed * request.steps + state.step)
    pixels = _crops(scenes, numbers)
    _, gradient = yield ChangeGradient(
        STYLE_NETWORK,
        state.change,
        pixels,
        style.code,
        style.grams,
        style.mean,
        style.covariance,
    )
    return learnt(state, gradient, request.steps)


def _crops(scenes: Tensor, numbers: torch.Generator) -> Tensor:
    """Pieces (ROWS, 3, CROP, CROP) of some scenes."""
    chosen = torch.randint(len(scenes), (ROWS,), generator=numbers)
    top, left = torch.randint(SCENE_SIDE - CROP + 1, (2,), generator=numbers).tolist()
    return scenes[chosen, :, top : top + CROP, left : left + CROP]


def _key_of(request: TrainStyle, version: str) -> str:
    picture = hashlib.sha256(request.style).hexdigest()
    return f"training {version} {picture} {request.seed} {request.steps}"


def _picture(request: TrainStyle, before: Tensor, after: Tensor, weights: bytes) -> Picture:
    style = sources.opened(request.style, "style").convert("RGB")
    drawn = png.images_of_pixels(torch.stack([before, after]).numpy())
    shown = (style, neutral_picture(), *drawn)
    grid = contact_grid([sources.covering(image, SHOWN_SIDE, SHOWN_SIDE) for image in shown])
    return Picture(png.encode_png(grid), request.seed, grid.width, grid.height, weights=weights)
