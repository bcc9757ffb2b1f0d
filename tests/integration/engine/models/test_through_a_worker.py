"""A checkpoint of the operator's, from a line in a catalogue file to pictures of a real worker."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from engine.config import EngineConfig
from engine.errors import ModelUnavailable
from engine.events import Progress, Started
from engine.host import open_engine
from engine.models.catalogue import open_catalogue
from engine.models.shelf import Shelf
from engine.pipelines import imagine


@pytest.fixture
def config(checkpoints, tmp_path):
    lines = [
        f'models.tiny = {{ family = "sd1", where = "{checkpoints / "sd1"}" }}',
        f'models.broken = {{ family = "sdxl", where = "{checkpoints / "sd1"}" }}',
    ]
    file = tmp_path / "mine.toml"
    file.write_text("\n".join(lines), encoding="utf-8")
    return EngineConfig(devices=("cpu",), catalogue_files=(file,), models_dir=tmp_path, threads=1)


@pytest.mark.timeout(180)  # a fresh process imports torch and diffusers
async def test_a_line_of_configuration_gives_the_pictures_of_the_checkpoint(
    config, request_of, answers_on
):
    request, events = request_of("tiny"), []
    async with open_engine(config) as engine:
        finished = await engine.run(request, events.append)
        with pytest.raises(ModelUnavailable, match="another family"):
            await engine.run(request_of("broken"), events.append)
    assert isinstance(events[0], Started)
    assert any(isinstance(event, Progress) and event.stage == "loading" for event in events)
    pixels = [np.asarray(Image.open(io.BytesIO(image.png))) for image in finished.images]
    shelf = Shelf(config, open_catalogue(config), device="cpu")
    (expected,) = answers_on(shelf).run(imagine.run(request))
    expected = (expected * 255).round().permute(0, 2, 3, 1)
    assert (torch.from_numpy(np.stack(pixels)).float() - expected).abs().max() <= 1
