"""From prompts and buttons to images."""

import asyncio
import io
from dataclasses import replace

import pytest
from PIL import Image

from bot.errors import (
    ConfirmationNeeded,
    LimitReached,
    NotAllowed,
    NotFound,
    UnusablePicture,
    UserError,
)
from bot.prompts import PromptError, parse
from bot.studio.contract import (
    Caller,
    Destination,
    GalleryQuery,
    GalleryScope,
    GuildRules,
    JobState,
    JobView,
    Limits,
    Operation,
    Preferences,
    Restyling,
    StyleChoice,
)
from bot.studio.pictures import JOB_KEY
from bot.studio.studio import Atelier
from bot.wording import translated
from engine.api import (
    EngineError,
    GenerationParameters,
    ImageToImage,
    Request,
    StyleReference,
    Stylize,
    TextToImage,
    Upscale,
    read_parameters,
)
from engine.media.png import encode_png, with_parameters
from engine.testing import FakeEngine
from tests.integration.bot.studio.conftest import (
    ADMIN,
    MEMBER,
    OTHER,
    QUICK,
    WEB,
    Open,
    ended,
    made,
)


def picture(size: tuple[int, int] = (90, 60), kind: str = "JPEG") -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, "teal").save(file, kind)
    return file.getvalue()


async def test_a_prompt_becomes_images_with_consecutive_seeds(studio: Atelier, engine) -> None:
    job = await made(studio, "a red fox --seed 40 --no text")
    assert job.state is JobState.FINISHED
    assert [image.seed for image in job.images] == [40, 41]
    assert [(i.width, i.height, i.prompt) for i in job.images] == [(64, 64, job.prompt)] * 2
    [request] = engine.requests
    assert isinstance(request, TextToImage)
    assert [(part.text, part.weight) for part in request.prompt] == [
        ("a red fox", 1),
        ("text", -0.5),
    ]


async def test_relaxed_jobs_are_drawn_after_all_others_unless_the_prompt_says_fast(
    open_here: Open, engine: FakeEngine
) -> None:
    async with open_here(slots=1) as studio:
        await studio.set_preferences(MEMBER, Preferences(flags="--relax"))
        engine.stuck = True
        [first] = await studio.imagine(OTHER, "first" + QUICK, WEB)
        while not engine.running:
            await asyncio.sleep(0.01)
        [relaxed] = await studio.imagine(MEMBER, "relaxed" + QUICK, WEB)
        [fast] = await studio.imagine(MEMBER, "fast --fast" + QUICK, WEB)
        [usual] = await studio.imagine(OTHER, "usual" + QUICK, WEB)
        engine.stuck = False
        for job, caller in ((first, OTHER), (relaxed, MEMBER), (fast, MEMBER), (usual, OTHER)):
            await ended(studio, job, caller)
    drawn = [one.prompt[0].text for one in engine.requests if isinstance(one, TextToImage)]
    assert (drawn[0], set(drawn[1:3]), drawn[3]) == ("first", {"fast", "usual"}, "relaxed")


async def test_the_png_says_what_made_it(studio: Atelier) -> None:
    job = await made(studio, "a (red:1.3) fox --no text --chaos 20")
    parameters = read_parameters(await studio.image_png(MEMBER, f"{job.id}:1"))
    assert parameters is not None
    assert parameters.prompt == "a (red:1.3) fox"
    assert (parameters.negative_prompt, parameters.steps) == ("text", 3)
    assert parameters.seed == job.seed + 1
    assert ("Chaos", "20") in parameters.others
    assert ("Version", "Atelier fake") in parameters.others
    assert job.images[1].parameters == parameters.to_text()
    assert job.images[0].alt_text == "Image made from the words: a red fox"


async def test_a_thumbnail_is_a_small_webp(studio: Atelier) -> None:
    [job] = await studio.imagine(MEMBER, "a fox --size 512x256 --images 1 --steps 1", WEB)
    await ended(studio, job)
    small = Image.open(io.BytesIO(await studio.thumbnail(MEMBER, f"{job.id}:0")))
    assert (small.format, small.size) == ("WEBP", (384, 192))


async def test_permutations_make_a_job_each_and_many_are_asked_about(studio: Atelier) -> None:
    jobs = await studio.imagine(MEMBER, "a {red, blue} fox" + QUICK, WEB)
    assert [job.prompt for job in jobs] == [f"a {c} fox{QUICK}" for c in ("red", "blue")]
    many = "a {red, blue, green} {fox, cat}" + QUICK
    with pytest.raises(ConfirmationNeeded) as asked:
        await studio.imagine(MEMBER, many, WEB)
    assert asked.value.count == 6
    assert len(await studio.imagine(MEMBER, many, WEB, confirmed=True)) == 6
    with pytest.raises(LimitReached, match="12 jobs, and 10"):
        await studio.imagine(MEMBER, "{a,b,c,d} {1,2,3}", WEB, confirmed=True)


async def test_repeated_jobs_never_draw_the_same_image_twice(studio: Atelier) -> None:
    jobs = await studio.imagine(MEMBER, "a fox --seed 100 --repeat 3" + QUICK, WEB)
    assert [job.prompt for job in jobs] == [
        "a fox --seed 100" + QUICK,
        f"a fox{QUICK} --seed 102",
        f"a fox{QUICK} --seed 104",
    ]
    assert [job.seed for job in jobs] == [100, 102, 104]


@pytest.mark.parametrize(
    ("text", "error", "says"),
    [
        ("a fox --model nosuch", NotFound, "nosuch"),
        ("a fox --sampler eular", NotFound, "euler"),
        ("a fox --size 2048x2048", LimitReached, "too large"),
        ("a fox --lora nosuch:1", NotFound, "nosuch"),
        ("a fox --sref nosuch", NotFound, "nosuch"),
        ("a fox --sref udnie::0", LimitReached, "style_references need a positive weight"),
        ("https://example.com/a.png a fox", NotAllowed, "attach"),
        ("a fox --chaos 900", PromptError, "100"),
        ("", PromptError, "nothing to show"),
    ],
)
async def test_what_cannot_be_made_is_refused_at_once_with_a_cure(
    studio: Atelier, text: str, error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        await studio.imagine(MEMBER, text, WEB)
    assert (await studio.history(MEMBER))[0] == ()


async def test_a_picture_is_where_the_images_begin(studio: Atelier, engine: FakeEngine) -> None:
    [job] = await studio.imagine(MEMBER, "--strength 0.3 --steps 2", WEB, source=picture())
    assert (await ended(studio, job)).state is JobState.FINISHED
    [request] = engine.requests
    assert isinstance(request, ImageToImage)
    assert request.strength == 0.3
    assert request.source.startswith(b"\x89PNG")
    assert request.width > request.height, "the picture's own shape is kept"


async def test_images_of_the_gallery_come_along_by_their_ids(studio: Atelier, engine) -> None:
    fox, owl = [(await made(studio, text)).images[0] for text in ("a fox", "an owl")]
    job = await made(studio, "a wolf", source=fox.id, style=f"{owl.job_id}:0")
    drawn = engine.requests[-1]
    assert isinstance(drawn, ImageToImage)
    assert drawn.source == await studio.image_png(MEMBER, fox.id)
    assert [one.image for one in drawn.style_references] == [await studio.image_png(MEMBER, owl.id)]
    assert (job.operation, job.parent_id) == (Operation.IMAGINE, fox.id)
    assert {image.parent_id for image in job.images} == {fox.id}


async def test_what_begins_with_ones_own_secret_is_one_unless_the_prompt_says_otherwise(
    studio: Atelier,
) -> None:
    secret = (await made(studio, "a fox --private")).images[0].id
    assert (await made(studio, "an owl", source=secret)).is_private
    assert (await made(studio, "an owl", style=secret)).is_private
    assert not (await made(studio, "an owl --public", source=secret)).is_private
    with pytest.raises(ConfirmationNeeded) as question:
        await studio.imagine(MEMBER, "an {a, b, c, d, e} owl", WEB, source=secret)
    assert question.value.is_private
    with pytest.raises(NotFound):
        await made(studio, "an owl", OTHER, source=secret)


async def test_what_is_no_picture_is_refused(studio: Atelier) -> None:
    with pytest.raises(UnusablePicture):
        await studio.imagine(MEMBER, "a fox", WEB, source=b"GIF89a, or so it says")


async def test_only_links_to_discords_files_are_fetched(studio: Atelier, engine) -> None:
    fetched = []

    async def fetch(link: str, locale: str) -> bytes:
        fetched.append((link, locale))
        return picture()

    studio.register_fetcher(fetch)
    link = "https://cdn.discordapp.com/attachments/1/2/a.png"
    [job] = await studio.imagine(MEMBER, f"{link} a fox --sref {link}::2" + QUICK, WEB)
    assert (await ended(studio, job)).state is JobState.FINISHED
    assert fetched == [(link, MEMBER.locale)] * 2
    assert isinstance(engine.requests[0], ImageToImage)
    assert engine.requests[0].style_references[0].weight == 2
    for elsewhere in ("https://cdn.discordapp.com.evil.example/a.png", "http://localhost/a.png"):
        with pytest.raises(NotAllowed):
            await studio.imagine(MEMBER, f"{elsewhere} a fox", WEB)
    assert len(fetched) == 2


async def test_preferences_count_where_nothing_was_typed(studio: Atelier, engine) -> None:
    await studio.set_guild_preferences(ADMIN, Preferences(aspect="1:1", image_count=1))
    await studio.set_preferences(
        MEMBER, Preferences(aspect="2:1", flags="--steps 2 --no text", preset="watercolor")
    )
    for text in ("a fox", "a fox --ar 1:2 --steps 4"):
        await ended(studio, (await studio.imagine(MEMBER, text, WEB))[0])
    usual, typed = engine.requests
    assert usual.width > usual.height
    assert typed.width < typed.height
    assert (usual.steps, typed.steps, usual.image_count) == (2, 4, 1)
    assert "watercolo" in usual.prompt[0].text
    assert usual.prompt[-1].weight < 0


async def test_usual_looks_count_where_none_is_typed(studio: Atelier, engine) -> None:
    await studio.set_preferences(MEMBER, Preferences(flags="--sref udnie::2 --sw 300"))
    await made(studio)
    await made(studio, "a fox --sref great-wave")
    usual, typed = engine.requests
    assert [(one.preset, one.weight) for one in usual.style_references] == [("udnie", 2)]
    assert [one.preset for one in typed.style_references] == ["great-wave"]
    assert (usual.style_weight, typed.style_weight) == (300, 300)


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        ("glossy 3D --sref udnie", "'glossy 3D'; choose a preset"),
        ("https://cdn.discordapp.com/a.png", "only flags"),
        ("--chaos 5 --repeat 2", "type it in the prompt"),
        ("--sref https://cdn.discordapp.com/a.png", "save the style"),
        ("--sref nonsense", "no style called nonsense"),
        ("--sampler eulr", "did you mean euler"),
        ("--lora nonsense:1", "no LoRA called nonsense"),
        ("--model nonsense", "nonsense"),
    ],
)
async def test_flags_that_could_not_act_on_each_prompt_are_no_defaults(
    studio: Atelier, flags: str, says: str
) -> None:
    with pytest.raises(UserError, match=says):
        await studio.set_preferences(MEMBER, Preferences(flags=flags))
    with pytest.raises(UserError, match=says):
        await studio.set_guild_preferences(ADMIN, Preferences(flags=flags))


async def test_a_servers_usual_look_is_one_that_all_may_use(studio: Atelier) -> None:
    await studio.save_style(ADMIN, "ours", picture())
    usual = Preferences(flags="--sref ours")
    with pytest.raises(NotFound, match="ours"):
        await studio.set_guild_preferences(ADMIN, usual)
    await studio.share_style(ADMIN, "ours", on=True)
    await studio.set_guild_preferences(ADMIN, usual)
    assert (await made(studio)).state is JobState.FINISHED


async def test_a_default_that_cannot_be_used_here_is_left_out_and_said_so(
    studio: Atelier, engine: FakeEngine
) -> None:
    await studio.save_style(ADMIN, "ours", picture())
    await studio.share_style(ADMIN, "ours", on=True)
    for_all = Preferences(flags="--sref ours udnie --chaos 20")
    await studio.set_guild_preferences(ADMIN, for_all)
    assert (await made(studio)).reason == ""
    await studio.rename_style(ADMIN, "ours", "mine")
    job = await made(studio)
    told = "Of the defaults this can't be used here and was left out: --sref ours."
    assert (job.state, job.reason) == (JobState.FINISHED, told)
    assert "已略去：--sref ours。" in translated(job.reason, "zh-CN")
    assert [one.preset for one in engine.requests[-1].style_references] == ["udnie"]
    assert engine.requests[-1].chaos == 20
    await studio.set_guild_preferences(ADMIN, replace(for_all, image_count=2))
    with pytest.raises(NotFound, match="ours"):
        await studio.set_guild_preferences(ADMIN, replace(for_all, flags="--sref ours"))


async def test_a_default_model_that_is_gone_gives_way_to_the_usual_one(
    studio: Atelier, engine: FakeEngine
) -> None:
    stored = {"model": "gone", "flags": "--lora lost:0.5 --model old --steps 3"}
    await studio._house._members.set_preferences(MEMBER.owner_id, stored, studio._now())
    [job] = await studio.imagine(MEMBER, "a fox --images 1", WEB)
    job = await ended(studio, job)
    assert job.model == studio.catalogue.default.name
    assert job.reason.endswith("--model gone --lora lost --model old.")
    assert engine.requests[0].steps == 3
    assert await studio.stylize(MEMBER, picture(), [StyleChoice(name="udnie")], WEB)


async def test_default_flags_of_an_older_grammar_keep_nobody_from_drawing(
    studio: Atelier,
) -> None:
    stored = {"flags": "--no-such-flag 5"}
    await studio._house._members.set_preferences(MEMBER.owner_id, stored, studio._now())
    assert (await made(studio)).reason.endswith("left out: --no-such-flag 5.")


async def test_an_image_may_be_the_usual_look_as_long_as_it_may_be_seen(
    studio: Atelier, engine: FakeEngine
) -> None:
    shown, secret = (await made(studio)).images[0], (await made(studio, "a --private")).images[0]
    await studio.set_guild_preferences(ADMIN, Preferences(flags=f"--sref {shown.id}"))
    with pytest.raises(NotFound, match=secret.id):
        await studio.set_guild_preferences(ADMIN, Preferences(flags=f"--sref {secret.id}"))
    await studio.set_preferences(MEMBER, Preferences(flags=f"--sref {secret.id}"))
    assert (await made(studio)).is_private, "as all that is made of a secret"
    assert (await made(studio, caller=OTHER)).reason == ""
    assert len(engine.requests[-1].style_references) == 1
    await studio.delete(MEMBER, shown.id)
    assert shown.id in (await made(studio, caller=OTHER)).reason
    assert engine.requests[-1].style_references == ()


async def test_privacy_is_decided_by_flag_then_face_then_preference(studio: Atelier) -> None:
    await studio.set_preferences(MEMBER, Preferences(is_private=True))
    typed = [("a", None, True), ("a --public", None, False), ("a", False, False)]
    typed += [("a --public", True, False), ("a --private", False, True)]
    for text, asked, is_private in typed:
        [job] = await studio.imagine(MEMBER, text, WEB, is_private=asked)
        assert job.is_private is is_private


async def test_a_servers_usual_flag_makes_nothing_public_that_somebody_hides(
    studio: Atelier,
) -> None:
    await studio.set_guild_preferences(ADMIN, Preferences(flags="--public"))
    assert not (await made(studio)).is_private
    assert (await made(studio, is_private=True)).is_private
    secret = await made(studio, "a secret --private")
    assert (await made(studio, "an owl", source=secret.images[0].id)).is_private
    remixed = await studio.reroll(MEMBER, secret.id, WEB, text="an owl" + QUICK)
    assert remixed.is_private
    await studio.set_preferences(MEMBER, Preferences(is_private=True))
    assert (await made(studio)).is_private


async def more_of(studio: Atelier, caller: Caller, job: JobView) -> list[JobView]:
    """One of each job that is made from a restyled image or its job, nothing said of privacy."""
    image_id = job.images[0].id
    png = await studio.image_png(caller, image_id)
    foreign = GenerationParameters(prompt="a fox", steps=2, seed=5, width=64, height=64)
    described = encode_png(Image.new("RGB", (8, 8)), foreign)
    return [
        await studio.vary(caller, image_id, WEB, is_strong=True),
        await studio.upscale(caller, image_id, WEB),
        await studio.compare_strengths(caller, image_id, WEB),
        await studio.stylize(caller, image_id, [StyleChoice(name="udnie")], WEB),
        await studio.reroll(caller, job.id, WEB),
        await studio.reroll(caller, job.id, WEB, text="an owl" + QUICK),
        await studio.make_again(caller, png, WEB),
        await studio.make_again(caller, described, WEB),
    ]


async def restyled(studio: Atelier) -> JobView:
    job = await studio.stylize(MEMBER, picture(), [StyleChoice(name="udnie")], WEB)
    return await ended(studio, job)


async def test_what_is_made_in_direct_messages_is_private_unless_said_otherwise(
    studio: Atelier,
) -> None:
    job, direct = await restyled(studio), Caller(owner_id=MEMBER.owner_id)
    assert all(one.is_private for one in await more_of(studio, direct, job))
    assert (await made(studio, caller=direct)).is_private
    assert not (await made(studio, "a fox --public", caller=direct)).is_private
    await studio.set_preferences(direct, Preferences(is_private=False))
    assert not any(one.is_private for one in await more_of(studio, direct, job))
    operator = Caller(owner_id=0, is_admin=True)
    assert not (await made(studio, caller=operator)).is_private


async def test_what_is_made_in_a_secluded_channel_is_not_for_the_whole_server(
    studio: Atelier,
) -> None:
    job, secluded = await restyled(studio), replace(MEMBER, channel_id=71, secluded_in=71)
    await studio.set_preferences(MEMBER, Preferences(is_private=False))
    drawn = await made(studio, "for some", caller=secluded)
    for one in (drawn, *await more_of(studio, secluded, job)):
        assert one.is_private
        assert "not for everybody" in one.reason
        with pytest.raises(NotFound):
            await studio.job(OTHER, one.id)
    shown = await studio.gallery(OTHER, GalleryQuery(scope=GalleryScope.GUILD, text="some"))
    assert shown.images == ()
    for text, asked in (("a fox --public", None), ("a fox", False)):
        public = await made(studio, text, caller=secluded, is_private=asked)
        assert (public.is_private, public.reason) == (False, "")
    idle = await made(studio, "a fox --sw 50", caller=secluded)
    assert all(told in idle.reason for told in ("not for everybody", "--sw had no effect"))
    assert "--sw 没有作用" in translated(idle.reason, "zh-CN")
    secret = await made(studio, "a secret --private", caller=secluded)
    assert (secret.is_private, secret.reason) == (True, "")


async def test_who_is_in_a_secluded_channel_sees_and_varies_what_is_made_there(
    studio: Atelier,
) -> None:
    mine, theirs = (replace(who, channel_id=71, secluded_in=71) for who in (MEMBER, OTHER))
    drawn = await made(studio, "for some", caller=mine)
    assert (await studio.job(theirs, drawn.id)).images == drawn.images
    query = GalleryQuery(scope=GalleryScope.GUILD, text="some")
    assert len((await studio.gallery(theirs, query)).images) == len(drawn.images)
    place = Destination(face="web", address={"to": "all"}, secluded_address={"to": "some"})
    for caller in (mine, theirs):
        again = await studio.reroll(caller, drawn.id, place)
        assert again.destination.address == {"to": "some"}, "it goes to the channel as well"
    elsewhere = replace(theirs, channel_id=72, secluded_in=72)
    for caller in (elsewhere, OTHER, replace(theirs, guild_id=(MEMBER.guild_id or 0) + 1)):
        with pytest.raises(NotFound):
            await studio.image(caller, drawn.images[0].id)
    moved = await studio.reroll(replace(mine, channel_id=72, secluded_in=72), drawn.id, place)
    assert moved.destination.address == {"to": "all"}, "elsewhere it is one's own secret"
    await studio.publish(MEMBER, drawn.images[0].id, is_private=True)
    with pytest.raises(NotFound):
        await studio.image(theirs, drawn.images[0].id)


async def test_a_job_that_only_its_channel_makes_private_goes_to_an_address_of_its_own(
    studio: Atelier,
) -> None:
    place = Destination(face="web", address={"to": "all"}, secluded_address={"to": "some"})
    secluded = replace(MEMBER, secluded_in=71)
    for caller, text, told in (
        (secluded, "a fox", "some"),
        (secluded, "a fox --private", "all"),
        (secluded, "a fox --public", "all"),
        (MEMBER, "a fox", "all"),
    ):
        [job] = await studio.imagine(caller, text + QUICK, place)
        assert job.destination == Destination(face="web", address={"to": told})


@pytest.mark.parametrize("caller", [MEMBER, OTHER])
async def test_who_set_private_makes_private_pictures_from_public_ones_too(
    studio: Atelier, caller: Caller
) -> None:
    job = await restyled(studio)
    assert not any(one.is_private for one in await more_of(studio, caller, job))
    await studio.set_preferences(caller, Preferences(is_private=True))
    assert all(one.is_private for one in await more_of(studio, caller, job))


async def test_a_job_whose_pictures_are_all_locked_is_repeated_in_private(
    studio: Atelier,
) -> None:
    job = await made(studio)
    for image, is_secret in zip(job.images, (False, True), strict=True):
        await studio.publish(MEMBER, image.id, is_private=True)
        assert (await studio.reroll(MEMBER, job.id, WEB)).is_private is is_secret


async def test_quality_and_draft_change_the_steps(studio: Atelier, engine: FakeEngine) -> None:
    usual = studio.catalogue.default
    drafts = studio.catalogue.info(usual.draft_model)
    for flags in ("--quality 0.5", "--draft", "--steps 7"):
        await ended(studio, (await studio.imagine(MEMBER, f"a fox {flags}", WEB))[0])
    steps = [request.steps for request in engine.requests]
    assert steps == [round(usual.steps / 2), drafts.draft_steps, 7]


async def test_a_variation_keeps_the_seed_and_mixes_in_noise(studio: Atelier, engine) -> None:
    job = await made(studio)
    varied = await studio.vary(MEMBER, f"{job.id}:1", WEB, is_strong=True)
    varied = await ended(studio, varied)
    request = engine.requests[1]
    assert (varied.operation, varied.parent_id) == (Operation.VARY_STRONG, job.images[1].id)
    assert request.seed == job.images[1].seed
    assert request.variation_seed is not None
    again = await studio.vary(MEMBER, f"{varied.id}:0", WEB, is_strong=False)
    await ended(studio, again)
    assert isinstance(engine.requests[2], ImageToImage), "mixed noise begins with the picture"


async def test_a_reroll_says_no_seed_that_it_does_not_have(studio: Atelier) -> None:
    job = await made(studio, "a fox --seed 5 --no text")
    rerolled = await studio.reroll(MEMBER, job.id, WEB)
    assert rerolled.seed != 5
    assert rerolled.prompt == "a fox --no text" + QUICK


async def test_a_reroll_of_a_variation_is_another_variation(studio: Atelier, engine) -> None:
    job = await made(studio)
    varied = await studio.vary(MEMBER, job.images[0].id, WEB, is_strong=False)
    await ended(studio, varied)
    await ended(studio, await studio.reroll(MEMBER, varied.id, WEB))
    variation, rerolled = engine.requests[1:]
    assert rerolled.variation_seed != variation.variation_seed
    assert replace(rerolled, variation_seed=variation.variation_seed) == variation


async def test_reroll_changes_the_seed_and_remix_the_prompt_too(studio: Atelier, engine) -> None:
    job = await made(studio)
    rerolled = await ended(studio, await studio.reroll(MEMBER, job.id, WEB))
    remixed = await ended(studio, await studio.reroll(MEMBER, job.id, WEB, text="a cat" + QUICK))
    assert (rerolled.operation, remixed.operation) == (Operation.REROLL, Operation.REMIX)
    assert rerolled.prompt == job.prompt
    assert rerolled.seed != job.seed
    assert engine.requests[1].prompt == engine.requests[0].prompt
    assert engine.requests[2].prompt[0].text == "a cat"


async def test_a_repeated_job_is_remixed_by_the_text_it_shows(studio: Atelier) -> None:
    [job, _] = await studio.imagine(MEMBER, "a fox --repeat 2" + QUICK, WEB)
    assert job.prompt == "a fox" + QUICK
    remix = await studio.reroll(MEMBER, job.id, WEB, text=job.prompt)
    assert (await ended(studio, remix)).state is JobState.FINISHED


async def test_a_remix_begins_with_the_same_picture_in_its_shape(studio: Atelier, engine) -> None:
    [job] = await studio.imagine(MEMBER, "a fox --steps 2", WEB, source=picture())
    await ended(studio, job)
    for typed, strength in (("", 0.6), (" --iw 3", 1 / 3), (" --strength 0.2", 0.2)):
        remix = await studio.reroll(MEMBER, job.id, WEB, text="an owl --steps 2" + typed)
        assert (await ended(studio, remix)).reason == ""
        drawn, first = engine.requests[-1], engine.requests[0]
        assert (drawn.source, drawn.width, drawn.height) == (
            first.source,
            first.width,
            first.height,
        )
        assert drawn.strength == pytest.approx(strength)


async def test_a_remix_keeps_the_look_that_was_attached_and_takes_others_from_its_words(
    studio: Atelier, engine
) -> None:
    first = await made(studio, "a fox --sref udnie", style=picture())
    udnie, attached = engine.requests[0].style_references
    for words, looks in (
        ("an owl", (attached,)),
        ("a cat --sref udnie::1", (udnie, attached)),
    ):
        job = await studio.reroll(MEMBER, first.id, WEB, text=words + QUICK)
        await ended(studio, job)
        assert engine.requests[-1].style_references == looks


def secret_picture() -> bytes:
    """An upload that is like nothing an engine without networks draws."""
    return picture((64, 64), "PNG")


async def last_request(
    studio: Atelier, engine: FakeEngine, job: JobView, caller: Caller = OTHER
) -> Request:
    """What the engine was asked for by a job that is now ended."""
    assert (await ended(studio, job, caller)).state is JobState.FINISHED
    return engine.requests[-1]


async def taken_over(studio: Atelier, job: JobView) -> list[JobView]:
    """The ways in which somebody else runs a job again as it was."""
    image_id = job.images[0].id
    png = await studio.image_png(OTHER, image_id)
    return [
        await studio.reroll(OTHER, job.id, WEB),
        await studio.make_again(OTHER, png, WEB),
        await studio.vary(OTHER, image_id, WEB, is_strong=False),
    ]


async def test_a_remix_of_somebody_elses_restyle_begins_with_what_it_shows(
    studio: Atelier, engine: FakeEngine
) -> None:
    style = StyleChoice(upload=picture((64, 64), "WEBP"))
    job = await studio.stylize(MEMBER, secret_picture(), [style], WEB)
    [image] = (await ended(studio, job)).images
    remix = await studio.reroll(OTHER, job.id, WEB, text="x --strength 0" + QUICK)
    drawn = await last_request(studio, engine, remix)
    shown = await studio.image_png(OTHER, image.id)
    assert isinstance(drawn, ImageToImage)
    assert (drawn.source, drawn.style_references) == (shown, (StyleReference(image=shown),))
    assert (await studio.job(OTHER, remix.id)).parent_id == image.id
    own = await studio.reroll(MEMBER, job.id, WEB, text="x --strength 0" + QUICK)
    kept = await last_request(studio, engine, own, MEMBER)
    first = engine.requests[0]
    assert isinstance(first, Stylize)
    assert isinstance(kept, ImageToImage)
    assert (kept.source, kept.style_references) == (first.content, first.styles)


async def test_a_remix_of_a_public_picture_does_not_show_the_private_one_it_came_from(
    studio: Atelier, engine: FakeEngine
) -> None:
    secret = (await made(studio, "a secret --private")).images[0]
    job = await made(studio, "a fox --public --strength 0.9", source=secret.id)
    remix = await studio.reroll(OTHER, job.id, WEB, text="x --strength 0" + QUICK)
    drawn = await last_request(studio, engine, remix)
    assert isinstance(drawn, ImageToImage)
    assert drawn.source == await studio.image_png(OTHER, job.images[0].id)


async def test_running_somebody_elses_job_again_does_not_make_its_upload_ones_own(
    studio: Atelier, engine: FakeEngine
) -> None:
    [job] = await studio.imagine(MEMBER, "a fox" + QUICK, WEB, source=secret_picture())
    for again in await taken_over(studio, await ended(studio, job)):
        again = await ended(studio, again, OTHER)  # noqa: PLW2901
        remix = await studio.reroll(OTHER, again.id, WEB, text="x --strength 0" + QUICK)
        drawn = await last_request(studio, engine, remix)
        assert isinstance(drawn, ImageToImage)
        assert drawn.source == await studio.image_png(OTHER, again.images[0].id)


async def test_a_look_that_somebody_else_attached_is_taken_from_what_it_made(
    studio: Atelier, engine: FakeEngine
) -> None:
    job = await made(studio, "a fox --sref udnie", style=secret_picture())
    remix = await studio.reroll(OTHER, job.id, WEB, text="an owl" + QUICK)
    drawn = await last_request(studio, engine, remix)
    assert isinstance(drawn, TextToImage)
    shown = await studio.image_png(OTHER, job.images[0].id)
    assert drawn.style_references == (StyleReference(image=shown),)


async def test_nothing_of_an_upload_comes_from_somebody_elses_job_that_shows_no_picture(
    studio: Atelier, engine: FakeEngine
) -> None:
    engine.error = EngineError("no luck")
    [job] = await studio.imagine(
        MEMBER, "a fox" + QUICK, WEB, source=secret_picture(), style=secret_picture()
    )
    await ended(studio, job)
    engine.error = None
    remix = await studio.reroll(OTHER, job.id, WEB, text="an owl --strength 0" + QUICK)
    drawn = await last_request(studio, engine, remix)
    assert isinstance(drawn, TextToImage)
    assert drawn.style_references == ()


async def test_strengths_of_somebody_elses_restyle_are_of_the_picture_it_shows(
    studio: Atelier, engine: FakeEngine
) -> None:
    job = await studio.stylize(MEMBER, secret_picture(), [StyleChoice(name="udnie")], WEB)
    shown = (await ended(studio, job)).images[0].id
    own = await studio.compare_strengths(MEMBER, shown, WEB)
    kept = await last_request(studio, engine, own, MEMBER)
    again = (await ended(studio, await studio.reroll(OTHER, job.id, WEB), OTHER)).images[0].id
    for image_id in (shown, again):
        compared = await studio.compare_strengths(OTHER, image_id, WEB)
        drawn = await last_request(studio, engine, compared)
        assert isinstance(drawn, Stylize)
        assert isinstance(kept, Stylize)
        assert drawn.content == await studio.image_png(OTHER, image_id) != kept.content
        assert drawn.image_strengths == kept.image_strengths
        assert compared.parent_id == image_id


async def test_a_style_that_somebody_else_sent_is_not_ones_own_once_its_strengths_are_compared(
    studio: Atelier, engine: FakeEngine
) -> None:
    style = StyleChoice(upload=secret_picture())
    job = await studio.stylize(MEMBER, picture((64, 64), "WEBP"), [style], WEB)
    shown = (await ended(studio, job)).images[0].id
    compared = await ended(studio, await studio.compare_strengths(OTHER, shown, WEB), OTHER)
    assert (compared.operation, compared.parent_id) == (Operation.COMPARE, shown)
    remix = await studio.reroll(OTHER, compared.id, WEB, text="x" + QUICK)
    drawn = await last_request(studio, engine, remix)
    assert isinstance(drawn, ImageToImage)
    seen = await studio.image_png(OTHER, compared.images[0].id)
    assert drawn.style_references == (StyleReference(image=seen),)
    files = [name async for name, _ in studio.export(OTHER)]
    assert not [name for name in files if name.startswith("uploads/")]


async def test_strengths_of_what_shows_ones_own_secret_are_secret_too(studio: Atelier) -> None:
    looks, asked = [StyleChoice(name="udnie")], Restyling(is_private=False)
    for words, is_secret in (("a secret --private", True), ("a fox", False)):
        source = (await made(studio, words)).images[0].id
        job = await ended(studio, await studio.stylize(MEMBER, source, looks, WEB, asked))
        near = await studio.vary(MEMBER, job.images[0].id, WEB, is_strong=True)
        for one in (job, await ended(studio, near)):
            assert not one.is_private
            compared = await studio.compare_strengths(MEMBER, one.images[0].id, WEB)
            assert compared.is_private is is_secret
    await studio.delete(MEMBER, source)
    compared = await studio.compare_strengths(MEMBER, job.images[0].id, WEB)
    assert compared.is_private, "nothing tells any more what it began with"


async def test_strengths_that_were_hidden_are_not_made_again_by_others(
    studio: Atelier, engine: FakeEngine
) -> None:
    asked = Restyling(strengths=(0.1, 0.5, 1.0))
    job = await studio.stylize(MEMBER, secret_picture(), [StyleChoice(name="udnie")], WEB, asked)
    images = (await ended(studio, job)).images
    await studio.publish(MEMBER, images[0].id, is_private=True)
    png = await studio.image_png(OTHER, images[1].id)
    for again, caller, strengths in (
        (await studio.reroll(OTHER, job.id, WEB), OTHER, (0.5, 1.0)),
        (await studio.make_again(OTHER, png, WEB), OTHER, (0.5, 1.0)),
        (await studio.reroll(MEMBER, job.id, WEB), MEMBER, (0.1, 0.5, 1.0)),
    ):
        assert (await ended(studio, again, caller)).strengths == strengths


async def test_an_upscaled_image_is_larger_and_knows_its_parent(studio: Atelier, engine) -> None:
    job = await made(studio)
    large = await ended(studio, await studio.upscale(MEMBER, job.images[0].id, WEB, factor=4))
    [image] = large.images
    assert (image.width, image.height) == (256, 256)
    assert image.parent_id == job.images[0].id
    assert isinstance(engine.requests[1], Upscale)
    with pytest.raises(LimitReached, match="factor"):
        await studio.upscale(MEMBER, job.images[0].id, WEB, factor=3)


async def test_a_picture_of_ours_is_made_again_exactly(studio: Atelier, engine) -> None:
    job = await made(studio, "a fox --chaos 30 --weird 70")
    png = await studio.image_png(MEMBER, job.images[1].id)
    again = await ended(studio, await studio.make_again(MEMBER, png, WEB))
    assert engine.requests[1] == engine.requests[0]
    assert [image.seed for image in again.images] == [image.seed for image in job.images]


@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        ("a fox {in the snow", "a fox {in the snow"),
        ("a fox --zoom\n(at  night", "a fox --zoom (at night"),
        ("a (fox:999) at night", "a (fox:999) at night"),
    ],
)
async def test_a_foreign_prompt_that_is_no_grammar_of_ours_is_taken_as_words(
    studio: Atelier, engine, typed: str, shown: str
) -> None:
    with pytest.raises(PromptError):
        parse(typed)
    parameters = GenerationParameters(prompt=typed, steps=2, seed=5, width=64, height=64)
    png = encode_png(Image.new("RGB", (8, 8)), parameters)
    again = await ended(studio, await studio.make_again(MEMBER, png, WEB))
    assert again.state is JobState.FINISHED
    assert engine.requests[-1].prompt[0].text == shown
    assert engine.requests[-1].seed == 5
    assert parse(again.prompt).prompt == shown


async def test_a_picture_whose_record_is_gone_is_made_again_by_what_it_says(
    studio: Atelier, engine
) -> None:
    flags = " --seed 0 --no leaves, rocks --chaos 30 --weird 500 --stylize 300 --stop 80"
    flags += " --sampler heun --guidance 3 --sref udnie::2 great-wave::0.5 --sw 250"
    job = await made(studio, "a (red:1.4) fox::2 snow::1" + flags)
    varied = await studio.vary(MEMBER, job.images[0].id, WEB, is_strong=True)
    varied = await ended(studio, varied)
    images = (job.images[0], varied.images[0])
    for image, request in zip(images, tuple(engine.requests), strict=True):
        png = await studio.image_png(MEMBER, image.id)
        parameters = read_parameters(png)
        others = tuple(pair for pair in parameters.others if pair[0] != JOB_KEY)
        again = await studio.make_again(
            MEMBER, with_parameters(png, replace(parameters, others=others)), WEB
        )
        assert (await ended(studio, again)).state is JobState.FINISHED
        assert engine.requests[-1] == replace(request, image_count=1)


async def test_who_makes_a_picture_again_is_told_which_lora_is_not_here(
    studio: Atelier, engine
) -> None:
    parameters = GenerationParameters(prompt="a fox, <lora:add_detail:1>", seed=3, steps=2)
    png = encode_png(Image.new("RGB", (8, 8)), parameters)
    again = await ended(studio, await studio.make_again(MEMBER, png, WEB))
    assert again.state is JobState.FINISHED
    assert "left out: add_detail" in again.reason
    assert "add_detail" not in again.prompt


async def test_of_much_that_is_not_here_only_some_is_named(studio: Atelier) -> None:
    loras = ", ".join(f"lora{number}:1" for number in range(500))
    parameters = GenerationParameters(prompt="a fox", steps=2, others=(("Loras", loras),))
    png = encode_png(Image.new("RGB", (8, 8)), parameters)
    again = await ended(studio, await studio.make_again(MEMBER, png, WEB))
    assert "lora9, …" in again.reason
    assert "lora10" not in again.reason


async def test_who_makes_a_picture_again_is_told_whose_look_is_not_here(studio, engine) -> None:
    styles = ("Style references", "udnie:25, picture:1, https://example.org/a.png:1, udnie:-3")
    parameters = GenerationParameters(prompt="a fox", steps=2, others=(styles,))
    png = encode_png(Image.new("RGB", (8, 8)), parameters)
    again = await ended(studio, await studio.make_again(MEMBER, png, WEB))
    assert engine.requests[-1].style_references == (StyleReference(preset="udnie", weight=25),)
    assert "--sref udnie::25" in again.prompt
    assert "left out: picture" in again.reason


async def test_a_private_record_is_not_used_for_somebody_elses_make_again(studio, engine) -> None:
    job = await made(studio, "a fox --quality 2 --private")
    png = await studio.image_png(MEMBER, job.images[0].id)
    again = await studio.make_again(OTHER, png, WEB)
    assert "--quality" not in again.prompt, "only what the picture itself says"
    assert again.seed == job.seed


async def test_a_picture_without_parameters_cannot_be_made_again(studio: Atelier) -> None:
    with pytest.raises(UnusablePicture, match="original PNG"):
        await studio.make_again(MEMBER, picture(kind="PNG"), WEB)


async def test_a_saved_style_is_used_by_name(studio: Atelier, engine: FakeEngine) -> None:
    await studio.save_style(MEMBER, "Wave", picture())
    assert await studio.style_names(MEMBER) == ("wave",)
    assert await studio.style_names(OTHER) == ()
    await made(studio, "a fox --sref wave::2 random --sw 300")
    [request] = engine.requests
    assert [style.weight for style in request.style_references] == [2, 1]
    assert request.style_weight == 300


async def test_admins_decide_channels_models_and_caps(studio: Atelier) -> None:
    rules = GuildRules(
        limits=Limits(waiting=1, permutations=2),
        role_limits={5: Limits(waiting=3)},
        allowed_channels=(70,),
        allowed_models=(studio.catalogue.default.name,),
    )
    await studio.set_rules(ADMIN, rules)
    assert await studio.rules(MEMBER) == rules
    elsewhere = Caller(owner_id=1, guild_id=9, channel_id=71)
    with pytest.raises(NotAllowed, match="<#70>"):
        await studio.imagine(elsewhere, "a fox", WEB)
    with pytest.raises(LimitReached, match="3 jobs, and 2"):
        await studio.imagine(MEMBER, "{a, b, c}", WEB)
    with pytest.raises(NotAllowed, match="only admins"):
        await studio.set_rules(MEMBER, GuildRules())
    generous = Caller(owner_id=1, guild_id=9, channel_id=70, role_ids=(4, 5))
    with pytest.raises(LimitReached, match="may wait"):
        await studio.imagine(MEMBER, "{a, b}", WEB)
    assert len(await studio.imagine(generous, "{a, b}", WEB)) == 2


async def test_who_names_no_model_gets_one_that_is_open(studio: Atelier) -> None:
    draft = studio.catalogue.default.draft_model
    await studio.set_rules(ADMIN, GuildRules(allowed_models=("atelier-dreams", draft)))
    for usual in (None, studio.catalogue.default.name):
        await studio.set_preferences(MEMBER, Preferences(model=usual))
        assert (await made(studio)).model == draft
    with pytest.raises(NotAllowed, match="can't be used here"):
        await studio.imagine(MEMBER, f"a fox --model {studio.catalogue.default.name}", WEB)


async def test_a_model_among_default_flags_gives_way_where_it_is_not_open(
    studio: Atelier,
) -> None:
    default = studio.catalogue.default
    await studio.set_preferences(MEMBER, Preferences(flags=f"--model {default.name} --chaos 5"))
    assert (await made(studio)).reason == ""
    await studio.set_rules(ADMIN, GuildRules(allowed_models=(default.draft_model,)))
    job = await made(studio)
    assert job.model == default.draft_model
    assert job.reason.endswith(f"left out: --model {default.name}.")


async def test_a_model_that_is_open_may_draw_its_drafts(studio: Atelier) -> None:
    default = studio.catalogue.default
    await studio.set_rules(ADMIN, GuildRules(allowed_models=(default.name,)))
    [draft] = await studio.imagine(MEMBER, "a fox --draft", WEB)
    assert draft.model == default.draft_model != ""
    await studio.set_rules(ADMIN, GuildRules(allowed_models=("atelier-dreams",)))
    with pytest.raises(NotAllowed, match=default.draft_model):
        await studio.imagine(MEMBER, "a fox --draft", WEB)
