"""Learning a style from request to weights, answered by small random networks."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from engine import calls
from engine.errors import InvalidRequest, UnreadableImage
from engine.models.families.style import StyleNetworks
from engine.networks.style import StyleConfig, StyleTransfer
from engine.networks.weights import save_network
from engine.pipelines import train_style
from engine.requests import TrainStyle


@pytest.fixture
def networks(tmp_path):
    torch.manual_seed(6)
    save_network(tmp_path, "style", StyleTransfer(StyleConfig(widths=(4, 6, 8, 8))))
    return StyleNetworks(torch.device("cpu"), folder=tmp_path, notes=tmp_path / "notes")


@pytest.fixture(autouse=True)
def small(monkeypatch):
    torch.set_num_threads(1)
    monkeypatch.setattr(train_style, "SCENES", 3)
    monkeypatch.setattr(train_style, "SCENE_SIDE", 48)
    monkeypatch.setattr(train_style, "CROP", 32)
    monkeypatch.setattr(train_style, "KEPT_EVERY", 4)


def painting(seed=1):
    values = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(values).resize((64, 48), Image.Resampling.NEAREST).save(buffer, "PNG")
    return buffer.getvalue()


REQUEST = TrainStyle(style=painting(), name="blocks", steps=12, seed=3)


def train(networks, request, stop_after=None, **values):
    """The picture, and the calls that led to it; None if the run was killed before."""
    pipeline, seen, result = train_style.run(request, **values), [], None
    while True:
        try:
            call = pipeline.send(result)
        except StopIteration as end:
            return end.value[0], seen
        seen.append(call)
        if sum(isinstance(one, calls.ChangeGradient) for one in seen) == stop_after:
            return None, seen
        result = None
        if not isinstance(call, calls.Pause | calls.Report):
            with torch.no_grad():
                (result,) = networks.execute([call])


def gradients(seen):
    return [call for call in seen if isinstance(call, calls.ChangeGradient)]


def test_a_style_is_learnt_and_its_picture_carries_what_was(networks):
    picture, seen = train(networks, REQUEST)
    assert len(gradients(seen)) == 12
    first, last = (float(networks.execute([gradients(seen)[place]])[0][0]) for place in (0, -1))
    assert last < first
    assert 0 < len(picture.weights) < 2_000_000
    image = Image.open(io.BytesIO(picture.png))
    assert image.size == (picture.width, picture.height)
    before, after = (
        np.asarray(image.crop((left, 324, left + 320, 644))).astype(float) for left in (0, 324)
    )
    assert abs(before - after).mean() > 0.5


def test_a_killed_training_goes_on_and_ends_with_the_same_weights(networks):
    whole, _ = train(networks, REQUEST)
    killed, _ = train(networks, REQUEST, stop_after=7)
    assert killed is None
    resumed, seen = train(networks, REQUEST)
    assert len(gradients(seen)) == 8, "four steps were written down"
    assert resumed.weights == whole.weights
    _, seen = train(networks, REQUEST)
    assert len(gradients(seen)) == 12, "notes of what is done are forgotten"


def test_another_seed_or_length_is_another_training(networks):
    train(networks, REQUEST, stop_after=7)
    other = TrainStyle(style=REQUEST.style, name="blocks", steps=12, seed=4)
    assert len(gradients(train(networks, other)[1])) == 12


def test_progress_shows_a_landscape_that_takes_on_the_style(networks):
    _, seen = train(networks, REQUEST, preview_interval_s=0.0)
    reports = [call for call in seen if isinstance(call, calls.Report)]
    assert [report.step for report in reports] == list(range(1, 13))
    assert {report.total for report in reports} == {12}
    shown = Image.open(io.BytesIO(reports[-1].preview))
    assert shown.width == shown.height


def test_a_style_that_is_no_picture_is_refused(networks):
    with pytest.raises(UnreadableImage):
        train(networks, TrainStyle(style=b"nonsense", name="blocks"))


@pytest.mark.parametrize("changes", [{"steps": 0}, {"steps": 10**6}, {"style": b""}, {"seed": -1}])
def test_what_can_not_be_learnt_is_refused(changes):
    with pytest.raises(InvalidRequest):
        TrainStyle(**{"style": b"png", "name": "blocks"} | changes)
