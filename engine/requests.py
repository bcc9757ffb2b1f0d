"""What can be asked of the engine: plain, immutable, picklable values; no torch here.

Pictures travel as encoded bytes (PNG, already cleaned by `engine.media`). Every request states its
ranges in `__post_init__` and refuses what is outside with field and reason.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from engine.errors import InvalidRequest
from engine.wording import Said

SIZE_STEP = 8  # pixels; the VAE halves each side three times
MIN_SIDE = 64  # pixels
MAX_SIDE = 2048  # pixels
MAX_SEED = 2**32 - 1
MAX_STEPS = 150
MAX_IMAGES = 8  # images of one request
MAX_STYLES = 8  # style references of one request
MAX_CONTENT_FRAMES = 60  # of an animation to be restyled
MAX_TRAINING_STEPS = 5000  # of a style
MAX_BLENDED = 5  # pictures of one blend
MAX_WEIGHT = 1_000_000  # of a picture in a blend
LEAST_WEIGHT = 1e-6  # of all pictures of a blend together
MAX_STOPS = 6  # of one morph
MAX_FRAMES = 120  # of one morph
MAX_MORPH_PIXELS = 32_000_000  # of all frames of a morph
MAX_FRAME_RATE = 50  # frames per second; browsers slow down what is faster
MAX_STRIDES = 32  # of one walk
LEAST_LEARNT = 16  # different pictures: from fewer, a generator learns nothing but them
MAX_LEARNT = 500  # pictures of one generator's training
MAX_PAIR_STEPS = 100_000  # of a generator's training
MAX_PAIR_MINUTES = 24 * 60.0


class Sampler(StrEnum):
    """How noise is removed step by step."""

    EULER = "euler"
    EULER_ANCESTRAL = "euler-a"
    HEUN = "heun"
    DDIM = "ddim"
    DPMPP_2M = "dpm++2m"
    DPMPP_2M_SDE = "dpm++2m-sde"
    LCM = "lcm"


class Schedule(StrEnum):
    """Which noise levels a sampler visits."""

    MODEL = "model"  # what the checkpoint was trained for
    KARRAS = "karras"
    EXPONENTIAL = "exponential"
    LINEAR = "linear"


class StyleMethod(StrEnum):
    """How a picture is given another's look."""

    FAST = "fast"
    OPTIMISE = "optimise"
    DIFFUSION = "diffusion"


class StyleLoss(StrEnum):
    """By what an optimiser compares styles."""

    GRAM = "gram"  # Gatys et al. 2016
    SLICED = "sliced"  # sliced Wasserstein distance, Heitz et al. 2021: also the spread of features


class StyleStart(StrEnum):
    """Where an optimiser begins."""

    CONTENT = "content"
    NOISE = "noise"


class KeepColour(StrEnum):
    """Which colours a restyled picture has."""

    NO = "no"
    LUMINANCE = "luminance"  # colours of the content, pixel by pixel
    MATCHED = "matched"  # the style is first recoloured to the content's palette


class UpscaleMethod(StrEnum):
    """How a picture is made larger."""

    RESAMPLE = "resample"  # Lanczos
    LEARNED = "learned"


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of prompt text and how much attention it gets."""

    text: str
    weight: float = 1.0  # 1.0 is neutral; A1111's (a) is 1.1


@dataclass(frozen=True, slots=True)
class PromptPart:
    """One part of a multi-prompt, `text::weight`; a negative weight steers away."""

    spans: tuple[Span, ...]
    weight: float = 1.0

    @property
    def text(self) -> str:
        """The words alone."""
        return "".join(span.text for span in self.spans)


Prompt: TypeAlias = tuple[PromptPart, ...]


def plain(text: str) -> Prompt:
    """A prompt of one part and no weights."""
    return (PromptPart((Span(text),)),)


@dataclass(frozen=True, slots=True)
class LoraReference:
    """A low-rank adaptation to apply on top of the model."""

    name: str
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class StyleReference:
    """A picture, or a preset of the engine, whose look is taken."""

    image: bytes = b""  # PNG; empty where `preset` is given
    preset: str = ""
    weight: float = 1.0
    learnt: bytes = b""  # what a training made of the picture, for the fast method
    is_kept: bool = False  # the picture has a name and comes again: its statistics are kept


@dataclass(frozen=True, kw_only=True, slots=True)
class Diffusion:
    """What all diffusion requests share.

    Image `i` is made by `seed + i` alone; the variations of one image by `seed` and, for image `i`,
    `variation_seed + i`.
    """

    model: str
    prompt: Prompt
    seed: int
    width: int = 512  # pixels, multiple of 8
    height: int = 512  # pixels, multiple of 8
    steps: int = 20
    guidance_scale: float = 5.0  # 1.0 turns guidance off
    sampler: Sampler = Sampler.EULER
    schedule: Schedule = Schedule.MODEL
    image_count: int = 4
    stop: int = 100  # percent of the denoising after which it ends, 10..100
    tile: bool = False  # seamless at the edges
    chaos: int = 0  # 0..100, spread between the images of one request
    weird: int = 0  # 0..3000, away from the usual
    stylize: int = 100  # 0..1000, house look against literal prompt; 100 is the model's own
    variation_seed: int | None = None  # of the noise that is mixed into that of `seed`
    variation_strength: float = 0.0  # 0 keeps the image of `seed`, 1 replaces its noise
    loras: tuple[LoraReference, ...] = ()
    style_references: tuple[StyleReference, ...] = ()
    style_weight: int = 100  # 0..1000
    previews: bool = True

    @property
    def is_varied(self) -> bool:
        """Whether its images are variations of the one of `seed`."""
        return self.variation_seed is not None and self.variation_strength > 0

    def __post_init__(self) -> None:
        _require(
            any(p.weight > 0 for p in self.prompt), "prompt", "needs a part of positive weight"
        )
        _require_seed("seed", self.seed)
        _require_side("width", self.width)
        _require_side("height", self.height)
        _require_range("steps", self.steps, 1, MAX_STEPS)
        _require_range("guidance_scale", self.guidance_scale, 1.0, 30.0)
        _require_range("image_count", self.image_count, 1, MAX_IMAGES)
        _require_range("stop", self.stop, 10, 100)
        _require_range("chaos", self.chaos, 0, 100)
        _require_range("weird", self.weird, 0, 3000)
        _require_range("stylize", self.stylize, 0, 1000)
        _require_range("variation_strength", self.variation_strength, 0.0, 1.0)
        _require_range("style_weight", self.style_weight, 0, 1000)
        _require(len(self.style_references) <= MAX_STYLES, "style_references", "are too many")
        if self.style_references:
            _require_weight("style_references", self.style_references)
        if self.variation_seed is not None:
            _require_seed("variation_seed", self.variation_seed)


@dataclass(frozen=True, kw_only=True, slots=True)
class TextToImage(Diffusion):
    """Images from a prompt."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageToImage(Diffusion):
    """Images from a prompt and a source image."""

    source: bytes  # PNG
    strength: float = 0.6  # 0 keeps the source, 1 replaces it

    def __post_init__(self) -> None:
        # A slotted dataclass is made anew, so that zero-argument super() has no class to look in.
        Diffusion.__post_init__(self)
        _require(bool(self.source), "source", "must not be empty")
        _require_range("strength", self.strength, 0.0, 1.0)


@dataclass(frozen=True, kw_only=True, slots=True)
class Upscale:
    """A larger version of one picture."""

    source: bytes  # PNG
    factor: int = 2  # 2 or 4
    method: UpscaleMethod = UpscaleMethod.LEARNED
    detail: float = 0.5  # 0 smooth .. 1 crisp
    seed: int = 0

    def __post_init__(self) -> None:
        _require(bool(self.source), "source", "must not be empty")
        _require(self.factor in (2, 4), "factor", "must be 2 or 4")
        _require_range("detail", self.detail, 0.0, 1.0)
        _require_seed("seed", self.seed)


@dataclass(frozen=True, slots=True)
class Stride:
    """A step of a walk: towards the dream of a seed, or away from a style as a seed says."""

    seed: int
    distance: float  # 0 stays, 1 arrives

    def __post_init__(self) -> None:
        _require_seed("seed", self.seed)
        _require_range("distance", self.distance, 0.0, 1.0)


@dataclass(frozen=True, kw_only=True, slots=True)
class Stylize:
    """The content of one picture in the look of others."""

    content: bytes  # PNG; of an animation the first frame
    styles: tuple[StyleReference, ...]  # weights are normalised
    frames: tuple[bytes, ...] = ()  # PNG, of an animation those that follow; fast method only
    durations_ms: tuple[int, ...] = ()  # of the content and each frame
    strength: float = 1.0  # 0 keeps the content, 1 takes the whole style
    method: StyleMethod = StyleMethod.FAST
    keep_colour: KeepColour = KeepColour.NO
    mask: bytes = b""  # PNG, white = restyle; empty: everywhere
    size: int = 0  # longer side in pixels; 0 keeps the content's own
    iterations: int = 200  # of the optimiser
    loss: StyleLoss = StyleLoss.GRAM  # of the optimiser
    start: StyleStart = StyleStart.CONTENT  # of the optimiser; noise is drawn by the seed
    network: str = "style"  # that guides the optimiser: "style", the shipped one, or "vgg19"
    seed: int = 0
    path: tuple[Stride, ...] = ()  # by which all images leave the style, one after the other
    perturbation: float = 0.0  # how far image i then leaves it, at random by seed + i; 0..1
    image_weights: tuple[tuple[float, ...], ...] = ()  # of the styles, for each image on its own
    image_strengths: tuple[float, ...] = ()  # of each image in place of `strength`; of stills
    image_count: int = 1
    model: str = ""  # of the diffusion method
    prompt: Prompt = ()  # of the diffusion method; empty: words for any painting
    previews: bool = True

    def __post_init__(self) -> None:
        _require(bool(self.content), "content", "must not be empty")
        _require(1 <= len(self.styles) <= MAX_STYLES, "styles", _between(1, MAX_STYLES))
        _require_weight("styles", self.styles)
        _require_range("strength", self.strength, 0.0, 1.0)
        if self.size:
            _require_range("size", self.size, MIN_SIDE, 4096)
        _require_range("iterations", self.iterations, 1, 3000)
        _require_range("perturbation", self.perturbation, 0.0, 1.0)
        reason = Said("has more than {most} strides", most=MAX_STRIDES)
        _require(len(self.path) <= MAX_STRIDES, "path", reason)
        _require(self.network in ("style", "vgg19"), "network", "must be style or vgg19")
        is_diffusion = self.method is StyleMethod.DIFFUSION
        _require(bool(self.model) or not is_diffusion, "model", "is needed for this method")
        if self.frames:
            self._check_frames()
        _require_range("image_count", self.image_count, 1, MAX_IMAGES)
        _require_seed("seed", self.seed)
        if self.image_weights:
            shape = [len(self.styles)] * self.image_count
            fits = [len(weights) for weights in self.image_weights] == shape
            _require(fits, "image_weights", "must be one for each style, for each image")
            is_positive = all(min(w) >= 0 and sum(w) > 0 for w in self.image_weights)
            _require(is_positive, "image_weights", "need a positive one and no negative ones")
        if self.image_strengths:
            fits = len(self.image_strengths) == self.image_count and not self.frames
            _require(fits, "image_strengths", "must be one for each image, of a still picture")
            for strength in self.image_strengths:
                _require_range("image_strengths", strength, 0.0, 1.0)

    def _check_frames(self) -> None:
        is_fast = self.method is StyleMethod.FAST
        _require(is_fast, "method", "must be fast for an animation")
        fits = len(self.frames) < MAX_CONTENT_FRAMES
        reason = Said("are too many; an animation may have {most}", most=MAX_CONTENT_FRAMES)
        _require(fits, "frames", reason)
        fits = len(self.durations_ms) == 1 + len(self.frames)
        _require(fits, "durations_ms", "must be one for each frame")


@dataclass(frozen=True, kw_only=True, slots=True)
class Blend(Diffusion):
    """Pictures mixed into one in the latents of an autoencoder, and drawn further by the prompt.

    `chaos` also spreads the weights between the images of the request.
    """

    pictures: tuple[bytes, ...]  # PNG, 2..5; each is cut to the size that is asked for
    weights: tuple[float, ...] = ()  # of the pictures, normalised; empty: all alike
    strength: float = 0.0  # how far the prompt leaves the mixture: 0 keeps it, 1 replaces it

    def __post_init__(self) -> None:
        Diffusion.__post_init__(self)
        is_mixture = 2 <= len(self.pictures) <= MAX_BLENDED and all(self.pictures)
        _require(is_mixture, "pictures", _between(2, MAX_BLENDED))
        _require_range("strength", self.strength, 0.0, 1.0)
        if self.weights:
            fits = len(self.weights) == len(self.pictures)
            _require(fits, "weights", "must be one for each picture")
            for weight in self.weights:
                _require_range("weights", weight, 0, MAX_WEIGHT)
            is_something = sum(self.weights) >= LEAST_WEIGHT
            _require(is_something, "weights", "are all too small: use numbers such as 2:1:1")


@dataclass(frozen=True, kw_only=True, slots=True)
class Dream:
    """What a generative adversarial network draws without any words.

    Image `i` is the dream of `seed + i`, or the end of a walk: from `origin` or the dream most
    `like` a picture, along `path`, then by `distance` towards the dream of `seed + i`.
    """

    model: str
    seed: int
    look: str = ""  # one of the model's; empty: each image has its own, by its seed
    truncation: float = 0.7  # 0 the average of a look, 1 all that the network has learned
    image_count: int = 4
    origin: int | None = None  # seed of the dream where a walk begins
    like: bytes = b""  # PNG in place of `origin`
    path: tuple[Stride, ...] = ()
    distance: float = 1.0  # of the last stride
    factor: int = 4  # by which an upscaler enlarges: 1, 2 or 4
    weights: bytes = b""  # of a generator that was trained here; `model` is then its name
    previews: bool = True

    def __post_init__(self) -> None:
        _require_seed("seed", self.seed)
        _require_range("truncation", self.truncation, 0.0, 1.0)
        _require_range("image_count", self.image_count, 1, MAX_IMAGES)
        _require_range("distance", self.distance, 0.0, 1.0)
        _require(self.factor in (1, 2, 4), "factor", "must be 1, 2 or 4")
        reason = Said("has more than {most} strides", most=MAX_STRIDES)
        _require(len(self.path) <= MAX_STRIDES, "path", reason)
        is_clear = self.origin is None or not self.like
        _require(is_clear, "origin", "can't be given together with like")
        if self.origin is not None:
            _require_seed("origin", self.origin)

    @property
    def is_walk(self) -> bool:
        """It begins somewhere, and does not only dream."""
        return self.origin is not None or bool(self.like)


@dataclass(frozen=True, slots=True)
class Waypoint:
    """Where a morph passes through: a picture, words, or the dream of a seed."""

    picture: bytes = b""  # PNG
    prompt: Prompt = ()
    seed: int | None = None

    def __post_init__(self) -> None:
        given = [bool(self.picture), bool(self.prompt), self.seed is not None]
        _require(sum(given) == 1, "stops", "are each a picture, words or a seed")
        if self.seed is not None:
            _require_seed("seed", self.seed)


@dataclass(frozen=True, kw_only=True, slots=True)
class Morph:
    """An animation from one picture, prompt or dream to others."""

    stops: tuple[Waypoint, ...]  # 2..6
    drawing: TextToImage  # how words are drawn; its size is that of the frames
    frames: int = 24
    seconds: float = 3.0
    loop: bool = True  # ends where it began
    dreams: str = ""  # the model that dreams the seeds among the stops
    look: str = ""  # of the dreams; empty: each has its own, by its seed
    truncation: float = 0.7
    weights: bytes = b""  # of a generator that was trained here; `dreams` is then its name
    is_video: bool = False  # as MP4 too

    def __post_init__(self) -> None:
        _require(2 <= len(self.stops) <= MAX_STOPS, "stops", _between(2, MAX_STOPS))
        _require_range("frames", self.frames, 2, MAX_FRAMES)
        _require(self.frames >= len(self.stops), "frames", "must be one for each stop at least")
        _require_range("seconds", self.seconds, 0.2, 60.0)
        reason = Said(
            "would be more than {most} a second: ask for fewer, or more seconds",
            most=MAX_FRAME_RATE,
        )
        _require(self.frames <= self.seconds * MAX_FRAME_RATE, "frames", reason)
        pixels = self.frames * self.drawing.width * self.drawing.height
        _require(pixels <= MAX_MORPH_PIXELS, "frames", "are too many for their size: ask for fewer")
        _require_range("truncation", self.truncation, 0.0, 1.0)
        has_dreams = any(stop.seed is not None for stop in self.stops)
        _require(bool(self.dreams) or not has_dreams, "dreams", "needs a model for the seeds")

    @property
    def seed(self) -> int:
        """Of the noise that all drawn stops share."""
        return self.drawing.seed


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainStyle:
    """The fast network taught one style; its picture carries what was learnt."""

    style: bytes  # PNG
    name: str  # what its owner calls it
    steps: int = 200
    seed: int = 0
    previews: bool = True

    def __post_init__(self) -> None:
        _require(bool(self.style), "style", "must not be empty")
        _require_range("steps", self.steps, 1, MAX_TRAINING_STEPS)
        _require_seed("seed", self.seed)


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainGan:
    """A generator taught what some pictures have in common; its picture carries the weights.

    It ends after `steps` or `minutes` of learning, whichever is first.
    """

    name: str  # what it will be called
    pictures: tuple[bytes, ...] = ()  # PNG, squares
    sources: tuple[str, ...] = ()  # what its owner calls the pictures
    minutes: float = 20.0  # of learning; waiting for others does not count
    steps: int = 20_000
    seed: int = 0
    is_ending: bool = False  # learn no more: make the result of what is known
    previews: bool = True

    def __post_init__(self) -> None:
        few = len(self.pictures) <= MAX_LEARNT
        _require(few, "pictures", Said("may be {most} at most", most=MAX_LEARNT))
        _require_range("minutes", self.minutes, 0.1, MAX_PAIR_MINUTES)
        _require_range("steps", self.steps, 1, MAX_PAIR_STEPS)
        _require_seed("seed", self.seed)


Request: TypeAlias = (
    TextToImage | ImageToImage | Upscale | Stylize | Blend | Dream | Morph | TrainStyle | TrainGan
)


def seeds_of(request: Request) -> Iterable[int]:
    """The seed of each image of a request, in order; variations of one image have that image's."""
    count = (
        1 if isinstance(request, Upscale | Morph | TrainStyle | TrainGan) else request.image_count
    )
    step = 0 if isinstance(request, Diffusion) and request.is_varied else 1
    return ((request.seed + i * step) % (MAX_SEED + 1) for i in range(count))


def variation_seeds_of(request: Diffusion) -> Iterable[int]:
    """The seed of what is mixed into each image's noise, in order; none where nothing is."""
    first = request.variation_seed
    if first is None or not request.is_varied:
        return ()
    return ((first + i) % (MAX_SEED + 1) for i in range(request.image_count))


def _require(condition: bool, field: str, reason: str) -> None:  # noqa: FBT001
    if not condition:
        raise InvalidRequest(field, reason)


def _require_range(field: str, value: float, low: float, high: float) -> None:
    reason = Said("must be in {low}..{high}, not {given}", low=low, high=high, given=value)
    _require(low <= value <= high, field, reason)


def _between(least: int, most: int) -> str:
    return Said("must be {least} to {most}", least=least, most=most)


def _require_weight(field: str, styles: Iterable[StyleReference]) -> None:
    weight = sum(style.weight for style in styles)
    _require(weight > 0, field, "need a positive weight: give one of them more")


def _require_seed(field: str, seed: int) -> None:
    _require_range(field, seed, 0, MAX_SEED)


def _require_side(field: str, side: int) -> None:
    reason = Said("must be a multiple of {step}, not {given}", step=SIZE_STEP, given=side)
    _require(side % SIZE_STEP == 0, field, reason)
    _require_range(field, side, MIN_SIDE, MAX_SIDE)
