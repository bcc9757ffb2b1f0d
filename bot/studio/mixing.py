"""Blends, dreams and morphs: from what a member asks to requests of the engine, and the words."""

from collections.abc import Collection, Sequence
from dataclasses import fields, replace

from bot.errors import LimitReached, NotAllowed, NotFound
from bot.studio.asking import new_seed
from bot.studio.contract import Blending, Dreaming, Morphing
from bot.studio.restyling import A_PICTURE
from bot.wording import Said
from engine.api import (
    Ability,
    Blend,
    Catalogue,
    Diffusion,
    Dream,
    ModelInfo,
    Morph,
    Stride,
    TextToImage,
    Waypoint,
    plain,
)

RESHUFFLED = 60  # the chaos of a blend whose images differ by their weights alone
DRAWN_ON = 0.5  # how far a prompt leads away from a mixture
FARTHEST = 1.0  # distance of dreams that are like nothing
NEAR = 0.3  # distance of dreams from what they are like
SUBTLY_NEAR, STRONGLY_NEAR = 0.2, 0.5  # distance of variations from a dream
NEAR_COUNT = 4
BLEND_COUNT_MAX = 4
DREAM_COUNT_MAX = 4


def blend_of(
    drawing: Diffusion, pictures: Sequence[bytes], asked: Blending, *, typed: float | None
) -> Blend:
    """The request of a blend; `drawing` says how the prompt draws, `typed` its `--strength`.

    Raises:
        EngineError: a value is out of its range.
    """
    values = {field.name: getattr(drawing, field.name) for field in fields(Diffusion)}
    usual = DRAWN_ON if asked.prompt.strip() else 0.0
    given = asked.strength if asked.strength is not None else typed
    blend = Blend(
        **values,
        pictures=tuple(pictures),
        weights=asked.weights,
        strength=usual if given is None else given,
    )
    differs = blend.strength > 0 or blend.image_count == 1
    return blend if differs else replace(blend, chaos=max(blend.chaos, RESHUFFLED))


def blended_anew(request: Blend) -> Blend:
    """The same blend with another seed, which must not lead to the same picture."""
    chaos = request.chaos if request.strength > 0 else max(request.chaos, RESHUFFLED)
    return replace(request, seed=new_seed(), chaos=chaos)


def blend_words(shown: Sequence[str], prompt: str) -> str:
    """What a blend's images show: the prompt of its job."""
    if prompt.strip():
        return prompt.strip()
    known = list(dict.fromkeys(words for words in shown if words != A_PICTURE))
    if A_PICTURE in shown:
        known.append(A_PICTURE)
    return f"{' and '.join(known)}, blended"


def dreamer(
    name: str | None, catalogue: Catalogue, look: str = "", opened: Collection[str] = ()
) -> ModelInfo:
    """The model that dreams: the named one, else the first with that look, else the first.

    Where some are `opened`, it is one of them unless none of those dreams.

    Raises:
        NotFound: there is none.
    """
    able = [info for info in catalogue.models() if Ability.DREAM in info.abilities]
    if name is None:
        found = [info for info in able if info.name in opened] or able
    else:
        found = [info for info in able if info.name == name.strip().lower()]
    if found:
        wanted = look.strip().lower()
        return next((info for info in found if wanted in info.looks), found[0])
    if not able:
        raise NotFound("no model here can dream; the operator can add one to the catalogue")
    raise NotFound(
        Said(
            "{model} can't dream; use {names}",
            model=name,
            names=", ".join(info.name for info in able),
        )
    )


def look_named(look: str, info: ModelInfo) -> str:
    """A look of a model in any case; empty stays empty.

    Raises:
        NotFound: it has no such look.
    """
    wanted = look.strip().lower()
    if not wanted or wanted in info.looks:
        return wanted
    if not info.looks:
        raise NotFound(Said("{model} has one look alone; leave the look out", model=info.name))
    raise NotFound(
        Said("there is no look called {name}; use {names}", name=look, names=", ".join(info.looks))
    )


def dream_of(asked: Dreaming, info: ModelInfo, like: bytes) -> Dream:
    """The request of dreams; a single one that is like a picture is as near as can be.

    Raises:
        NotFound: the look is unknown.
        LimitReached: too many are asked for, or a distance from nothing.
        EngineError: a value is out of its range.
    """
    if not like and asked.distance not in (None, FARTHEST):
        raise LimitReached(
            "distance is from what dreams are like: "
            "give a picture they shall be like, or leave it out"
        )
    if not 1 <= asked.count <= DREAM_COUNT_MAX:
        raise LimitReached(
            Said("count must be 1 to {most}, not {given}", most=DREAM_COUNT_MAX, given=asked.count)
        )
    usual = FARTHEST if not like else 0.0 if asked.count == 1 else NEAR
    return Dream(
        model=info.name,
        seed=new_seed() if asked.seed is None else asked.seed,
        look=look_named(asked.look, info),
        truncation=asked.truncation,
        image_count=asked.count,
        like=like,
        distance=usual if asked.distance is None else asked.distance,
    )


def dream_near(request: Dream, seed: int, *, is_strong: bool) -> Dream:
    """Dreams near the one of a job that `seed` made.

    Raises:
        EngineError: the walk has become too long.
    """
    distance = STRONGLY_NEAR if is_strong else SUBTLY_NEAR
    onward = replace(request, seed=new_seed(), image_count=NEAR_COUNT)
    if not request.is_walk:
        return replace(onward, origin=seed, distance=distance)
    path = (*request.path, Stride(seed, request.distance))
    return replace(onward, path=path, distance=distance)


def dream_words(look: str, like: str) -> str:
    """What dreams show: the prompt of their job."""
    words = f"a dream of {look}" if look else "a dream"
    return f"{words}, like {like}" if like else words


def morph_of(
    stops: Sequence[Waypoint],
    drawing: TextToImage,
    dreamer: ModelInfo | None,
    weights: bytes,
    asked: Morphing,
) -> Morph:
    """The request of a morph; seeds are dreamt by `dreamer`, whose `weights` may be own ones.

    Raises:
        NotFound: the look is unknown.
        EngineError: a value is out of its range.
    """
    return Morph(
        stops=tuple(stops),
        drawing=replace(drawing, image_count=1),
        frames=asked.frames,
        seconds=asked.seconds,
        loop=asked.loop,
        is_video=asked.video,
        dreams=dreamer.name if dreamer else "",
        look=look_named(asked.look, dreamer) if dreamer else "",
        weights=weights,
    )


def plain_drawing(info: ModelInfo, size: tuple[int, int] | None, seed: int | None) -> TextToImage:
    """How a morph without words is drawn: only the size and the model's latents matter."""
    width, height = info.size_for(*size) if size else (info.width, info.height)
    return TextToImage(
        model=info.name,
        prompt=plain(""),
        seed=new_seed() if seed is None else seed,
        width=width,
        height=height,
        image_count=1,
    )


def morphed_anew(request: Morph) -> Morph:
    """The same morph with its words drawn by another seed; without words, of other dreams.

    Raises:
        NotAllowed: it has neither, and would be the same again.
    """
    anew = replace(request, drawing=replace(request.drawing, seed=new_seed()))
    if any(stop.prompt for stop in request.stops):
        return anew
    if all(stop.seed is None for stop in request.stops):
        raise NotAllowed("pictures alone turn into each other in one way; add words or dreams")
    stops = [stop if stop.seed is None else Waypoint(seed=new_seed()) for stop in request.stops]
    return replace(anew, stops=tuple(stops))
