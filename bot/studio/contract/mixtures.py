"""How pictures are blended, dreamt and animated."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Blending:
    """How pictures are mixed."""

    weights: tuple[float, ...] = ()  # of the pictures; empty: all alike
    prompt: str = ""  # draws the mixture on; flags may follow
    strength: float | None = None  # how far the prompt leads away, 0..1; None: as usual
    seed: int | None = None  # None: at random
    count: int = 1  # 1..4; without a prompt each has its own weights
    model: str | None = None  # None: as preferred
    is_private: bool | None = None  # None: as the pictures, else as preferred


@dataclass(frozen=True, kw_only=True, slots=True)
class Dreaming:
    """What is dreamt."""

    look: str = ""  # one of the model's; empty: any
    seed: int | None = None  # None: at random
    truncation: float = 0.7  # 0 the average, 1 the wildest
    count: int = 4
    like: bytes | str = b""  # an upload or an image's id: dreams near it
    distance: float | None = None  # from what it is like, 0..1; None: as usual
    model: str | None = None  # None: the first that dreams
    is_private: bool | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class MorphStop:
    """Where a morph passes through: one of these."""

    upload: bytes = b""
    image: str = ""  # id of an image
    prompt: str = ""  # flags may follow
    seed: int | None = None  # of a dream


@dataclass(frozen=True, kw_only=True, slots=True)
class Morphing:
    """How an animation moves between its stops."""

    frames: int = 24
    seconds: float = 3.0
    loop: bool = True
    video: bool = False  # an MP4 is what is shown and kept, in place of the WebP
    look: str = ""  # of dreams
    dreamer: str | None = None  # the model that dreams seeds; None: the first that does
    seed: int | None = None  # of what prompts draw; None: at random
    model: str | None = None  # of words and pictures; None: as preferred
    is_private: bool | None = None
