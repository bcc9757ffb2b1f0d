"""Every flag in one table: names, ranges, help in two languages, and how a value is read."""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from types import MappingProxyType
from typing import TypeAlias

from bot.prompts.errors import PromptError
from bot.prompts.expansion import DEFAULT_LIMIT
from bot.prompts.lexical import NUMBER, FlagStart, nearest
from bot.prompts.presets import NO_PRESET, load_presets, nearest_preset, preset_named
from bot.wording import CHINESE, Said, translated

MAX_ASPECT_RATIO = 14  # longer side by shorter
# What other studios call it.
_ELSEWHERE = MappingProxyType(
    {
        "cfg": "guidance",
        "scale": "guidance",
        "n": "images",
        "count": "images",
        "negative": "no",
        "stealth": "private",
        "turbo": "fast",
    }
)
# What other studios have and this one has not, with what to do.
_NOT_HERE = MappingProxyType(
    dict.fromkeys(
        ("v", "version", "niji", "style", "raw", "hd", "exp", "p", "profile", "personalize", "sv"),
        Said("Leave it out; --model names who draws, --preset and --sref whose look is taken."),
    )
    | dict.fromkeys(
        ("cref", "cw", "oref", "ow"),
        Said("Leave it out; of other pictures only the look can be taken, by --sref."),
    )
)
_WORD = re.compile(r"\S*[^\s,，、]")  # up to commas at its end
_FIGURES = re.compile(r"\d[\d.:：/xX×*]*")  # of numbers, aspects and sizes
FlagValue: TypeAlias = int | float | bool | str | tuple[int, int]


class FlagKind(StrEnum):
    """What the value of a flag looks like, and so which control a form shows for it."""

    INTEGER = "integer"
    NUMBER = "number"
    SWITCH = "switch"  # no value
    NAME = "name"
    PRESET = "preset"  # name of a style preset, or none
    ASPECT = "aspect"  # W:H
    SIZE = "size"  # WxH pixels
    PARTS = "parts"  # a, b, c
    STYLES = "styles"  # ref::2 ref ...
    LORA = "lora"  # name:0.8


@dataclass(frozen=True, kw_only=True, slots=True)
class FlagSpec:
    """One flag: all that the parser, the help and a form's control need to know."""

    name: str  # as typed after --
    field: str  # of Flags, or of ParsedPrompt for the kinds PARTS, STYLES and LORA
    kind: FlagKind
    example: str  # of the value, "" for a switch
    summary: str
    summary_zh: str
    aliases: tuple[str, ...] = ()
    minimum: float = -math.inf
    maximum: float = math.inf
    step: float = 1  # what a size is a multiple of
    choices: tuple[float, ...] = ()  # the only numbers allowed; empty: the whole range
    default: FlagValue | None = None  # what not giving the flag means, where that is one value
    constant: FlagValue = True  # what a switch sets its field to

    @property
    def usage(self) -> str:
        """How it is written, such as `--ar 3:2`."""
        return f"--{self.name} {self.example}".rstrip()

    @property
    def allowed(self) -> str:
        """The values allowed, in words; empty where any name will do."""
        match self.kind:
            case FlagKind.INTEGER | FlagKind.NUMBER if self.choices:
                return ", ".join(map(number_text, self.choices))
            case FlagKind.INTEGER | FlagKind.NUMBER:
                return f"{number_text(self.minimum)}..{number_text(self.maximum)}"
            case FlagKind.ASPECT:
                return f"1:{MAX_ASPECT_RATIO}..{MAX_ASPECT_RATIO}:1"
            case FlagKind.SIZE:
                low, high = number_text(self.minimum), number_text(self.maximum)
                return Said(
                    "{low}x{low}..{high}x{high}, multiples of {step}",
                    low=low,
                    high=high,
                    step=number_text(self.step),
                )
            case _:
                return ""

    def help_text(self, *, chinese: bool = False) -> str:
        """One line of help: usage, range and meaning."""
        words = translated(self.allowed, CHINESE) if chinese else self.allowed
        allowed = f" ({words})" if words else ""
        return f"{self.usage}{allowed}: {self.summary_zh if chinese else self.summary}"


FLAGS: tuple[FlagSpec, ...] = (
    FlagSpec(
        name="ar",
        aliases=("aspect",),
        field="aspect",
        kind=FlagKind.ASPECT,
        example="3:2",
        default=(1, 1),
        summary="shape of the picture, width to height, at about the same number of pixels",
        summary_zh="画面宽高比，像素总数大致不变",
    ),
    FlagSpec(
        name="seed",
        field="seed",
        kind=FlagKind.INTEGER,
        example="42",
        minimum=0,
        maximum=2**32 - 1,
        summary="the same seed makes the same picture again; image i uses seed + i",
        summary_zh="相同种子得到相同图片；第 i 张用 seed + i",
    ),
    FlagSpec(
        name="no",
        field="parts",
        kind=FlagKind.PARTS,
        example="text, frame",
        summary="what to avoid, separated by commas",
        summary_zh="不想出现的内容，用逗号分隔",
    ),
    FlagSpec(
        name="chaos",
        aliases=("c",),
        field="chaos",
        kind=FlagKind.INTEGER,
        example="30",
        minimum=0,
        maximum=100,
        default=0,
        summary="how far the images of one job differ from each other",
        summary_zh="同一任务中各张图片的差异程度",
    ),
    FlagSpec(
        name="stylize",
        aliases=("s",),
        field="stylize",
        kind=FlagKind.INTEGER,
        example="250",
        minimum=0,
        maximum=1000,
        default=100,
        summary="low follows the words closely, high gives more of the house look",
        summary_zh="低值忠于文字，高值更有本站风格",
    ),
    FlagSpec(
        name="weird",
        aliases=("w",),
        field="weird",
        kind=FlagKind.INTEGER,
        example="500",
        minimum=0,
        maximum=3000,
        default=0,
        summary="how far to leave the usual",
        summary_zh="偏离常规的程度",
    ),
    FlagSpec(
        name="quality",
        aliases=("q",),
        field="quality",
        kind=FlagKind.NUMBER,
        example="2",
        minimum=0.25,
        maximum=2,
        choices=(0.25, 0.5, 1, 2),
        default=1,
        summary="how many steps are spent, as a multiple of the usual",
        summary_zh="花费步数，为常规的倍数",
    ),
    FlagSpec(
        name="stop",
        field="stop",
        kind=FlagKind.INTEGER,
        example="80",
        minimum=10,
        maximum=100,
        default=100,
        summary="percent of the steps after which to end, for a softer picture",
        summary_zh="在该百分比的步数处停止，画面更柔和",
    ),
    FlagSpec(
        name="tile",
        field="tile",
        kind=FlagKind.SWITCH,
        example="",
        summary="edges that meet, for patterns that repeat",
        summary_zh="无缝拼接的图案",
    ),
    FlagSpec(
        name="iw",
        field="image_weight",
        kind=FlagKind.NUMBER,
        example="1.5",
        minimum=0,
        maximum=3,
        default=1,
        summary="weight of image prompts against the words",
        summary_zh="参考图相对文字的权重",
    ),
    FlagSpec(
        name="preset",
        field="preset",
        kind=FlagKind.PRESET,
        example="pixel-art",
        summary="a look that is added to the words; `none` leaves out the one that is set",
        summary_zh="为文字添加的画风预设；none 表示不用已设置的预设",
    ),
    FlagSpec(
        name="sref",
        field="style_references",
        kind=FlagKind.STYLES,
        example="great-wave::2",
        summary="take the look of a style, an image's id, a link or `random`; weights after ::",
        summary_zh="采用某个风格、图片编号、链接或 random 的画风；:: 后为权重",
    ),
    FlagSpec(
        name="sw",
        field="style_weight",
        kind=FlagKind.INTEGER,
        example="200",
        minimum=0,
        maximum=1000,
        default=100,
        summary="how strongly style references count",
        summary_zh="画风参考的强度",
    ),
    FlagSpec(
        name="repeat",
        aliases=("r",),
        field="repeat",
        kind=FlagKind.INTEGER,
        example="4",
        minimum=2,
        maximum=40,
        summary="run the prompt as this many jobs; with all its variants up to "
        f"{DEFAULT_LIMIT} at once, where nobody allowed more",
        summary_zh=f"重复运行的任务数；连同各种变化默认一次最多 {DEFAULT_LIMIT} 个",
    ),
    FlagSpec(
        name="model",
        field="model",
        kind=FlagKind.NAME,
        example="atelier-pack",
        summary="which model draws",
        summary_zh="使用的模型",
    ),
    FlagSpec(
        name="steps",
        field="steps",
        kind=FlagKind.INTEGER,
        example="20",
        minimum=1,
        maximum=150,
        summary="denoising steps",
        summary_zh="去噪步数",
    ),
    FlagSpec(
        name="guidance",
        field="guidance_scale",
        kind=FlagKind.NUMBER,
        example="5",
        minimum=1,
        maximum=30,
        summary="how strictly the words are followed; 1 turns guidance off",
        summary_zh="对文字的遵循强度；1 为关闭引导",
    ),
    FlagSpec(
        name="sampler",
        field="sampler",
        kind=FlagKind.NAME,
        example="euler",
        summary="the algorithm that removes noise",
        summary_zh="采样算法",
    ),
    FlagSpec(
        name="strength",
        field="strength",
        kind=FlagKind.NUMBER,
        example="0.6",
        minimum=0,
        maximum=1,
        summary="how far an edit leaves its source: 0 keeps it, 1 replaces it",
        summary_zh="偏离原图的程度：0 保留，1 替换",
    ),
    FlagSpec(
        name="size",
        field="size",
        kind=FlagKind.SIZE,
        example="512x512",
        minimum=64,
        maximum=2048,
        step=8,
        summary="exact size in pixels, in place of --ar",
        summary_zh="精确像素尺寸，代替 --ar",
    ),
    FlagSpec(
        name="images",
        field="images",
        kind=FlagKind.INTEGER,
        example="4",
        minimum=1,
        maximum=8,
        summary="images of one job",
        summary_zh="每个任务的图片数",
    ),
    FlagSpec(
        name="lora",
        field="loras",
        kind=FlagKind.LORA,
        example="ink:0.8",
        summary="a small adaptation of the model that the operator added, with its weight",
        summary_zh="运营者添加的模型微调（LoRA）及其权重",
    ),
    FlagSpec(
        name="draft",
        field="draft",
        kind=FlagKind.SWITCH,
        example="",
        summary="a quick, cheap version",
        summary_zh="快速草稿",
    ),
    FlagSpec(
        name="fast",
        field="speed",
        kind=FlagKind.SWITCH,
        example="",
        constant="fast",
        summary="run as usual, ahead of relaxed jobs",
        summary_zh="照常排队，先于空闲任务",
    ),
    FlagSpec(
        name="relax",
        field="speed",
        kind=FlagKind.SWITCH,
        example="",
        constant="relax",
        summary="run when no other job waits; takes nothing of your share",
        summary_zh="没有其他任务时再运行，不占用你的份额",
    ),
    FlagSpec(
        name="private",
        field="visibility",
        kind=FlagKind.SWITCH,
        example="",
        constant="private",
        summary="only you see it in the gallery",
        summary_zh="图库中仅自己可见",
    ),
    FlagSpec(
        name="public",
        field="visibility",
        kind=FlagKind.SWITCH,
        example="",
        constant="public",
        summary="everyone sees it in the gallery",
        summary_zh="图库中所有人可见",
    ),
)


@cache
def flags_by_name() -> MappingProxyType[str, FlagSpec]:
    """Every name and alias with its flag."""
    return MappingProxyType({name: spec for spec in FLAGS for name in (spec.name, *spec.aliases)})


def flag_named(start: FlagStart, text: str) -> FlagSpec:
    """Look up the flag that begins at a place of a text.

    Raises: PromptError with the nearest name, or with the space that misses before a value.
    """
    typed = start.name
    spec = flags_by_name().get(typed.lower())
    if spec is not None:
        return spec
    shown = typed if len(typed) <= 40 else typed[:40] + "…"
    reason = Said("there is no flag --{flag}", flag=shown)
    word = _WORD.match(text, start.end - len(typed))
    assert word is not None  # it begins with the name
    if apart := _apart(word[0], word.start()):
        cure = Said("Did you mean {near}?", near=apart)
        raise PromptError(start.position, word.end() - start.position, reason, cure)
    near = _ELSEWHERE.get(typed.lower()) or nearest(typed.lower(), flags_by_name())
    cure = Said("Write \\--{flag} if it belongs to the words.", flag=shown)
    if near:
        cure = Said("Did you mean {near}?", near=f"--{near}")
    cure = _NOT_HERE.get(typed.lower().rstrip("0123456789"), cure)
    raise PromptError(start.position, start.end - start.position, reason, cure)


def _apart(word: str, position: int) -> str:
    """A flag and its value with a space between them; "" for what does not begin with a flag.

    Raises: PromptError where the value can't be.
    """
    known = flags_by_name()
    names = [name for name in known if word.lower().startswith(name)]
    for name in sorted(names, key=len, reverse=True):
        spec, rest = known[name], word[len(name) :]
        value = rest.lstrip("-_")
        match spec.kind:
            case FlagKind.SWITCH:
                is_value = False
            case FlagKind.PARTS:
                is_value = bool(value) and (rest != value or not value[0].isascii())
            case FlagKind.NAME | FlagKind.PRESET | FlagKind.STYLES | FlagKind.LORA:
                is_value = rest[:1].isdigit() or not rest[:1].isascii()
            case _:
                is_value = _FIGURES.fullmatch(value) is not None
                if is_value:
                    read_value(spec, value, position + len(word) - len(value))
        if is_value:
            return f"--{name} {value}"
    return ""


def number_text(number: float) -> str:
    """Write a number as short as it can be read back exactly."""
    text = repr(float(number)) if isinstance(number, float) else str(number)
    return text.removesuffix(".0")


def read_value(spec: FlagSpec, text: str, position: int) -> FlagValue:
    """Read the one value of a flag; not of the kinds SWITCH, PARTS, STYLES and LORA.

    Raises: PromptError where the text is no such value or out of range.
    """
    value = _READERS[spec.kind](spec, text)
    if value is None:
        shown = text if len(text) <= 40 else text[:40] + "…"
        reason = Said("--{flag} can't be {value!r}", flag=spec.name, value=shown)
        cure = Said("It needs a name, such as {usage}.", usage=spec.usage)
        if near := nearest_preset(text, load_presets()) if spec.kind is FlagKind.PRESET else "":
            cure = Said("Did you mean {near}?", near=f"--{spec.name} {near}")
        if spec.allowed:
            cure = Said(
                "It must be in {range}, such as {usage}.", range=spec.allowed, usage=spec.usage
            )
        raise PromptError(position, len(text), reason, cure)
    return value


def _integer(spec: FlagSpec, text: str) -> int | None:
    if not re.fullmatch(r"[+-]?\d{1,12}", text):
        return None
    value = int(text)
    return value if spec.minimum <= value <= spec.maximum else None


def _number(spec: FlagSpec, text: str) -> float | None:
    if not re.fullmatch(NUMBER, text):
        return None
    value = float(text)
    fits = spec.minimum <= value <= spec.maximum and (not spec.choices or value in spec.choices)
    return value if fits else None


def _name(_spec: FlagSpec, text: str) -> str | None:
    return text if text.strip() and len(text) <= 200 else None


def _preset(_spec: FlagSpec, text: str) -> str | None:
    if text.strip().lower() == NO_PRESET:
        return NO_PRESET
    preset = preset_named(text, load_presets())
    return preset.name if preset else None


def _aspect(_spec: FlagSpec, text: str) -> tuple[int, int] | None:
    match = re.fullmatch(r"(\d{1,5})[:：/x×](\d{1,5})", text)
    if not match:
        return None
    width, height = int(match[1]), int(match[2])
    if min(width, height) < 1 or max(width, height) > MAX_ASPECT_RATIO * min(width, height):
        return None
    return width, height


def _size(spec: FlagSpec, text: str) -> tuple[int, int] | None:
    match = re.fullmatch(r"(\d{1,5})[xX×*](\d{1,5})", text)
    if not match:
        return None
    width, height = int(match[1]), int(match[2])
    fits = all(
        spec.minimum <= side <= spec.maximum and side % spec.step == 0 for side in (width, height)
    )
    return (width, height) if fits else None


_READERS: MappingProxyType[FlagKind, Callable[[FlagSpec, str], FlagValue | None]] = (
    MappingProxyType(
        {
            FlagKind.INTEGER: _integer,
            FlagKind.NUMBER: _number,
            FlagKind.NAME: _name,
            FlagKind.PRESET: _preset,
            FlagKind.ASPECT: _aspect,
            FlagKind.SIZE: _size,
        }
    )
)
