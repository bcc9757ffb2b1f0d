"""From what a member asks of a restyle to a request of the engine, and the words for it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from bot.errors import LimitReached, UserError
from bot.studio.asking import new_seed
from bot.studio.contract import Detail, Restyling, StyleChoice
from bot.studio.stops import MOST_WEIGHT
from bot.wording import Said
from engine.api import (
    MAX_CONTENT_FRAMES,
    MAX_STRIDES,
    MAX_STYLES,
    Diffusion,
    ModelInfo,
    Request,
    Stride,
    StyleMethod,
    StyleReference,
    Stylize,
    Upload,
    fits_shipped,
    plain,
    seeds_of,
)

STYLE_MODEL = "style"  # what jobs are counted under that no model of the catalogue draws
MAX_VARIATIONS = 4
BLEND_STEPS = 5
USUAL_SIDE = 1280  # pixels of the longer side; a larger result must be asked for
USUAL_OPTIMISED_SIDE, MAX_OPTIMISED_SIDE = 512, 1024  # pixels; its time grows with the area
USUAL_MOVING_SIDE, MAX_MOVING_SIDE = 480, 640  # pixels of an animation's frames
# Browsers show a frame of no duration, or of the shortest a GIF can say, for a tenth of a second.
TOO_SHORT_MS, UNTOLD_MS = 10, 100
STRENGTHS = (0.25, 0.5, 0.75, 1.0)  # to choose from
VARIED = 0.5  # how far variations leave the style
SUBTLY_VARIED, STRONGLY_VARIED = 0.35, 0.9
ITERATIONS = {Detail.DRAFT: 60, Detail.NORMAL: 200, Detail.FINE: 500}
A_PICTURE = "a picture"  # in the words of a job whose content was uploaded
_MARK = ", in the style of "
_WEIGHTED = re.compile(
    r"(?P<name>.*?)\s*:\s*(?P<weight>[+-]?(?:\d+[.,]?\d*|[.,]\d+)(?:e[+-]?\d+)?)", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Look:
    """A style that was found, and what it is called in the words of a job."""

    reference: StyleReference
    title: str
    maker: str = ""  # of a painting that ships


@dataclass(frozen=True, slots=True)
class Content:
    """A picture to be restyled: clean PNG, size in pixels, what it shows."""

    png: bytes
    width: int
    height: int
    words: str = A_PICTURE
    frames: tuple[bytes, ...] = ()  # of an animation those that follow
    durations_ms: tuple[int, ...] = ()  # of the picture and each frame


def content_of(upload: Upload, words: str) -> Content:
    """A picture as it came; of a long animation every second, third... frame, shown for longer."""
    came = upload.frames
    if len(came) == 1:
        return Content(upload.png, upload.width, upload.height, words)
    stride = -(-len(came) // MAX_CONTENT_FRAMES)
    groups = [came[start : start + stride] for start in range(0, len(came), stride)]
    durations = [sum(_shown_ms(frame.duration_ms) for frame in group) for group in groups]
    first, *rest = [group[0].png for group in groups]
    return Content(first, upload.width, upload.height, words, tuple(rest), tuple(durations))


def _shown_ms(duration_ms: int) -> int:
    return duration_ms if duration_ms > TOO_SHORT_MS else UNTOLD_MS


def read_weighted(text: str) -> tuple[str, float]:
    """A name and its weight, written `NAME` or `NAME:0.4`; any number, if it can be one or not."""
    match = _WEIGHTED.fullmatch(text.strip())
    if not match:
        return text.strip(), 1.0
    return match["name"], float(match["weight"].replace(",", "."))


def weighed(styles: Sequence[StyleChoice], weights: Sequence[float]) -> list[StyleChoice]:
    """Styles with the weights that were given for all of them; without any, with their own.

    Raises:
        LimitReached: there are more or fewer weights than styles.
    """
    if not weights:
        return list(styles)
    if len(weights) != len(styles):
        raise LimitReached(
            Said(
                "weights are one for each style: {styles} here, not {given}",
                styles=len(styles),
                given=len(weights),
            )
        )
    return [replace(style, weight=one) for style, one in zip(styles, weights, strict=True)]


def request_for(
    content: Content, looks: Sequence[Look], asked: Restyling, model: ModelInfo, mask: bytes
) -> Stylize:
    """The request of a restyle; variations leave the style a little, each by its own seed.

    Raises:
        LimitReached: too many styles or variations, or too large for the model.
        EngineError: a value is out of its range.
    """
    if not 1 <= len(looks) <= MAX_STYLES:
        raise LimitReached(
            Said(
                "a picture takes 1 to {most} styles, not {given}", most=MAX_STYLES, given=len(looks)
            )
        )
    if not 1 <= asked.variations <= MAX_VARIATIONS:
        raise LimitReached(
            Said(
                "variations must be 1 to {most}, not {given}",
                most=MAX_VARIATIONS,
                given=asked.variations,
            )
        )
    if asked.strengths:
        _check_strengths(content, asked)
    return Stylize(
        content=content.png,
        frames=content.frames,
        durations_ms=content.durations_ms,
        styles=tuple(look.reference for look in looks),
        strength=asked.strength,
        method=asked.method,
        keep_colour=asked.keep_colour,
        mask=mask,
        size=_size(content, asked, model),
        iterations=ITERATIONS[asked.detail],
        loss=asked.loss,
        start=asked.start,
        seed=new_seed() if asked.seed is None else asked.seed,
        perturbation=VARIED if asked.variations > 1 else 0.0,
        image_count=len(asked.strengths) or asked.variations,
        image_strengths=asked.strengths,
        model=model.name if asked.method is StyleMethod.DIFFUSION else "",
        prompt=plain(drawn_words(content, looks)),
    )


def _check_strengths(content: Content, asked: Restyling) -> None:
    if asked.method is not StyleMethod.FAST:
        raise LimitReached("several strengths are shown by the fast method; choose it, or one")
    if asked.variations > 1:
        raise LimitReached("ask for several strengths or for variations, not for both")
    if content.frames:
        raise LimitReached("an animation takes one strength; send a still picture to compare")
    if len(asked.strengths) > MAX_VARIATIONS:
        raise LimitReached(
            Said(
                "at most {most} strengths can be compared, not {given}",
                most=MAX_VARIATIONS,
                given=len(asked.strengths),
            )
        )


def compared(request: Stylize, place: int) -> Stylize:
    """The restyle of the image at a place of a job, by the fast method, in several strengths.

    Raises:
        LimitReached: it moves.
    """
    if request.frames:
        raise LimitReached("an animation takes one strength; restyle a still picture to compare")
    return replace(
        alone(request, place),
        method=StyleMethod.FAST,
        network="style",
        model="",
        image_strengths=STRENGTHS,
        image_count=len(STRENGTHS),
    )


def blending(request: Stylize, share: float) -> Stylize:
    """The request, with one image for each step from its first style to its second.

    The step in the middle has `share` of the second one.
    Raises:
        LimitReached: the share is out of its range.
    """
    if not 0 <= share <= 1:
        raise LimitReached(
            Said("the share of the second style must be in 0..1, not {given:g}", given=share)
        )
    if request.image_strengths:
        raise LimitReached("ask for several strengths or for the steps of a blend, not for both")
    if request.image_count > 1:
        raise LimitReached("ask for variations or for the steps of a blend, not for both")
    middle = share if 0 < share < 1 else 0.5
    shares = (0.0, middle / 2, middle, (1 + middle) / 2, 1.0)
    weights = tuple((1 - second, second) for second in shares)
    return replace(request, image_weights=weights, image_count=BLEND_STEPS, perturbation=0.0)


def anew(request: Stylize) -> Stylize:
    """The same restyle with another seed, which must not lead to the same picture."""
    return replace(
        request, seed=new_seed(), perturbation=max(request.perturbation, _least_varied(request))
    )


def near(request: Stylize, place: int, *, is_strong: bool) -> Stylize:
    """Restyles near the image at a place of a job, in styles that leave its own more or less."""
    return replace(
        alone(request, place),
        seed=new_seed(),
        perturbation=STRONGLY_VARIED if is_strong else SUBTLY_VARIED,
        image_count=MAX_VARIATIONS,
    )


def alone(request: Stylize, place: int) -> Stylize:
    """The request of the image at a place of a job, with the weights, strength and seed it had.

    Whatever else the images of a job have in common stays. By how much it left its styles is the
    end of its path, so that others can go on from there.
    """
    styles, strength, path = request.styles, request.strength, request.path
    seed = tuple(seeds_of(request))[place]
    if request.perturbation:
        path = (*path, Stride(seed, request.perturbation))[-MAX_STRIDES:]
    if request.image_weights:
        weights = request.image_weights[place]
        styles = tuple(
            replace(style, weight=weight)
            for style, weight in zip(styles, weights, strict=True)
            if weight > 0
        )
    if request.image_strengths:
        strength = request.image_strengths[place]
    return replace(
        request,
        styles=styles,
        strength=strength,
        seed=seed,
        path=path,
        perturbation=0.0,
        image_weights=(),
        image_strengths=(),
        image_count=1,
    )


def remark_on(request: Request) -> str:
    """What is to be said of a result whose styles could not be taken as they were learnt."""
    match request:
        case Stylize(method=StyleMethod.FAST):
            styles = request.styles
        case Diffusion():
            styles = request.style_references
        case _:
            return ""
    if all(fits_shipped(style.learnt) for style in styles if style.learnt):
        return ""
    return (
        "What was learned of a style is left out, since the fast method has a newer network; "
        "let it be learned again (/style train)."
    )


def words_for(content: Content, looks: Sequence[Look]) -> str:
    """What a restyle's images show: the prompt of its job."""
    titles = list(dict.fromkeys(look.title for look in looks))
    listed = titles[0] if len(titles) == 1 else f"{', '.join(titles[:-1])} and {titles[-1]}"
    return f"{content.words}{_MARK}{listed}"


def drawn_words(content: Content, looks: Sequence[Look]) -> str:
    """What the diffusion method draws by; of looks that a model can't know by name, only that."""
    known = [f"{look.title} by {look.maker}" for look in looks if look.maker]
    like = f", in the style of {' and '.join(dict.fromkeys(known))}" if known else ""
    shown = "" if content.words == A_PICTURE else f"{content.words}, "
    return f"{shown}an expressive painting with visible brush strokes{like}"


def without_style(words: str) -> str:
    """The words of an image without the styles that it was given before."""
    return words.split(_MARK, maxsplit=1)[0].strip() or A_PICTURE


def _size(content: Content, asked: Restyling, model: ModelInfo) -> int:
    """The longer side of the result in pixels; 0 keeps the content's."""
    if asked.method is StyleMethod.DIFFUSION:
        return _drawn_size(content, asked, model)
    if content.frames:
        return _moving_size(content, asked)
    is_optimised = asked.method is StyleMethod.OPTIMISE
    if asked.size > MAX_OPTIMISED_SIDE and is_optimised:
        raise LimitReached(
            Said(
                "the optimiser works at up to {side} pixels a side; ask for less, or use the fast "
                "method",
                side=MAX_OPTIMISED_SIDE,
            )
        )
    if asked.size:
        return asked.size
    usual = USUAL_OPTIMISED_SIDE if is_optimised else USUAL_SIDE
    return usual if max(content.width, content.height) > usual else 0


def _moving_size(content: Content, asked: Restyling) -> int:
    """Each frame costs as much as a picture, so that animations stay small."""
    if asked.size > MAX_MOVING_SIDE:
        raise LimitReached(
            Said(
                "an animation is restyled at up to {side} pixels a side; ask for less, or send a "
                "still picture",
                side=MAX_MOVING_SIDE,
            )
        )
    if asked.size:
        return asked.size
    return USUAL_MOVING_SIDE if max(content.width, content.height) > USUAL_MOVING_SIDE else 0


def _drawn_size(content: Content, asked: Restyling, model: ModelInfo) -> int:
    """A checkpoint draws only what it was trained to draw."""
    usual = max(model.size_for(content.width, content.height))
    shape = content.width / content.height
    pixels = asked.size**2 * min(shape, 1 / shape)
    if asked.size > model.max_side or pixels > model.max_pixels:
        longest = (model.max_pixels / min(shape, 1 / shape)) ** 0.5
        raise LimitReached(
            Said(
                "{model} draws at most {side} pixels a side; ask for less, or use the fast method",
                model=model.title or model.name,
                side=min(model.max_side, int(longest)),
            )
        )
    return asked.size or usual


def _least_varied(request: Stylize) -> float:
    if request.method is StyleMethod.DIFFUSION:
        return 0.0  # its noise is another one with each seed
    is_compared = bool(request.image_weights or request.image_strengths)
    return SUBTLY_VARIED if is_compared else VARIED


def checked_weight(weight: float) -> float:
    """The weight of a style.

    Raises:
        UserError: it is not above 0, or too large.
    """
    if not 0 < weight <= MOST_WEIGHT:
        raise UserError(
            Said(
                "the weight of a style must be above 0 and at most {most:,}, not {given:g}",
                most=MOST_WEIGHT,
                given=weight,
            )
        )
    return weight
