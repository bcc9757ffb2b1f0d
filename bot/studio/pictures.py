"""Pictures on their way to the gallery: parameters, description, thumbnail, files."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from bot import prompts
from bot.errors import NotFound
from bot.storage.files import ImageFiles, content_key, thumbnail_key
from bot.storage.images import ImageRow
from bot.studio import restyling
from bot.studio.contract import Operation
from bot.wording import Said
from engine.api import (
    VIDEO_SUFFIX,
    Blend,
    Diffusion,
    Dream,
    Finished,
    GenerationParameters,
    ImageToImage,
    KeepColour,
    Morph,
    Picture,
    PromptPart,
    Request,
    Stride,
    StyleMethod,
    StyleReference,
    Stylize,
    TrainGan,
    TrainStyle,
    Upscale,
    Waypoint,
    encode_webp,
    image_of,
    thumbnail,
    variation_seeds_of,
    with_parameters,
)

THUMBNAIL_SIDE = 384  # pixels
MAX_ALT_TEXT = 1024  # characters, Discord's limit
WORDLESS = Said("a picture")  # what one without words shows
PICTURE = "picture"  # a look without a name, in the parameters
JOB_KEY = "Atelier job"  # in the parameters: whose record says more than they do


@dataclass(frozen=True, slots=True)
class Kept:
    """A picture whose files are written."""

    file_key: str
    parameters: str
    picture: Picture
    animation_key: str | None = None
    video_key: str | None = None


class Pictures:
    """Writes finished pictures to the files and reads them back."""

    def __init__(self, files: ImageFiles) -> None:
        self._files = files

    async def keep(
        self, finished: Finished, request: Request, prompt: str, job_id: str
    ) -> list[Kept]:
        """Write pictures with their parameters, and their thumbnails; twice changes nothing.

        Raises:
            StorageUnavailable: the disk is full or does not answer.
        """
        return await asyncio.gather(
            *(
                self._keep(
                    picture,
                    parameters_of(
                        _alone(request, place), picture, prompt, job_id, finished.versions
                    ),
                )
                for place, picture in enumerate(finished.images)
            )
        )

    async def png(self, file_key: str) -> bytes:
        """The picture as it was kept."""
        return await self._files.read(file_key)

    async def file(self, row: ImageRow) -> bytes:
        """What is to be kept of an image: its video, else its animation, else the picture."""
        return await self._files.read(row.video_key or row.animation_key or row.file_key)

    async def thumbnail(self, file_key: str) -> bytes:
        """A WebP of at most THUMBNAIL_SIDE pixels; made anew where it is missing."""
        try:
            return await self._files.read(thumbnail_key(file_key))
        except NotFound:
            small = await asyncio.to_thread(_thumbnail, await self._files.read(file_key))
            await self._files.put(thumbnail_key(file_key), small)
            return small

    async def _keep(self, picture: Picture, parameters: GenerationParameters) -> Kept:
        png, small = await asyncio.to_thread(_finished_files, picture.png, parameters)
        key = content_key(png)
        await asyncio.gather(self._files.put(key, png), self._files.put(thumbnail_key(key), small))
        moving = await self._keep_animation(picture, parameters)
        video = None
        if picture.video:
            told = with_parameters(picture.video, parameters)
            video = content_key(told, VIDEO_SUFFIX)
            await self._files.put(video, told)
        return Kept(key, parameters.to_text(), picture, moving, video)

    async def _keep_animation(
        self, picture: Picture, parameters: GenerationParameters
    ) -> str | None:
        if not picture.animation:
            return None
        webp = with_parameters(picture.animation, parameters)
        key = content_key(webp, "webp")
        await self._files.put(key, webp)
        return key


def alt_text(prompt: str, operation: Operation) -> str:
    """What a picture shows, for those who can't see it; `prompt` as typed."""
    words = " ".join(shown_words(prompt).split()) or str(WORDLESS)
    text = str(_showing(words, operation))
    return text if len(text) <= MAX_ALT_TEXT else text[: MAX_ALT_TEXT - 1] + "…"


def recalled(kept: str, operation: Operation) -> str:
    """An alt text as it was kept, which remembers again how it was made."""
    beginning = _showing("", operation)
    if not kept.startswith(beginning):
        return kept  # of an older version
    return _showing(kept.removeprefix(beginning), operation)


def _showing(words: str, operation: Operation) -> Said:
    """All of these end in the words, by which `recalled` finds them."""
    shown = WORDLESS if words == WORDLESS else words
    match operation:
        case Operation.STYLIZE | Operation.COMPARE:
            return Said("Restyled image: {words}", words=shown)
        case Operation.TRAIN_STYLE:
            return Said(
                "A style, a landscape, and the landscape before and after learning: {words}",
                words=shown,
            )
        case Operation.TRAIN_GAN:
            return Said("Sixteen dreams of the generator {words}", words=shown)
        case Operation.BLEND:
            return Said("Several pictures mixed into one: {words}", words=shown)
        case Operation.DREAM:
            return Said("Image drawn without words: {words}", words=shown)
        case Operation.MORPH:
            return Said("Animation that turns one picture into another: {words}", words=shown)
        case Operation.UPSCALE:
            return Said("Larger version of an image made from the words: {words}", words=shown)
        case _:
            return Said("Image made from the words: {words}", words=shown)


def shown_words(prompt: str) -> str:
    """What a prompt wants to show, its look included, without flags and what it avoids."""
    try:
        return prompts.with_look(prompts.parse(prompt, allow_empty=True)).prompt
    except prompts.PromptError:  # of an older grammar
        return prompt


def parameters_of(
    request: Request, picture: Picture, prompt: str, job_id: str, versions: Mapping[str, str]
) -> GenerationParameters:
    """What made a picture, for its `parameters` chunk; `versions` as the engine tells them."""
    values = GenerationParameters(
        prompt=prompt,
        seed=picture.seed,
        width=picture.width,
        height=picture.height,
        others=(
            *_further(request),
            *picture.report,
            *_made_with(versions),
            (JOB_KEY, job_id),
        ),
    )
    if not isinstance(request, Diffusion):
        return values
    return replace(
        values,
        prompt=_written(request.prompt),
        negative_prompt=", ".join(part.text for part in request.prompt if part.weight < 0),
        steps=request.steps,
        sampler=request.sampler.value,
        guidance_scale=request.guidance_scale,
        model=request.model,
    )


def _alone(request: Request, place: int) -> Request:
    """The request with what is one image's own: the variation seed, strength or weights."""
    if isinstance(request, Stylize):
        return restyling.alone(request, place)
    if not isinstance(request, Diffusion) or not request.is_varied:
        return request
    return replace(request, variation_seed=tuple(variation_seeds_of(request))[place])


def _made_with(versions: Mapping[str, str]) -> list[tuple[str, str]]:
    """Which weights and program, under the names that other studios use."""
    hashed, engine = versions.get("model_hash"), versions.get("engine")
    made_with = [("Model hash", hashed)] if hashed else []
    return [*made_with, ("Version", f"Atelier {engine}")] if engine else made_with


def _further(request: Request) -> list[tuple[str, str]]:
    match request:
        case Upscale():
            return [("Upscale", str(request.factor)), ("Detail", f"{request.detail:g}")]
        case Stylize():
            return _further_of_restyle(request)
        case TrainStyle():
            return [("Style", request.name), ("Training steps", str(request.steps))]
        case TrainGan():
            return [("Generator", request.name)]
        case Dream():
            return _further_of_dream(request)
        case Morph():
            return _further_of_morph(request)
        case _:
            return _further_of_diffusion(request)


def _further_of_restyle(request: Stylize) -> list[tuple[str, str]]:
    further = [
        ("Styles", _styles_text(request.styles)),
        ("Style strength", f"{request.strength:g}"),
        ("Style method", request.method.value),
    ]
    if request.method is StyleMethod.OPTIMISE:
        further.append(("Style network", request.network))
        further.append(("Iterations", str(request.iterations)))
        further += [("Style loss", request.loss.value), ("Start", request.start.value)]
    if request.keep_colour is not KeepColour.NO:
        further.append(("Keep colour", request.keep_colour.value))
    if request.frames:
        further.append(("Frames", str(1 + len(request.frames))))
    if request.path:
        further.append(("Style path", _strides_text(request.path)))
    if request.perturbation:
        further.append(("Style perturbation", f"{request.perturbation:g}"))
    if request.method is StyleMethod.DIFFUSION:
        further.append(("Style model", request.model))
    return further


def _strides_text(path: Sequence[Stride]) -> str:
    return ", ".join(f"{stride.seed}:{stride.distance:g}" for stride in path)


def _further_of_dream(request: Dream) -> list[tuple[str, str]]:
    further = [
        ("Dream", request.look or "any look"),
        ("Truncation", f"{request.truncation:g}"),
        ("Dream model", request.model),
    ]
    if request.is_walk:
        walk = _strides_text(request.path)
        start = "picture" if request.origin is None else str(request.origin)
        further += [("Walk from", start), ("Walk by", f"{request.distance:g}")]
        further += [("Walk through", walk)] if walk else []
    return further


def _further_of_morph(request: Morph) -> list[tuple[str, str]]:
    stops = [_stop_text(stop) for stop in request.stops]
    further = [
        ("Morph", " -> ".join(stops)),
        ("Frames", str(request.frames)),
        ("Seconds", f"{request.seconds:g}"),
        ("Loop", str(request.loop)),
    ]
    if request.dreams:
        further += [("Dream model", request.dreams), ("Dream", request.look or "any look")]
    if any(stop.prompt for stop in request.stops):
        drawing = request.drawing
        further += [("Morph model", drawing.model), ("Morph steps", str(drawing.steps))]
    return further


def _stop_text(stop: Waypoint) -> str:
    if stop.seed is not None:
        return f"dream {stop.seed}"
    return _written(stop.prompt) if stop.prompt else "picture"


def _further_of_diffusion(request: Diffusion) -> list[tuple[str, str]]:
    """What is not as usual."""
    further = [("Schedule type", request.schedule.value)]
    if isinstance(request, ImageToImage):
        further.append(("Denoising strength", f"{request.strength:g}"))
    if isinstance(request, Blend):
        weights = request.weights or [1.0] * len(request.pictures)
        further.append(("Blend", ":".join(f"{weight:g}" for weight in weights)))
        further.append(("Denoising strength", f"{request.strength:g}"))
    if request.variation_seed is not None:
        further.append(("Variation seed", str(request.variation_seed)))
        further.append(("Variation seed strength", f"{request.variation_strength:g}"))
    for key, value, usual in (
        ("Chaos", request.chaos, 0),
        ("Stylize", request.stylize, 100),
        ("Weird", request.weird, 0),
        ("Stop", request.stop, 100),
        ("Tiling", request.tile, False),
    ):
        if value != usual:
            further.append((key, str(value)))
    if request.loras:
        further.append(
            ("Loras", ", ".join(f"{lora.name}:{lora.weight:g}" for lora in request.loras))
        )
    if request.style_references:
        further.append(("Style references", _styles_text(request.style_references)))
        further.append(("Style weight", str(request.style_weight)))
    return further


def _styles_text(styles: Sequence[StyleReference]) -> str:
    """Whose look was taken; a picture has no name that others know."""
    return ", ".join(f"{one.preset or PICTURE}:{one.weight:g}" for one in styles)


def _written(parts: Sequence[PromptPart]) -> str:
    """The parts to be shown, with their weights, as they would be typed."""
    shown = tuple(
        prompts.PromptPart(
            tuple(prompts.Span(span.text, span.weight) for span in part.spans), part.weight
        )
        for part in parts
        if part.weight > 0
    )
    return prompts.format_prompt(prompts.ParsedPrompt(parts=shown))


def _finished_files(png: bytes, parameters: GenerationParameters) -> tuple[bytes, bytes]:
    return with_parameters(png, parameters), _thumbnail(png)


def _thumbnail(png: bytes) -> bytes:
    # Effort 2 takes half as long as the usual one, for 4 % larger files.
    return encode_webp(thumbnail(image_of(png), THUMBNAIL_SIDE), quality=80, effort=2)
