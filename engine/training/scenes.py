"""Scenes composed from a seed: subjects on backgrounds, with the plan that describes them.

A `SceneMaker` first draws a `Plan` (what is in the picture) and then renders it, so that captions,
counts, positions and colours are exact. Half of what a small network learns depends on this file.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from engine.diffusion.unsaid import CHANCES, GROUNDS, Unsaid, unsaid_of
from engine.media.png import on_white
from engine.training.backgrounds import COLOURS, PAINTERS, paint_background
from engine.training.captions import Captioner, Item, Plan
from engine.training.looks import in_look
from engine.training.mediums import in_medium
from engine.training.pictures import Picture
from engine.training.subjects import HUES, Noun, Rgba, Subject, SubjectLibrary, recoloured

LOOK_WEIGHTS = {
    "3d": 0.19,
    "flat": 0.18,
    "cartoon": 0.18,
    "blob": 0.11,
    "sticker": 0.13,
    "doodle": 0.02,
    "pixel": 0.08,
    "photo": 0.06,
    "oil": 0.05,
    "watercolor": 0.045,
    "ink": 0.04,
    "pencil": 0.045,
    "line art": 0.04,
    "pastel": 0.04,
    "woodcut": 0.04,
    "low poly": 0.04,
    "stained glass": 0.04,
    "neon": 0.04,
    "anime": 0.045,
    "clay": 0.045,
}
GROUP_WEIGHTS = {
    "animals": 3.0,
    "food": 2.2,
    "plants": 2.5,
    "vehicles": 2.2,
    "places": 1.6,
    "weather": 2.0,
    "things": 1.0,
    "faces": 1.0,
}
GROUNDED = {"room", "table", "snow", "meadow", "beach", "hills", "desert", "city", "forest"}
SHADELESS = {"flat", "sticker"}  # looks of things that stand nowhere
# Whose cut-outs a look may repaint, where it has none or few of its own.
ALL_DRAWINGS = ("3d", "flat", "cartoon", "blob", "sticker")
SOURCES = {
    "oil": ("3d",),
    "pixel": ("pixel", "cartoon", "3d", "flat"),
    "watercolor": ALL_DRAWINGS,
    "ink": ALL_DRAWINGS,
    "pencil": ALL_DRAWINGS,
    "line art": ALL_DRAWINGS,
    "pastel": ALL_DRAWINGS,
    "woodcut": ALL_DRAWINGS,
    "low poly": ("3d", "flat", "cartoon"),
    "stained glass": ("3d", "flat", "cartoon"),
    "neon": ALL_DRAWINGS,
    "anime": ("3d",),
    "clay": ("3d", "cartoon"),
}
COLOURLESS = {"ink", "pencil", "line art"}  # nobody could tell what colour a thing has
GROUNDLESS = COLOURLESS | {"neon"}  # nor its ground
TAIL_SHARE = 0.04
WHOLE_SHARE = 0.5  # of whole pictures with captions of their own, where there are both
MOST_CAPTION = 300  # characters of such a caption
CORE_FACTOR = 5.0  # core nouns are so much more frequent
TURN = 12  # degrees at most
GROUND_UNSAID = 0.16  # share of scenes
# Where a thing stands alone: from the middle, as shares of the picture's sides, and its own side as
# a share of the picture's shorter one. Along a longer side there is more room.
ASIDE, MORE_ASIDE = (0.08, 0.06), 0.1
LEAST_SIDE, MOST_SIDE = 0.62, 0.88
# Things stand where whole cells of the latents begin and come in few sizes. A thing that is moved
# by whole cells has the same latents in other places; one moved by less has others, each of which
# would have to be learned anew, and a small network that can't draws their mean: smears.
CELL, SIZE_STEP = 8, 16  # pixels
SPRITE_SIDE = 32  # pixels at most
# Shares of subjects with one colour. Beside a plain ground or a second thing both colours are said
# more often: which of the two belongs to what is learned from pictures that name both.
RECOLOURED, RECOLOURED_BESIDE = 0.3, 0.6
COLOUR_SAID, COLOUR_SAID_BESIDE = 0.4, 0.75


@dataclass(frozen=True, slots=True)
class Scene:
    """A rendered plan: pixels (H, W, 3) in bytes, one caption, and what that does not say."""

    pixels: NDArray[np.uint8]
    caption: str
    plan: Plan
    unsaid: Unsaid


@dataclass(frozen=True, slots=True)
class Placed:
    """Where one cut-out goes: its centre as shares of the picture and its longest side."""

    x: float
    y: float
    side: float


class SceneMaker:
    """Draws plans and renders them at one size; equal generators give equal scenes."""

    def __init__(
        self,
        library: SubjectLibrary,
        nouns: list[Noun],
        paintings: list[Picture],
        height: int = 128,
        width: int = 128,
        core_factor: float = CORE_FACTOR,
        look_weights: Mapping[str, float] = LOOK_WEIGHTS,
        wholes: Sequence[Picture] = (),
    ) -> None:
        self.library = library
        self.height, self.width = height, width
        self.captioner = Captioner({noun.name: noun.synonyms for noun in nouns})
        self._weight = {
            noun.name: GROUP_WEIGHTS[noun.group] * (core_factor if noun.core else 1)
            for noun in nouns
        }
        self._wholes = wholes
        self._nouns = {
            look: sorted(table or library.tail[look]) for look, table in library.common.items()
        }
        self._chances = {
            look: _normalised([self._weight.get(noun, 1.0) for noun in names])
            for look, names in self._nouns.items()
            if names
        }
        self._paintings = [
            (picture, picture.open().convert("RGB"))
            for picture in paintings
            if picture.columns.get("colour") == "colour"
        ]
        self._looks = [look for look in look_weights if self._sources(look)]
        self._look_chances = _normalised([look_weights[look] for look in self._looks])
        self.is_idle = not (self._looks or self._paintings or wholes)  # nothing can be made

    def make(self, rng: np.random.Generator) -> Scene:
        """One scene with its caption."""
        unsaid = _drawn(rng)
        if self._wholes and (not self._looks or rng.random() < WHOLE_SHARE):
            return self._whole(unsaid, rng)
        if self._paintings and not self._looks:
            return self._painting(unsaid, rng)
        if self._paintings and rng.random() < 0.03:
            return self._painting(unsaid, rng)
        look = self._looks[int(rng.choice(len(self._looks), p=self._look_chances))]
        if look == "photo":
            return self._photo(unsaid, rng)
        return self._composed(look, unsaid, rng)

    def render(self, plan: Plan, rng: np.random.Generator) -> NDArray[np.uint8]:
        """Pixels of a plan whose nouns the library holds in the plan's look."""
        unsaid = _drawn(rng)
        cutouts = []
        for item in plan.items:
            able = self._able(plan.look, item.noun)
            subject = self._choose(item.noun, able[int(rng.integers(len(able)))], unsaid)
            cutouts.append(self._dressed(subject, item))
        return self._render(plan, cutouts, unsaid, rng)

    def can_render(self, plan: Plan) -> bool:
        """Whether the library holds all of a plan's nouns in its look."""
        return all(self._able(plan.look, item.noun) for item in plan.items)

    def _able(self, look: str, noun: str) -> list[str]:
        """The looks whose cut-outs of a noun may be shown in a look."""
        return [source for source in SOURCES.get(look, (look,)) if self._holds(source, noun)]

    def _sources(self, look: str) -> list[str]:
        """The looks whose cut-outs may be shown in a look."""
        return [source for source in SOURCES.get(look, (look,)) if source in self._chances]

    def _holds(self, look: str, noun: str) -> bool:
        return noun in self.library.common[look] or noun in self.library.tail[look]

    def _photo(self, unsaid: Unsaid, rng: np.random.Generator) -> Scene:
        noun = self._draw_noun("photo", rng)
        rgba = self._choose(noun, "photo", unsaid).rgba
        height, width = rgba.shape[:2]
        aspect = self.width / self.height
        crop_h = min(height, width / aspect) * rng.uniform(0.82, 1)
        crop_w = crop_h * aspect
        x, y = rng.uniform(0, width - crop_w), rng.uniform(0, height - crop_h)
        image = Image.fromarray(rgba).convert("RGB")
        image = image.resize(
            (self.width, self.height), Image.Resampling.BICUBIC, (x, y, x + crop_w, y + crop_h)
        )
        pixels = np.asarray(image)
        pixels = pixels[:, ::-1] if unsaid.is_mirrored else pixels
        plan = Plan("photo", (Item(noun),), background="plain", background_colour="")
        caption = self.captioner.describe(plan, rng)
        return Scene(np.ascontiguousarray(pixels), caption, plan, unsaid)

    def _painting(self, unsaid: Unsaid, rng: np.random.Generator) -> Scene:
        picture, image = self._paintings[int(rng.integers(len(self._paintings)))]
        image = self._cropped(image, 0.5, rng)
        artist = picture.columns.get("artist", "").split("(")[0].strip(" ,")
        title = picture.name[:60]
        words = (f"an oil painting of {title}", f"{title}, oil painting, by {artist}")
        caption = words[int(rng.integers(2))] if artist else words[0]
        plan = Plan("oil", (), background="", background_colour="")
        return Scene(np.asarray(image), caption, plan, unsaid)

    def _whole(self, unsaid: Unsaid, rng: np.random.Generator) -> Scene:
        """A picture of a set without subjects, with the caption it came with."""
        picture = self._wholes[int(rng.integers(len(self._wholes)))]
        image = self._cropped(on_white(picture.open()), 0.8, rng)
        plan = Plan("photo", (), background="", background_colour="")
        return Scene(np.asarray(image), picture.name[:MOST_CAPTION], plan, unsaid)

    def _cropped(self, image: Image.Image, least: float, rng: np.random.Generator) -> Image.Image:
        """A part of an image in the scene's shape, of at least that share of what fits."""
        aspect = self.width / self.height
        crop_h = min(image.height, image.width / aspect) * rng.uniform(least, 1)
        crop_w = crop_h * aspect
        x, y = rng.uniform(0, image.width - crop_w), rng.uniform(0, image.height - crop_h)
        box = (x, y, x + crop_w, y + crop_h)
        return image.resize((self.width, self.height), Image.Resampling.LANCZOS, box)

    def _composed(self, look: str, unsaid: Unsaid, rng: np.random.Generator) -> Scene:
        sources = self._sources(look)
        source = sources[int(rng.integers(len(sources)))]
        kind, colour, said = self._draw_background(unsaid, rng)
        shape = rng.random()
        if shape < 0.02:
            plan = Plan(look, (), background=kind, background_colour=colour)
            return self._scene(plan, plan, [], unsaid, rng)
        count = int(rng.integers(2, 5)) if 0.7 <= shape < 0.83 else 1
        number = 2 if shape >= 0.83 else 1
        subjects, items = [], []
        beside = [colour] if said and colour else []
        for _ in range(number):
            subject, item = self._draw_item(
                source, count, beside if beside or number > 1 else None, unsaid, rng
            )
            subjects.append(subject)
            items.append(item)
            beside = [*beside, item.colour]
        relation, place = "", ""
        if number == 2:
            relation = str(
                rng.choice(["left of", "right of", "above", "below"], p=[0.35, 0.35, 0.15, 0.15])
            )
        elif count == 1:
            items[0], place = self._draw_emphasis(items[0], rng)
        if look in COLOURLESS:
            items = [replace(item, colour="") for item in items]
        if look in GROUNDLESS and kind in {"plain", "gradient"}:
            colour, said = "white", False
        plan = Plan(look, tuple(items), relation, place, kind, colour)
        told = plan if said else replace(plan, background="plain", background_colour="")
        if look in COLOURLESS:
            told = replace(told, background_colour="")
        return self._scene(plan, told, subjects, unsaid, rng)

    def _scene(
        self,
        plan: Plan,
        told: Plan,
        subjects: list[Rgba],
        unsaid: Unsaid,
        rng: np.random.Generator,
    ) -> Scene:
        caption = self.captioner.describe(told, rng)
        shown = replace(plan, background_colour=told.background_colour)
        return Scene(self._render(plan, subjects, unsaid, rng), caption, shown, unsaid)

    def _draw_background(self, unsaid: Unsaid, rng: np.random.Generator) -> tuple[str, str, bool]:
        """Kind, colour, and whether the caption says it."""
        chance = rng.random()
        colours = list(COLOURS)
        if chance < GROUND_UNSAID:
            kind, colour, _ = GROUNDS[unsaid.ground]
            return kind, colour, False
        colour = colours[int(rng.integers(len(colours)))]
        if chance < GROUND_UNSAID + 0.32:
            return "plain", colour, True
        if chance < GROUND_UNSAID + 0.4:
            return "gradient", colour, True
        kinds = [kind for kind in PAINTERS if kind not in {"plain", "gradient"}]
        kind = kinds[int(rng.integers(len(kinds)))]
        if kind == "table":
            return kind, "brown" if rng.random() < 0.3 else colour, True
        return kind, "", True

    def _draw_noun(self, look: str, rng: np.random.Generator) -> str:
        names = self._nouns[look]
        return names[int(rng.choice(len(names), p=self._chances[look]))]

    def _choose(self, noun: str, look: str, unsaid: Unsaid) -> Subject:
        options = self.library.common[look].get(noun) or self.library.tail[look][noun]
        return options[unsaid.of_drawings(len(options))]

    def _draw_item(
        self,
        look: str,
        count: int,
        beside: Sequence[str] | None,
        unsaid: Unsaid,
        rng: np.random.Generator,
    ) -> tuple[Rgba, Item]:
        """A thing beside others whose colours are said, or alone (None)."""
        tail = self.library.tail[look]
        if tail and self.library.common[look] and rng.random() < TAIL_SHARE:
            names = sorted(tail)
            noun = names[int(rng.integers(len(names)))]
        else:
            noun = self._draw_noun(look, rng)
        subject = self._choose(noun, look, unsaid)
        wanted = RECOLOURED if beside is None else RECOLOURED_BESIDE
        taken = beside or ()
        if subject.colour and (subject.colour in taken or rng.random() < wanted):
            colour = str(rng.choice([hue for hue in HUES if hue not in taken]))
            turned = recoloured(subject.rgba, colour)
            if turned is not None:
                return turned, Item(noun, colour, count)
        is_said = rng.random() < (COLOUR_SAID if beside is None else COLOUR_SAID_BESIDE)
        return subject.rgba, Item(noun, subject.colour if is_said else "", count)

    def _dressed(self, subject: Subject, item: Item) -> Rgba:
        if item.colour and item.colour != subject.colour:
            turned = recoloured(subject.rgba, item.colour)
            return subject.rgba if turned is None else turned
        return subject.rgba

    def _draw_emphasis(self, item: Item, rng: np.random.Generator) -> tuple[Item, str]:
        chance = rng.random()
        if chance < 0.05:
            return Item(item.noun, item.colour, 1, "big"), ""
        if chance < 0.10:
            return Item(item.noun, item.colour, 1, "small"), ""
        if chance < 0.16:
            return item, str(rng.choice(["left", "right", "top", "bottom"]))
        return item, ""

    def _render(
        self, plan: Plan, subjects: list[Rgba], unsaid: Unsaid, rng: np.random.Generator
    ) -> NDArray[np.uint8]:
        ground = paint_background(
            plan.background, plan.background_colour or "white", self.height, self.width, rng
        )
        canvas = Image.fromarray((ground.pixels * 255).round().astype(np.uint8))
        spots = self._spots(plan, unsaid, rng)
        cutouts = [
            rgba for rgba, item in zip(subjects, plan.items, strict=True) for _ in range(item.count)
        ]
        for rgba, spot in zip(cutouts, spots, strict=True):
            self._paste(canvas, rgba, spot, plan, unsaid)
        return in_medium(np.asarray(canvas), plan.look, rng).copy()

    def _paste(
        self, canvas: Image.Image, rgba: Rgba, spot: Placed, plan: Plan, unsaid: Unsaid
    ) -> None:
        image = Image.fromarray(rgba[:, ::-1].copy() if unsaid.is_mirrored else rgba)
        if unsaid.turn and plan.look != "pixel" and plan.is_of_one:
            image = image.rotate(TURN * unsaid.turn, Image.Resampling.BICUBIC, expand=True)
        image = scaled(image, spot.side, is_sprite=drawn_by_pixel(rgba))
        x = _nearest(spot.x * self.width - image.width / 2, CELL)
        y = _nearest(spot.y * self.height - image.height / 2, CELL)
        set_down(canvas, image, (x, y), plan.look, plan.background)

    def _spots(self, plan: Plan, unsaid: Unsaid, rng: np.random.Generator) -> list[Placed]:
        side = min(self.height, self.width)
        count = sum(item.count for item in plan.items)
        down = 0.08 if plan.background in GROUNDED else 0.0
        if count == 0:
            return []
        if count == 1:
            return [self._single(plan, side, down, unsaid, rng)]
        if plan.relation:
            return self._pair(plan.relation, side, down, rng)
        size = side * {2: 0.46, 3: 0.38, 4: 0.36}[count] * rng.uniform(0.85, 1.08)
        aspect = self.width / self.height
        if count == 2 or (count == 3 and rng.random() < 0.5) or aspect > 1.2:
            step = 0.94 / count
            size = _apart(size, self.width * step)
            return [
                Placed(0.5 + (k - (count - 1) / 2) * step, 0.5 + down + _jitter(0.05, rng), size)
                for k in range(count)
            ]
        corners = [(0.27, 0.29), (0.73, 0.29), (0.27, 0.73), (0.73, 0.73)]
        if count == 3:
            corners = [(0.5, 0.28), (0.27, 0.72), (0.73, 0.72)]
        size = _apart(size, 0.44 * side)
        return [Placed(x + _jitter(0.02, rng), y + _jitter(0.02, rng), size) for x, y in corners]

    def _single(
        self, plan: Plan, side: int, down: float, unsaid: Unsaid, rng: np.random.Generator
    ) -> Placed:
        """A size or a place that is said is drawn as it is said, whatever the code."""
        share = LEAST_SIDE + (MOST_SIDE - LEAST_SIDE) * (unsaid.size + 1) / 2
        across, along = (min(aside, (1 - share) / 2) for aside in ASIDE)
        x = 0.5 + (across + MORE_ASIDE * (self.width > self.height)) * unsaid.x
        y = 0.5 + (along + MORE_ASIDE * (self.height > self.width)) * unsaid.y + down * 0.5
        said = {"big": (0.9, 1.0), "small": (0.3, 0.42)}.get(plan.items[0].size)
        if plan.place:
            said = said or (0.42, 0.55)
            x = {"left": 0.27, "right": 0.73}.get(plan.place, x)
            y = {"top": 0.27, "bottom": 0.73}.get(plan.place, y)
        share = rng.uniform(*said) if said else share
        return Placed(x, y, max(CELL, _nearest(side * share, SIZE_STEP)))

    def _pair(
        self, relation: str, side: int, down: float, rng: np.random.Generator
    ) -> list[Placed]:
        size = side * rng.uniform(0.42, 0.5)
        if relation in {"left of", "right of"}:
            size = _apart(size, 0.48 * self.width)
            y = 0.5 + down + float(rng.uniform(-0.04, 0.04))
            spots = [Placed(0.26, y, size), Placed(0.74, y, size)]
        else:
            size = _apart(size, 0.47 * self.height)
            x = 0.5 + float(rng.uniform(-0.06, 0.06))
            spots = [Placed(x, 0.27, size), Placed(x, 0.74, size)]
        return spots if relation in {"left of", "above"} else spots[::-1]


def _drawn(rng: np.random.Generator) -> Unsaid:
    return unsaid_of(rng.random(CHANCES).tolist())


def set_down(
    canvas: Image.Image, cutout: Image.Image, place: tuple[int, int], look: str, background: str
) -> None:
    """Show a thing in the manner of a look, its upper left corner at a place of the ground.

    Glossy things throw a shadow on any ground, flat ones and stickers on none.
    """
    if look == "3d" or (background in GROUNDED and look not in SHADELESS):
        throw_shadow(canvas, *place, cutout.size)
    drawn = Image.fromarray(in_look(np.asarray(cutout), look))
    canvas.paste(drawn, place, drawn)


def throw_shadow(canvas: Image.Image, x: int, y: int, size: tuple[int, int]) -> None:
    """Darken the ground below a thing of so many pixels whose upper left corner is at x, y."""
    wide, tall = max(4, int(size[0] * 0.8)), max(3, size[1] // 9)
    ys, xs = np.mgrid[-1 : 1 : tall * 1j, -1 : 1 : wide * 1j]
    alpha = (np.clip(1 - ys**2 - xs**2, 0, 1) * 110).astype(np.uint8)
    place = (x + (size[0] - wide) // 2, y + size[1] - tall * 2 // 3)
    canvas.paste((20, 20, 30), place, Image.fromarray(alpha))


def drawn_by_pixel(rgba: Rgba) -> bool:
    """Whether a cut-out was drawn pixel by pixel."""
    return bool(max(rgba.shape[:2]) <= SPRITE_SIDE)


def scaled(image: Image.Image, side: float, *, is_sprite: bool) -> Image.Image:
    """An image whose longest side has so many pixels; sprites keep their hard edges."""
    ratio = side / max(image.size)
    size = (max(1, round(image.width * ratio)), max(1, round(image.height * ratio)))
    return image.resize(size, Image.Resampling.NEAREST if is_sprite else Image.Resampling.LANCZOS)


def _nearest(length: float, step: int) -> int:
    """The multiple of `step` that a length in pixels is next to."""
    return step * math.floor(length / step + 0.5)


def _apart(size: float, spacing: float) -> int:
    """The largest whole cells within `size` that leave one between things so far apart."""
    return CELL * max(1, math.floor(min(size, spacing - CELL) / CELL))


def _jitter(spread: float, rng: np.random.Generator) -> float:
    return float(rng.uniform(-spread, spread))


def _normalised(weights: list[float]) -> NDArray[np.float64]:
    array = np.asarray(weights, np.float64)
    return np.asarray(array / array.sum())
