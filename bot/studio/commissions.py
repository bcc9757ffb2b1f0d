"""What members ask for, as jobs that wait: imagine, stylize, upscale, blend, dream, morph."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from bot.errors import ConfirmationNeeded, LimitReached, NotAllowed
from bot.prompts import NONE, Flags, Wildcards, parse
from bot.storage.images import ImageRow
from bot.storage.jobs import JobRow
from bot.studio import mixing, policy, restyling
from bot.studio.acceptance import Acceptance, Commission, hides, of_image
from bot.studio.asking import (
    CONFIRMED_FROM,
    Sources,
    Wish,
    model_named,
    model_of,
    new_seed,
    quick,
    read_wishes,
    valid,
)
from bot.studio.contract import (
    Blending,
    Caller,
    Destination,
    Dreaming,
    Morphing,
    MorphStop,
    Operation,
    Restyling,
    StyleChoice,
    Teaching,
)
from bot.studio.house import House, Terms
from bot.studio.ingredients import Found, Ingredients
from bot.studio.pictures import shown_words
from bot.studio.remarks import FIRST_FRAME
from bot.studio.restyling import STYLE_MODEL
from bot.studio.training import Training
from bot.wording import Said, joined
from engine.api import (
    MAX_BLENDED,
    MAX_STOPS,
    Ability,
    Catalogue,
    Diffusion,
    ModelInfo,
    StyleMethod,
    Stylize,
    TextToImage,
    TrainStyle,
    Upscale,
    UpscaleMethod,
    Waypoint,
)

TRAINING_STEPS = 200  # of a style; 0: none may be trained
OPTIMISER = "style"  # the network that guides the optimise method: the shipped one, or "vgg19"
MAX_UPSCALED_SIDE = 4096  # pixels
# Fields of flags by which words of a morph can't differ, as they are typed.
_FLAGS_OF_ALL = {
    "aspect": "ar",
    "seed": "seed",
    "stylize": "stylize",
    "weird": "weird",
    "quality": "quality",
    "stop": "stop",
    "tile": "tile",
    "style_weight": "sw",
    "model": "model",
    "steps": "steps",
    "guidance_scale": "guidance",
    "sampler": "sampler",
    "size": "size",
    "draft": "draft",
}


class Commissions:
    """Checks what is asked, and has it accepted as jobs."""

    def __init__(
        self,
        *,
        house: House,
        catalogue: Catalogue,
        acceptance: Acceptance,
        ingredients: Ingredients,
        training: Training,
        wildcards: Wildcards = NONE,
        training_steps: int = TRAINING_STEPS,
        optimiser: str = OPTIMISER,
    ) -> None:
        self._house = house
        self._catalogue = catalogue
        self._acceptance = acceptance
        self._ingredients = ingredients
        self._training = training
        self._wildcards = wildcards
        self._training_steps = training_steps
        self._optimiser = optimiser

    async def imagine(
        self,
        caller: Caller,
        text: str,
        destination: Destination,
        *,
        source: bytes | str | None,
        style: bytes | str | None,
        is_private: bool | None,
        confirmed: bool,
    ) -> list[JobRow]:
        """Jobs from a prompt; see `Studio.imagine`."""
        terms = await self._acceptance.terms(caller)
        wishes = read_wishes(
            text,
            terms.preferences,
            cap=terms.limits.permutations or 1,
            wildcards=self._wildcards,
            has_picture=source is not None or style is not None,
        )
        for wish in wishes:
            policy.require_model(model_of(wish, self._catalogue).name, terms.rules)
        attached, found = await self._ingredients.attached(caller, source, style)
        rows = _rows(*found)
        parent = rows[0] if rows else None
        hidden = [
            hides(
                caller,
                _asked_to_hide([wish], is_private),
                terms.preferences,
                [*rows, *await self._looked_at(caller, wish)],
            )
            for wish in wishes
        ]
        if len(wishes) >= CONFIRMED_FROM and not confirmed:
            raise ConfirmationNeeded(len(wishes), any(hidden))
        commissions = [
            Commission(
                request=await self._ingredients.request(caller, wish, attached),
                prompt=wish.text,
                model=model_of(wish, self._catalogue).name,
                operation=Operation.IMAGINE,
                is_private=is_hidden,
                parent_image_id=parent.id if parent else None,
                parent_job_id=parent.job_id if parent else None,
                is_relaxed=wish.is_relaxed,
                remark=joined(_remark_on(*found), terms.remark),
            )
            for wish, is_hidden in zip(wishes, hidden, strict=True)
        ]
        return await self._acceptance.accept(caller, commissions, destination, terms)

    async def _looked_at(self, caller: Caller, *wishes: Wish) -> list[ImageRow]:
        """The images of the gallery in whose look something is to be drawn."""
        references = [ref for wish in wishes for ref in wish.parsed.style_references]
        return await self._ingredients.images_named(caller, [ref.ref for ref in references])

    async def stylize(
        self,
        caller: Caller,
        content: bytes | str | None,
        styles: Sequence[StyleChoice],
        destination: Destination,
        asked: Restyling,
        *,
        share: float | None,
    ) -> JobRow:
        """A picture in the look of others; with `share` the steps from one look to another."""
        terms = await self._acceptance.terms(caller)
        info = model_named(asked.model or terms.preferences.model, self._catalogue)
        is_drawn = asked.method is StyleMethod.DIFFUSION
        if is_drawn:
            policy.require_model(info.name, terms.rules)
        found = await self._ingredients.content(caller, content, asked.method)
        shown, seen = found.content, found.seen
        looks = [await self._ingredients.look(caller, choice) for choice in styles]
        mask = await self._ingredients.mask(shown, asked)
        request = valid(lambda: restyling.request_for(shown, looks, asked, info, mask))
        if isinstance(request, Stylize) and asked.method is StyleMethod.OPTIMISE:
            request = replace(request, network=self._optimiser)
        if share is not None:
            assert isinstance(request, Stylize)
            request = restyling.blending(request, share)
        looked_at = await self._ingredients.images_named(caller, [one.name for one in styles])
        sources = [*_rows(found), *looked_at]
        commission = Commission(
            request=request,
            prompt=restyling.words_for(shown, looks),
            model=info.name if is_drawn else STYLE_MODEL,
            operation=Operation.STYLIZE,
            is_private=hides(caller, asked.is_private, terms.preferences, sources),
            parent_image_id=seen.row.id if seen else None,
            parent_job_id=seen.row.job_id if seen else None,
        )
        return await self._acceptance.accept_one(caller, commission, destination, terms)

    async def train_style(
        self,
        caller: Caller,
        name: str,
        picture: bytes | None,
        destination: Destination,
        *,
        replacing: bool,
    ) -> JobRow:
        """A style that the fast network learns when nothing else is to be done.

        Without a picture it is the one that is kept under the name.
        """
        terms = await self._acceptance.terms(caller)
        if not self._training_steps:
            raise NotAllowed("styles are not trained here; save the style, it works without")
        wanted = await self._house.free_style_name(caller, name)
        if picture is None:
            png = await self._house.own_style_png(caller, name)
        else:
            png = (await self._ingredients.clean(picture, "the style")).png
        lost = await self._house.lost_by(caller, wanted, png, replacing=replacing)
        commission = Commission(
            request=TrainStyle(style=png, name=wanted, steps=self._training_steps),
            prompt=wanted,
            model=STYLE_MODEL,
            operation=Operation.TRAIN_STYLE,
            is_private=True,
            is_relaxed=True,
            remark=replace(lost, lesson=False).remark,
        )
        return await self._acceptance.accept_one(caller, commission, destination, terms)

    async def train_gan(self, caller: Caller, asked: Teaching, destination: Destination) -> JobRow:
        """A generator that learns from a gallery when nothing else is to be done."""
        terms = await self._acceptance.terms(caller)
        request = await self._training.request(caller, asked)
        commission = Commission(
            request=request,
            prompt=request.name,
            model=request.name,
            operation=Operation.TRAIN_GAN,
            is_private=True,
            is_relaxed=True,
        )
        return await self._acceptance.accept_one(caller, commission, destination, terms)

    async def upscale(
        self,
        caller: Caller,
        picture: bytes | str,
        destination: Destination,
        *,
        factor: int,
        detail: float,
        is_private: bool | None,
    ) -> JobRow:
        """A larger version of an image or upload."""
        terms = await self._acceptance.terms(caller)
        found = await self._ingredients.still(caller, picture)
        content, seen = found.content, found.seen
        if max(content.width, content.height) * factor > MAX_UPSCALED_SIDE:
            raise LimitReached(
                Said(
                    "the picture would be larger than {side} pixels a side; upscale by less",
                    side=MAX_UPSCALED_SIDE,
                )
            )
        method, model = self._upscaler()
        request = valid(
            lambda: Upscale(source=content.png, factor=factor, method=method, detail=detail)
        )
        if seen is not None:
            commission = of_image(
                caller, seen, request, Operation.UPSCALE, terms.preferences, asked=is_private
            )
        else:
            commission = Commission(
                request=request,
                prompt=content.words,
                model=model,
                operation=Operation.UPSCALE,
                is_private=hides(caller, is_private, terms.preferences),
            )
        commission = replace(commission, remark=_remark_on(found))
        return await self._acceptance.accept_one(caller, commission, destination, terms)

    async def blend(
        self,
        caller: Caller,
        pictures: Sequence[bytes | str],
        destination: Destination,
        asked: Blending,
    ) -> JobRow:
        """Pictures mixed into one."""
        if not 1 <= asked.count <= mixing.BLEND_COUNT_MAX:
            raise LimitReached(
                Said(
                    "count must be 1 to {most}, not {given}",
                    most=mixing.BLEND_COUNT_MAX,
                    given=asked.count,
                )
            )
        if not 2 <= len(pictures) <= MAX_BLENDED:
            raise LimitReached(
                Said(
                    "a blend takes 2 to {most} pictures, not {given}",
                    most=MAX_BLENDED,
                    given=len(pictures),
                )
            )
        terms = await self._acceptance.terms(caller)
        found = [await self._ingredients.still(caller, picture) for picture in pictures]
        contents = [one.content for one in found]
        wish = self._wish(asked.prompt, terms, model=asked.model, seed=asked.seed)
        wish = replace(
            wish, parsed=replace(wish.parsed, flags=replace(wish.parsed.flags, images=asked.count))
        )
        drawing = await self._drawing(caller, wish, (contents[0].width, contents[0].height))
        typed = wish.parsed.flags.strength
        pngs = [content.png for content in contents]
        request = valid(lambda: mixing.blend_of(drawing, pngs, asked, typed=typed))
        rows = _rows(*found)
        hidden = _asked_to_hide([wish], asked.is_private)
        commission = Commission(
            request=request,
            prompt=mixing.blend_words([content.words for content in contents], wish.text),
            model=request.model if isinstance(request, Diffusion) else STYLE_MODEL,
            operation=Operation.BLEND,
            is_private=hides(
                caller, hidden, terms.preferences, [*rows, *await self._looked_at(caller, wish)]
            ),
            parent_image_id=rows[0].id if rows else None,
            parent_job_id=rows[0].job_id if rows else None,
            remark=joined(_remark_on(*found), terms.remark),
        )
        return await self._acceptance.accept_one(caller, commission, destination, terms)

    async def dream(self, caller: Caller, destination: Destination, asked: Dreaming) -> JobRow:
        """Images that a model draws without words."""
        terms = await self._acceptance.terms(caller)
        info, weights = await self._dreamer(caller, terms, asked.model, asked.look)
        found = [await self._ingredients.still(caller, asked.like)] if asked.like else []
        rows = _rows(*found)
        like = found[0].content.png if found else b""
        request = replace(valid(lambda: mixing.dream_of(asked, info, like)), weights=weights)
        commission = Commission(
            request=request,
            prompt=mixing.dream_words(
                asked.look.strip().lower(), found[0].content.words if found else ""
            ),
            model=info.name,
            operation=Operation.DREAM,
            is_private=hides(caller, asked.is_private, terms.preferences, rows),
            parent_image_id=rows[0].id if rows else None,
            parent_job_id=rows[0].job_id if rows else None,
            remark=_remark_on(*found),
        )
        return await self._acceptance.accept_one(caller, commission, destination, terms)

    async def morph(
        self,
        caller: Caller,
        stops: Sequence[MorphStop],
        destination: Destination,
        asked: Morphing,
    ) -> JobRow:
        """An animation from one picture, prompt or dream to others."""
        if not 2 <= len(stops) <= MAX_STOPS:
            raise LimitReached(
                Said(
                    "a morph takes 2 to {most} stops, not {given}",
                    most=MAX_STOPS,
                    given=len(stops),
                )
            )
        terms = await self._acceptance.terms(caller)
        passed = [await self._passed(caller, stop, terms, asked) for stop in stops]
        _require_alike([one for one in passed if one.drawing])
        info = model_named(asked.model or terms.preferences.model, self._catalogue)
        drawings = [one.drawing for one in passed if one.drawing]
        sizes = [one.size for one in passed if one.size]
        drawing = (
            drawings[0]
            if drawings
            else mixing.plain_drawing(info, sizes[0] if sizes else None, asked.seed)
        )
        dreamer, weights = None, b""
        if any(stop.seed is not None for stop in stops):
            dreamer, weights = await self._dreamer(caller, terms, asked.dreamer, asked.look)
        points = [one.point for one in passed]
        request = valid(lambda: mixing.morph_of(points, drawing, dreamer, weights, asked))
        found = [one.found for one in passed if one.found]
        rows = _rows(*found)
        wishes = [one.wish for one in passed if one.wish]
        hidden = _asked_to_hide(wishes, asked.is_private)
        commission = Commission(
            request=request,
            prompt=" → ".join(one.words for one in passed),
            model=dreamer.name if dreamer and not (drawings or sizes) else drawing.model,
            operation=Operation.MORPH,
            is_private=hides(
                caller, hidden, terms.preferences, [*rows, *await self._looked_at(caller, *wishes)]
            ),
            parent_image_id=rows[0].id if rows else None,
            parent_job_id=rows[0].job_id if rows else None,
            remark=joined(_remark_on(*found), terms.remark),
        )
        return await self._acceptance.accept_one(caller, commission, destination, terms)

    async def _dreamer(
        self, caller: Caller, terms: Terms, name: str | None, look: str
    ) -> tuple[ModelInfo, bytes]:
        """Who dreams: what was trained here under that name, with its weights, or the catalogue's.

        Raises:
            NotFound: nobody of that name dreams.
        """
        own = await self._training.own(caller, name) if name else None
        if own:
            return own.info, own.weights
        return mixing.dreamer(name, self._catalogue, look, terms.rules.allowed_models), b""

    async def _passed(
        self, caller: Caller, stop: MorphStop, terms: Terms, asked: Morphing
    ) -> "_Passed":
        """What a morph passes through, cleaned and read.

        Raises:
            LimitReached: it is nothing, or several things.
        """
        given = (stop.prompt.strip(), stop.seed is not None, stop.upload, stop.image)
        if sum(map(bool, given)) > 1:
            raise LimitReached(
                "a stop of a morph is one thing: a picture, words or a seed; leave the others out"
            )
        if stop.prompt.strip():
            wish = self._wish(stop.prompt, terms, model=asked.model, seed=asked.seed)
            wish = quick(wish, self._catalogue)  # each frame is drawn
            drawing = await self._drawing(caller, wish, None)
            if not isinstance(drawing, TextToImage):
                raise NotAllowed("a stop is either words or a picture; leave the link out")
            point = valid(lambda: Waypoint(prompt=drawing.prompt))
            words = " ".join(shown_words(wish.text).split())
            return _Passed(point, words, drawing=drawing, wish=wish)
        if stop.seed is not None:
            point = valid(lambda: Waypoint(seed=stop.seed))
            return _Passed(point, f"dream {stop.seed}")
        if not (stop.upload or stop.image):
            raise LimitReached("each stop of a morph is a picture, words or a seed")
        found = await self._ingredients.still(caller, stop.upload or stop.image)
        content = found.content
        point = Waypoint(picture=content.png)
        return _Passed(point, content.words, size=(content.width, content.height), found=found)

    def _wish(self, text: str, terms: Terms, *, model: str | None, seed: int | None) -> Wish:
        """One prompt, read with what is set; without any words nothing is added to it."""
        if text.strip():
            wish = read_wishes(
                text, terms.preferences, cap=1, wildcards=self._wildcards, has_picture=True
            )[0]
        else:
            parsed = replace(
                parse("", allow_empty=True), flags=Flags(model=terms.preferences.model)
            )
            wish = Wish("", parsed, new_seed())
        if model:
            flags = replace(wish.parsed.flags, model=model)
            wish = replace(wish, parsed=replace(wish.parsed, flags=flags))
        policy.require_model(model_of(wish, self._catalogue).name, terms.rules)
        return wish if seed is None else replace(wish, seed=seed)

    async def _drawing(self, caller: Caller, wish: Wish, size: tuple[int, int] | None) -> Diffusion:
        """The request of a prompt, in the shape of a picture where the prompt names none."""
        drawing = await self._ingredients.request(caller, wish, Sources(source_size=size))
        assert isinstance(drawing, Diffusion)
        return drawing

    def _upscaler(self) -> tuple[UpscaleMethod, str]:
        """How pictures are made larger here, and the model that jobs with uploads name."""
        for info in self._catalogue.models():
            if Ability.UPSCALE in info.abilities:
                return UpscaleMethod.LEARNED, info.name
        return UpscaleMethod.RESAMPLE, self._catalogue.default.name


@dataclass(frozen=True, slots=True)
class _Passed:
    """A stop of a morph."""

    point: Waypoint
    words: str
    drawing: TextToImage | None = None  # of a prompt
    wish: Wish | None = None  # that made the drawing
    size: tuple[int, int] | None = None  # of a picture, in pixels
    found: Found | None = None  # the picture


def _require_alike(passed: Sequence[_Passed]) -> None:
    """Refuse flags of later words: all words of a morph are drawn as the first ones.

    Raises:
        LimitReached: names a flag that is not as the first words have it.
    """
    drawn = [(one.drawing, one.wish) for one in passed if one.drawing and one.wish]
    for drawing, wish in drawn[1:]:
        first, held = drawn[0]
        typed = parse(wish.text, allow_empty=True).flags
        differing = [
            shown
            for name, shown in _FLAGS_OF_ALL.items()
            if getattr(typed, name) not in (None, getattr(held.parsed.flags, name))
        ]
        if drawing.loras != first.loras:
            differing.append("lora")
        if drawing.style_references != first.style_references:
            differing.append("sref")
        if differing:
            raise LimitReached(
                Said(
                    "the flags of the first words hold for the whole morph; "
                    "leave --{flag} out of the others",
                    flag=differing[0],
                )
            )


def _rows(*found: Found) -> list[ImageRow]:
    """The rows of those that are images of the gallery, or led to by one."""
    return [image.row for one in found for image in (one.seen, one.restyled) if image]


def _remark_on(*found: Found) -> Said | str:
    """What is to be said of a result for which only a part of these was taken."""
    return FIRST_FRAME if any(one.is_first_frame for one in found) else ""


def _asked_to_hide(wishes: Sequence[Wish], asked: bool | None) -> bool | None:  # noqa: FBT001
    """What prompts say of who may see the result, else what is asked; a secret of one is kept."""
    typed = [wish.is_private for wish in wishes if wish.is_private is not None]
    return any(typed) if typed else asked
