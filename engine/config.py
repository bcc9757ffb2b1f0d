"""How an engine is set up; plain values, no torch."""

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, kw_only=True, slots=True)
class EngineConfig:
    """The settings of one engine."""

    devices: tuple[str, ...] = (
        "auto",
    )  # "cpu", "cuda:0"...; auto: every CUDA device, else the CPU
    catalogue_files: tuple[Path, ...] = ()  # TOML files beside the shipped catalogue
    models_dir: Path = field(default_factory=lambda: Path("data/models"))
    memory_budget_bytes: int = 0  # for models; 0: most of what the device has
    max_rows: int = 0  # rows of one pass; 0: profiled, within time and memory
    tick_budget_s: float = 0.15  # how long one pass should take at most
    # Of passes by which each model is profiled, the default one at start; 0: none is, and none is
    # loaded before it is asked for.
    profile_s: float = 0.0
    exact: bool = False  # one row at a time, so that batch mates can't change the last bits
    silence_timeout_s: float = 60.0  # a worker without heartbeat for so long is replaced
    stuck_timeout_s: float = 1800.0  # so is one that spends so long on one pass or one loading
    preview_interval_s: float = 0.7
    threads: int = 0  # of the CPU device; 0: torch's own choice
    notes_dir: Path | None = None  # what workers write down for the next one; None: nothing
    vgg19_file: Path | None = None  # VGG-19's weights in torchvision's layout, for style transfer
    allow_downloads: bool = False  # hub repositories may be fetched
