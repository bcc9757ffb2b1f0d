"""What a prompt says once it is read: frozen values that can be stored, sent and compared."""

from dataclasses import dataclass

DEFAULT_NO_WEIGHT = -0.5  # of each item of --no


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of words and how much attention it gets."""

    text: str
    weight: float = 1.0  # -10..10, 1.0 is neutral


@dataclass(frozen=True, slots=True)
class PromptPart:
    """One part of a multi-prompt; a negative weight steers away from it."""

    spans: tuple[Span, ...]
    weight: float = 1.0  # -1000..1000

    @property
    def text(self) -> str:
        """The words alone."""
        return "".join(span.text for span in self.spans)


@dataclass(frozen=True, slots=True)
class StyleReference:
    """Whose look is taken: a link, the name of a style, an image's id or `random`."""

    ref: str
    weight: float = 1.0  # 0..100, relative to the other references


@dataclass(frozen=True, slots=True)
class LoraReference:
    """A low-rank adaptation by name."""

    name: str
    weight: float = 1.0  # -4..4


@dataclass(frozen=True, kw_only=True, slots=True)
class Flags:
    """What the flags of a prompt say; None where a flag was not given."""

    aspect: tuple[int, int] | None = None  # width : height
    seed: int | None = None  # of the first image
    chaos: int | None = None  # 0..100
    stylize: int | None = None  # 0..1000
    weird: int | None = None  # 0..3000
    quality: float | None = None  # 0.25, 0.5, 1 or 2
    stop: int | None = None  # percent of the denoising, 10..100
    tile: bool | None = None
    image_weight: float | None = None  # 0..3
    preset: str | None = None  # name of a style preset, or "none"
    style_weight: int | None = None  # 0..1000
    repeat: int | None = None  # jobs, at least 2
    model: str | None = None
    steps: int | None = None
    guidance_scale: float | None = None  # 1.0 = off
    sampler: str | None = None
    strength: float | None = None  # 0 keeps the source image, 1 replaces it
    size: tuple[int, int] | None = None  # pixels, width and height
    images: int | None = None  # images of one job
    draft: bool | None = None
    speed: str | None = None  # "fast" or "relax"
    visibility: str | None = None  # "private" or "public"

    @property
    def is_private(self) -> bool | None:
        """Whether others shall not see the result; None where it is not said."""
        return None if self.visibility is None else self.visibility == "private"


@dataclass(frozen=True, kw_only=True, slots=True)
class ParsedPrompt:
    """One concrete prompt, read."""

    parts: tuple[PromptPart, ...] = ()  # --no is here too, with negative weights
    image_prompts: tuple[str, ...] = ()  # links
    flags: Flags = Flags()
    style_references: tuple[StyleReference, ...] = ()
    loras: tuple[LoraReference, ...] = ()

    @property
    def prompt(self) -> str:
        """What to show, as plain words."""
        return ", ".join(part.text for part in self.parts if part.weight > 0)

    @property
    def negative_prompt(self) -> str:
        """What to avoid, as plain words."""
        return ", ".join(part.text for part in self.parts if part.weight < 0)

    @property
    def normalised_parts(self) -> tuple[PromptPart, ...]:
        """The parts with weights scaled so that the positive ones sum to 1."""
        total = sum(part.weight for part in self.parts if part.weight > 0) or 1.0
        return tuple(PromptPart(part.spans, part.weight / total) for part in self.parts)
