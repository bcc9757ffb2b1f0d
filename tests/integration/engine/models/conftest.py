"""Tiny checkpoints on disk, a shelf that holds them, and the loop that answers pipelines."""

from dataclasses import dataclass

import pytest
import torch

from engine import batching
from engine.calls import Decode, Pause, Report
from engine.config import EngineConfig
from engine.models.catalogue import Catalogue, Family, ModelInfo, Source
from engine.models.shelf import Shelf
from engine.requests import PromptPart, Schedule, Span, TextToImage, plain
from tests import tiny_checkpoints


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory):
    """`sd1`, `sd1-v`, `sd2` and `sdxl`, most as single files too, a `tiny-vae`, a `tokenizer`."""
    folder = tmp_path_factory.mktemp("checkpoints")
    tiny_checkpoints.write_sd1(folder / "sd1")
    tiny_checkpoints.write_sd1(folder / "sd1-v", prediction="v_prediction", seed=1)
    tiny_checkpoints.write_sd2(folder / "sd2", folder / "sd2-file.safetensors")
    tiny_checkpoints.write_sdxl(folder / "sdxl")
    tiny_checkpoints.write_tiny_vae(folder / "tiny-vae")
    tiny_checkpoints.write_tokenizer(folder / "tokenizer")
    tiny_checkpoints.write_single_file(folder / "sd1", folder / "sd1-file.safetensors")
    tiny_checkpoints.write_single_file(
        folder / "sdxl", folder / "sdxl-file.safetensors", second=True
    )
    return folder


@pytest.fixture
def info_of(checkpoints):
    """Make the catalogue entry of one of the checkpoints, by its name there."""

    def make(checkpoint, family, **fields):
        path = checkpoints / checkpoint
        source = Source.FILE if path.is_file() else Source.FOLDER
        entry = {"name": path.stem, "where": str(path), "width": 64, "height": 64}
        return ModelInfo(family=Family(family), source=source, **(entry | fields))

    return make


@pytest.fixture
def request_of():
    """Make a quick request for two images of 64 pixels."""

    def make(model, prompt="a red cat", negative="dog, blue", **changes):
        words = (*plain(prompt), PromptPart((Span(negative),), weight=-0.5))
        fields = {
            "prompt": words,
            "seed": 7,
            "width": 64,
            "height": 64,
            "steps": 4,
            "guidance_scale": 5.0,
            "image_count": 2,
            "schedule": Schedule.MODEL,
            "previews": False,
        }
        return TextToImage(model=model, **(fields | changes))

    return make


@pytest.fixture
def shelf_of():
    """Make a shelf of some models."""

    def make(*models, loras=(), **config):
        return Shelf(
            EngineConfig(devices=("cpu",), **config), Catalogue(models, loras), device="cpu"
        )

    return make


@dataclass
class Answers:
    """Runs pipelines on a shelf and keeps the pixels they decoded."""

    shelf: Shelf

    def run(self, *pipelines):
        """Run pipelines together, batching as the worker does; the final pixels of each."""
        waiting = [(number, p, p.send(None)) for number, p in enumerate(pipelines)]
        decoded = {number: [] for number, _, _ in waiting}
        while waiting:
            number, pipeline, call = waiting.pop(0)
            if isinstance(call, Pause | Report):
                self._resume(waiting, number, pipeline, None)
                continue
            mates = [entry for entry in waiting if entry[2].batch_key == call.batch_key]
            waiting = [entry for entry in waiting if entry not in mates]
            batch = [(number, pipeline, call), *mates]
            results = self.shelf.execute([each[2] for each in batch])
            for (number, pipeline, call), result in zip(batch, results, strict=True):
                if isinstance(call, Decode) and not call.preview:
                    decoded[number].append(result)
                self._resume(waiting, number, pipeline, result)
        return [torch.cat(decoded[number]) for number in range(len(pipelines))]

    def _resume(self, waiting, number, pipeline, result):
        try:
            call = pipeline.send(result)
        except StopIteration:
            return
        batching.row_count(call)
        waiting.append((number, pipeline, call))


@pytest.fixture
def answers_of(shelf_of):
    def make(*models, **options):
        return Answers(shelf_of(*models, **options))

    return make


@pytest.fixture
def answers_on():
    """Answer pipelines on a shelf of the test's own."""
    return Answers
