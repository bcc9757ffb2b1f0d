"""What is in a scene, and the many ways of saying it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

# The first is what a look is asked for by; the last, what the preset of its name adds to a prompt.
LOOK_WORDS: dict[str, tuple[str, ...]] = {
    "3d": (
        *("glossy 3D", "3D render", "3D", "glossy 3D render", "3D icon", "shiny 3D"),
        "glossy 3D render, soft studio light, smooth shading",
    ),
    "flat": (
        *("flat", "flat design", "flat vector", "flat illustration", "flat icon"),
        "flat illustration, simple shapes, plain colours",
    ),
    "cartoon": (
        *("cartoon", "cartoon style", "comic", "cartoon drawing", "inked cartoon"),
        "cartoon style, bold outlines, bright colours",
    ),
    "blob": (
        *("blob", "blob style", "cute blob", "puffy blob", "blobby"),
        "blob style, round soft shapes, puffy",
    ),
    "sticker": (
        *("sticker", "die-cut sticker", "vinyl sticker", "emoji", "clip art"),
        "sticker, thick white border, plain background",
    ),
    "doodle": (
        *("flat cartoon", "doodle", "hand-drawn"),
        "flat cartoon, clean lines, few colours",
    ),
    "pixel": (
        *("pixel art", "8-bit", "retro pixel art", "pixelated", "16-bit sprite"),
        "pixel art, 32 pixels, few colours, hard edges",
    ),
    "photo": (
        *("photo", "photograph", "photography", "realistic photo"),
        "photo, natural light, sharp focus",
    ),
    "oil": (
        *("oil painting", "painting", "impressionist oil painting", "painted in oil"),
        "oil painting, visible brush strokes, rich colours, canvas",
    ),
    "watercolor": (
        *("watercolor", "watercolour", "watercolor painting", "aquarelle"),
        "watercolor painting, soft washes, wet edges, paper texture",
    ),
    "ink": (
        *("ink wash painting", "ink", "ink painting", "sumi-e", "brush and ink"),
        "ink wash painting, black brush strokes on paper",
    ),
    "pencil": (
        *("pencil sketch", "pencil drawing", "pencil", "sketch", "graphite drawing"),
        "pencil sketch, fine hatching, white paper",
    ),
    "line art": (
        *("line art", "line drawing", "outline", "coloring page", "black and white line art"),
        "line art, thin black lines, white background",
    ),
    "pastel": (
        *("pastel", "pastel drawing", "chalk", "chalk drawing", "crayon drawing"),
        "pastel drawing, soft chalk, gentle colours",
    ),
    "woodcut": (
        *("woodcut", "woodblock print", "linocut", "ukiyo-e", "japanese woodblock print"),
        "woodblock print, carved lines, flat colour areas",
    ),
    "low poly": (
        *("low poly", "low poly 3D", "polygons", "low-poly", "made of triangles"),
        "low poly 3D, large facets, simple light",
    ),
    "stained glass": (
        *("stained glass", "stained glass window", "mosaic", "church window"),
        "stained glass window, dark lead lines, glowing colours",
    ),
    "neon": (
        *("neon", "neon lights", "neon sign", "glowing neon", "synthwave"),
        "neon lights, dark background, glowing outlines",
    ),
    "anime": (
        *("anime", "anime style", "manga", "cel shaded"),
        "anime style, clean line art, cel shading",
    ),
    "clay": (
        *("clay", "claymation", "clay figure", "plasticine", "made of clay"),
        "clay figure, soft fingerprints, studio light",
    ),
}
BACKGROUND_WORDS: dict[str, tuple[str, ...]] = {
    "plain": ("on a {c} background", "{c} background", "on {c}", "against a plain {c} background"),
    "gradient": ("on a {c} gradient", "{c} gradient background", "with a {c} gradient background"),
    "sky": ("in the sky", "under a blue sky", "in front of clouds", "blue sky with clouds"),
    "sunset": ("at sunset", "in front of a sunset", "under a sunset sky", "at dusk"),
    "starry sky": ("under a starry sky", "at night", "under the stars", "in a starry night"),
    "sea": ("by the sea", "in the sea", "at sea", "on the ocean", "in front of the sea"),
    "hills": ("in the hills", "on green hills", "in front of hills", "rolling hills"),
    "forest": ("in a forest", "in the woods", "in front of a forest", "among trees"),
    "room": ("in a room", "indoors", "inside a house", "in a living room"),
    "table": ("on a {c} table",),
    "snow": ("in the snow", "in winter", "in a snowy landscape", "while it snows"),
    "meadow": ("in a meadow", "on the grass", "in a field", "in a garden"),
    "beach": ("on the beach", "on a beach", "on the sand by the sea", "at the seaside"),
    "desert": ("in the desert", "in a desert", "on sand dunes"),
    "city": ("in the city", "in a city", "in front of skyscrapers", "in the street"),
}
COLOUR_WORDS: dict[str, tuple[str, ...]] = {
    "teal": ("teal", "turquoise", "cyan"),
    "purple": ("purple", "violet"),
    "grey": ("grey", "gray"),
    "blue": ("blue", "blue", "azure"),
    "red": ("red", "red", "crimson"),
}
COUNT_WORDS = {2: ("two", "2", "a pair of"), 3: ("three", "3"), 4: ("four", "4")}
RELATIONS: dict[str, tuple[str, ...]] = {
    "left of": ("left of", "to the left of", "on the left of"),
    "right of": ("right of", "to the right of", "on the right of"),
    "above": ("above", "over", "on top of"),
    "below": ("below", "under", "beneath"),
}
OPPOSITE = {"left of": "right of", "right of": "left of", "above": "below", "below": "above"}


@dataclass(frozen=True, slots=True)
class Item:
    """A thing in a scene: `count` pictures of `noun`; `colour` is "" where it goes unsaid."""

    noun: str
    colour: str = ""
    count: int = 1
    size: str = ""  # "big" or "small" where that is said


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything a caption may say about a scene."""

    look: str
    items: tuple[Item, ...]
    relation: str = ""  # of the first item to the second, a key of `RELATIONS`
    place: str = ""  # "left", "right", "top", "bottom" of a single item, where that is said
    background: str = "plain"
    background_colour: str = "white"

    @property
    def is_of_one(self) -> bool:
        """Whether it shows one thing alone."""
        return sum(item.count for item in self.items) == 1


def plural(noun: str) -> str:
    """The English plural, good enough for this vocabulary."""
    irregular = {
        "mouse": "mice", "goose": "geese", "sheep": "sheep", "fish": "fish", "deer": "deer",
        "man": "men", "woman": "women", "tooth": "teeth", "wolf": "wolves", "leaf": "leaves",
        "knife": "knives", "tropical fish": "tropical fish", "ox": "oxen", "dice": "dice",
        "bison": "bison", "maple leaf": "maple leaves", "old man": "old men", "potato": "potatoes",
        "old woman": "old women", "police officer": "police officers", "tomato": "tomatoes",
        "bunny": "bunnies", "puppy": "puppies", "kitty": "kitties", "scarf": "scarves",
    }  # fmt: skip
    if noun in irregular:
        return irregular[noun]
    if noun.endswith(("s", "x", "ch", "sh")):
        already = noun.endswith("s") and not noun.endswith(("ss", "us"))
        return noun if already else noun + "es"
    if noun.endswith("y") and noun[-2] not in "aeio":
        return noun[:-1] + "ies"
    return noun + "s"


def article(phrase: str) -> str:
    """The phrase with "a" or "an" before it."""
    is_vowel = phrase[0] in "aeiou" and not phrase.startswith(("uni", "use", "ufo", "one"))
    return f"{'an' if is_vowel else 'a'} {phrase}"


def _pick(rng: np.random.Generator, words: Sequence[str]) -> str:
    return words[int(rng.integers(len(words)))]


class Captioner:
    """Words for plans; knows the synonyms of nouns."""

    def __init__(self, synonyms: dict[str, tuple[str, ...]]) -> None:
        self.synonyms = synonyms

    def describe(self, plan: Plan, rng: np.random.Generator) -> str:
        """One caption of a plan; style first, last or (for the default look) unsaid."""
        body = self._body(plan, rng)
        silence = 0.35 if plan.look == "3d" else 0.04
        if rng.random() < silence:
            lead = _pick(rng, ("", "", "", "a picture of ", "an image of "))
            return lead + body
        style = _pick(rng, LOOK_WORDS[plan.look])
        form = rng.random()
        if form < 0.5:
            return f"{body}, {style}"
        if form < 0.75:
            return f"{style} of {body}"
        if form < 0.9:
            return f"{style}, {body}"
        return f"{article(style.lower())} picture of {body}"

    def _body(self, plan: Plan, rng: np.random.Generator) -> str:
        phrases = [self._item(item, rng) for item in plan.items]
        body = phrases[0] if phrases else ""
        if len(phrases) > 1:
            body = self._related(phrases[0], phrases[1], plan.relation, rng)
        elif plan.place:
            body += f" {_pick(rng, ('on the', 'at the'))} {plan.place}"
        ground = self._background(plan, rng, alone=not phrases)
        return f"{body} {ground}".strip() if ground else body

    def _item(self, item: Item, rng: np.random.Generator) -> str:
        noun = item.noun
        others = self.synonyms.get(noun, ())
        if others and rng.random() < 0.25:
            noun = _pick(rng, others)
        colour = _pick(rng, COLOUR_WORDS.get(item.colour, (item.colour,))) if item.colour else ""
        words = [word for word in (item.size, colour) if word]
        if item.count > 1:
            return " ".join([_pick(rng, COUNT_WORDS[item.count]), *words, plural(noun)])
        phrase = " ".join([*words, noun])
        is_mass = plural(noun) == noun and noun.endswith("s")
        chance = rng.random()
        if is_mass or chance < 0.2:
            return phrase
        return f"one {phrase}" if chance < 0.26 else article(phrase)

    def _related(self, one: str, two: str, relation: str, rng: np.random.Generator) -> str:
        if not relation or rng.random() < 0.1:
            return f"{one} {_pick(rng, ('and', 'next to', 'with'))} {two}"
        if rng.random() < 0.3:
            one, two, relation = two, one, OPPOSITE[relation]
        if relation in {"left of", "right of"} and rng.random() < 0.25:
            side, other = ("left", "right") if relation == "left of" else ("right", "left")
            return f"{one} on the {side} and {two} on the {other}"
        return f"{one} {_pick(rng, RELATIONS[relation])} {two}"

    def _background(self, plan: Plan, rng: np.random.Generator, *, alone: bool) -> str:
        kind, colour = plan.background, plan.background_colour
        if alone:
            return _pick(rng, (kind, article(kind), f"a landscape: {kind}"))
        colour = _pick(rng, COLOUR_WORDS.get(colour, (colour,))) if colour else ""
        if not colour and kind in {"plain", "gradient"}:
            return ""
        if kind == "table" and not colour:
            return "on a table"
        if kind == "table" and plan.background_colour == "brown":
            return _pick(rng, ("on a wooden table", "on a table", "on a brown table"))
        return _pick(rng, BACKGROUND_WORDS[kind]).format(c=colour)
