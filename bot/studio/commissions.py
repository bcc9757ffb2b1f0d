"""What members ask for, as rows that wait: imagine, stylize, vary, reroll, upscale, make again."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias, TypeVar
from urllib.parse import urlsplit

from bot.errors import ConfirmationNeeded, LimitReached, NotAllowed, NotFound, UnusablePicture
from bot.prompts import (
    NONE,
    Flags,
    ParsedPrompt,
    PromptError,
    PromptPart,
    Span,
    Wildcards,
    clean,
    format_prompt,
    parse,
)
from bot.storage.files import ImageFiles
from bot.storage.images import SeenImage
from bot.storage.jobs import JobRow, Jobs, NewJob
from bot.storage.tables import new_id
from bot.studio import mixing, policy, restyling
from bot.studio.asking import (
    CONFIRMED_FROM,
    Sources,
    Wish,
    from_source,
    model_named,
    model_of,
    new_seed,
    read_wishes,
    request_of,
)
from bot.studio.cells import read_cells
from bot.studio.clock import Clock
from bot.studio.codec import UnreadableRequest, decode_request, encode_request, file_keys
from bot.studio.contract import (
    Blending,
    Caller,
    Destination,
    Dreaming,
    GalleryQuery,
    Limits,
    Morphing,
    MorphStop,
    Operation,
    Preferences,
    Restyling,
    StyleChoice,
)
from bot.studio.gallery import Gallery
from bot.studio.house import House, Terms
from bot.studio.pictures import JOB_KEY, shown_words
from bot.studio.restyling import STYLE_MODEL, Content, Look, checked_weight
from bot.studio.speeds import work_of
from bot.wording import Said
from engine.api import (
    MAX_BLENDED,
    MAX_SEED,
    MAX_STOPS,
    Ability,
    Blend,
    Catalogue,
    Diffusion,
    Dream,
    EngineError,
    GenerationParameters,
    ImageToImage,
    InvalidRequest,
    Morph,
    Request,
    StyleMethod,
    StyleReference,
    Stylize,
    TextToImage,
    TrainStyle,
    Upload,
    UploadDecoder,
    Upscale,
    UpscaleMethod,
    Waypoint,
    cells_mask,
    read_parameters,
)

T = TypeVar("T")
FetchPicture: TypeAlias = Callable[[str], Awaitable[bytes]]

LINK_HOSTS = frozenset({"cdn.discordapp.com", "media.discordapp.net"})
TRAINING_STEPS = 200  # of a style; 0: none may be trained
SUBTLE, STRONG = 0.25, 0.6  # share of new noise in a variation
SUBTLE_STRENGTH, STRONG_STRENGTH = 0.35, 0.65  # where a variation begins with the picture itself
MAX_UPSCALED_SIDE = 4096  # pixels


@dataclass(frozen=True, slots=True)
class _Order:
    """One job before it is a row."""

    request: Request
    prompt: str  # as typed
    model: str
    operation: Operation
    is_private: bool
    parent_image_id: str | None = None
    parent_job_id: str | None = None
    is_relaxed: bool = False


class Commissions:
    """Checks what is asked and commits it as jobs."""

    def __init__(
        self,
        *,
        jobs: Jobs,
        files: ImageFiles,
        gallery: Gallery,
        house: House,
        catalogue: Catalogue,
        decoder: UploadDecoder,
        now: Clock,
        link_hosts: frozenset[str] = LINK_HOSTS,
        wildcards: Wildcards = NONE,
        training_steps: int = TRAINING_STEPS,
    ) -> None:
        self._jobs = jobs
        self._files = files
        self._gallery = gallery
        self._house = house
        self._catalogue = catalogue
        self._decoder = decoder
        self._now = now
        self._link_hosts = link_hosts
        self._wildcards = wildcards
        self._training_steps = training_steps
        self.fetch_picture: FetchPicture | None = None

    async def imagine(
        self,
        caller: Caller,
        text: str,
        destination: Destination,
        *,
        source: bytes | None,
        style: bytes | None,
        is_private: bool | None,
        confirmed: bool,
    ) -> list[JobRow]:
        """Jobs from a prompt; see `Studio.imagine`."""
        terms = await self._terms(caller)
        wishes = read_wishes(
            text,
            terms.preferences,
            cap=terms.limits.permutations or 1,
            wildcards=self._wildcards,
            has_picture=source is not None or style is not None,
        )
        for wish in wishes:
            policy.require_model(model_of(wish, self._catalogue).name, terms.rules)
        if len(wishes) >= CONFIRMED_FROM and not confirmed:
            raise ConfirmationNeeded(len(wishes))
        uploads = _Uploads(
            await self._cleaned(source, "the picture"), await self._cleaned(style, "the style")
        )
        orders = [
            _Order(
                request=await self._request(caller, wish, uploads),
                prompt=wish.text,
                model=model_of(wish, self._catalogue).name,
                operation=Operation.IMAGINE,
                is_private=_is_private(wish, is_private, terms.preferences),
                is_relaxed=wish.is_relaxed,
            )
            for wish in wishes
        ]
        return await self._commit(caller, orders, destination, terms)

    async def vary(
        self, caller: Caller, image_id: str, destination: Destination, *, is_strong: bool
    ) -> JobRow:
        """New images near one."""
        terms = await self._terms(caller)
        seen = await self._gallery.seen(caller, image_id)
        parent = await self._jobs.by_id(seen.row.job_id)
        request = await self._varied(seen, parent, is_strong=is_strong)
        operation = Operation.VARY_STRONG if is_strong else Operation.VARY_SUBTLE
        order = self._order_from_image(seen, request, operation)
        return await self._commit_one(caller, order, destination, terms)

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
        terms = await self._terms(caller)
        content, seen = await self._still(caller, picture)
        if max(content.width, content.height) * factor > MAX_UPSCALED_SIDE:
            raise LimitReached(
                Said(
                    "the picture would be larger than {side} pixels a side; upscale by less",
                    side=MAX_UPSCALED_SIDE,
                )
            )
        method, model = self._upscaler()
        request = _valid(
            lambda: Upscale(source=content.png, factor=factor, method=method, detail=detail)
        )
        if seen is not None:
            order = self._order_from_image(seen, request, Operation.UPSCALE)
            if is_private is not None:
                order = replace(order, is_private=is_private)
        else:
            hidden = _is_private_restyle(caller, None, is_private, terms.preferences)
            order = _Order(
                request=request,
                prompt=content.words,
                model=model,
                operation=Operation.UPSCALE,
                is_private=hidden,
            )
        return await self._commit_one(caller, order, destination, terms)

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
        terms = await self._terms(caller)
        found = [await self._still(caller, picture) for picture in pictures]
        contents = [content for content, _ in found]
        wish = self._wish(asked.prompt, terms, model=asked.model, seed=asked.seed)
        wish = replace(
            wish, parsed=replace(wish.parsed, flags=replace(wish.parsed.flags, images=asked.count))
        )
        drawing = await self._drawing(caller, wish, (contents[0].width, contents[0].height))
        typed = wish.parsed.flags.strength
        pngs = [content.png for content in contents]
        request = _valid(lambda: mixing.blend_of(drawing, pngs, asked, typed=typed))
        seen = [image for _, image in found if image]
        order = _Order(
            request=request,
            prompt=mixing.blend_words([content.words for content in contents], asked.prompt),
            model=request.model if isinstance(request, Diffusion) else STYLE_MODEL,
            operation=Operation.BLEND,
            is_private=_is_private_mix(caller, seen, asked.is_private, terms.preferences),
            parent_image_id=seen[0].row.id if seen else None,
            parent_job_id=seen[0].row.job_id if seen else None,
        )
        return await self._commit_one(caller, order, destination, terms)

    async def dream(self, caller: Caller, destination: Destination, asked: Dreaming) -> JobRow:
        """Images that a model draws without words."""
        terms = await self._terms(caller)
        info = mixing.dreamer(asked.model, self._catalogue)
        content, seen = (await self._still(caller, asked.like)) if asked.like else (None, None)
        like = content.png if content else b""
        request = _valid(lambda: mixing.dream_of(asked, info, like))
        order = _Order(
            request=request,
            prompt=mixing.dream_words(asked.look.strip().lower(), content.words if content else ""),
            model=info.name,
            operation=Operation.DREAM,
            is_private=_is_private_restyle(caller, seen, asked.is_private, terms.preferences),
            parent_image_id=seen.row.id if seen else None,
            parent_job_id=seen.row.job_id if seen else None,
        )
        return await self._commit_one(caller, order, destination, terms)

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
        terms = await self._terms(caller)
        passed = [await self._passed(caller, stop, terms, asked) for stop in stops]
        info = model_named(asked.model or terms.preferences.model, self._catalogue)
        drawings = [one.drawing for one in passed if one.drawing]
        sizes = [one.size for one in passed if one.size]
        drawing = (
            drawings[0]
            if drawings
            else mixing.plain_drawing(info, sizes[0] if sizes else None, asked.seed)
        )
        dreams = ""
        if any(stop.seed is not None for stop in stops):
            dreaming = mixing.dreamer(None, self._catalogue)
            policy.require_model(dreaming.name, terms.rules)
            asked = replace(asked, look=mixing.look_named(asked.look, dreaming))
            dreams = dreaming.name
        request = _valid(
            lambda: mixing.morph_of([one.point for one in passed], drawing, dreams, asked)
        )
        seen = [one.seen for one in passed if one.seen]
        order = _Order(
            request=request,
            prompt=" → ".join(one.words for one in passed),
            model=drawing.model,
            operation=Operation.MORPH,
            is_private=_is_private_mix(caller, seen, asked.is_private, terms.preferences),
            parent_image_id=seen[0].row.id if seen else None,
            parent_job_id=seen[0].row.job_id if seen else None,
        )
        return await self._commit_one(caller, order, destination, terms)

    async def _passed(
        self, caller: Caller, stop: MorphStop, terms: Terms, asked: Morphing
    ) -> "_Passed":
        """What a morph passes through, cleaned and read.

        Raises:
            LimitReached: it is nothing, or several things.
        """
        if stop.prompt.strip():
            wish = self._wish(stop.prompt, terms, model=asked.model, seed=asked.seed)
            drawing = await self._drawing(caller, wish, None)
            if not isinstance(drawing, TextToImage):
                raise NotAllowed("a stop is either words or a picture; leave the link out")
            point = _valid(lambda: Waypoint(prompt=drawing.prompt))
            words = " ".join(shown_words(stop.prompt).split())
            return _Passed(point, words, drawing=drawing)
        if stop.seed is not None:
            point = _valid(lambda: Waypoint(seed=stop.seed))
            return _Passed(point, f"dream {stop.seed}")
        if not (stop.upload or stop.image):
            raise LimitReached("each stop of a morph is a picture, words or a seed")
        content, seen = await self._still(caller, stop.upload or stop.image)
        point = Waypoint(picture=content.png)
        return _Passed(point, content.words, size=(content.width, content.height), seen=seen)

    async def _still(
        self, caller: Caller, picture: bytes | str
    ) -> tuple[Content, SeenImage | None]:
        """An upload, or an image of the gallery; of what moves the first frame."""
        if isinstance(picture, bytes):
            upload = await self.clean(picture, "the picture")
            return Content(upload.png, upload.width, upload.height), None
        seen = await self._gallery.seen(caller, picture)
        row = seen.row
        words = " ".join(shown_words(row.prompt).split()) or restyling.A_PICTURE
        return Content(await self._files.read(row.file_key), row.width, row.height, words), seen

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
        drawing = await self._request(caller, wish, _Uploads(None, None))
        assert isinstance(drawing, Diffusion)
        flags = wish.parsed.flags
        if size is None or flags.size or flags.aspect:
            return drawing
        width, height = model_of(wish, self._catalogue).size_for(*size)
        return replace(drawing, width=width, height=height)

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
        terms = await self._terms(caller)
        info = model_named(asked.model or terms.preferences.model, self._catalogue)
        is_drawn = asked.method is StyleMethod.DIFFUSION
        if is_drawn:
            policy.require_model(info.name, terms.rules)
        shown, seen = await self._content(caller, content, asked.method)
        looks = [await self._look(caller, choice) for choice in styles]
        mask = await self._mask(shown, asked)
        request = _valid(lambda: restyling.request_for(shown, looks, asked, info, mask))
        if share is not None:
            assert isinstance(request, Stylize)
            request = restyling.blending(request, share)
        order = _Order(
            request=request,
            prompt=restyling.words_for(shown, looks),
            model=info.name if is_drawn else STYLE_MODEL,
            operation=Operation.STYLIZE,
            is_private=_is_private_restyle(caller, seen, asked.is_private, terms.preferences),
            parent_image_id=seen.row.id if seen else None,
            parent_job_id=seen.row.job_id if seen else None,
        )
        return await self._commit_one(caller, order, destination, terms)

    async def train_style(
        self, caller: Caller, name: str, picture: bytes, destination: Destination
    ) -> JobRow:
        """A style that the fast network learns when nothing else is to be done."""
        terms = await self._terms(caller)
        if not self._training_steps:
            raise NotAllowed("styles are not trained here; save the style, it works without")
        wanted = await self._house.free_style_name(caller, name)
        upload = await self.clean(picture, "the style")
        order = _Order(
            request=TrainStyle(style=upload.png, name=wanted, steps=self._training_steps),
            prompt=wanted,
            model=STYLE_MODEL,
            operation=Operation.TRAIN_STYLE,
            is_private=True,
            is_relaxed=True,
        )
        return await self._commit_one(caller, order, destination, terms)

    async def reroll(
        self, caller: Caller, job_id: str, destination: Destination, *, text: str | None
    ) -> JobRow:
        """The same job with a new seed, and with `text` a new prompt."""
        terms = await self._terms(caller)
        parent = await self._jobs.by_id(job_id.strip().lower())
        if not policy.may_see_job(caller, parent):
            raise NotFound("there is no such job, or it is not yours to see")
        request = await self._stored_request(parent)
        order = _Order(
            request=_anew(request),
            prompt=parent.prompt,
            model=parent.model,
            operation=Operation.REROLL,
            is_private=_stays_private(caller, parent, terms),
            parent_image_id=parent.parent_image_id,
            parent_job_id=parent.id,
            is_relaxed=parent.is_relaxed,
        )
        if text is not None:
            order = await self._remixed(caller, order, request, text, terms)
        return await self._commit_one(caller, order, destination, terms)

    async def make_again(self, caller: Caller, picture: bytes, destination: Destination) -> JobRow:
        """The job that a picture's parameters describe, or our own record of it."""
        terms = await self._terms(caller)
        parameters = read_parameters(picture)
        if parameters is None:
            raise UnusablePicture(
                "this picture does not say what made it; use the original PNG, not a screenshot"
            )
        order = await self._recorded(caller, parameters, terms)
        if order is None:
            order = self._described(parameters, terms)
        return await self._commit_one(caller, order, destination, terms)

    async def _terms(self, caller: Caller) -> Terms:
        terms = await self._house.terms(caller)
        policy.require_place(caller, terms.rules)
        return terms

    async def _cleaned(self, data: bytes | None, name: str) -> Upload | None:
        if data is None:
            return None
        return await self.clean(data, name)

    async def clean(
        self, data: bytes, name: str = "the picture", *, all_frames: bool = False
    ) -> Upload:
        """Decode an upload apart from this process.

        Raises:
            UnusablePicture: says why.
        """
        try:
            return await self._decoder.decode(data, field=name, all_frames=all_frames)
        except InvalidRequest as error:
            raise UnusablePicture(str(error)) from error

    async def _request(self, caller: Caller, wish: Wish, uploads: "_Uploads") -> Request:
        source = uploads.source
        links = wish.parsed.image_prompts
        if len(links) + (source is not None) > 1:
            raise NotAllowed("one picture can be the beginning of an image; leave the others out")
        if links:
            source = await self.clean(await self._fetched(links[0]), "the linked picture")
        styles = [
            await self._style(caller, ref.ref, ref.weight) for ref in wish.parsed.style_references
        ]
        if uploads.style is not None:
            styles.append(StyleReference(image=uploads.style.png))
        sources = Sources(
            source.png if source else b"",
            (source.width, source.height) if source else None,
            tuple(styles),
        )
        return _valid(lambda: request_of(wish, sources, self._catalogue))

    async def _style(self, caller: Caller, ref: str, weight: float) -> StyleReference:
        if "://" in ref:
            upload = await self.clean(await self._fetched(ref), "the linked style")
            return StyleReference(image=upload.png, weight=weight)
        return replace((await self._house.look(caller, ref)).reference, weight=weight)

    async def _content(
        self, caller: Caller, content: bytes | str | None, method: StyleMethod
    ) -> tuple[Content, SeenImage | None]:
        """What is restyled, and the image it is, if it is one of the gallery."""
        if isinstance(content, bytes):
            return await self._uploaded(content, method, restyling.A_PICTURE), None
        image_id = await self._newest(caller) if content is None else content
        seen = await self._gallery.seen(caller, image_id)
        row = seen.row
        words = restyling.without_style(" ".join(shown_words(row.prompt).split()))
        if row.animation_key and method is StyleMethod.FAST:
            moving = await self._files.read(row.animation_key)
            return await self._uploaded(moving, method, words), seen
        png = await self._files.read(row.file_key)
        return Content(png, row.width, row.height, words), seen

    async def _uploaded(self, data: bytes, method: StyleMethod, words: str) -> Content:
        """A picture or animation from outside; only the fast method restyles what moves."""
        is_fast = method is StyleMethod.FAST
        upload = await self.clean(data, "the picture", all_frames=is_fast)
        if upload.is_animated and not is_fast:
            raise LimitReached(
                "an animation is restyled by the fast method; choose it, or send a still picture"
            )
        return restyling.content_of(upload, words)

    async def _mask(self, content: Content, asked: Restyling) -> bytes:
        if asked.mask and asked.cells:
            raise LimitReached("a mask and cells were given; leave one of them out")
        if asked.mask:
            return (await self.clean(asked.mask, "the mask")).png
        if not asked.cells.strip():
            return b""
        cells = read_cells(asked.cells)
        return await asyncio.to_thread(cells_mask, cells, content.width, content.height)

    async def _newest(self, caller: Caller) -> str:
        page = await self._gallery.page(caller, GalleryQuery(limit=1))
        if not page.images:
            raise NotFound("there is no picture of yours yet; attach one")
        return page.images[0].id

    async def _look(self, caller: Caller, choice: StyleChoice) -> Look:
        """A style by upload or name; else the look of an image of the gallery."""
        weight = checked_weight(choice.weight)
        if choice.upload:
            upload = await self.clean(choice.upload, "the style")
            return Look(StyleReference(image=upload.png, weight=weight), "another picture")
        try:
            return await self._house.look(caller, choice.name, weight)
        except NotFound as unknown:
            try:
                seen = await self._gallery.seen(caller, choice.name)
            except NotFound:
                raise unknown from None
        png = await self._files.read(seen.row.file_key)
        title = f"the image {seen.row.id}"
        return Look(StyleReference(image=png, weight=weight), title)

    async def _fetched(self, link: str) -> bytes:
        parts = urlsplit(link)
        if self.fetch_picture is None or parts.scheme != "https":
            raise NotAllowed("pictures can't be fetched from links here; attach the file instead")
        if parts.hostname not in self._link_hosts:
            raise NotAllowed(
                "only links to pictures in Discord are fetched; attach the file instead"
            )
        return await self.fetch_picture(link)

    async def _stored_request(self, job: JobRow) -> Request:
        files = {key: await self._files.read(key) for key in set(file_keys(job.request))}
        try:
            return decode_request(job.request, files)
        except UnreadableRequest as error:
            raise NotFound("this job is from another version and can't be run again") from error

    async def _varied(self, seen: SeenImage, parent: JobRow, *, is_strong: bool) -> Request:
        request = await self._stored_request(parent)
        if isinstance(request, Stylize):
            return restyling.near(request, seen.row.place, is_strong=is_strong)
        if isinstance(request, Dream):
            return _valid(lambda: mixing.dream_near(request, seen.row.seed, is_strong=is_strong))
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
        return await self._from_picture(seen, parent, strength)

    async def _from_picture(self, seen: SeenImage, parent: JobRow, strength: float) -> Request:
        parsed = parse(parent.prompt, allow_empty=True)
        info = model_named(None, self._catalogue)
        if parent.model in self._catalogue.names():
            info = self._catalogue.info(parent.model)
        wish = Wish(parent.prompt, replace(parsed, flags=Flags(model=info.name)), new_seed())
        png = await self._files.read(seen.row.file_key)
        sources = Sources(png, (seen.row.width, seen.row.height))
        request = _valid(lambda: request_of(wish, sources, self._catalogue))
        assert isinstance(request, Diffusion)
        return from_source(request, png, strength)

    def _upscaler(self) -> tuple[UpscaleMethod, str]:
        """How pictures are made larger here, and the model that jobs with uploads name."""
        for info in self._catalogue.models():
            if Ability.UPSCALE in info.abilities:
                return UpscaleMethod.LEARNED, info.name
        return UpscaleMethod.RESAMPLE, self._catalogue.default.name

    def _order_from_image(self, seen: SeenImage, request: Request, operation: Operation) -> _Order:
        return _Order(
            request=request,
            prompt=seen.row.prompt,
            model=seen.row.model,
            operation=operation,
            is_private=seen.row.is_private,
            parent_image_id=seen.row.id,
            parent_job_id=seen.row.job_id,
        )

    async def _remixed(
        self, caller: Caller, order: _Order, request: Request, text: str, terms: Terms
    ) -> _Order:
        wishes = read_wishes(
            text, terms.preferences, cap=1, wildcards=self._wildcards, has_picture=True
        )
        wish = wishes[0]
        info = model_of(wish, self._catalogue)
        policy.require_model(info.name, terms.rules)
        remixed = await self._request(caller, wish, _Uploads(None, None))
        if isinstance(request, Stylize):  # its content drawn anew in the same styles
            assert isinstance(remixed, Diffusion)
            drawn = from_source(remixed, request.content, STRONG_STRENGTH)
            remixed = replace(drawn, style_references=request.styles)
        elif isinstance(request, Blend):
            assert isinstance(remixed, Diffusion)
            on = max(request.strength, mixing.DRAWN_ON)
            asked = Blending(weights=request.weights, prompt=text, strength=on)
            remixed = mixing.blend_of(remixed, request.pictures, asked, typed=None)
        elif isinstance(request, ImageToImage) and not isinstance(remixed, ImageToImage):
            assert isinstance(remixed, Diffusion)
            strength = wish.parsed.flags.strength
            remixed = from_source(
                remixed, request.source, request.strength if strength is None else strength
            )
        return replace(
            order,
            request=remixed,
            prompt=wish.text,
            model=info.name,
            operation=Operation.REMIX,
            is_private=order.is_private if wish.is_private is None else wish.is_private,
            is_relaxed=wish.is_relaxed,
        )

    async def _recorded(
        self, caller: Caller, parameters: GenerationParameters, terms: Terms
    ) -> _Order | None:
        """Our own record of the job that made a picture, if the caller may see it."""
        job_id = dict(parameters.others).get(JOB_KEY)
        if job_id is None:
            return None
        try:
            parent = await self._jobs.by_id(job_id)
            request = await self._stored_request(parent)
        except NotFound:
            return None
        if not policy.may_see_job(caller, parent):
            return None
        if parent.model != STYLE_MODEL:
            policy.require_model(parent.model, terms.rules)
        return _Order(
            request=request,
            prompt=parent.prompt,
            model=parent.model,
            operation=Operation.MAKE_AGAIN,
            is_private=_stays_private(caller, parent, terms),
            parent_image_id=parent.parent_image_id,
            parent_job_id=parent.id,
        )

    def _described(self, parameters: GenerationParameters, terms: Terms) -> _Order:
        """A job from parameters that another studio may have written."""
        parsed = self._read_described(parameters)
        wish = Wish(format_prompt(parsed), parsed, parsed.flags.seed or new_seed())
        info = model_of(wish, self._catalogue)
        policy.require_model(info.name, terms.rules)
        return _Order(
            request=_valid(lambda: request_of(wish, Sources(), self._catalogue)),
            prompt=wish.text,
            model=info.name,
            operation=Operation.MAKE_AGAIN,
            is_private=_is_private(wish, None, terms.preferences),
        )

    def _read_described(self, parameters: GenerationParameters) -> ParsedPrompt:
        parsed = _foreign_prompt(parameters.prompt)
        avoided = parameters.negative_prompt.strip()
        parts = (*parsed.parts, PromptPart((Span(avoided),), -0.5)) if avoided else parsed.parts
        known = {name.lower() for name in self._catalogue.names()}
        model = (parameters.model or "").lower()
        info = self._catalogue.info(model) if model in known else self._catalogue.default
        width, height = parameters.width or info.width, parameters.height or info.height
        flags = Flags(
            model=info.name,
            seed=parameters.seed if _is_seed(parameters.seed) else None,
            steps=min(max(parameters.steps or info.steps, 1), 150),
            guidance_scale=min(max(parameters.guidance_scale or info.guidance_scale, 1.0), 30.0),
            size=info.size_for(width, height) if width > 0 and height > 0 else None,
            images=1,
        )
        return replace(parsed, parts=parts, flags=flags)

    async def _commit_one(
        self, caller: Caller, order: _Order, destination: Destination, terms: Terms
    ) -> JobRow:
        if order.model != STYLE_MODEL:
            policy.require_model(order.model, terms.rules)
        return (await self._commit(caller, [order], destination, terms))[0]

    async def _commit(
        self, caller: Caller, orders: list[_Order], destination: Destination, terms: Terms
    ) -> list[JobRow]:
        """Keep the files of requests, then the rows: from then on the jobs are promised."""
        new = []
        for order in orders:
            stored, files = encode_request(order.request)
            for key, data in files.items():
                await self._files.put(key, data)
            row = self._row(caller, order, stored, destination, terms.limits)
            new.append(NewJob(row, tuple(files)))
        await self._jobs.add(
            new,
            waiting_cap=terms.limits.waiting,
            guild_waiting_cap=terms.limits.guild_waiting if caller.guild_id else None,
        )
        return [job.row for job in new]

    def _row(
        self,
        caller: Caller,
        order: _Order,
        stored: Mapping[str, object],
        destination: Destination,
        limits: Limits,
    ) -> JobRow:
        now = self._now()
        return JobRow(
            id=new_id(),
            owner_id=caller.owner_id,
            guild_id=caller.guild_id,
            channel_id=caller.channel_id,
            is_private=order.is_private,
            operation=order.operation.value,
            prompt=order.prompt,
            model=order.model,
            seed=order.request.seed,
            request=dict(stored),
            parent_image_id=order.parent_image_id,
            parent_job_id=order.parent_job_id,
            created_at=now,
            work=work_of(order.request),
            running_cap=limits.running,
            guild_running_cap=limits.guild_running if caller.guild_id else None,
            is_relaxed=order.is_relaxed,
            face=destination.face,
            address=dict(destination.address),
            deliver_after=now,
        )


@dataclass(frozen=True, slots=True)
class _Uploads:
    """Attachments, cleaned."""

    source: Upload | None
    style: Upload | None


@dataclass(frozen=True, slots=True)
class _Passed:
    """A stop of a morph."""

    point: Waypoint
    words: str
    drawing: TextToImage | None = None  # of a prompt
    size: tuple[int, int] | None = None  # of a picture, in pixels
    seen: SeenImage | None = None  # of the gallery


def _is_private(wish: Wish, asked: bool | None, preferences: Preferences) -> bool:  # noqa: FBT001
    for decided in (wish.is_private, asked, preferences.is_private):
        if decided is not None:
            return decided
    return False


def _is_private_restyle(
    caller: Caller,
    seen: SeenImage | None,
    asked: bool | None,  # noqa: FBT001
    preferences: Preferences,
) -> bool:
    if asked is not None:
        return asked
    is_own_secret = seen and seen.row.owner_id == caller.owner_id and seen.row.is_private
    return bool(is_own_secret or preferences.is_private)


def _is_private_mix(
    caller: Caller,
    seen: Sequence[SeenImage],
    asked: bool | None,  # noqa: FBT001
    preferences: Preferences,
) -> bool:
    """As private as the most private of what is mixed."""
    sources = [None, *seen]
    return any(_is_private_restyle(caller, one, asked, preferences) for one in sources)


def _stays_private(caller: Caller, parent: JobRow, terms: Terms) -> bool:
    if parent.owner_id == caller.owner_id:
        return parent.is_private
    return bool(terms.preferences.is_private)


def _anew(request: Request) -> Request:
    """The same request with another seed."""
    match request:
        case Stylize():
            return restyling.anew(request)
        case Blend():
            return mixing.blended_anew(request)
        case Morph():
            return mixing.morphed_anew(request)
        case _:
            return replace(request, seed=new_seed())


def _foreign_prompt(text: str) -> ParsedPrompt:
    """A prompt of another studio: in our grammar, else as mere words."""
    try:
        return parse(text)
    except PromptError:
        words = " ".join(clean(text).split())
    if not words:
        raise UnusablePicture("this picture's parameters hold no prompt")
    return ParsedPrompt(parts=(PromptPart((Span(words),)),))


def _is_seed(seed: int | None) -> bool:
    return seed is not None and 0 <= seed <= MAX_SEED


def _valid(build: Callable[[], T]) -> T:
    """What the engine would refuse is the member's to change."""
    try:
        return build()
    except EngineError as error:
        raise LimitReached(str(error)) from error
