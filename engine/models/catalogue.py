"""Which models and adaptations there are, read from TOML files; no torch here.

    default = "dream"                      # optional, the last file that says so wins

    [models.dream]                         # one entry a model; only `family` and `where` are needed
    family = "sd1"                         # sd1, sd2, sdxl, gan (pack: the shipped one)
    where = "dream.safetensors"            # a file or folder beside this TOML file or in the
                                           # models folder, or "owner/repository" of the hub
    title = "Dream"

    [loras.ink]
    where = "ink.safetensors"
    families = ["sd1"]

Every field of `ModelInfo` may be given; what is not comes from the family's defaults.
"""

import difflib
import math
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, ClassVar, TypeVar

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from engine.config import EngineConfig
from engine.errors import BadCatalogue, UnknownModel
from engine.requests import MAX_SIDE, MIN_SIDE, Sampler, Schedule

SHIPPED = Path(__file__).with_name("catalogue.toml")
_NAME = r"^[a-z0-9][a-z0-9._-]{0,63}$"
# As the hub lets repositories be called; its library refuses all else.
_HUB_ID = re.compile(r"(?!.*(?:--|\.\.|\.git$))\b[\w.-]+\b/\b[\w.-]{1,96}\b")

T = TypeVar("T")
Side = Annotated[int, Field(ge=MIN_SIDE, le=MAX_SIDE, multiple_of=8)]


class Family(StrEnum):
    """Which code loads and runs a model."""

    PACK = "pack"
    SD1 = "sd1"
    SD2 = "sd2"
    SDXL = "sdxl"
    GAN = "gan"


class Source(StrEnum):
    """What `where` names."""

    BUILTIN = "builtin"  # weights shipped with this package
    FOLDER = "folder"  # of the diffusers layout
    FILE = "file"  # one safetensors file of the original layout
    HUB = "hub"  # a repository of the diffusers layout


class Ability(StrEnum):
    """What a model can be asked for."""

    TEXT_TO_IMAGE = "text_to_image"
    IMAGE_TO_IMAGE = "image_to_image"
    LORAS = "loras"
    TILE = "tile"
    UPSCALE = "upscale"
    DREAM = "dream"


MISSED = 0.01  # of a ratio, by which a size may differ from what was asked for
_DIFFUSION = (Ability.TEXT_TO_IMAGE, Ability.IMAGE_TO_IMAGE, Ability.LORAS, Ability.TILE)


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelInfo:
    """One model: where it is, what it prefers, what it may be used for."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    name: Annotated[str, Field(pattern=_NAME)]
    family: Family
    where: str  # "builtin", an absolute path, or a hub repository
    source: Source
    title: Annotated[str, Field(max_length=80)] = ""
    revision: str = "main"  # of a hub repository
    variant: Annotated[str, Field(pattern="^(|draft)$")] = ""  # of the pack
    tokenizer: str = ""  # vocabulary for a single file, as folder or hub repository; "": CLIP's
    prediction: Annotated[str, Field(pattern="^(|eps|v)$")] = ""  # of a single file; "": by family
    # of a single file's timesteps; "": leading, as Stable Diffusion leads; few-step models trail
    spacing: Annotated[str, Field(pattern="^(|leading|trailing|linspace)$")] = ""
    tiny_vae: str = ""  # folder or hub repository of an AutoencoderTiny for previews
    ip_adapter: str = ""  # file of an adapter by which it draws in the look of style references
    image_encoder: str = ""  # folder of the CLIP image encoder the adapter was trained with
    width: Side = 512  # pixels
    height: Side = 512  # pixels
    steps: Annotated[int, Field(ge=1, le=150)] = 25
    guidance_scale: Annotated[float, Field(ge=1, le=30)] = 7.0
    sampler: Sampler = Sampler.DPMPP_2M
    schedule: Schedule = Schedule.KARRAS
    draft_model: str = ""  # that draws what is asked for with --draft; "": this one
    draft_steps: Annotated[int, Field(ge=1, le=150)] = 12
    draft_guidance_scale: Annotated[float, Field(ge=1, le=30)] = 6.0
    size_multiple: Annotated[int, Field(ge=8, le=256, multiple_of=8)] = 8  # pixels
    max_pixels: Annotated[int, Field(ge=MIN_SIDE**2)] = 768 * 768  # width * height at most
    max_side: Side = 1024  # pixels
    licence: str = ""
    description: str = ""
    description_zh: str = ""
    house_prompt: str = ""  # what `--stylize` leans to
    negative_prompt: str = ""  # used where the member gives none
    abilities: frozenset[Ability] = frozenset(_DIFFUSION)
    looks: tuple[str, ...] = ()  # what a GAN can be asked to dream of

    def size_for(self, wide: int, high: int) -> tuple[int, int]:
        """Width and height in pixels of the ratio `wide`:`high`, at about the native area.

        Where the model's multiples would miss the ratio, it is met exactly for up to a sixth of
        the area.
        """
        area = min(self.width * self.height, self.max_pixels)
        ratio = wide / high
        # The longer side may be capped; the shorter one then keeps the ratio, not the area.
        longer = min(math.sqrt(area * max(ratio, 1 / ratio)), self.max_side)
        shorter = longer * min(ratio, 1 / ratio)
        sides = (longer, shorter) if wide >= high else (shorter, longer)
        width, height = (self._snapped(side) for side in sides)
        exact = self._exact_size(wide, high, area)
        is_missed = abs(width / height / ratio - 1) > MISSED
        if is_missed and exact is not None and math.prod(exact) >= area * 5 / 6:
            return exact
        return width, height

    def _exact_size(self, wide: int, high: int, area: int) -> tuple[int, int] | None:
        """The largest size of exactly that ratio within an area and the sides, if there is one."""
        common, multiple = math.gcd(wide, high), self.size_multiple
        ratio = (wide // common, high // common)
        step = math.lcm(*(multiple // math.gcd(multiple, part) for part in ratio))
        unit = [part * step for part in ratio]
        times = min(math.isqrt(area // math.prod(unit)), self.max_side // max(unit))
        width, height = (part * times for part in unit)
        return (width, height) if min(width, height) >= MIN_SIDE else None

    def _snapped(self, side: float) -> int:
        multiple = self.size_multiple
        low = math.ceil(MIN_SIDE / multiple) * multiple
        high = self.max_side // multiple * multiple
        return min(max(round(side / multiple) * multiple, low), high)


@dataclass(frozen=True, kw_only=True, slots=True)
class LoraInfo:
    """A low-rank adaptation and the families it fits."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    name: Annotated[str, Field(pattern=_NAME)]
    where: str  # an absolute path
    families: Annotated[frozenset[Family], Field(min_length=1)]
    title: Annotated[str, Field(max_length=80)] = ""
    trigger: str = ""  # words it was trained with
    licence: str = ""


_XL = {"width": 1024, "height": 1024, "max_pixels": 1536 * 1024, "max_side": 2048}
_FAMILY_DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    Family.PACK: {
        "width": 256,  # drawn at 128 pixels, doubled by the pack's own upscaler
        "height": 256,
        "steps": 24,
        "guidance_scale": 5.0,
        "sampler": Sampler.EULER,
        "schedule": Schedule.MODEL,
        "size_multiple": 16,
        "max_pixels": 384 * 384,
        "max_side": 512,
        "abilities": (Ability.TEXT_TO_IMAGE, Ability.IMAGE_TO_IMAGE, Ability.UPSCALE),
    },
    Family.SD1: {},
    Family.SD2: {"width": 768, "height": 768, "max_pixels": 1024 * 768, "max_side": 1536},
    Family.GAN: {"abilities": (Ability.DREAM,)},
    Family.SDXL: _XL | {"guidance_scale": 6.0, "draft_guidance_scale": 5.0},
}


class Catalogue:
    """The models and LoRAs on offer, in the order of the files."""

    def __init__(
        self, models: Iterable[ModelInfo], loras: Iterable[LoraInfo] = (), default: str = ""
    ) -> None:
        self._models = {info.name: info for info in models}
        self._loras = {info.name: info for info in loras}
        if not self._models:
            raise BadCatalogue("catalogue", "models", "there is no model")
        self._default = default or next(iter(self._models))
        self.info(self._default)
        for info in self._models.values():
            if info.draft_model and (reason := _why_not(info.draft_model, self._models)):
                raise BadCatalogue("catalogue", info.name, f"draft_model: {reason}")

    @property
    def default(self) -> ModelInfo:
        """The model used where nobody chose one."""
        return self._models[self._default]

    def names(self) -> tuple[str, ...]:
        """All model names."""
        return tuple(self._models)

    def models(self) -> tuple[ModelInfo, ...]:
        """All models."""
        return tuple(self._models.values())

    def info(self, name: str) -> ModelInfo:
        """One model by name, in any case.

        Raises:
            UnknownModel: with the closest name, if one is close.
        """
        return _look_up(self._models, name)

    def lora_names(self, family: Family | None = None) -> tuple[str, ...]:
        """The LoRAs, or those that fit a family."""
        return tuple(
            lora.name for lora in self._loras.values() if family is None or family in lora.families
        )

    def lora(self, name: str) -> LoraInfo:
        """One LoRA by name, in any case.

        Raises:
            UnknownModel: with the closest name, if one is close.
        """
        return _look_up(self._loras, name)

    def autocomplete(
        self, prefix: str, limit: int = 25, ability: Ability = Ability.TEXT_TO_IMAGE
    ) -> list[tuple[str, str]]:
        """Label and name of the able models that match what is typed so far, best first."""
        typed = prefix.strip().lower()
        able = (info for info in self._models.values() if ability in info.abilities)
        ranked = ((_rank(typed, info), info) for info in able)
        matches = sorted((pair for pair in ranked if pair[0] < _NO_MATCH), key=lambda pair: pair[0])
        return [(_label(info), info.name) for _, info in matches[:limit]]


def _why_not(name: str, models: Mapping[str, ModelInfo]) -> str:
    """What is wrong with a model that shall draw where nobody names it; empty if nothing is."""
    if name not in models:
        return f"there is no model {name}"
    can_draw = Ability.TEXT_TO_IMAGE in models[name].abilities
    return "" if can_draw else f"{name} can't draw from words: name another model"


_NO_MATCH = 3


def _rank(typed: str, info: ModelInfo) -> int:
    """How well a name matches: 0 starts with, 1 contains, 2 resembles."""
    texts = (info.name, info.title.lower())
    if any(text.startswith(typed) for text in texts):
        return 0
    if any(typed in text for text in texts):
        return 1
    return 2 if difflib.get_close_matches(typed, texts, n=1, cutoff=0.6) else _NO_MATCH


def _label(info: ModelInfo) -> str:
    return info.title if info.title == info.name else f"{info.title} ({info.name})"


def _look_up(entries: Mapping[str, T], name: str) -> T:
    found = entries.get(name.strip().lower())
    if found is None:
        close = difflib.get_close_matches(name.strip().lower(), entries, n=1, cutoff=0.5)
        raise UnknownModel(name, close[0] if close else "")
    return found


def open_catalogue(config: EngineConfig) -> Catalogue:
    """The shipped catalogue and the operator's files; a later entry replaces one of its name.

    Raises:
        BadCatalogue: a file can't be read or an entry is wrong; says which and why.
    """
    models: dict[str, ModelInfo] = {}
    loras: dict[str, LoraInfo] = {}
    default, said_in = "", ""
    for file in (SHIPPED, *config.catalogue_files):
        page = _Page(file, _read(file), config.models_dir)
        models |= {info.name: info for info in page.models()}
        loras |= {info.name: info for info in page.loras()}
        if own := page.default():
            default, said_in = own, str(file)
    if default and (reason := _why_not(default, models)):
        raise BadCatalogue(said_in, "default", reason)
    return Catalogue(models.values(), loras.values(), default)


def _read(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadCatalogue(str(file), "file", error.strerror or "can't be read") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadCatalogue(str(file), "file", f"is not TOML: {error}") from error


@dataclass(frozen=True, slots=True)
class _Page:
    """One catalogue file."""

    file: Path
    content: Mapping[str, Any]
    models_dir: Path

    def default(self) -> str:
        """What the file calls the default model."""
        unknown = self.content.keys() - {"default", "models", "loras"}
        if unknown:
            raise self._wrong(min(unknown), "is not a table of a catalogue: models, loras, default")
        return str(self.content.get("default", ""))

    def models(self) -> Iterable[ModelInfo]:
        """The checked model entries."""
        for name, entry in self._entries("models"):
            fields = {"name": name, "title": name} | entry
            fields = {**_FAMILY_DEFAULTS.get(str(fields.get("family")), {}), **fields}
            fields |= self._place(name, fields)
            for key in ("tokenizer", "tiny_vae", "ip_adapter", "image_encoder"):
                if fields.get(key):
                    fields[key] = self._resolved(name, str(fields[key]))
            self._check_adapter(name, fields)
            yield self._checked(name, TypeAdapter(ModelInfo), fields)

    def _check_adapter(self, name: str, fields: Mapping[str, Any]) -> None:
        given = [bool(fields.get(key)) for key in ("ip_adapter", "image_encoder")]
        if any(given) and not all(given):
            raise self._wrong(name, "needs ip_adapter and image_encoder, or neither")
        if any(given) and fields.get("family") not in {Family.SD1, Family.SDXL}:
            raise self._wrong(name, "ip_adapter: there are some for the families sd1 and sdxl only")

    def loras(self) -> Iterable[LoraInfo]:
        """The checked LoRA entries."""
        for name, entry in self._entries("loras"):
            fields = {"name": name, "title": name} | entry
            if isinstance(fields.get("where"), str):
                fields["where"] = self._resolved(name, fields["where"])
            yield self._checked(name, TypeAdapter(LoraInfo), fields)

    def _entries(self, table: str) -> Iterable[tuple[str, dict[str, Any]]]:
        entries = self.content.get(table, {})
        if not isinstance(entries, dict):
            raise self._wrong(table, "must be a table")
        for name, entry in entries.items():
            if not isinstance(entry, dict):
                raise self._wrong(
                    name, f'must be a table with fields, like {{ where = "{entry}" }}'
                )
            yield name, entry

    def _place(self, name: str, fields: Mapping[str, Any]) -> dict[str, str]:
        where = fields.get("where")
        if not isinstance(where, str) or not where:
            raise self._wrong(name, 'needs where = "file, folder or hub repository"')
        if where == "builtin":
            return {"where": where, "source": Source.BUILTIN}
        resolved = self._resolved(name, where)
        return {"where": resolved, "source": _source_of(resolved)}

    def _resolved(self, name: str, where: str) -> str:
        """An absolute path, or `where` itself if it names a hub repository."""
        try:
            path = Path(where).expanduser()
            candidates = [self.file.parent / path, self.models_dir / path]
            found = next((place for place in candidates if place.exists()), None)
            if found is None and _HUB_ID.fullmatch(where) and path.suffix != ".safetensors":
                return where
            return str((found or candidates[0]).resolve())
        except (OSError, RuntimeError, ValueError) as error:  # no access, no such home, no path
            raise self._wrong(name, f"{where} can't be looked for: {error}") from error

    def _checked(self, name: str, adapter: TypeAdapter[T], fields: dict[str, Any]) -> T:
        try:
            return adapter.validate_python(fields)
        except ValidationError as error:
            raise self._wrong(name, _reasons(error)) from error

    def _wrong(self, entry: str, reason: str) -> BadCatalogue:
        return BadCatalogue(str(self.file), entry, reason)


def _source_of(where: str) -> Source:
    path = Path(where)
    if not path.is_absolute():
        return Source.HUB
    return Source.FILE if path.is_file() or path.suffix else Source.FOLDER


def _reasons(error: ValidationError) -> str:
    """All that pydantic found, on one line."""
    parts = [
        f"{'.'.join(str(step) for step in detail['loc'])}: {detail['msg']}"
        for detail in error.errors()
    ]
    return "; ".join(parts)
