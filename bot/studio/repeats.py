"""What was made before, made once more: near it, with another seed or prompt, or exactly so."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from bot.errors import NotAllowed, NotFound, UnusablePicture
from bot.prompts import (
    NONE,
    Flags,
    PromptError,
    Wildcards,
    format_prompt,
    parse,
    with_look,
    without_flags,
)
from bot.storage.files import ImageFiles
from bot.storage.images import ImageRow, SeenImage
from bot.storage.jobs import FAILED, JobRow, Jobs
from bot.studio import mixing, policy, restyling
from bot.studio.acceptance import Acceptance, Commission, hides, of_image
from bot.studio.asking import (
    Sources,
    Wish,
    from_source,
    model_of,
    new_seed,
    read_wishes,
    request_of,
    strength_of,
    valid,
)
from bot.studio.codec import UnreadableRequest, decode_request, file_keys
from bot.studio.contract import Blending, Caller, Destination, Operation
from bot.studio.gallery import Gallery
from bot.studio.house import House, Terms
from bot.studio.ingredients import Ingredients
from bot.studio.pictures import JOB_KEY
from bot.studio.restyling import STYLE_MODEL
from bot.studio.retelling import read_or_plain, told_by
from engine.api import (
    Ability,
    Blend,
    Catalogue,
    Diffusion,
    Dream,
    GenerationParameters,
    ImageToImage,
    ModelInfo,
    Morph,
    Request,
    StyleReference,
    Stylize,
    TrainGan,
    TrainStyle,
    image_of,
    read_parameters,
)

SUBTLE, STRONG = 0.25, 0.6  # share of new noise in a variation
SUBTLE_STRENGTH, STRONG_STRENGTH = 0.35, 0.65  # where a variation begins with the picture itself


class Repeats:
    """Makes jobs from images, jobs and the parameters in pictures.

    Uploads and secret pictures that a job began with are shown to others as far as its owner let
    it show them. Who changes what they become begins with the result in their place.
    """

    def __init__(
        self,
        *,
        jobs: Jobs,
        files: ImageFiles,
        gallery: Gallery,
        house: House,
        catalogue: Catalogue,
        acceptance: Acceptance,
        ingredients: Ingredients,
        wildcards: Wildcards = NONE,
    ) -> None:
        self._jobs = jobs
        self._files = files
        self._gallery = gallery
        self._house = house
        self._catalogue = catalogue
        self._acceptance = acceptance
        self._ingredients = ingredients
        self._wildcards = wildcards

    async def vary(
        self, caller: Caller, image_id: str, destination: Destination, *, is_strong: bool
    ) -> JobRow:
        """New images near one."""
        terms = await self._acceptance.terms(caller)
        seen = await self._gallery.seen(caller, image_id)
        parent = await self._jobs.by_id(seen.row.job_id)
        request = await self._varied(seen, parent, terms, is_strong=is_strong)
        operation = Operation.VARY_STRONG if is_strong else Operation.VARY_SUBTLE
        commission = of_image(caller, seen, request, operation, terms.preferences)
        if isinstance(request, Diffusion):  # maybe of another model than the image's
            commission = replace(commission, model=request.model)
        return await self._acceptance.accept_one(caller, commission, destination, terms)

    async def compare_strengths(
        self, caller: Caller, image_id: str, destination: Destination
    ) -> JobRow:
        """The restyle that made an image, in several strengths."""
        terms = await self._acceptance.terms(caller)
        seen = await self._gallery.seen(caller, image_id)
        parent = await self._jobs.by_id(seen.row.job_id)
        request = await self._stored_request(parent)
        if not isinstance(request, Stylize):
            raise NotAllowed("only a restyled picture has a strength; restyle this one first")
        compared = restyling.compared(request, seen.row.place)
        commission = of_image(caller, seen, compared, Operation.COMPARE, terms.preferences)
        commission = replace(commission, model=STYLE_MODEL)
        if await self._is_own(caller, parent):
            commission = replace(
                commission,
                is_private=await self._hides_content(caller, seen.row, parent, terms),
                parent_image_id=parent.parent_image_id,
            )
        else:
            content = await self._files.read(seen.row.file_key)
            commission = replace(commission, request=replace(compared, content=content))
        return await self._acceptance.accept_one(caller, commission, destination, terms)

    async def reroll(
        self, caller: Caller, job_id: str, destination: Destination, *, text: str | None
    ) -> JobRow:
        """The same job with a new seed, and with `text` a new prompt."""
        terms = await self._acceptance.terms(caller)
        parent = await self._jobs.seen(policy.viewer(caller), job_id.strip().lower())
        request = await self._stored_request(parent)
        is_own = await self._is_own(caller, parent)
        seen = await self._gallery.shown_of(caller, parent)
        commission = Commission(
            request=request if is_own else _as_shown(request, seen),
            prompt=parent.prompt,
            model=parent.model,
            operation=_again(parent, Operation.REROLL),
            is_private=await self._hides(caller, parent, terms),
            parent_image_id=parent.parent_image_id,
            parent_job_id=parent.id,
            is_relaxed=_is_relaxed(parent),
        )
        if text is not None:
            shown = None if is_own else seen
            commission = await self._remixed(caller, commission, text, terms, shown)
        elif isinstance(request, Blend) and request.strength == 0 and not is_own:
            commission = await self._blended_on(commission, parent, terms, seen)
        else:
            prompt = without_flags(parent.prompt, "seed")
            request = _anew(commission.request, parent)
            commission = replace(commission, request=request, prompt=prompt)
            commission = await self._learnt_again(caller, commission, is_own=is_own)
        return await self._acceptance.accept_one(caller, commission, destination, terms)

    async def make_again(self, caller: Caller, picture: bytes, destination: Destination) -> JobRow:
        """The job that a picture's parameters describe, or our own record of it."""
        terms = await self._acceptance.terms(caller)
        parameters = read_parameters(picture)
        if parameters is None:
            raise UnusablePicture(
                "this picture does not say what made it; use the original PNG, not a screenshot"
            )
        commission = await self._recorded(caller, parameters, terms)
        if commission is None:
            commission = self._described(caller, parameters, terms)
        return await self._acceptance.accept_one(caller, commission, destination, terms)

    async def _hides(self, caller: Caller, parent: JobRow, terms: Terms) -> bool | None:
        """Whether others shall not see a job run again: a secret, too, once all images are."""
        images = await self._gallery.of_job(parent)
        most_public = sorted((seen.row for seen in images), key=lambda row: row.is_private)[:1]
        return hides(caller, None, terms.preferences, [parent, *most_public])

    async def _hides_content(
        self, caller: Caller, image: ImageRow, job: JobRow, terms: Terms
    ) -> bool | None:
        """Whether others shall not see an image of an own job with what it began with in it."""
        began = await self._lineage(job)
        sources: list[ImageRow | JobRow] = [image, *began]
        for image_id in {one.parent_image_id for one in began if one.parent_image_id}:
            try:
                sources.append((await self._gallery.seen(caller, image_id)).row)
            except NotFound:  # it may have been a secret
                return True
        return hides(caller, None, terms.preferences, sources)

    async def _is_own(self, caller: Caller, job: JobRow) -> bool:
        """Whether what a job began with is the caller's, not taken over from somebody else's."""
        began = await self._lineage(job)
        is_whole = _taken_from(began[-1]) is None
        return is_whole and all(one.owner_id == caller.owner_id for one in began)

    async def _lineage(self, job: JobRow) -> list[JobRow]:
        """A job, what it took over from, and so on, up to the first that is not forgotten."""
        lineage = [job]
        while parent_job_id := _taken_from(lineage[-1]):
            try:
                lineage.append(await self._jobs.by_id(parent_job_id))
            except NotFound:
                break
        return lineage

    async def _blended_on(
        self, commission: Commission, parent: JobRow, terms: Terms, seen: Sequence[SeenImage]
    ) -> Commission:
        """Somebody else's blend anew: other weights would show more of one picture, or all of it.

        Raises:
            NotFound: it shows the caller nothing to go on from.
        """
        if not seen:
            raise NotFound("this blend shows no picture yet that another could be made from")
        request = await self._from_picture(seen[0], parent, terms, STRONG_STRENGTH)
        assert isinstance(request, Diffusion)
        assert isinstance(commission.request, Blend)
        request = replace(request, image_count=commission.request.image_count)
        return replace(
            commission, request=request, model=request.model, parent_image_id=seen[0].row.id
        )

    async def _stored_request(self, job: JobRow) -> Request:
        files = {key: await self._files.read(key) for key in set(file_keys(job.request))}
        try:
            return decode_request(job.request, files)
        except UnreadableRequest as error:
            raise NotFound("this job is from another version and can't be run again") from error

    async def _varied(
        self, seen: SeenImage, parent: JobRow, terms: Terms, *, is_strong: bool
    ) -> Request:
        request = await self._stored_request(parent)
        if isinstance(request, Stylize):
            return restyling.near(request, seen.row.place, is_strong=is_strong)
        if isinstance(request, Dream):
            return valid(lambda: mixing.dream_near(request, seen.row.seed, is_strong=is_strong))
        is_plain = isinstance(request, Diffusion) and request.variation_seed is None
        is_plain = is_plain and not (isinstance(request, Blend) and request.strength == 0)
        if isinstance(request, Diffusion) and is_plain:
            share = STRONG if is_strong else SUBTLE
            return replace(
                request,
                seed=seen.row.seed,
                variation_seed=new_seed(),
                variation_strength=share,
            )
        # What was varied, restyled or upscaled has no noise of one seed: begin with the picture.
        strength = STRONG_STRENGTH if is_strong else SUBTLE_STRENGTH
        return await self._from_picture(seen, parent, terms, strength)

    async def _from_picture(
        self, seen: SeenImage, parent: JobRow, terms: Terms, strength: float
    ) -> Request:
        parsed = with_look(read_or_plain(parent.prompt))
        info = self._drawing_model(parent.model, terms.preferences.model)
        wish = Wish(parent.prompt, replace(parsed, flags=Flags(model=info.name)), new_seed())
        png = await self._files.read(seen.row.file_key)
        sources = Sources(png, (seen.row.width, seen.row.height))
        request = valid(lambda: request_of(wish, sources, self._catalogue))
        assert isinstance(request, Diffusion)
        return from_source(request, png, strength)

    def _drawing_model(self, *names: str | None) -> ModelInfo:
        """The first of some models that is known and draws words, else the default."""
        known = [self._catalogue.info(name) for name in names if name in self._catalogue.names()]
        able = (info for info in known if Ability.TEXT_TO_IMAGE in info.abilities)
        return next(able, self._catalogue.default)

    async def _remixed(
        self,
        caller: Caller,
        commission: Commission,
        text: str,
        terms: Terms,
        shown: Sequence[SeenImage] | None,
    ) -> Commission:
        """The job with another prompt; of somebody else's, `shown` is what they let be seen."""
        request = commission.request
        wishes = read_wishes(
            text, terms.preferences, cap=1, wildcards=self._wildcards, has_picture=True
        )
        wish = wishes[0]
        info = model_of(wish, self._catalogue)
        policy.require_model(info.name, terms.rules)
        came = await asyncio.to_thread(_came_with, request, commission.prompt)
        if shown is not None:
            came = await self._shown_in_place(came, shown)
        if wish.parsed.image_prompts:
            came = replace(came, source=b"")
        remixed = await self._ingredients.request(caller, wish, came)
        flags = wish.parsed.flags
        if isinstance(request, Blend) and shown is None:
            assert isinstance(remixed, Diffusion)
            on = strength_of(flags, max(request.strength, mixing.DRAWN_ON))
            asked = Blending(weights=request.weights, prompt=text, strength=on)
            remixed = mixing.blend_of(remixed, request.pictures, asked, typed=None)
        elif isinstance(remixed, ImageToImage) and came.source:
            stored = request.strength if isinstance(request, ImageToImage) else STRONG_STRENGTH
            remixed = replace(remixed, strength=strength_of(flags, stored))
        parent_image_id = shown[0].row.id if shown and came.source else commission.parent_image_id
        return replace(
            commission,
            request=remixed,
            prompt=wish.text,
            model=info.name,
            operation=Operation.REMIX,
            is_private=commission.is_private if wish.is_private is None else wish.is_private,
            parent_image_id=parent_image_id,
            is_relaxed=wish.is_relaxed,
            remark=terms.remark,
        )

    async def _shown_in_place(self, came: Sources, shown: Sequence[SeenImage]) -> Sources:
        """The first image of a job in place of the pictures that came with it, if any did."""
        if not shown:
            return Sources(styles=_looks_like(came.styles, b""))
        row = shown[0].row
        png = await self._files.read(row.file_key)
        styles = _looks_like(came.styles, png)
        if came.source_size is None:
            return Sources(styles=styles)
        return Sources(png, (row.width, row.height), styles)

    async def _recorded(
        self, caller: Caller, parameters: GenerationParameters, terms: Terms
    ) -> Commission | None:
        """Our own record of the job that made a picture, if the caller may see it."""
        job_id = dict(parameters.others).get(JOB_KEY)
        if job_id is None:
            return None
        try:
            parent = await self._jobs.seen(policy.viewer(caller), job_id)
            request = await self._stored_request(parent)
        except NotFound:
            return None
        is_own = await self._is_own(caller, parent)
        if not is_own:
            request = _as_shown(request, await self._gallery.shown_of(caller, parent))
        if isinstance(request, TrainGan):
            request = replace(request, is_ending=False)  # it goes on where it was
        commission = Commission(
            request=request,
            prompt=parent.prompt,
            model=parent.model,
            operation=_again(parent, Operation.MAKE_AGAIN),
            is_private=await self._hides(caller, parent, terms),
            parent_image_id=parent.parent_image_id,
            parent_job_id=parent.id,
            is_relaxed=_is_relaxed(parent),
        )
        return await self._learnt_again(caller, commission, is_own=is_own)

    async def _learnt_again(
        self, caller: Caller, commission: Commission, *, is_own: bool
    ) -> Commission:
        """A job that is run again; of a style's training with what that name loses by it.

        Raises:
            NotAllowed: the style is somebody else's.
            NameTaken: the name means a style that was learnt from another picture.
            LimitReached: the caller keeps too many styles for one more.
        """
        request = commission.request
        if not isinstance(request, TrainStyle):
            return commission
        if not is_own:
            raise NotAllowed(
                "this style was learned for somebody else; "
                "have a picture of your own learned (/style train)"
            )
        name = await self._house.free_style_name(caller, request.name)
        lost = await self._house.lost_by(caller, name, request.style, replacing=False)
        return replace(commission, remark=lost.remark)

    def _described(
        self, caller: Caller, parameters: GenerationParameters, terms: Terms
    ) -> Commission:
        """A job from parameters that another studio may have written."""
        usual = self._drawing_model(terms.preferences.model)
        told = told_by(parameters, self._catalogue, usual)
        if not told.parsed.prompt:
            raise UnusablePicture("this picture's parameters hold no prompt")
        flags = replace(told.parsed.flags, images=1)
        if flags.model is None:
            flags = replace(flags, model=usual.name)
        parsed = replace(told.parsed, flags=flags, image_prompts=(), style_references=told.looks)
        seed = new_seed() if flags.seed is None else flags.seed
        wish = Wish(format_prompt(parsed), parsed, seed)
        info = model_of(wish, self._catalogue)
        policy.require_model(info.name, terms.rules)
        looks = tuple(StyleReference(preset=one.ref, weight=one.weight) for one in told.looks)
        request = valid(lambda: request_of(wish, Sources(styles=looks), self._catalogue))
        if told.variation and isinstance(request, Diffusion):
            seed, strength = told.variation
            request = replace(request, variation_seed=seed, variation_strength=strength)
        return Commission(
            request=request,
            prompt=wish.text,
            model=info.name,
            operation=Operation.MAKE_AGAIN,
            is_private=hides(caller, wish.is_private, terms.preferences),
            remark=told.remark,
        )


def _again(job: JobRow, usual: Operation) -> Operation:
    """What a job is that runs another one again: a training stays one."""
    operation = Operation(job.operation)
    return operation if operation.is_training else usual


def _taken_from(job: JobRow) -> str | None:
    """The job whose pictures this one took over; None for one that brought its own."""
    return job.parent_job_id if Operation(job.operation).takes_over else None


def _is_relaxed(job: JobRow) -> bool:
    """Whether a job waits for all others when it is run again; a training that ended early, too."""
    return job.is_relaxed or Operation(job.operation).is_training


def _anew(request: Request, job: JobRow) -> Request:
    """The same request with another seed."""
    match request:
        case TrainGan() if job.state == FAILED or request.is_ending:
            return replace(request, is_ending=False)  # it goes on where it was
        case Diffusion() if request.is_varied:  # stays near the image of its seed
            return replace(request, variation_seed=new_seed())
        case Stylize():
            return restyling.anew(request)
        case Blend():
            return mixing.blended_anew(request)
        case Morph():
            return mixing.morphed_anew(request)
        case _:
            return replace(request, seed=new_seed())


def _as_shown(request: Request, seen: Sequence[SeenImage]) -> Request:
    """A job of somebody else as they show it: of several strengths of a restyle, those alone."""
    if not (isinstance(request, Stylize) and request.image_strengths and seen):
        return request
    strengths = tuple(request.image_strengths[one.row.place] for one in seen)
    return replace(request, image_strengths=strengths, image_count=len(strengths))


def _looks_like(styles: Sequence[StyleReference], png: bytes) -> tuple[StyleReference, ...]:
    """Looks with a picture in place of those that were uploaded; without one they are left out."""
    return tuple(
        style if style.preset else StyleReference(image=png, weight=style.weight)
        for style in styles
        if style.preset or png
    )


def _came_with(request: Request, prompt: str) -> Sources:
    """What a job had beside its prompt: where it began, and looks that the prompt does not name."""
    match request:
        case Stylize():
            source, styles = request.content, request.styles
        case Diffusion():
            source = request.source if isinstance(request, ImageToImage) else b""
            styles = request.style_references[_count_styles(prompt) :]
        case _:
            return Sources()
    shape = request.pictures[0] if isinstance(request, Blend) else source
    return Sources(source, image_of(shape).size if shape else None, styles)


def _count_styles(prompt: str) -> int:
    """How many looks a prompt names."""
    try:
        return len(parse(prompt, allow_empty=True).style_references)
    except PromptError:  # words that were made for it
        return 0
