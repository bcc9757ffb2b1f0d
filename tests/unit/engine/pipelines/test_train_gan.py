"""Teaching a generator from request to weights, with small random networks and real gradients."""

import io
from itertools import chain, repeat

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load, save

from engine import calls
from engine.errors import EngineError, InvalidRequest, NotANumber
from engine.gan.learning import decode_state
from engine.gan.monitors import Observation
from engine.models.families import Place, gan_lessons
from engine.models.families.gan import load_own
from engine.models.families.gan_lessons import PairTeacher
from engine.models.notebook import Notebook
from engine.networks.gan import GanConfig
from engine.networks.style import StyleConfig, StyleTransfer
from engine.networks.vae import Vae, VaeConfig
from engine.networks.weights import save_network
from engine.pipelines import train_gan
from engine.requests import TrainGan

pytestmark = pytest.mark.usefixtures("one_thread")

CPU = torch.device("cpu")


@pytest.fixture
def teacher(tmp_path, monkeypatch):
    torch.default_generator.manual_seed(4)
    vae = Vae(
        VaeConfig(
            latent_channels=3,
            encoder_widths=(4, 4, 8),
            decoder_widths=(4, 4, 8),
            encoder_blocks=1,
            decoder_blocks=(1, 1, 1),
        )
    )
    save_network(tmp_path, "vae", vae)
    save_network(tmp_path, "style", StyleTransfer(StyleConfig(widths=(4, 6, 8, 8))))
    config = GanConfig(
        size=8,
        channels=3,
        generator_widths=(16, 8),
        generator_blocks=(1, 1),
        discriminator_widths=(16,),
        discriminator_blocks=(1,),
        group=4,
        vae=vae.configuration(),
    )
    monkeypatch.setattr(gan_lessons, "pair_config", lambda _: config)
    monkeypatch.setattr(train_gan, "LEAST_KEPT", 2)
    monkeypatch.setattr(train_gan, "KEPT_EVERY_S", 0.0)
    return PairTeacher(CPU, folder=tmp_path)


@pytest.fixture
def notes(tmp_path):
    return Notebook(tmp_path / "notes")


def square(seed, side=64):
    values = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(values).resize((side, side), Image.Resampling.BICUBIC).save(buffer, "PNG")
    return buffer.getvalue()


REQUEST = TrainGan(name="blocks", pictures=tuple(map(square, range(24))), steps=10, minutes=60)


class Killed(Exception):
    """The worker ended."""


def train(teacher, notes, request=REQUEST, *, kill_after=None, spoil_after=None, **values):
    """The picture, and the calls that led to it."""
    pipeline, seen, outcome = train_gan.run(request, **values), [], None
    while True:
        try:
            if isinstance(outcome, Exception):
                call = pipeline.throw(outcome)
            else:
                call = pipeline.send(outcome)
        except StopIteration as end:
            return end.value[0], seen
        seen.append(call)
        steps = sum(isinstance(one, calls.FoolGradient) for one in seen)
        if steps == kill_after and isinstance(call, calls.FoolGradient):
            raise Killed
        match call:
            case calls.Pause() | calls.Report():
                outcome = None
            case calls.Recall(key=key):
                outcome = notes.read(key)
            case calls.Remember(key=key, data=data):
                outcome = notes.write(key, data)
            case calls.Enlarge(pixels=pixels, factor=factor):
                outcome = pixels.repeat_interleave(factor, 2).repeat_interleave(factor, 3)
            case calls.JudgeGradient() if steps == spoil_after:
                outcome = NotANumber("the network's numbers overflowed")
            case _:
                with torch.no_grad():
                    (outcome,) = teacher.execute([call])


def distance(one, other):
    """Mean difference of two images, 0..255."""
    return float(np.abs(np.asarray(one, float) - np.asarray(other, float)).mean())


def steps_of(seen):
    return [call for call in seen if isinstance(call, calls.FoolGradient)]


def test_what_is_learnt_can_be_dreamt(teacher, notes):
    picture, seen = train(teacher, notes)
    assert len(steps_of(seen)) == 10
    assert Image.open(io.BytesIO(picture.png)).size == (picture.width, picture.height)
    model = load_own("own", picture.weights, Place(CPU, torch.float32))
    network = calls.NetworkRef("own")
    (space,) = model.execute([calls.DescribeLatents(network)])
    assert (space.looks, space.latent, space.size) == (("any",), 64, 64)
    report = dict(picture.report)
    assert (report["Pictures"], report["Training steps"]) == ("24", "10")
    assert report["Verdict"]


def test_both_networks_and_the_average_change_at_every_step(teacher, notes):
    _, seen = train(teacher, notes)
    first, second, *_ = steps_of(seen)
    assert not torch.equal(first.judge, second.judge)
    assert not torch.equal(first.generator, second.generator)
    [judged] = [call for call in seen if isinstance(call, calls.JudgeGradient)][:1]
    assert judged.gamma == pytest.approx(1.0)


def test_a_killed_training_goes_on_and_ends_with_the_same_weights(teacher, tmp_path):
    whole, _ = train(teacher, Notebook(tmp_path / "a"))
    notes = Notebook(tmp_path / "b")
    with pytest.raises(Killed):
        train(teacher, notes, kill_after=7)
    resumed, seen = train(teacher, notes)
    assert len(steps_of(seen)) == 4, "six steps were written down"
    weights, others = load(resumed.weights), load(whole.weights)
    assert [name for name in others if not torch.equal(weights[name], others[name])] == []


def test_a_request_that_ends_keeps_what_was_learnt(teacher, notes):
    with pytest.raises(Killed):
        train(teacher, notes, kill_after=7)
    ending = TrainGan(
        name="blocks", pictures=REQUEST.pictures, steps=10, minutes=60, is_ending=True
    )
    picture, seen = train(teacher, notes, ending)
    assert steps_of(seen) == []
    assert dict(picture.report)["Training steps"] == "6"
    assert len(picture.weights) > 1000


def test_a_request_that_ends_before_anything_was_learnt_says_so(teacher, notes):
    ending = TrainGan(name="other", pictures=REQUEST.pictures, steps=10, is_ending=True)
    with pytest.raises(EngineError, match="before anything"):
        train(teacher, notes, ending)


def test_numbers_that_overflow_end_it_with_the_last_good_state(teacher, notes):
    picture, _ = train(teacher, notes, spoil_after=5)
    report = dict(picture.report)
    assert "diverged" in report["Verdict"]
    assert report["Training steps"] == "5"


def test_numbers_that_overflow_before_the_first_note_speak_of_the_training(teacher):
    with pytest.raises(EngineError, match="overflowed before anything was learnt") as ended:
        train(teacher, Notebook(None), spoil_after=5)
    assert "sampler" not in str(ended.value)
    assert "other pictures" in str(ended.value)


def test_a_full_disk_leaves_the_last_note_whole_and_the_training_goes_on(
    teacher, notes, monkeypatch
):
    with pytest.raises(Killed):
        train(teacher, notes, kill_after=5)
    [note] = (notes._folder).glob("*.note")
    before = note.read_bytes()

    def full(self, data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("engine.models.notebook._replace", full)
    picture, seen = train(teacher, notes)
    assert len(steps_of(seen)) == 6
    assert note.read_bytes() == before
    assert picture.weights
    assert list(notes._folder.iterdir()) == [note]


def test_sheets_are_shown_while_it_learns(teacher, notes):
    ticks = iter(range(0, 10**6, 5))
    request = TrainGan(name="blocks", pictures=REQUEST.pictures, steps=12, minutes=1)
    _, seen = train(teacher, notes, request, clock=lambda: next(ticks))
    reports = [call for call in seen if isinstance(call, calls.Report)]
    assert [report.step for report in reports] == list(range(1, 13))
    shown = [report.preview for report in reports if report.preview]
    assert len(shown) >= 3
    last = Image.open(io.BytesIO(shown[-1])).convert("RGB")
    assert last.width == 1100, "as wide as five curves"
    assert last.height > 4 * 128 + 3 * 150, "16 samples, 8 beside what they are nearest to, curves"
    left = (last.width - (8 * 132 - 4)) // 2
    cells = {
        (row, column): last.crop((left + column * 132, top, left + column * 132 + 128, top + 128))
        for row, top in enumerate((0, 132, 264, 264 + 128))
        for column in range(8)
    }
    assert all(distance(cells[0, column], cells[2, column]) < 4 for column in range(8)), (
        "the first row of samples comes again"
    )
    learnt = [Image.open(io.BytesIO(data)).convert("RGB") for data in REQUEST.pictures]
    large = [picture.resize((128, 128)) for picture in learnt]
    mirrored = [picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT) for picture in large]
    for column in range(8):
        found = min(distance(cells[3, column], picture) for picture in [*large, *mirrored])
        assert found < 6, "below it is one of the pictures"
    told = [dict(report.report) for report in reports if report.report]
    assert len(told) == len(shown)
    assert float(told[-1]["KID"]) > 0
    names = {"Verdict", "Recall", "Coverage", "Diversity", "Novelty", "Gap", "R1", "R2"}
    assert names <= told[-1].keys()


def test_the_result_shows_its_curves_and_none_of_the_pictures(teacher, notes):
    ticks = iter(range(0, 10**6, 5))
    request = TrainGan(name="blocks", pictures=REQUEST.pictures, steps=12, minutes=1)
    picture, _ = train(teacher, notes, request, clock=lambda: next(ticks))
    sheet = Image.open(io.BytesIO(picture.png))
    assert sheet.size == (1100, 2 * 132 + 3 * 150)


def test_the_figures_are_those_of_the_network_that_is_kept(teacher, notes, monkeypatch):
    fates = chain([(0.05, 0.7)], repeat((0.4, 0.02)))

    def observe(self, features, samples, images, progress, gap, penalties):
        kid, recall = next(fates)
        return Observation(
            images=images, progress=progress, kid=kid, precision=0.9, recall=recall, density=1.0,
            coverage=recall, diversity_ratio=recall, twins_ratio=recall, novelty_ratio=1.0,
            sharpness_ratio=1.0, gap=gap, penalties=penalties,
        )  # fmt: skip

    monkeypatch.setattr(train_gan.Yardstick, "observe", observe)
    ticks = iter(range(0, 10**6, 5))
    request = TrainGan(name="blocks", pictures=REQUEST.pictures, steps=12, minutes=1)
    picture, _ = train(teacher, notes, request, clock=lambda: next(ticks))
    assert next(fates) == (0.4, 0.02)
    report = dict(picture.report)
    assert report["KID"] == "0.050"
    assert report["Recall"] == "70%"
    assert "collapse" not in report["Verdict"]


def test_curves_go_on_where_a_killed_training_was(teacher, notes, monkeypatch):
    drawn = []
    monkeypatch.setattr(
        train_gan, "curves", lambda seen: drawn.append(seen) or Image.new("RGB", (9, 9))
    )
    ticks = iter(range(0, 10**6, 5))
    request = TrainGan(name="blocks", pictures=REQUEST.pictures, steps=12, minutes=1)
    with pytest.raises(Killed):
        train(teacher, notes, request, kill_after=9, clock=lambda: next(ticks))
    before = len(drawn[-1])
    assert before >= 2
    train(teacher, notes, request, clock=lambda: next(ticks))
    images = [one.images for one in drawn[-1]]
    assert len(images) > before
    assert images == sorted(images)


def test_without_previews_the_best_is_sought_all_the_same(teacher, notes):
    ticks = iter(range(0, 10**6, 5))
    quiet = TrainGan(name="blocks", pictures=REQUEST.pictures, steps=12, minutes=1, previews=False)
    _, seen = train(teacher, notes, quiet, clock=lambda: next(ticks))
    reports = [call for call in seen if isinstance(call, calls.Report)]
    assert not any(report.preview for report in reports)
    assert sum(bool(report.report) for report in reports) >= 3


@pytest.mark.parametrize(
    ("pictures", "reason"),
    [
        ((), "0"),
        (tuple(map(square, range(3))), "only 3"),
        ((square(1),) * 40, "of 40 only 1 differ"),
    ],
)
def test_too_few_different_pictures_are_refused(teacher, notes, pictures, reason):
    with pytest.raises(InvalidRequest, match=reason):
        train(teacher, notes, TrainGan(name="blocks", pictures=pictures))


def test_the_state_survives_being_written_to_the_last_bit(teacher, notes):
    with pytest.raises(Killed):
        train(teacher, notes, kill_after=4)
    [note] = (notes._folder).glob("*.note")
    data = note.read_bytes()
    ((judge, generator, _),) = teacher.execute([calls.FirstPair(train_gan.PAIR, 0)])
    state = decode_state(data, len(judge), len(generator))
    assert state.step == 3
    assert decode_state(data, len(judge) + 1, len(generator)) is None
    assert decode_state(data[:-9], len(judge), len(generator)) is None


def test_a_note_of_a_version_without_curves_goes_on(teacher, notes):
    with pytest.raises(Killed):
        train(teacher, notes, kill_after=4)
    [note] = (notes._folder).glob("*.note")
    parts = load(note.read_bytes())
    del parts["seen"]
    note.write_bytes(save(parts))
    _, seen = train(teacher, notes)
    assert len(steps_of(seen)) == 7, "three steps were written down"


@pytest.mark.parametrize("changes", [{"steps": 0}, {"minutes": 0}, {"minutes": 1e6}, {"seed": -1}])
def test_what_can_not_be_asked_is_refused(changes):
    with pytest.raises(InvalidRequest):
        TrainGan(**{"name": "blocks"} | changes)
