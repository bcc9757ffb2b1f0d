"""/blend, /dream, /morph and /upscale: pictures made of pictures, of each other, of nothing."""

from collections.abc import Awaitable, Callable, Iterable, Sequence

import discord
from discord import app_commands

from bot.faces.discord.commands.choices import (
    choice_of,
    complete_dreamer,
    complete_look,
    complete_model,
)
from bot.faces.discord.face import Interaction, caller_of
from bot.faces.discord.localisation import described, phrase
from bot.faces.discord.submission import (
    Answer,
    acknowledge,
    resolved_privacy,
    stated_privacy,
)
from bot.faces.discord.uploads import ID_MAX, fetch_upload, picture_of, require_one_of
from bot.studio.contract import (
    Blending,
    Caller,
    Destination,
    Dreaming,
    JobView,
    Morphing,
    MorphStop,
)
from bot.studio.mixing import BLEND_COUNT_MAX, DREAM_COUNT_MAX
from bot.studio.stops import ids_of, read_weights, stop_of, stops_of
from engine.api import MAX_FRAMES, MAX_SEED

TEXT_MAX = 1500  # characters of a prompt
WEIGHTS_MAX = 60  # characters
IDS_MAX = 100  # characters
MINUTE = 60.0

Submit = Callable[[Caller, Destination, bool | None], Awaitable[JobView]]


@app_commands.command(
    name=phrase("commands.blend.name"), description=phrase("commands.blend.description")
)
@app_commands.describe(
    **described(
        "blend",
        "image1",
        "image2",
        "image3",
        "image4",
        "image5",
        "ids",
        "weights",
        "prompt",
        "strength",
        "count",
        "seed",
        "model",
        "private",
    )
)
@app_commands.autocomplete(model=complete_model)
@app_commands.allowed_installs(guilds=True, users=True)
@app_commands.allowed_contexts(guilds=True, dms=True, private_channels=True)
async def blend(
    interaction: Interaction,
    image1: discord.Attachment | None = None,
    image2: discord.Attachment | None = None,
    image3: discord.Attachment | None = None,
    image4: discord.Attachment | None = None,
    image5: discord.Attachment | None = None,
    ids: app_commands.Range[str, 1, IDS_MAX] | None = None,
    weights: app_commands.Range[str, 1, WEIGHTS_MAX] | None = None,
    prompt: app_commands.Range[str, 1, TEXT_MAX] | None = None,
    strength: app_commands.Range[float, 0.0, 1.0] | None = None,
    count: app_commands.Range[int, 1, BLEND_COUNT_MAX] = 1,
    seed: app_commands.Range[int, 0, MAX_SEED] | None = None,
    model: str | None = None,
    private: bool | None = None,  # noqa: FBT001
) -> None:
    """Mix up to five pictures, attached or of the gallery; a prompt draws the mixture on."""
    answer = await acknowledge(interaction, is_secret=bool(private))
    given = [one for one in (image1, image2, image3, image4, image5) if one is not None]
    pictures: list[bytes | str] = [await fetch_upload(interaction, one) for one in given]
    pictures += ids_of(ids or "")
    mixture = read_weights(weights or "")

    async def submit(caller: Caller, destination: Destination, hidden: bool | None) -> JobView:  # noqa: FBT001
        asked = Blending(
            weights=mixture,
            prompt=prompt or "",
            strength=strength,
            seed=seed,
            count=count,
            model=model,
            is_private=hidden,
        )
        return await interaction.client.studio.blend(caller, pictures, destination, asked)

    await _run(answer, private, submit, pictures, [prompt or ""])


@app_commands.command(
    name=phrase("commands.dream.name"), description=phrase("commands.dream.description")
)
@app_commands.describe(
    **described(
        "dream",
        "look",
        "model",
        "seed",
        "truncation",
        "count",
        "like",
        "like_id",
        "distance",
        "private",
    )
)
@app_commands.autocomplete(look=complete_look, model=complete_dreamer)
@app_commands.allowed_installs(guilds=True, users=True)
@app_commands.allowed_contexts(guilds=True, dms=True, private_channels=True)
async def dream(
    interaction: Interaction,
    look: app_commands.Range[str, 1, WEIGHTS_MAX] | None = None,
    model: str | None = None,
    seed: app_commands.Range[int, 0, MAX_SEED] | None = None,
    truncation: app_commands.Range[float, 0.0, 1.0] = 0.7,
    count: app_commands.Range[int, 1, DREAM_COUNT_MAX] = DREAM_COUNT_MAX,
    like: discord.Attachment | None = None,
    like_id: app_commands.Range[str, 1, WEIGHTS_MAX] | None = None,
    distance: app_commands.Range[float, 0.0, 1.0] | None = None,
    private: bool | None = None,  # noqa: FBT001
) -> None:
    """Draw without words, by a look and a seed, or like a picture."""
    require_one_of(interaction, like=like, like_id=like_id)
    answer = await acknowledge(interaction, is_secret=bool(private))
    model_of_it = await picture_of(interaction, like, like_id) if like or like_id else b""

    async def submit(caller: Caller, destination: Destination, hidden: bool | None) -> JobView:  # noqa: FBT001
        asked = Dreaming(
            look=look or "",
            seed=seed,
            truncation=truncation,
            count=count,
            like=model_of_it,
            distance=distance,
            model=model,
            is_private=hidden,
        )
        return await interaction.client.studio.dream(caller, destination, asked)

    await _run(answer, private, submit, [model_of_it])


@app_commands.command(
    name=phrase("commands.morph.name"), description=phrase("commands.morph.description")
)
@app_commands.rename(start="from", end="to", start_image="from_image", end_image="to_image")
@app_commands.describe(
    **described(
        "morph",
        "start",
        "end",
        "start_image",
        "end_image",
        "more",
        "more_image",
        "frames",
        "seconds",
        "loop",
        "look",
        "dreamer",
        "seed",
        "model",
        "file",
        "private",
    )
)
@app_commands.choices(file=choice_of("webp", "mp4", prefix="commands.morph.file"))
@app_commands.autocomplete(model=complete_model, look=complete_look, dreamer=complete_dreamer)
@app_commands.allowed_installs(guilds=True, users=True)
@app_commands.allowed_contexts(guilds=True, dms=True, private_channels=True)
async def morph(
    interaction: Interaction,
    start: app_commands.Range[str, 1, TEXT_MAX] | None = None,
    end: app_commands.Range[str, 1, TEXT_MAX] | None = None,
    start_image: discord.Attachment | None = None,
    end_image: discord.Attachment | None = None,
    more: app_commands.Range[str, 1, TEXT_MAX] | None = None,
    more_image: discord.Attachment | None = None,
    frames: app_commands.Range[int, 2, MAX_FRAMES] = 24,
    seconds: app_commands.Range[float, 0.2, MINUTE] = 3.0,
    loop: bool = True,  # noqa: FBT001, FBT002
    look: app_commands.Range[str, 1, WEIGHTS_MAX] | None = None,
    dreamer: str | None = None,
    seed: app_commands.Range[int, 0, MAX_SEED] | None = None,
    model: str | None = None,
    file: str = "webp",
    private: bool | None = None,  # noqa: FBT001
) -> None:
    """Animate the way from one picture, prompt or dream to others."""
    require_one_of(interaction, **{"from": start, "from_image": start_image})
    require_one_of(interaction, to=end, to_image=end_image)
    answer = await acknowledge(interaction, is_secret=bool(private))
    studio, caller = interaction.client.studio, caller_of(interaction)
    stops: list[MorphStop] = []
    for typed, attachment in ((start, start_image), (end, end_image)):
        if attachment is not None:
            stops.append(MorphStop(upload=await fetch_upload(interaction, attachment)))
        elif typed is not None:
            stops.append(await stop_of(studio, caller, typed))
    stops += await stops_of(studio, caller, more or "")
    if more_image is not None:
        stops.append(MorphStop(upload=await fetch_upload(interaction, more_image)))

    async def submit(caller: Caller, destination: Destination, hidden: bool | None) -> JobView:  # noqa: FBT001
        asked = Morphing(
            frames=frames,
            seconds=seconds,
            loop=loop,
            video=file == "mp4",
            look=look or "",
            dreamer=dreamer,
            seed=seed,
            model=model,
            is_private=hidden,
        )
        return await studio.morph(caller, stops, destination, asked)

    images = [one.image for one in stops if one.image]
    await _run(answer, private, submit, images, [one.prompt for one in stops if one.prompt])


@app_commands.command(
    name=phrase("commands.upscale.name"), description=phrase("commands.upscale.description")
)
@app_commands.describe(**described("upscale", "image", "id", "factor", "detail", "private"))
@app_commands.choices(
    factor=[app_commands.Choice(name="2×", value=2), app_commands.Choice(name="4×", value=4)]
)
@app_commands.allowed_installs(guilds=True, users=True)
@app_commands.allowed_contexts(guilds=True, dms=True, private_channels=True)
async def upscale(
    interaction: Interaction,
    image: discord.Attachment | None = None,
    id: app_commands.Range[str, 1, ID_MAX] | None = None,  # noqa: A002
    factor: app_commands.Choice[int] | None = None,
    detail: app_commands.Range[float, 0.0, 1.0] = 0.5,
    private: bool | None = None,  # noqa: FBT001
) -> None:
    """Make a picture larger, smoother or crisper."""
    require_one_of(interaction, image=image, id=id)
    answer = await acknowledge(interaction, is_secret=bool(private))
    picture = await picture_of(interaction, image, id)

    async def submit(caller: Caller, destination: Destination, hidden: bool | None) -> JobView:  # noqa: FBT001
        return await interaction.client.studio.upscale(
            caller,
            picture,
            destination,
            factor=factor.value if factor else 2,
            detail=detail,
            is_private=hidden,
        )

    await _run(answer, private, submit, [picture])


async def _run(
    answer: Answer,
    private: bool | None,  # noqa: FBT001
    submit: Submit,
    made_of: Iterable[bytes | str] = (),
    prompts: Sequence[str] = (),
) -> None:
    """Submit a job and show its progress in the answer, hidden where the result is private.

    Of what it is `made_of`, texts are ids of images. What `prompts` say of privacy counts more.
    """
    interaction = answer.interaction
    typed = [said for text in prompts if (said := stated_privacy(text)) is not None]
    is_hidden = await resolved_privacy(interaction, any(typed) if typed else private)
    if is_hidden:
        await answer.hide()
    await answer.hide_like(*(one for one in made_of if isinstance(one, str)))
    await answer.hide_like_looks_of(*prompts)
    said = True if is_hidden else private

    async def submit_all(caller: Caller, destination: Destination) -> tuple[JobView, ...]:
        return (await submit(caller, destination, said),)

    await answer.run(submit_all)
