"""What a profile asks for, and that it asks for no more rows where the worker says so."""

import torch

from engine.calls import (
    Decode,
    Denoise,
    DescribeLatents,
    Encode,
    Enlarge,
    MapNoise,
    NetworkRef,
    Pause,
    Report,
    Synthesise,
)
from engine.gan.space import LatentSpace
from engine.pipelines import imagine, profiling
from engine.requests import TextToImage, plain

NETWORK = NetworkRef("base")
A_FOX = TextToImage(model="base", prompt=plain("a fox"), seed=1, width=128, height=64)


def rows_asked_for(pipeline, answer, cap):
    """Kind of call and whether it is a preview -> the rows of each, none answered above `cap`."""
    asked = {}
    call = next(pipeline)
    while True:
        rows, kind = 1, type(call)
        match call:
            case Denoise(x=x):
                rows = len(x)
            case Decode(latents=latents, preview=preview):
                rows, kind = len(latents), "preview" if preview else Decode
            case Encode(pixels=pixels) | Enlarge(pixels=pixels):
                rows = len(pixels)
            case MapNoise(z=z):
                rows = len(z)
            case Synthesise(w=w):
                rows = len(w)
        asked.setdefault(kind, []).append(rows)
        try:
            call = pipeline.send(None if rows > cap else answer(call))
        except StopIteration:
            return asked


def test_all_that_a_picture_needs_is_asked_for_in_growing_passes(driver):
    model = driver.with_facts(output_upscale=2).model
    asked = rows_asked_for(profiling.drawing(NETWORK, 128, 64), model.answer, cap=4)
    growing = [1, 1, 2, 4, 8]
    assert {kind: asked[kind] for kind in (Denoise, Enlarge, Encode, "preview")} == {
        Denoise: growing,
        Enlarge: growing,
        Encode: growing,
        "preview": growing,
    }
    assert asked[Decode] == [*growing, 1]  # once more, for pixels to go on with


def test_the_calls_have_the_batch_keys_of_a_picture_of_that_size(driver):
    rows_asked_for(profiling.drawing(NETWORK, 128, 64), driver.model.answer, cap=1)
    profiled = {call.batch_key for call in driver.model.seen}
    driver.model.seen.clear()
    driver.run(imagine.run(A_FOX))
    needed = {call.batch_key for call in driver.model.seen if type(call) not in {Pause, Report}}
    assert needed <= profiled


def test_what_is_decoded_in_tiles_is_denoised_only(driver):
    model = driver.with_facts(has_preview=False).model
    asked = rows_asked_for(profiling.drawing(NETWORK, 2048, 1024), model.answer, cap=1)
    assert asked[Denoise] == [1, 1, 2]
    assert not {Decode, Encode, Enlarge, "preview"} & set(asked)


def test_a_generator_is_profiled_too():
    def answer(call):
        match call:
            case DescribeLatents():
                return LatentSpace(looks=("fruit",), latent=3, styles=5, size=64)
            case MapNoise(z=z):
                return torch.zeros(len(z), 5)
            case Synthesise(w=w):
                return torch.zeros(len(w), 3, 64, 64)

    asked = rows_asked_for(profiling.dreaming(NETWORK), answer, cap=2)
    assert asked[Synthesise] == [1, 1, 2, 4]
    assert asked[MapNoise] == [1, *asked[Synthesise]]
