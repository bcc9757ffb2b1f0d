"""What is asked of a training program."""

from dataclasses import dataclass
from pathlib import Path

from engine.training.loop import Budget, Settings

PACK = Path(__file__).parents[1] / "models" / "pack"


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """What a member asked to have trained."""

    data: Path
    out: Path
    budget: Budget
    seed: int = 0
    resume: bool = False
    scenes: int = 60_000  # composed pictures in the store
    replicas: int = 1  # processes that share the run of a denoiser or a style network
    start: Path | None = None  # a pack: the run goes on from its networks
    teacher: Path | None = None  # folder of the sentence encoder
    recipe: str = "r3gan"  # of a pair of generator and discriminator
    device: str = "cpu"
    pack: Path = PACK

    @property
    def store(self) -> Path:
        """The prepared scenes."""
        return self.out / "store"

    def settings(self, network: str) -> Settings:
        """How the loop runs for one network."""
        return Settings(
            self.out / network,
            self.budget,
            seed=self.seed,
            resume=self.resume,
            device=self.device,
            compile=self.device.startswith("cuda"),
        )
