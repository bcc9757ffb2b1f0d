"""The loop that trains a generator against a discriminator: a budget, two optimisers, one average.

Like `loop.Run`, a run is a function of its seed: step `n` draws pictures and noise from generators
seeded by (seed, n), so that a run that was interrupted and resumed ends with the same weights. A
number that is not finite ends the run; the last checkpoint, from before, stays.
"""

import json
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from tqdm import tqdm

from engine.gan.losses import Judge, Verdict
from engine.training.gan_pictures import EncodedSet, PictureSet
from engine.training.gan_recipes import Recipe
from engine.training.loop import LOSS_EVERY, Draw, Settings, follow, learning_rate_factor

CHECKPOINT = "checkpoint.pt"


class Diverged(Exception):
    """A loss was not finite, so the run ended."""

    def __init__(self, images: int, kept_images: int) -> None:
        super().__init__(images, kept_images)
        self.images = images
        self.kept_images = kept_images

    def __str__(self) -> str:
        return (
            f"The training ended after {self.images:,} pictures: its numbers overflowed (NaN). The "
            f"checkpoint of {self.kept_images:,} pictures is kept. Go on from it with --resume and "
            "another --seed, or choose the recipe r3gan."
        )


class NotSaved(Exception):
    """A checkpoint could not be written; the one before it is whole."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(path, reason)
        self.path = path
        self.reason = reason

    def __str__(self) -> str:
        return (
            f"{self.path} could not be written ({self.reason}); the checkpoint before it is kept. "
            "Free some space and go on with --resume."
        )


@dataclass
class Standing:
    """Where a run stands; stored with every checkpoint."""

    step: int = 0
    images: int = 0  # real ones seen by the discriminator
    seconds: float = 0.0
    measures: list[dict[str, float]] = field(default_factory=list)  # means of `LOSS_EVERY` steps


OnObserve = Callable[[nn.Module, Standing], None]


class Duel:
    """One run: both networks, their optimisers, the generator's average, the standing."""

    def __init__(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        recipe: Recipe,
        pictures: PictureSet | EncodedSet,
        settings: Settings,
        *,
        batch: int = 16,
        observe: OnObserve = lambda _generator, _standing: None,
    ) -> None:
        self.generator: Any = generator.to(settings.device)
        self.discriminator: Any = discriminator.to(settings.device)
        self.recipe = recipe
        self.pictures = pictures
        self.settings = settings
        self.batch = batch
        self.observe = observe
        self.average = {key: value.clone() for key, value in generator.state_dict().items()}
        self.optimisers = [
            torch.optim.Adam(network.parameters(), recipe.learning_rate, recipe.betas)
            for network in (generator, discriminator)
        ]
        self.standing = Standing()
        self.kept_images = 0
        settings.out.mkdir(parents=True, exist_ok=True)
        if settings.resume and (settings.out / CHECKPOINT).exists():
            self._load()

    def train(self, stop: Callable[[Standing], bool] = lambda _: False) -> nn.Module:
        """Train to the end of the budget, or until `stop`; the generator then holds the average.

        Raises:
            Diverged: a loss was not finite; the last checkpoint is kept.
            NotSaved: there is no room for a checkpoint; the last one is kept.
        """
        started, before = time.monotonic(), self.standing.seconds
        saved = observed = started
        recent: list[dict[str, float]] = []
        with tqdm(total=1000, disable=not self.settings.bar, unit="‰", mininterval=5) as bar:
            while self._share() < 1 and not stop(self.standing):
                recent.append(self._step())
                now = time.monotonic()
                self.standing.seconds = before + now - started
                if len(recent) == LOSS_EVERY:
                    self.standing.measures.append(self._mean(recent))
                    recent.clear()
                    bar.n = int(1000 * self._share())
                    bar.set_postfix_str(self._line())
                if now - saved > self.settings.save_every_s:
                    self.save()
                    saved = now
                if now - observed > self.settings.sheet_every_s:
                    self._observe()
                    observed = time.monotonic()
        self.save()
        self._observe()
        self.generator.load_state_dict(self.average)
        return self.generator  # type: ignore[no-any-return]

    def _share(self) -> float:
        return self.settings.budget.progress(self.standing.images, self.standing.seconds)

    def _mean(self, recent: list[dict[str, float]]) -> dict[str, float]:
        means = {key: sum(one[key] for one in recent) / len(recent) for key in recent[0]}
        return {"images": self.standing.images, **means}

    def _line(self) -> str:
        last = self.standing.measures[-1]
        speed = self.standing.images / max(1e-9, self.standing.seconds)
        return f"images {self.standing.images}, {speed:.1f}/s, gap {last['gap']:.2f}"

    def _step(self) -> dict[str, float]:
        settings, recipe, standing = self.settings, self.recipe, self.standing
        draw = Draw.of_step(settings.seed, standing.step)
        factor = learning_rate_factor(self._share(), standing.images, settings.warmup_images)
        for optimiser in self.optimisers:
            for group in optimiser.param_groups:
                group["lr"] = recipe.learning_rate * factor
        verdict = None
        for _ in range(recipe.judge_steps):
            real, looks = self._real(draw)
            verdict = self._judge(real, looks, draw)
            standing.images += self.batch
        assert verdict is not None
        fooling = self._fool(real, looks, draw)
        follow(self.average, self.generator, settings.ema, standing.step)
        standing.step += 1
        numbers: Mapping[str, Tensor] = {
            "judge": verdict.loss.detach(),
            "fool": fooling,
            "gap": verdict.gap,
            **verdict.penalties,
        }
        return {key: float(value) for key, value in numbers.items()}

    def _real(self, draw: Draw) -> tuple[Tensor, Tensor]:
        chosen = draw.numpy.integers(0, len(self.pictures), self.batch)
        batch = self.pictures.canvases(chosen, draw.numpy.random(self.batch) < 0.5)
        looks = torch.from_numpy(self.pictures.looks[chosen])
        return batch.to(self.settings.device), looks.to(self.settings.device)

    def _fake(self, looks: Tensor, draw: Draw) -> Tensor:
        z = torch.randn(len(looks), self.generator.config.latent, generator=draw.torch)
        canvas: Tensor = self.generator.draw(self.generator.styles(z.to(looks.device), looks))
        return canvas

    def _judge(self, real: Tensor, looks: Tensor, draw: Draw) -> Verdict:
        optimiser = self.optimisers[1]
        with torch.autocast(real.device.type, torch.bfloat16):
            with torch.no_grad():
                fake = self._fake(looks, draw)
            verdict = self.recipe.judge(
                self._judge_of(looks), real, fake.float(), self._share(), draw.torch
            )
        optimiser.zero_grad(set_to_none=True)
        verdict.loss.backward()  # type: ignore[no-untyped-call]
        self._advance(optimiser, verdict.loss)
        return verdict

    def _fool(self, real: Tensor, looks: Tensor, draw: Draw) -> Tensor:
        self.discriminator.requires_grad_(requires_grad=False)
        with torch.autocast(real.device.type, torch.bfloat16):
            loss = self.recipe.fool(self._judge_of(looks), real, self._fake(looks, draw).float())
        self.optimisers[0].zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.discriminator.requires_grad_(requires_grad=True)
        self._advance(self.optimisers[0], loss)
        return loss.detach()

    def _judge_of(self, looks: Tensor) -> Judge:
        """The discriminator, told which looks it sees; two of each where pairs come together."""

        def judge(samples: Tensor) -> Tensor:
            times = len(samples) // len(looks)
            scores: Tensor = self.discriminator(samples, looks.repeat(times))
            return scores.float()

        return judge

    def _advance(self, optimiser: torch.optim.Optimizer, loss: Tensor) -> None:
        given = [p.grad for group in optimiser.param_groups for p in group["params"]]
        norm = nn.utils.get_total_norm([grad for grad in given if grad is not None])
        if not (math.isfinite(float(loss.detach())) and math.isfinite(float(norm))):
            raise Diverged(self.standing.images, self.kept_images)
        optimiser.step()

    def _observe(self) -> None:
        """Let the averaged generator be looked at; the run goes on as if it had not been."""
        own = {key: value.clone() for key, value in self.generator.state_dict().items()}
        self.generator.load_state_dict(self.average)
        self.generator.eval()
        with torch.no_grad():
            self.generator.fit_means()
            self.observe(self.generator, self.standing)
        self.generator.load_state_dict(own)
        self.generator.train()

    def save(self) -> None:
        """Write everything a run needs to go on; each file is replaced in one move.

        Raises:
            NotSaved: there is no room; the checkpoint before is kept.
        """
        state = {
            "generator": self.generator.state_dict(),
            "discriminator": self.discriminator.state_dict(),
            "average": self.average,
            "optimisers": [optimiser.state_dict() for optimiser in self.optimisers],
            "standing": vars(self.standing),
        }
        average = {key: value.contiguous() for key, value in self.average.items()}
        record = {"seed": self.settings.seed, **vars(self.standing)}
        self._replace(CHECKPOINT, lambda path: torch.save(state, path))
        self._replace("average.safetensors", partial(save_file, average))
        self._replace("progress.json", lambda path: path.write_text(json.dumps(record)))
        self.kept_images = self.standing.images

    def _replace(self, name: str, write: Callable[[Any], object]) -> None:
        path = self.settings.out / name
        temporary = path.with_suffix(".tmp")
        try:
            write(temporary)
            temporary.replace(path)
        except (OSError, RuntimeError) as error:  # torch reports a full disk as RuntimeError
            temporary.unlink(missing_ok=True)
            raise NotSaved(str(path), str(error).splitlines()[0]) from error

    def _load(self) -> None:
        path = self.settings.out / CHECKPOINT
        state = torch.load(path, map_location=self.settings.device, weights_only=True)
        self.generator.load_state_dict(state["generator"])
        self.discriminator.load_state_dict(state["discriminator"])
        self.average = state["average"]
        for optimiser, stored in zip(self.optimisers, state["optimisers"], strict=True):
            optimiser.load_state_dict(stored)
        self.standing = Standing(**state["standing"])
        self.kept_images = self.standing.images
