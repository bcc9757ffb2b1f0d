"""What a pipeline may ask for while it runs.

A pipeline is a generator: it yields a call, is sent that call's result, and returns its images.
Between two calls the worker is free to run other pipelines, or to close the generator. Calls with
the same `batch_key` may share one pass; rows never influence each other. Keys are remembered, so
they hold no weights: a generator stands there by its name, what was learnt of a style by its hash.

Shapes: pixels (B, 3, H, W) in [0, 1]; latents (B, C, h, w) in fp32; sigmas (B,).
"""

from collections.abc import Generator
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, TypeAlias

from torch import Tensor

from engine.events import Picture
from engine.requests import Span


@dataclass(frozen=True, slots=True, eq=False)
class StyleTokens:
    """What a model is shown of style references, a row for each of a conditioning."""

    tokens: Tensor  # (B, N, D)
    scale: Tensor  # (B,) how much they count; 0: the row has none


@dataclass(frozen=True, slots=True, eq=False)
class Conditioning:
    """What a text encoder says of B prompts; the rows of `tokens` and `pooled` belong together."""

    tokens: Tensor  # (B, T, D)
    pooled: Tensor  # (B, P); P may be 0
    extra: Tensor  # (B, E) numbers the family adds, such as SDXL's sizes and crops; E may be 0
    style: StyleTokens | None = None  # rows with and without may share a pass

    def __len__(self) -> int:
        return len(self.tokens)


@dataclass(frozen=True, slots=True)
class NetworkRef:
    """A model and what is applied on top of it; calls that share it may share a pass."""

    model: str
    loras: tuple[tuple[str, float], ...] = ()
    tile: bool = False  # convolutions wrap around the edges
    # Of a generator that the catalogue does not list: its file, whose hash its name is made of.
    weights: bytes = field(default=b"", compare=False, repr=False)


@dataclass(frozen=True, slots=True, eq=False)
class Facts:
    """Ask how a model wants to be sampled. Result: `engine.diffusion.prediction.ModelFacts`."""

    network: NetworkRef

    @property
    def batch_key(self) -> tuple[object, ...]:
        """Never waits for others."""
        return ("facts", self.network.model)


@dataclass(frozen=True, slots=True, eq=False)
class EncodeText:
    """Encode prompts, each a row of weighted spans. Result: Conditioning of as many rows."""

    network: NetworkRef
    prompts: tuple[tuple[Span, ...], ...]
    width: int  # pixels of the images they are for
    height: int

    @property
    def batch_key(self) -> tuple[object, ...]:
        """Model and adaptation; the text length is fixed by the family."""
        return ("encode text", self.network)


@dataclass(frozen=True, slots=True, eq=False)
class EncodeReference:
    """Style references as a model is shown them, if it draws by them (`ModelFacts.style_side`).

    Result: (B, 2, N, D), for each picture its tokens, and those of no picture at all.
    """

    network: NetworkRef
    pixels: Tensor  # (B, 3, S, S) in [0, 1]

    @property
    def batch_key(self) -> tuple[object, ...]:
        """Model and shape; LoRAs don't change how it looks at pictures."""
        return ("encode reference", self.network.model, *self.pixels.shape[1:])


@dataclass(frozen=True, slots=True, eq=False)
class Denoise:
    """Estimate the clean latents of `x` = clean + sigma * noise. Result: like `x`.

    All families answer in this variance-exploding form, whatever they were trained to predict.
    """

    network: NetworkRef
    x: Tensor  # (B, C, h, w)
    sigma: Tensor  # (B,)
    conditioning: Conditioning  # B rows

    @property
    def batch_key(self) -> tuple[object, ...]:
        """Network, shape of a row and shape of its conditioning."""
        conditioning = tuple(self.conditioning.tokens.shape[1:])
        return ("denoise", self.network, *self.x.shape[1:], conditioning)


@dataclass(frozen=True, slots=True, eq=False)
class Encode:
    """Pixels to latents. Result: (B, C, h, w)."""

    network: NetworkRef
    pixels: Tensor

    @property
    def batch_key(self) -> tuple[object, ...]:
        """Network and shape."""
        return ("encode", self.network, *self.pixels.shape[1:])


@dataclass(frozen=True, slots=True, eq=False)
class Decode:
    """Latents to pixels; with `preview` a small cheap estimate. Result: (B, 3, H, W)."""

    network: NetworkRef
    latents: Tensor
    preview: bool = False

    @property
    def batch_key(self) -> tuple[object, ...]:
        """Network, shape and quality."""
        return ("decode", self.network, self.preview, *self.latents.shape[1:])


@dataclass(frozen=True, slots=True, eq=False)
class Enlarge:
    """Pixels to more pixels by a learned upscaler. Result: (B, 3, factor*H, factor*W)."""

    network: NetworkRef
    pixels: Tensor
    factor: int  # 2 or 4

    @property
    def batch_key(self) -> tuple[object, ...]:
        """Network, shape and factor."""
        return ("enlarge", self.network, self.factor, *self.pixels.shape[1:])


@dataclass(frozen=True, slots=True, eq=False)
class StyleCode:
    """The statistics that are a picture's style to a network. Result: (B, S) in fp32."""

    network: NetworkRef
    pixels: Tensor

    @property
    def batch_key(self) -> tuple[object, ...]:
        """Network and shape."""
        return ("style code", self.network, *self.pixels.shape[1:])


@dataclass(frozen=True, slots=True, eq=False)
class StylePreset:
    """What is shipped of a painting, by its name. Result: `engine.style.target.Style`, one row."""

    network: NetworkRef
    name: str

    @property
    def batch_key(self) -> tuple[object, ...]:
        """A look into a table."""
        return ("style preset", self.network)


@dataclass(frozen=True, slots=True, eq=False)
class PresetPicture:
    """A painting whose look ships. Result: pixels (3, H, W) in [0, 1]."""

    name: str

    @property
    def batch_key(self) -> tuple[object, ...]:
        """A file."""
        return ("preset picture",)


@dataclass(frozen=True, slots=True, eq=False)
class DescribeStyle:
    """All that is kept of a picture as a style. Result: `engine.style.target.Style`, B rows."""

    network: NetworkRef
    pixels: Tensor
    is_kept: bool = False  # it will be asked for again: what is found is written down
    is_sliced: bool = False  # with `Style.slices`, for the sliced Wasserstein loss

    @property
    def batch_key(self) -> tuple[object, ...]:
        """Network and shape."""
        return ("describe style", self.network, *self.pixels.shape[1:])


@dataclass(frozen=True, slots=True, eq=False)
class Restyle:
    """Content in the style of a code, in one pass. Result: pixels like `pixels`, not clamped."""

    network: NetworkRef
    pixels: Tensor  # (B, 3, H, W); H and W multiples of 8
    code: Tensor  # (B, S)
    strength: Tensor  # (B,) in 0..1
    # (B, S): the code of the picture that `pixels` are a tile of; None where they are the whole
    own: Tensor | None = None
    changes: tuple[tuple[bytes, float], ...] = ()  # what was learnt of styles, and how much counts

    @property
    def batch_key(self) -> tuple[object, ...]:
        """Network, its changes, and shape: any styles and strengths share a pass."""
        changes = tuple((sha256(learnt).digest(), much) for learnt, much in self.changes)
        is_whole = self.own is None
        return ("restyle", self.network, changes, is_whole, *self.pixels.shape[1:])


@dataclass(frozen=True, slots=True, eq=False)
class LayStrokes:
    """Styles' brush strokes on pictures (`engine.style.strokes`). Result: pixels, not clamped."""

    network: NetworkRef
    pixels: Tensor  # (B, 3, H, W); H and W multiples of 8, at least 32
    bases: Tensor  # (B, K, D)
    details: Tensor  # (B, K, P)
    strength: Tensor  # (B,) in 0..1

    @property
    def batch_key(self) -> tuple[object, ...]:
        """Shape of pictures and patches: any styles and strengths share a pass."""
        return ("lay strokes", self.network, *self.bases.shape[1:], *self.pixels.shape[1:])


@dataclass(frozen=True, slots=True, eq=False)
class FirstChange:
    """Where learning a style begins. Result: (a change (P,) that changes nothing, the version)."""

    network: NetworkRef
    seed: int

    @property
    def batch_key(self) -> tuple[object, ...]:
        """Costs next to nothing."""
        return ("first change", self.network)


@dataclass(frozen=True, slots=True, eq=False)
class ChangeGradient:
    """How far restyled pictures are from a style, and where a change of the decoder should go.

    Result: (loss (1,), gradient (P,)).
    """

    network: NetworkRef
    change: Tensor  # (P,)
    pixels: Tensor  # (B, 3, H, W); H and W multiples of 8
    code: Tensor  # (1, S) of the style
    grams: tuple[Tensor, ...]  # (1, C, C) of each level
    mean: Tensor  # (1, 3) of the style's colours in 0..1
    covariance: Tensor  # (1, 3, 3)

    @property
    def batch_key(self) -> tuple[object, ...]:
        """Network and shape; each change is computed on its own."""
        return ("change gradient", self.network, *self.pixels.shape)


@dataclass(frozen=True, slots=True, eq=False)
class Remember:
    """Write something down that shall survive the worker; empty: forget it. Result: None."""

    key: str
    data: bytes

    @property
    def batch_key(self) -> tuple[object, ...]:
        """A file."""
        return ("remember",)


@dataclass(frozen=True, slots=True, eq=False)
class Recall:
    """Ask for what was written down. Result: bytes, empty if there is nothing."""

    key: str

    @property
    def batch_key(self) -> tuple[object, ...]:
        """A file."""
        return ("recall",)


@dataclass(frozen=True, slots=True, eq=False)
class ContentFeatures:
    """What a picture shows, to the network of an optimiser. Result: (B, C, h, w)."""

    network: NetworkRef
    pixels: Tensor

    @property
    def batch_key(self) -> tuple[object, ...]:
        """Network and shape."""
        return ("content features", self.network, *self.pixels.shape[1:])


@dataclass(frozen=True, slots=True, eq=False)
class StyleGradient:
    """How far pictures are from a content and a style, and the way there.

    Result: (loss (B,), gradient like `pixels`), each row's its own.
    """

    network: NetworkRef
    pixels: Tensor  # (B, 3, H, W)
    content: Tensor  # (B, C, h, w) of `ContentFeatures`
    grams: tuple[Tensor, ...]  # (B, C, C) of each level
    style_weight: Tensor  # (B,)
    slices: tuple[Tensor, ...] = ()  # `Style.slices`, to count in place of the Gram matrices

    @property
    def batch_key(self) -> tuple[object, ...]:
        """Network, loss and shape."""
        return ("style gradient", self.network, bool(self.slices), *self.pixels.shape[1:])


@dataclass(frozen=True, slots=True)
class DescribeLatents:
    """Ask for a generator's sizes and looks. Result: `engine.gan.space.LatentSpace`."""

    network: NetworkRef

    @property
    def batch_key(self) -> tuple[object, ...]:
        """Never waits for others."""
        return ("describe latents", self.network.model)


@dataclass(frozen=True, slots=True, eq=False)
class MapNoise:
    """Noise and looks to the points a generator draws from. Result: w (B, D)."""

    network: NetworkRef
    z: Tensor  # (B, Z), standard normal
    looks: Tensor  # (B,) int64, index into the looks of `LatentSpace`

    @property
    def batch_key(self) -> tuple[object, ...]:
        """Any looks share a pass."""
        return ("map noise", self.network.model)


@dataclass(frozen=True, slots=True, eq=False)
class MeanOfLook:
    """The average point of each look, to truncate to or to search from. Result: w (B, D)."""

    network: NetworkRef
    looks: Tensor  # (B,) int64

    @property
    def batch_key(self) -> tuple[object, ...]:
        """A look into a table."""
        return ("mean of look", self.network.model)


@dataclass(frozen=True, slots=True, eq=False)
class Synthesise:
    """Points of latent space to pictures. Result: pixels (B, 3, S, S)."""

    network: NetworkRef
    w: Tensor  # (B, D), or (B, D + E) with the extras of `LatentSpace`

    @property
    def batch_key(self) -> tuple[object, ...]:
        """Points of the same length share a pass."""
        return ("synthesise", self.network.model, self.w.shape[1])


@dataclass(frozen=True, slots=True, eq=False)
class InversionGradient:
    """How far what w draws is from a picture, and the way there.

    Result: (loss (B,), gradient like `w`), each row's its own.
    """

    network: NetworkRef
    w: Tensor  # (B, D), or (B, D + E) with the extras of `LatentSpace`
    pixels: Tensor  # (B, 3, S, S)

    @property
    def batch_key(self) -> tuple[object, ...]:
        """Points of the same length share a pass, with any pictures."""
        return ("inversion gradient", self.network.model, self.w.shape[1])


@dataclass(frozen=True, slots=True, eq=False)
class FirstPair:
    """Where teaching a pair begins. Result: (judge (Q,), generator (P,), version of the pair)."""

    network: NetworkRef
    seed: int

    @property
    def batch_key(self) -> tuple[object, ...]:
        """Costs next to nothing."""
        return ("first pair", self.network)


@dataclass(frozen=True, slots=True, eq=False)
class PairCanvases:
    """Pictures as a pair sees them. Result: (B, C, h, w)."""

    network: NetworkRef
    pixels: Tensor  # (B, 3, S, S)

    @property
    def batch_key(self) -> tuple[object, ...]:
        """Network."""
        return ("pair canvases", self.network)


@dataclass(frozen=True, slots=True, eq=False)
class JudgeGradient:
    """How badly a judge tells real from drawn, and where its numbers should go.

    Result: (gradient (Q,), its loss, gap and penalties R1 and R2 as (4,)).
    """

    network: NetworkRef
    judge: Tensor  # (Q,)
    generator: Tensor  # (P,)
    canvases: Tensor  # (B, C, h, w) of real pictures
    z: Tensor  # (B, Z)
    gamma: float  # of R1 and R2

    @property
    def batch_key(self) -> tuple[object, ...]:
        """Network; each pair is computed on its own."""
        return ("judge gradient", self.network)


@dataclass(frozen=True, slots=True, eq=False)
class FoolGradient:
    """How badly a generator fools its judge. Result: (gradient (P,), loss (1,))."""

    network: NetworkRef
    judge: Tensor  # (Q,)
    generator: Tensor  # (P,)
    canvases: Tensor  # (B, C, h, w) of real pictures
    z: Tensor  # (B, Z)

    @property
    def batch_key(self) -> tuple[object, ...]:
        """Network; each pair is computed on its own."""
        return ("fool gradient", self.network)


@dataclass(frozen=True, slots=True, eq=False)
class PairSamples:
    """What a generator in training draws. Result: pixels (B, 3, S, S)."""

    network: NetworkRef
    generator: Tensor  # (P,)
    z: Tensor  # (B, Z)

    @property
    def batch_key(self) -> tuple[object, ...]:
        """Network; each generator is computed on its own."""
        return ("pair samples", self.network)


@dataclass(frozen=True, slots=True, eq=False)
class PairFeatures:
    """What sets of pictures are compared by. Result: (B, D)."""

    network: NetworkRef
    pixels: Tensor  # (B, 3, S, S)

    @property
    def batch_key(self) -> tuple[object, ...]:
        """Network and shape."""
        return ("pair features", self.network, *self.pixels.shape[1:])


@dataclass(frozen=True, slots=True, eq=False)
class WriteGenerator:
    """A generator as the file that is kept of it. Result: bytes."""

    network: NetworkRef
    generator: Tensor  # (P,)

    @property
    def batch_key(self) -> tuple[object, ...]:
        """Costs little."""
        return ("write generator", self.network)


@dataclass(frozen=True, slots=True)
class Pause:
    """Nothing to compute: a point where others may run. Result: None."""

    @property
    def batch_key(self) -> tuple[object, ...]:
        """Pauses all share one empty pass."""
        return ("pause",)


@dataclass(frozen=True, slots=True, eq=False)
class Report:
    """Tell the caller how far it is; costs no pass. Result: None."""

    step: int
    total: int
    preview: bytes | None = None
    report: tuple[tuple[str, str], ...] = ()  # what it says of itself so far: name and value

    @property
    def batch_key(self) -> tuple[object, ...]:
        """Reports are answered at once."""
        return ("report",)


StyleCall: TypeAlias = (
    StyleCode
    | StylePreset
    | PresetPicture
    | DescribeStyle
    | Restyle
    | LayStrokes
    | ContentFeatures
    | StyleGradient
    | FirstChange
    | ChangeGradient
    | Remember
    | Recall
)
GanCall: TypeAlias = DescribeLatents | MapNoise | MeanOfLook | Synthesise | InversionGradient
PairCall: TypeAlias = (
    FirstPair
    | PairCanvases
    | JudgeGradient
    | FoolGradient
    | PairSamples
    | PairFeatures
    | WriteGenerator
)
Call: TypeAlias = (
    Facts
    | EncodeText
    | EncodeReference
    | Denoise
    | Encode
    | Decode
    | Enlarge
    | StyleCall
    | GanCall
    | PairCall
    | Pause
    | Report
)
# What is sent depends on what was yielded.
Pipeline: TypeAlias = Generator[Call, Any, tuple[Picture, ...]]
Sampling: TypeAlias = Generator[Call, Any, Tensor]  # part of a pipeline: noise to clean latents
