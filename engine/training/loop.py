"""The training loop shared by all networks: budget, schedule, averages, checkpoints, monitors.

A run is a function of its seed: step `n` draws its pictures and noise from generators seeded by
(seed, n, replica), so a run that was interrupted and resumed ends with the same weights as one
that was not. Several replicas, one process each, may share a run: they average their gradients.
On a busy machine two single-threaded replicas do far more than one process with two threads.
Numbers that are not finite end a run before they are saved; the last checkpoint stays.
"""

import json
import math
import re
import signal
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event, current_thread, main_thread
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
import torch
import torch.distributed as dist
from PIL import Image
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from tqdm import tqdm

from engine.descent import kept_of_average, rate_factor
from engine.networks.weights import BrokenWeights
from engine.training.monitors import draw_loss_curve
from engine.training.optimiser import Muon


@dataclass(frozen=True, slots=True)
class Budget:
    """When to stop: after so many pictures or minutes of training, whichever is given."""

    images: int | None = None
    minutes: float | None = None

    def __post_init__(self) -> None:
        """Refuse a budget without an end or of nothing."""
        if (self.images is None) == (self.minutes is None):
            raise ValueError("Give the budget as either --minutes or --images.")
        if not (self.images or self.minutes or 0) > 0:
            raise ValueError("The budget must be more than 0.")

    def progress(self, images: int, seconds: float) -> float:
        """Share of the budget used, 0 to 1."""
        if self.images is not None:
            return min(1.0, images / max(1, self.images))
        return min(1.0, seconds / 60 / max(1e-9, self.minutes or 0))


@dataclass(frozen=True, slots=True)
class Draw:
    """The randomness of one step: numpy for pictures, torch for noise."""

    numpy: np.random.Generator
    torch: torch.Generator

    @classmethod
    def of_step(cls, seed: int, step: int, replica: int = 0) -> "Draw":
        """The generators of step `step` of a run with `seed`."""
        sequence = np.random.SeedSequence([seed, step, replica, 1])
        noise = torch.Generator().manual_seed(int(sequence.generate_state(1)[0]))
        return cls(np.random.default_rng([seed, step, replica]), noise)


class Programme(Protocol):
    """What a network's training program tells the loop."""

    batch: int
    learning_rate: float

    @property
    def network(self) -> Any:
        """What is trained, an nn.Module."""
        ...

    def loss(self, network: Any, draw: Draw) -> Tensor:
        """Loss of one batch drawn from `draw`."""
        ...

    def sheet(self, network: Any) -> Image.Image | None:
        """A picture by which a person judges the averaged network, or None."""
        ...


class Pictureless:
    """Part of a programme whose network draws nothing that a person could look at."""

    def sheet(self, network: Any) -> None:
        """Nothing."""
        del network


@dataclass
class Standing:
    """Where a run stands; stored with every checkpoint."""

    step: int = 0
    images: int = 0  # real ones seen so far
    seconds: float = 0.0


@dataclass
class Progress(Standing):
    """Where the run of one network stands."""

    losses: list[float] = field(default_factory=list)  # mean of every `LOSS_EVERY` steps


S = TypeVar("S", bound=Standing)
N = TypeVar("N")  # what one step is noted with

_NUMBERED = re.compile(r"-[0-9]$")  # of one of several files of a network

CHECKPOINT = "checkpoint.pt"
AVERAGE = "average.safetensors"
LOSS_EVERY = 20
# Of steps in a row whose numbers overflow: half floats do so once in a while, and a step that is
# left out does no harm. Fewer than `LOSS_EVERY`, so that every mean has something finite in it.
MOST_SKIPPED = 10
STEADIEST = "r3gan"  # the recipe that diverges least


@dataclass(frozen=True, slots=True)
class Settings:
    """How the loop runs; none of it belongs to a particular network."""

    out: Path
    budget: Budget
    seed: int = 0
    resume: bool = False
    warmup_images: int = 3000
    ema: float = 0.998
    weight_decay: float = 0.01
    clip: float = 1.0
    sheet_every_s: float = 300.0
    save_every_s: float = 240.0
    device: str = "cpu"
    compile: bool = False
    bar: bool = True


def learning_rate_factor(progress: float, images: int, warmup_images: int) -> float:
    """Linear warm-up, constant for 55 % of the budget, then a cosine down to 1 %."""
    return rate_factor(progress, warm=(images + 1) / max(1, warmup_images))


@torch.no_grad()
def follow(average: dict[str, Tensor], network: nn.Module, most_kept: float, step: int) -> None:
    """Move an average of weights towards a network's, in place."""
    keep = kept_of_average(most_kept, step)
    for key, value in network.state_dict().items():
        if value.is_floating_point():
            average[key].lerp_(value, 1 - keep)
        else:
            average[key].copy_(value)


class Diverged(Exception):
    """Numbers of a training were not finite, so the run ended."""

    def __init__(self, images: int, kept_images: int, recipe: str = "") -> None:
        """Take the pictures seen by now and by the checkpoint, and the recipe of a pair."""
        super().__init__(images, kept_images, recipe)
        self.images = images
        self.kept_images = kept_images
        self.recipe = recipe

    def __str__(self) -> str:
        ended = (
            f"The training ended after {self.images:,} pictures: its numbers overflowed (NaN). "
            f"{self._kept()}"
        )
        if self.recipe in ("", STEADIEST):
            return f"{ended}."
        return f"{ended}, or begin anew with --recipe {STEADIEST}."

    def _kept(self) -> str:
        if not self.kept_images:
            return "Nothing was saved yet. Begin anew with another --seed"
        return (
            f"The checkpoint of {self.kept_images:,} pictures is kept. Go on from it with --resume "
            "and another --seed, which keeps the same pictures apart"
        )


class NotSaved(Exception):
    """A file could not be written; the one before it is whole."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(path, reason)
        self.path = path
        self.reason = reason

    def __str__(self) -> str:
        return (
            f"{self.path} could not be written ({self.reason}); what was saved before it is kept. "
            "Free some space and go on with --resume."
        )


def replace_file(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` make a file under another name, and move it into its place once it is whole.

    Raises:
        NotSaved: there is no room; the file before is kept.
    """
    temporary = path.with_suffix(".tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(temporary)
        temporary.replace(path)
    except (OSError, RuntimeError, SafetensorError) as error:  # torch: a full disk is RuntimeError
        temporary.unlink(missing_ok=True)
        raise NotSaved(str(path), str(error).partition("\n")[0]) from error


def replace_image(path: Path, image: Image.Image) -> None:
    """Write a picture as PNG, as `replace_file` does."""
    replace_file(path, lambda temporary: image.save(temporary, "PNG"))


def replace_weights(folder: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill an empty folder, and move its files into their places once all are whole.

    Parts that a network of the same name had before, and has no more, go.

    Raises:
        NotSaved: there is no room; the files that were there are kept.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=folder, prefix="new-") as made:
            write(Path(made))
            new = [path.replace(folder / path.name) for path in sorted(Path(made).iterdir())]
    except (OSError, SafetensorError) as error:
        raise NotSaved(str(folder), str(error).partition("\n")[0]) from error
    for name in {_NUMBERED.sub("", path.stem) for path in new if path.suffix == ".safetensors"}:
        parts = (*folder.glob(f"{name}.safetensors"), *folder.glob(f"{name}-[0-9].safetensors"))
        for old in set(parts) - set(new):
            old.unlink()


def split_seed(settings: Settings) -> int:
    """The seed by which a run parts its pictures: that of its beginning, also where it goes on."""
    path = settings.out / CHECKPOINT
    if not (settings.resume and path.exists()):
        return settings.seed
    kept = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    return int(kept.get("split_seed", settings.seed))


@contextmanager
def patient() -> Iterator[Event]:
    """Note an interruption (Ctrl+C) instead of raising it; a second one is raised as usual.

    A process that was told to pass interruptions over, as by `nohup`, still does.
    """
    asked = Event()
    before = signal.getsignal(signal.SIGINT)
    if current_thread() is not main_thread() or before is signal.SIG_IGN:
        yield asked
        return

    def note(_signal: int, _frame: object) -> None:
        asked.set()
        signal.signal(signal.SIGINT, before)

    signal.signal(signal.SIGINT, note)
    try:
        yield asked
    finally:
        signal.signal(signal.SIGINT, before)


class Course(ABC, Generic[S, N]):
    """Steps until a budget is spent, with notes, checkpoints and looks on the way."""

    is_first = True  # of several processes that share a run: the one that shows and keeps it

    def __init__(self, settings: Settings, standing: S) -> None:
        self.settings = settings
        self.progress = standing
        self.kept_images = 0  # that the run's checkpoint has seen
        self.split_seed = settings.seed  # by which pictures were parted when it began
        settings.out.mkdir(parents=True, exist_ok=True)

    def go(self, stop: Callable[[S], bool]) -> None:
        """Take steps to the end of the budget, or until `stop`; then save and draw once more.

        Raises:
            Diverged: numbers were not finite; the last checkpoint is kept.
            NotSaved: there is no room for a checkpoint; the last one is kept.
            KeyboardInterrupt: it was interrupted, and saved at the end of its step.
        """
        with patient() as interrupted:
            self._take_steps(lambda: interrupted.is_set() or stop(self.progress))
        if interrupted.is_set():
            raise KeyboardInterrupt
        if self.is_first:
            self.draw()

    def _take_steps(self, stop: Callable[[], bool]) -> None:
        """Take them until the budget is spent or one is to stop, and save."""
        started, before = time.monotonic(), self.progress.seconds
        saved = drawn = started
        recent: list[N] = []
        silent = not (self.settings.bar and self.is_first)
        _, has_to_stop = self._agreed(before, stop())
        with tqdm(total=1000, disable=silent, unit="‰", mininterval=2) as bar:
            while self._share() < 1 and not has_to_stop:
                recent.append(self._step())
                now = time.monotonic()
                self.progress.seconds, has_to_stop = self._agreed(before + now - started, stop())
                if len(recent) == LOSS_EVERY:
                    told = self._note(recent)
                    recent.clear()
                    bar.n = int(1000 * self._share())
                    bar.set_postfix_str(f"{self._speed()}, {told}")
                if self.is_first and now - saved > self.settings.save_every_s:
                    self.save()
                    saved = now
                if self.is_first and now - drawn > self.settings.sheet_every_s:
                    self.draw()
                    drawn = time.monotonic()
        if self.is_first:
            self.save()

    @abstractmethod
    def _step(self) -> N:
        """Take one step."""

    @abstractmethod
    def _note(self, recent: Sequence[N]) -> str:
        """Keep the mean of some steps; what the bar says of it."""

    @abstractmethod
    def _state(self) -> dict[str, Any]:
        """All that a run needs to go on, beside where it stands; `average` is written apart too."""

    @abstractmethod
    def draw(self) -> None:
        """Show how far the averaged network has come; the run goes on as if it had not been."""

    def save(self) -> None:
        """Write everything a run needs to go on; each file is replaced in one move.

        Raises:
            Diverged: a weight is not finite; the checkpoint before is kept.
            NotSaved: there is no room; the checkpoint before is kept.
        """
        state = self._state()
        if not all(map(_is_finite, state.values())):
            raise self._diverged()
        average = {key: value.contiguous() for key, value in state["average"].items()}
        record = {"seed": self.settings.seed, **vars(self.progress)}
        state |= {"progress": vars(self.progress), "split_seed": self.split_seed}
        out = self.settings.out
        replace_file(out / CHECKPOINT, partial(torch.save, state))
        self.kept_images = self.progress.images
        replace_file(out / AVERAGE, partial(save_file, average))
        replace_file(out / "progress.json", lambda path: path.write_text(json.dumps(record)))

    def _diverged(self) -> Diverged:
        """What to raise when numbers are not finite."""
        return Diverged(self.progress.images, self.kept_images)

    def _kept(self) -> dict[str, Any] | None:
        """The checkpoint that the run is to go on from, if it is and there is one."""
        path = self.settings.out / CHECKPOINT
        if not (self.settings.resume and path.exists()):
            return None
        kept: dict[str, Any] = torch.load(
            path, map_location=self.settings.device, weights_only=True
        )
        self.kept_images = kept["progress"]["images"]
        self.split_seed = kept.get("split_seed", self.split_seed)
        return kept

    def _share(self) -> float:
        return self.settings.budget.progress(self.progress.images, self.progress.seconds)

    def _speed(self) -> str:
        speed = self.progress.images / max(1e-9, self.progress.seconds)
        return f"images {self.progress.images}, {speed:.1f}/s"

    def _agreed(self, seconds: float, has_to_stop: bool) -> tuple[float, bool]:  # noqa: FBT001
        """The clock that all processes of a run follow, and whether they stop."""
        return seconds, has_to_stop


def _is_finite(weights: Any) -> bool:
    """Whether all numbers of a dictionary of tensors are; other values are passed over."""
    values = weights.values() if isinstance(weights, dict) else ()
    return all(bool(value.isfinite().all()) for value in values if isinstance(value, Tensor))


class Run(Course[Progress, float]):
    """One training run: the network, its average, its optimiser and its progress."""

    def __init__(self, programme: Programme, settings: Settings) -> None:
        super().__init__(settings, Progress())
        self.programme = programme
        self.network: nn.Module = programme.network.to(settings.device)
        self.average = {key: value.clone() for key, value in self.network.state_dict().items()}
        self.optimiser = Muon(self.network, programme.learning_rate, settings.weight_decay)
        self.replica = dist.get_rank() if dist.is_initialized() else 0
        self.replicas = dist.get_world_size() if dist.is_initialized() else 1
        self.is_first = self.replica == 0
        self.skipped = 0  # steps in a row whose numbers were not finite
        self._forward: Any = self.network
        if settings.compile:
            self._forward = torch.compile(self.network)
        self._load()

    def train(self, stop: Callable[[Progress], bool] = lambda _: False) -> nn.Module:
        """Train to the end of the budget, or until `stop`; the network then holds the average.

        Raises:
            Diverged: numbers were not finite; the last checkpoint is kept.
            NotSaved: there is no room for a checkpoint; the last one is kept.
        """
        self.go(stop)
        self.network.load_state_dict(self.average)
        return self.network

    def _note(self, recent: Sequence[float]) -> str:
        finite = [loss for loss in recent if math.isfinite(loss)]
        self.progress.losses.append(sum(finite) / len(finite))
        return f"loss {self.progress.losses[-1]:.4f}"

    def _step(self) -> float:
        settings, programme = self.settings, self.programme
        draw = Draw.of_step(settings.seed, self.progress.step, self.replica)
        factor = learning_rate_factor(self._share(), self.progress.images, settings.warmup_images)
        for group in self.optimiser.param_groups:
            group["lr"] = programme.learning_rate * factor
        loss = programme.loss(self._forward, draw)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self._average_gradients()
        norm = nn.utils.clip_grad_norm_(self.network.parameters(), settings.clip)
        is_sound = self._is_sound(loss.detach(), norm)
        if is_sound:
            self.optimiser.step()
            follow(self.average, self.network, self.settings.ema, self.progress.step)
        self.progress.step += 1
        self.progress.images += programme.batch * self.replicas
        self.skipped = 0 if is_sound else self.skipped + 1
        if self.skipped >= MOST_SKIPPED:
            raise self._diverged()
        return float(loss.detach())

    def _is_sound(self, loss: Tensor, norm: Tensor) -> bool:
        """Whether a step may be taken; all replicas take it or none."""
        finite = (loss.isfinite() & norm.isfinite()).float()
        if self.replicas > 1:
            dist.all_reduce(finite, dist.ReduceOp.MIN)
        return bool(finite)

    def save(self) -> None:
        """Write everything a run needs to go on; each file is replaced in one move.

        Raises:
            Diverged: a weight or each step so far was not finite; the checkpoint before is kept.
            NotSaved: there is no room; the checkpoint before is kept.
        """
        if 0 < self.progress.step == self.skipped:
            raise self._diverged()
        super().save()

    def _agreed(self, seconds: float, has_to_stop: bool) -> tuple[float, bool]:  # noqa: FBT001
        """The first replica's clock, so that all follow one schedule; one stops all."""
        if self.replicas == 1:
            return seconds, has_to_stop
        said = torch.tensor([seconds if self.is_first else 0.0, has_to_stop], dtype=torch.float64)
        dist.all_reduce(said)
        return float(said[0]), bool(said[1])

    def _average_gradients(self) -> None:
        if self.replicas == 1:
            return
        gradients = []
        for parameter in self.network.parameters():
            if parameter.requires_grad:
                # What this replica's pictures say nothing of, those of another may.
                if parameter.grad is None:
                    parameter.grad = torch.zeros_like(parameter)
                gradients.append(parameter.grad)
        flat = torch.cat([gradient.flatten() for gradient in gradients])
        dist.all_reduce(flat)
        flat /= self.replicas
        start = 0
        for gradient in gradients:
            gradient.copy_(flat[start : start + gradient.numel()].view_as(gradient))
            start += gradient.numel()

    def draw(self) -> None:
        """Write the sample sheet of the averaged network and the loss curve.

        Raises:
            NotSaved: there is no room; the checkpoint is kept.
        """
        own = {key: value.clone() for key, value in self.network.state_dict().items()}
        self.network.load_state_dict(self.average)
        self.network.eval()
        with torch.no_grad():
            sheet = self.programme.sheet(self.network)
        self.network.train()
        self.network.load_state_dict(own)
        if sheet is not None:
            replace_image(self.settings.out / f"sheet_{self.progress.images:08d}.png", sheet)
        curve = draw_loss_curve(self.progress.losses, self.progress.images)
        replace_image(self.settings.out / "loss.png", curve)

    def _state(self) -> dict[str, Any]:
        return {
            "network": self.network.state_dict(),
            "average": self.average,
            "optimiser": self.optimiser.state_dict(),
            "seed": self.settings.seed,
        }

    def _load(self) -> None:
        kept = self._kept()
        if kept is None:
            return
        self.network.load_state_dict(kept["network"])
        self.average = kept["average"]
        self.optimiser.load_state_dict(kept["optimiser"])
        self.progress = Progress(**kept["progress"])


def load_average(network: nn.Module, out: Path) -> nn.Module:
    """Give a network the averaged weights of the run in `out`.

    Raises:
        BrokenWeights: nothing was trained there.
    """
    if not (out / AVERAGE).exists():
        raise BrokenWeights(str(out / AVERAGE), "train this network first")
    network.load_state_dict(load_file(out / AVERAGE))
    return network
