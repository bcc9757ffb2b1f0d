"""The training loop: budgets, schedules, and runs that go on where they stopped."""

import itertools
import signal
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from engine.training.__main__ import main
from engine.training.loop import (
    MOST_SKIPPED,
    Budget,
    Diverged,
    Draw,
    NotSaved,
    Progress,
    Run,
    Settings,
    learning_rate_factor,
)
from engine.training.optimiser import orthogonalised

pytestmark = pytest.mark.usefixtures("one_thread")


class Line:
    """A programme that fits a small network to a straight line."""

    batch = 8
    learning_rate = 0.05

    def __init__(self) -> None:
        self.network = nn.Sequential(
            nn.Linear(3, 16), nn.SiLU(), nn.Linear(16, 16), nn.Linear(16, 1)
        )
        generator = torch.Generator().manual_seed(0)
        for parameter in self.network.parameters():
            parameter.data.copy_(0.3 * torch.randn(parameter.shape, generator=generator))

    def loss(self, network: nn.Module, draw: Draw) -> torch.Tensor:
        x = torch.from_numpy(draw.numpy.standard_normal((self.batch, 3))).float()
        noise = 0.01 * torch.randn(self.batch, generator=draw.torch)
        return (network(x)[:, 0] - (x.sum(1) + noise)).square().mean()

    def sheet(self, network: nn.Module) -> Image.Image:
        return Image.new("RGB", (4, 4))


class Overflowing(Line):
    """The same, whose loss is not a number at some of its steps."""

    def __init__(self, broken: Sequence[int]) -> None:
        super().__init__()
        self._steps = itertools.count()
        self._broken = broken

    def loss(self, network: nn.Module, draw: Draw) -> torch.Tensor:
        loss = super().loss(network, draw)
        return loss * float("nan") if next(self._steps) in self._broken else loss


def settings(out: Path, images: int = 480, *, resume: bool = False) -> Settings:
    return Settings(
        out, Budget(images=images), seed=5, resume=resume, warmup_images=16, ema=0.9, bar=False
    )


def weights(run: Run) -> torch.Tensor:
    return torch.cat([value.flatten() for value in run.average.values()])


def test_an_interrupted_run_ends_with_the_weights_of_an_uninterrupted_one(tmp_path):
    whole = Run(Line(), settings(tmp_path / "whole"))
    whole.train()
    first = Run(Line(), settings(tmp_path / "parts"))
    first.train(lambda progress: progress.step >= 23)
    assert first.progress.step == 23
    second = Run(Line(), settings(tmp_path / "parts", resume=True))
    assert second.progress.step == 23
    second.train()
    assert second.progress.images == whole.progress.images == 480
    assert torch.equal(weights(second), weights(whole))


class Interrupted(Line):
    """The same; somebody presses Ctrl+C within one of its steps."""

    def __init__(self, step: int) -> None:
        super().__init__()
        self._steps = itertools.count()
        self._step = step

    def loss(self, network: nn.Module, draw: Draw) -> torch.Tensor:
        if next(self._steps) == self._step:
            signal.raise_signal(signal.SIGINT)
        return super().loss(network, draw)


@pytest.fixture
def interruptible():
    """Interruptions are raised, also where these tests run in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_a_run_that_is_interrupted_saves_and_goes_on_to_the_same_end(tmp_path):
    whole = Run(Line(), settings(tmp_path / "whole"))
    whole.train()
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        Run(Interrupted(7), settings(tmp_path / "parts")).train()
    assert signal.getsignal(signal.SIGINT) is before
    second = Run(Line(), settings(tmp_path / "parts", resume=True))
    assert second.progress.step == 8
    second.train()
    assert torch.equal(weights(second), weights(whole))


def test_a_run_that_passes_interruptions_over_goes_on_to_its_end(tmp_path):
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        run = Run(Interrupted(7), settings(tmp_path))
        run.train()
    finally:
        signal.signal(signal.SIGINT, before)
    assert run.progress.images == 480


@pytest.mark.usefixtures("interruptible")
def test_a_second_interruption_ends_a_run_at_once(tmp_path):
    run = Run(Interrupted(3), settings(tmp_path))
    run.programme.batch = 8

    def loss(network, draw):
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    run.programme.loss = loss
    with pytest.raises(KeyboardInterrupt):
        run.train()
    assert not (tmp_path / "checkpoint.pt").exists()


def test_training_lowers_the_loss_and_leaves_the_average_in_the_network(tmp_path):
    run = Run(Line(), settings(tmp_path, 1600))
    network = run.train()
    assert run.progress.losses[-1] < run.progress.losses[0] / 4
    for key, value in network.state_dict().items():
        assert torch.equal(value, run.average[key])


def test_a_run_leaves_a_sheet_a_loss_curve_and_its_seed(tmp_path):
    Run(Line(), settings(tmp_path)).train()
    assert (tmp_path / "sheet_00000480.png").exists()
    with Image.open(tmp_path / "loss.png") as curve:
        assert curve.size == (640, 320)
    assert '"seed": 5' in (tmp_path / "progress.json").read_text()


def test_a_few_steps_that_overflow_are_left_out(tmp_path):
    run = Run(Overflowing(range(10, 10 + MOST_SKIPPED - 1)), settings(tmp_path, 1600))
    run.train()
    assert run.progress.losses[-1] < run.progress.losses[0] / 4
    assert np.isfinite(run.progress.losses).all()


def test_a_run_whose_numbers_stay_broken_ends_and_the_last_good_checkpoint_stays(tmp_path):
    Run(Line(), settings(tmp_path)).train(lambda progress: progress.step >= 23)
    before = (tmp_path / "checkpoint.pt").read_bytes()
    again = Run(Overflowing(range(1000)), settings(tmp_path, resume=True))
    with pytest.raises(Diverged, match="checkpoint of 184 pictures is kept") as ended:
        again.train()
    assert str(ended.value).count("--resume and another --seed") == 1
    assert again.progress.step == 23 + MOST_SKIPPED
    assert (tmp_path / "checkpoint.pt").read_bytes() == before


@pytest.mark.parametrize("images", [16, 480])
def test_a_run_that_never_took_a_step_saves_nothing(tmp_path, images):
    with pytest.raises(Diverged, match="Nothing was saved yet"):
        Run(Overflowing(range(1000)), settings(tmp_path, images)).train()
    assert list(tmp_path.iterdir()) == []


def test_weights_that_are_not_finite_are_never_saved(tmp_path):
    run = Run(Line(), settings(tmp_path))
    with torch.no_grad():
        next(run.network.parameters())[0] = float("nan")
    with pytest.raises(Diverged):
        run.save()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
@pytest.mark.parametrize("name", ["loss", "sheet_00000480"])
def test_a_full_disk_leaves_the_old_pictures(tmp_path, name):
    Run(Line(), settings(tmp_path)).train()
    before = (tmp_path / f"{name}.png").read_bytes()
    (tmp_path / f"{name}.tmp").symlink_to("/dev/full")
    with pytest.raises(NotSaved, match=f"{name}.png could not be written"):
        Run(Line(), settings(tmp_path, resume=True)).draw()
    assert (tmp_path / f"{name}.png").read_bytes() == before


def test_without_resume_a_run_begins_anew(tmp_path):
    Run(Line(), settings(tmp_path)).train()
    assert Run(Line(), settings(tmp_path)).progress == Progress()


def test_another_seed_or_step_or_replica_draws_something_else():
    draws = [Draw.of_step(*key).numpy.random() for key in ((1, 2), (1, 3), (2, 2), (1, 2, 1))]
    assert len(set(draws)) == 4
    assert Draw.of_step(1, 2).numpy.random() == draws[0]


@pytest.mark.parametrize("given", [{}, {"images": 3, "minutes": 4.0}])
def test_a_budget_without_one_end_is_refused(given):
    with pytest.raises(ValueError, match="--minutes or --images"):
        Budget(**given)


@pytest.mark.parametrize("given", [{"images": 0}, {"images": -5}, {"minutes": 0.0}])
def test_a_budget_of_nothing_is_refused(given):
    with pytest.raises(ValueError, match="more than 0"):
        Budget(**given)


@pytest.mark.parametrize(
    ("name", "given", "message"),
    [
        ("--minutes", "0", "must be more than 0, not 0"),
        ("--minutes", "-1.5", "must be more than 0, not -1.5"),
        ("--minutes", "nan", "must be more than 0, not nan"),
        ("--images", "0", "must be 1 at least, not 0"),
        ("--images", "-16", "must be 1 at least, not -16"),
        ("--scenes", "0", "must be 1 at least, not 0"),
        ("--scenes", "few", "must be a whole number, not few"),
    ],
)
def test_a_command_without_anything_to_do_is_refused(tmp_path, capsys, name, given, message):
    with pytest.raises(SystemExit) as ended:
        main(["vae", "--data", str(tmp_path), "--out", str(tmp_path / "out"), f"{name}={given}"])
    assert ended.value.code == 2
    assert f"argument {name}: {message}" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_the_learning_rate_rises_stays_and_falls():
    assert learning_rate_factor(0.0, 0, 100) < 0.02
    assert learning_rate_factor(0.3, 1000, 100) == 1
    late = [learning_rate_factor(share, 1000, 100) for share in np.linspace(0.4, 1, 10)]
    assert late == sorted(late, reverse=True)
    assert late[-1] == pytest.approx(0.01)


@pytest.mark.parametrize("shape", [(6, 20), (20, 6), (8, 8)])
def test_muons_update_has_singular_values_near_one(shape):
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(2))
    values = torch.linalg.svdvals(orthogonalised(matrix).float())
    assert values.min() > 0.4
    assert values.max() < 1.4
