"""The loop that trains a generator against a discriminator: a budget, two optimisers, one average.

Like `loop.Run`, a run is a function of its seed: step `n` draws pictures and noise from generators
seeded by (seed, n), so that a run that was interrupted and resumed ends with the same weights. A
number that is not finite ends the run; the last checkpoint, from before, stays.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from engine.gan.losses import Judge, Verdict, apart
from engine.training.gan_pictures import EncodedSet, PictureSet
from engine.training.gan_recipes import Recipe
from engine.training.loop import (
    Course,
    Diverged,
    Draw,
    Settings,
    Standing,
    follow,
    learning_rate_factor,
)


class OtherRecipe(Exception):
    """A run was begun with another recipe, so it can't go on with this one."""

    def __init__(self, folder: str, begun: str, given: str) -> None:
        super().__init__(folder, begun, given)
        self.folder = folder
        self.begun = begun
        self.given = given

    def __str__(self) -> str:
        return (
            f"The run in {self.folder} was begun with the recipe {self.begun}: go on with --recipe "
            f"{self.begun}, or begin one with {self.given} in another --out."
        )


@dataclass
class Bout(Standing):
    """Where the run of a pair stands."""

    measures: list[dict[str, float]] = field(default_factory=list)  # means of `LOSS_EVERY` steps


OnObserve = Callable[[nn.Module, Bout], None]


class Duel(Course[Bout, dict[str, float]]):
    """One run: both networks, their optimisers, the generator's average, the progress."""

    def __init__(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        recipe: Recipe,
        pictures: PictureSet | EncodedSet,
        settings: Settings,
        *,
        batch: int | None = None,
        judge_first: int = 0,
        observe: OnObserve = lambda _generator, _standing: None,
    ) -> None:
        """Take `batch` pictures a step, else as many as the recipe says.

        Only the discriminator learns from the first `judge_first` pictures.

        A generator that is trained already would unlearn from one that knows nothing.

        Raises:
            OtherRecipe: the run is to go on, but began with another recipe.
        """
        super().__init__(settings, Bout())
        pair: tuple[Any, Any] = generator, discriminator
        for network in pair:
            # The layout in which CPUs convolve fastest.
            network.to(settings.device, memory_format=torch.channels_last)
        self.generator, self.discriminator = pair
        self.recipe = recipe
        self.pictures = pictures
        self.batch = recipe.batch if batch is None else batch
        self.judge_first = judge_first
        self.observe = observe
        self.average = {key: value.clone() for key, value in generator.state_dict().items()}
        self.optimisers = [
            torch.optim.Adam(network.parameters(), recipe.learning_rate, recipe.betas, fused=True)
            for network in (generator, discriminator)
        ]
        self._load()

    def train(self, stop: Callable[[Bout], bool] = lambda _: False) -> nn.Module:
        """Train to the end of the budget, or until `stop`; the generator then holds the average.

        Raises:
            Diverged: a loss was not finite; the last checkpoint is kept.
            NotSaved: there is no room for a checkpoint; the last one is kept.
        """
        self.go(stop)
        self.generator.load_state_dict(self.average)
        return self.generator  # type: ignore[no-any-return]

    def _note(self, recent: Sequence[dict[str, float]]) -> str:
        means = {key: sum(one[key] for one in recent) / len(recent) for key in recent[0]}
        self.progress.measures.append({"images": self.progress.images, **means})
        return f"gap {means['gap']:.2f}"

    def _step(self) -> dict[str, float]:
        settings, recipe, progress = self.settings, self.recipe, self.progress
        draw = Draw.of_step(settings.seed, progress.step)
        factor = learning_rate_factor(self._share(), progress.images, settings.warmup_images)
        for optimiser in self.optimisers:
            for group in optimiser.param_groups:
                group["lr"] = recipe.learning_rate * factor
        verdict = None
        for _ in range(recipe.judge_steps):
            real, looks = self._real(draw)
            verdict = self._judge(real, looks, draw)
            progress.images += self.batch
        assert verdict is not None
        fooling = self._fool(real, looks, draw)
        follow(self.average, self.generator, settings.ema, progress.step)
        progress.step += 1
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
        if self.progress.images > self.judge_first:
            self._advance(self.optimisers[0], loss)
        return loss.detach()

    def _judge_of(self, looks: Tensor) -> Judge:
        """The discriminator, told which looks it sees; real and drawn canvases come apart."""

        def judge(samples: Tensor) -> Tensor:
            scores: Tensor = self.discriminator(samples, looks)
            return scores.float()

        return apart(judge, len(looks))

    def _advance(self, optimiser: torch.optim.Optimizer, loss: Tensor) -> None:
        given = [p.grad for group in optimiser.param_groups for p in group["params"]]
        norm = nn.utils.get_total_norm([grad for grad in given if grad is not None])
        if not (math.isfinite(float(loss.detach())) and math.isfinite(float(norm))):
            raise self._diverged()
        optimiser.step()

    def draw(self) -> None:
        """Let the averaged generator be looked at; the run goes on as if it had not been."""
        own = {key: value.clone() for key, value in self.generator.state_dict().items()}
        self.generator.load_state_dict(self.average)
        self.generator.eval()
        with torch.no_grad():
            self.generator.fit_means()
            self.observe(self.generator, self.progress)
        self.generator.load_state_dict(own)
        self.generator.train()

    def _diverged(self) -> Diverged:
        return Diverged(self.progress.images, self.kept_images, self.recipe.name)

    def _state(self) -> dict[str, Any]:
        return {
            "generator": self.generator.state_dict(),
            "discriminator": self.discriminator.state_dict(),
            "average": self.average,
            "optimisers": [optimiser.state_dict() for optimiser in self.optimisers],
            "recipe": self.recipe.name,
        }

    def _load(self) -> None:
        kept = self._kept()
        if kept is None:
            return
        begun = kept.get("recipe", self.recipe.name)
        if begun != self.recipe.name:
            raise OtherRecipe(str(self.settings.out), begun, self.recipe.name)
        self.generator.load_state_dict(kept["generator"])
        self.discriminator.load_state_dict(kept["discriminator"])
        self.average = kept["average"]
        for optimiser, stored in zip(self.optimisers, kept["optimisers"], strict=True):
            optimiser.load_state_dict(stored)
        self.progress = Bout(**kept["progress"])
