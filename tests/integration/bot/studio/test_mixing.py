"""Blends, dreams, morphs and larger uploads: asked for, made, stored, and made further."""

import io
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from bot.errors import LimitReached, NotAllowed, NotFound, UnusablePicture
from bot.prompts import Wildcards
from bot.studio.contract import (
    Blending,
    Dreaming,
    GuildRules,
    JobState,
    Morphing,
    MorphStop,
    Operation,
    Preferences,
)
from bot.studio.studio import Atelier
from bot.wording import translated
from engine.api import (
    Blend,
    Dream,
    EngineConfig,
    ImageToImage,
    Morph,
    Stride,
    Upscale,
    read_parameters,
)
from engine.models.catalogue import open_catalogue
from engine.testing import VIDEO, FakeEngine
from tests.integration.bot.studio.conftest import ADMIN, MEMBER, OTHER, WEB, Open, ended, made
from tests.tiny_gan import NAME, write_gan_entry


def picture(size: tuple[int, int] = (90, 60), colour: str = "red") -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, colour).save(file, "PNG")
    return file.getvalue()


PAIR = (picture(), picture((50, 80), "blue"))
STOPS = tuple(MorphStop(upload=data) for data in PAIR)


@pytest.fixture
def engine(tmp_path: Path) -> FakeEngine:
    page = write_gan_entry(tmp_path)
    return FakeEngine(catalogue=open_catalogue(EngineConfig(catalogue_files=(page,))))


@pytest.fixture
async def studio(open_here: Open) -> AsyncIterator[Atelier]:
    async with open_here() as opened:
        yield opened


async def blended(studio: Atelier, pictures=PAIR, **asked: object):
    return await ended(studio, await studio.blend(MEMBER, pictures, WEB, Blending(**asked)))


async def dreamt(studio: Atelier, **asked: object):
    return await ended(studio, await studio.dream(MEMBER, WEB, Dreaming(**asked)))


async def morphed(studio: Atelier, stops=STOPS, **asked: object):
    asked = {"frames": 6, "seconds": 1.0} | asked
    return await ended(studio, await studio.morph(MEMBER, stops, WEB, Morphing(**asked)))


async def test_pictures_are_blended_in_the_shape_of_the_first(
    studio: Atelier, engine: FakeEngine
) -> None:
    job = await blended(studio, weights=(2.0, 1.0), seed=5)
    assert (job.state, job.operation, job.seed) == (JobState.FINISHED, Operation.BLEND, 5)
    [request] = engine.requests
    assert isinstance(request, Blend)
    assert (request.weights, request.strength, request.image_count) == ((2.0, 1.0), 0.0, 1)
    assert request.width > request.height
    [image] = job.images
    assert "Blend" in image.parameters
    assert image.alt_text == "Several pictures mixed into one: a picture, blended"


async def test_a_prompt_draws_a_blend_on_and_its_flags_count(
    studio: Atelier, engine: FakeEngine
) -> None:
    await blended(studio, prompt="a fox --ar 1:1 --steps 3 --strength 0.3", count=2)
    [request] = engine.requests
    assert isinstance(request, Blend)
    assert (request.strength, request.steps, request.image_count) == (0.3, 3, 2)
    assert request.width == request.height


async def test_a_remixed_blend_keeps_its_shape_and_takes_a_typed_strength(
    studio: Atelier, engine: FakeEngine
) -> None:
    job = await blended(studio)
    for typed, strength in (("", 0.5), (" --strength 0.8", 0.8)):
        text = "an owl --steps 3" + typed
        await ended(studio, await studio.reroll(MEMBER, job.id, WEB, text=text))
        first, drawn = engine.requests[0], engine.requests[-1]
        assert isinstance(drawn, Blend)
        assert (drawn.width, drawn.height) == (first.width, first.height)
        assert (drawn.pictures, drawn.strength) == (first.pictures, strength)


async def test_blends_without_words_differ_by_their_weights(
    studio: Atelier, engine: FakeEngine
) -> None:
    job = await blended(studio, count=3)
    await ended(studio, await studio.reroll(MEMBER, job.id, WEB))
    first, again = engine.requests
    assert isinstance(first, Blend)
    assert isinstance(again, Blend)
    assert first.chaos == again.chaos == 60
    assert first.seed != again.seed


async def test_somebody_elses_blend_goes_on_from_what_it_shows(
    studio: Atelier, engine: FakeEngine
) -> None:
    job = await blended(studio)
    shown = await studio.image_png(OTHER, job.images[0].id)
    text = "an owl --steps 3 --strength 0 --chaos 100"
    for again in (
        await studio.reroll(OTHER, job.id, WEB),
        await studio.reroll(OTHER, job.id, WEB, text=text),
    ):
        await ended(studio, again, OTHER)
    rerolled, remixed = engine.requests[1:]
    for drawn in (rerolled, remixed):
        assert isinstance(drawn, ImageToImage)
        assert drawn.source == shown
    assert len((await studio.job(OTHER, again.id)).images) == 4
    assert isinstance(rerolled, ImageToImage)
    assert (rerolled.strength, rerolled.image_count) == (0.65, 1)


async def test_images_of_the_gallery_blend_with_uploads_and_are_the_parent(studio: Atelier) -> None:
    fox = (await made(studio)).images[0]
    job = await blended(studio, (fox.id, PAIR[0]))
    assert job.images[0].parent_id == fox.id
    assert job.prompt == "a fox and a picture, blended"


@pytest.mark.parametrize("count", [0, 1, 6])
async def test_too_few_and_too_many_pictures_are_refused(studio: Atelier, count: int) -> None:
    with pytest.raises(LimitReached, match="2 to 5 pictures"):
        await studio.blend(MEMBER, (PAIR[0],) * count, WEB)


async def test_a_weight_for_each_picture_or_none(studio: Atelier) -> None:
    with pytest.raises(LimitReached, match="weights"):
        await studio.blend(MEMBER, PAIR, WEB, Blending(weights=(1.0,)))


async def test_a_blend_with_a_secret_is_secret(studio: Atelier) -> None:
    fox = (await made(studio, is_private=True)).images[0]
    assert (await blended(studio, (fox.id, PAIR[0]))).is_private
    with pytest.raises(NotFound):
        await studio.blend(OTHER, (fox.id, PAIR[0]), WEB)


async def test_what_is_no_picture_is_refused(studio: Atelier) -> None:
    with pytest.raises(UnusablePicture):
        await studio.blend(MEMBER, (b"no picture", PAIR[0]), WEB)


async def test_dreams_come_by_look_and_seed(studio: Atelier, engine: FakeEngine) -> None:
    job = await dreamt(studio, look="Moon", seed=9, truncation=0.4)
    assert (job.operation, job.model, job.seed) == (Operation.DREAM, NAME, 9)
    assert [image.seed for image in job.images] == [9, 10, 11, 12]
    assert job.prompt == "a dream of moon"
    [request] = engine.requests
    assert isinstance(request, Dream)
    assert (request.look, request.truncation, request.image_count) == ("moon", 0.4, 4)
    assert "Truncation: 0.4" in job.images[0].parameters


async def test_a_tile_is_walked_from_and_walked_on_from(
    studio: Atelier, engine: FakeEngine
) -> None:
    job = await dreamt(studio, look="cat", seed=9)
    near = await ended(studio, await studio.vary(MEMBER, job.images[2].id, WEB, is_strong=False))
    far = await ended(studio, await studio.vary(MEMBER, near.images[1].id, WEB, is_strong=True))
    _, first, second = engine.requests
    assert isinstance(first, Dream)
    assert isinstance(second, Dream)
    assert (first.origin, first.path, first.distance) == (11, (), 0.2)
    assert (second.origin, second.distance) == (11, 0.5)
    assert second.path == (Stride(near.images[1].seed, 0.2),)
    assert far.images[0].parent_id == near.images[1].id


async def test_an_enlarged_dream_is_varied_by_a_model_that_draws_words(
    studio: Atelier, engine: FakeEngine
) -> None:
    job = await dreamt(studio, look="cat", count=1)
    large = await ended(studio, await studio.upscale(MEMBER, job.images[0].id, WEB))
    near = await ended(studio, await studio.vary(MEMBER, large.images[0].id, WEB, is_strong=False))
    request = engine.requests[-1]
    assert isinstance(request, ImageToImage)
    assert near.model == request.model == studio.catalogue.default.name
    draft = studio.catalogue.default.draft_model
    await studio.set_preferences(MEMBER, Preferences(model=draft))
    preferred = await studio.vary(MEMBER, large.images[0].id, WEB, is_strong=True)
    assert preferred.model == draft
    await studio.set_rules(ADMIN, GuildRules(allowed_models=(NAME,)))
    with pytest.raises(NotAllowed, match=draft):
        await studio.vary(MEMBER, large.images[0].id, WEB, is_strong=True)


async def test_a_distance_from_nothing_is_refused(studio: Atelier) -> None:
    with pytest.raises(LimitReached, match="give a picture"):
        await studio.dream(MEMBER, WEB, Dreaming(distance=0.1))
    assert (await dreamt(studio, distance=1.0)).state is JobState.FINISHED


async def test_dreams_like_a_picture(studio: Atelier, engine: FakeEngine) -> None:
    fox = (await made(studio)).images[0]
    await dreamt(studio, like=fox.id, count=1)
    await dreamt(studio, like=PAIR[0])
    *_, single, several = engine.requests
    assert isinstance(single, Dream)
    assert isinstance(several, Dream)
    assert (single.distance, several.distance) == (0.0, 0.3)
    assert single.like
    assert several.like


async def test_unknown_looks_and_models_name_what_there_is(studio: Atelier) -> None:
    with pytest.raises(NotFound, match="cat, moon"):
        await studio.dream(MEMBER, WEB, Dreaming(look="dog"))
    with pytest.raises(NotFound, match=NAME):
        await studio.dream(MEMBER, WEB, Dreaming(model="atelier-pack"))
    with pytest.raises(LimitReached, match="count"):
        await studio.dream(MEMBER, WEB, Dreaming(count=5))
    with pytest.raises(LimitReached, match="truncation"):
        await studio.dream(MEMBER, WEB, Dreaming(truncation=2.0))


async def test_a_model_that_a_guild_does_not_allow_dreams_not(studio: Atelier) -> None:
    await studio.set_rules(ADMIN, GuildRules(allowed_models=("atelier-pack",)))
    with pytest.raises(NotAllowed):
        await studio.dream(MEMBER, WEB)


async def test_who_names_no_dreamer_gets_one_that_is_open(studio: Atelier) -> None:
    for name in ("atelier-dreams", NAME):
        await studio.set_rules(ADMIN, GuildRules(allowed_models=("atelier-pack", name)))
        assert (await dreamt(studio)).model == name


async def test_a_morph_of_dreams_needs_no_model_that_draws(studio: Atelier) -> None:
    await studio.set_rules(ADMIN, GuildRules(allowed_models=(NAME,)))
    job = await morphed(studio, (MorphStop(seed=1), MorphStop(seed=2)))
    assert (job.state, job.model) == (JobState.FINISHED, NAME)
    with pytest.raises(NotAllowed, match="can't be used here"):
        await studio.morph(MEMBER, (MorphStop(seed=1), STOPS[0]), WEB)
    await studio.set_rules(ADMIN, GuildRules(allowed_models=("atelier-pack",)))
    assert (await morphed(studio)).state is JobState.FINISHED
    with pytest.raises(NotAllowed, match=NAME):
        await studio.morph(MEMBER, (MorphStop(seed=1), STOPS[0]), WEB)


async def test_a_morph_is_kept_as_animation_with_its_first_frame(
    studio: Atelier, engine: FakeEngine
) -> None:
    job = await morphed(studio, loop=False)
    assert (job.state, job.operation) == (JobState.FINISHED, Operation.MORPH)
    [image] = job.images
    assert image.is_animated
    assert image.suffix == "webp"
    moving = await studio.image_file(MEMBER, image.id)
    still = await studio.image_png(MEMBER, image.id)
    with Image.open(io.BytesIO(moving)) as opened:
        assert (opened.format, opened.n_frames) == ("WEBP", 6)
    with Image.open(io.BytesIO(still)) as opened:
        assert opened.format == "PNG"
    for file in (moving, still):
        said = dict(read_parameters(file).others)
        assert said["Frames"] == "6"
        assert said["Loop"] == "False"
        assert said["Atelier job"] == job.id
    assert await studio.thumbnail(MEMBER, image.id)
    [request] = engine.requests
    assert isinstance(request, Morph)
    assert request.drawing.width > request.drawing.height


async def test_of_what_moves_the_first_frame_is_taken_and_the_result_says_so(
    studio: Atelier, engine: FakeEngine
) -> None:
    stored = (await morphed(studio)).images[0].id
    first = await studio.image_png(MEMBER, stored)
    jobs = [
        await blended(studio, (stored, PAIR[0])),
        await dreamt(studio, like=stored),
        await morphed(studio, (MorphStop(image=stored), MorphStop(seed=7))),
        await ended(studio, await studio.upscale(MEMBER, stored, WEB)),
        await made(studio, source=stored),
    ]
    blend, dream, morph, upscale, drawn = engine.requests[1:]
    assert isinstance(blend, Blend)
    assert isinstance(dream, Dream)
    assert isinstance(morph, Morph)
    assert isinstance(upscale, Upscale)
    assert isinstance(drawn, ImageToImage)
    taken = [blend.pictures[0], dream.like, morph.stops[0].picture, upscale.source, drawn.source]
    assert taken == [first] * 5
    assert {job.reason for job in jobs} == {"Of what moves, the first frame was taken."}
    assert translated(jobs[0].reason, "zh-CN") == "动图只取用了第一帧。"
    uploaded = await studio.image_file(MEMBER, stored)
    assert "first frame" in (await blended(studio, (uploaded, PAIR[0]))).reason
    assert (await blended(studio)).reason == "", "these do not move"


async def test_a_dropped_animation_is_made_again(studio: Atelier, engine: FakeEngine) -> None:
    job = await morphed(studio)
    moving = await studio.image_file(MEMBER, job.images[0].id)
    again = await ended(studio, await studio.make_again(MEMBER, moving, WEB))
    assert again.images[0].is_animated
    first, second = engine.requests
    assert first == second


async def test_words_seeds_and_images_are_stops(studio: Atelier, engine: FakeEngine) -> None:
    fox = (await made(studio)).images[0]
    stops = (
        MorphStop(prompt="an owl --ar 1:1 --steps 3"),
        MorphStop(seed=4),
        MorphStop(image=fox.id),
    )
    job = await morphed(studio, stops, seed=8, look="cat")
    assert job.prompt == "an owl → dream 4 → a fox"
    request = engine.requests[-1]
    assert isinstance(request, Morph)
    assert (request.seed, request.drawing.steps, request.look) == (8, 3, "cat")
    assert request.dreams == NAME
    assert job.images[0].parent_id == fox.id


async def test_words_on_the_way_are_drawn_as_drafts(studio: Atelier, engine: FakeEngine) -> None:
    default = studio.catalogue.default
    await morphed(studio, (MorphStop(prompt="an owl"), MorphStop(prompt="a fox")))
    request = engine.requests[-1]
    assert isinstance(request, Morph)
    assert request.drawing.model == default.draft_model
    assert request.drawing.steps == studio.catalogue.info(default.draft_model).draft_steps


COLOURS = "{red|green|blue|black|white|pink|gold|grey}"


async def test_a_mixture_remembers_the_words_that_were_drawn(
    open_here: Open, engine: FakeEngine
) -> None:
    animals = Wildcards({"animals": ["cat", "dog", "owl", "bear"]})
    async with open_here(wildcards=animals) as studio:
        for _ in range(3):
            job = await blended(studio, prompt=f"a {COLOURS} __animals__", strength=0.0)
            assert engine.requests[-1].prompt[0].text == job.prompt
        stops = [MorphStop(prompt=f"a {COLOURS} __animals__"), MorphStop(prompt="an owl")]
        morph = await morphed(studio, stops)
        drawn = [stop.prompt[0].text for stop in engine.requests[-1].stops]
        assert morph.prompt == " → ".join(drawn)
        varied = await studio.vary(MEMBER, job.images[0].id, WEB, is_strong=True)
        assert (await ended(studio, varied)).state is JobState.FINISHED


@pytest.mark.parametrize("frames", [1, 10_000])
async def test_one_frame_and_ten_thousand_are_refused(studio: Atelier, frames: int) -> None:
    with pytest.raises(LimitReached, match=r"frames must be in 2\.\.120"):
        await studio.morph(MEMBER, STOPS, WEB, Morphing(frames=frames))


async def test_a_morph_needs_stops_and_each_is_something(studio: Atelier) -> None:
    with pytest.raises(LimitReached, match="2 to 6 stops"):
        await studio.morph(MEMBER, STOPS[:1], WEB)
    with pytest.raises(LimitReached, match="each stop"):
        await studio.morph(MEMBER, (*STOPS, MorphStop()), WEB)
    for several in (
        MorphStop(prompt="a fox", seed=1),
        MorphStop(seed=1, upload=PAIR[0]),
        replace(STOPS[0], image="k3j9x0a2bd"),
    ):
        with pytest.raises(LimitReached, match="one thing"):
            await studio.morph(MEMBER, (*STOPS, several), WEB)


@pytest.mark.parametrize(
    ("later", "flag"),
    [
        ("a fox --ar 16:9", "ar"),
        ("a fox --seed 8", "seed"),
        ("a fox --steps 9", "steps"),
        ("a fox --model atelier-pack", "model"),
        ("a fox --sref udnie", "sref"),
    ],
)
async def test_flags_of_later_words_are_refused_where_they_differ(
    studio: Atelier, later: str, flag: str
) -> None:
    stops = (MorphStop(prompt="an owl --ar 1:1 --steps 3 --seed 7"), MorphStop(prompt=later))
    with pytest.raises(LimitReached, match=f"--{flag} "):
        await studio.morph(MEMBER, stops, WEB)


async def test_words_without_flags_are_drawn_as_the_first(
    studio: Atelier, engine: FakeEngine
) -> None:
    first, same = "an owl --ar 1:1 --steps 3 --seed 7", "a fox --ar 1:1 --no fog --seed 7"
    prompts = (first, "a hill", same)
    await morphed(studio, [MorphStop(prompt=prompt) for prompt in prompts])
    request = engine.requests[-1]
    assert isinstance(request, Morph)
    assert (request.seed, request.drawing.steps) == (7, 3)
    assert request.drawing.width == request.drawing.height
    assert len(request.stops[2].prompt) == 2, "what is to be avoided belongs to its own words"


async def test_a_secret_in_the_words_of_a_mixture_is_kept(studio: Atelier) -> None:
    stops = (MorphStop(prompt="an owl"), MorphStop(prompt="a fox --private"))
    assert (await morphed(studio, stops)).is_private
    assert (await blended(studio, prompt="a fox --private")).is_private
    assert not (await blended(studio, prompt="a fox")).is_private


async def test_a_cancelled_morph_leaves_nothing(studio: Atelier, engine: FakeEngine) -> None:
    engine.stuck = True
    job = await studio.morph(MEMBER, STOPS, WEB)
    await studio.cancel(MEMBER, job.id)
    ended_job = await ended(studio, job)
    assert (ended_job.state, ended_job.images) == (JobState.CANCELLED, ())


async def test_uploads_and_images_are_enlarged_with_more_or_less_detail(
    studio: Atelier, engine: FakeEngine
) -> None:
    await studio.set_preferences(MEMBER, Preferences(is_private=True))
    job = await ended(studio, await studio.upscale(MEMBER, PAIR[0], WEB, factor=4, detail=0.9))
    [request] = engine.requests
    assert isinstance(request, Upscale)
    assert (request.factor, request.detail) == (4, 0.9)
    assert (job.images[0].width, job.is_private) == (360, True)
    assert "Detail: 0.9" in job.images[0].parameters
    with pytest.raises(LimitReached, match="detail"):
        await studio.upscale(MEMBER, PAIR[0], WEB, detail=1.5)


async def test_a_morph_may_be_kept_as_a_video_too(studio: Atelier, engine: FakeEngine) -> None:
    image = (await morphed(studio, video=True)).images[0]
    assert (image.is_animated, image.is_video, image.suffix) == (True, True, "mp4")
    video = await studio.image_file(MEMBER, image.id)
    assert video.startswith(VIDEO[:12])
    assert dict(read_parameters(video).others)["Frames"] == "6"
    assert (await studio.image_animation(MEMBER, image.id)).startswith(b"RIFF")
    assert (await studio.image_png(MEMBER, image.id)).startswith(b"\x89PNG")
    again = await ended(studio, await studio.make_again(MEMBER, video, WEB))
    assert again.images[0].is_video
    still = (await made(studio)).images[0]
    with pytest.raises(NotFound, match="does not move"):
        await studio.image_animation(MEMBER, still.id)


async def test_a_reroll_of_a_morph_changes_what_can_change(
    studio: Atelier, engine: FakeEngine
) -> None:
    for stops, may_differ in (
        ((MorphStop(seed=1), MorphStop(seed=2)), "stops"),
        ((MorphStop(prompt="a fox"), MorphStop(upload=PAIR[0])), "drawing"),
        ((MorphStop(seed=1), MorphStop(upload=PAIR[0])), "stops"),
    ):
        job = await morphed(studio, stops)
        await ended(studio, await studio.reroll(MEMBER, job.id, WEB))
        before, after = engine.requests[-2:]
        assert getattr(before, may_differ) != getattr(after, may_differ)
    job = await morphed(studio)
    with pytest.raises(NotAllowed, match="add words or dreams"):
        await studio.reroll(MEMBER, job.id, WEB)
