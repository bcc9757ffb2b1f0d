"""Pictures in the look of others, and the looks that members keep."""

import asyncio
import io
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from bot.errors import LimitReached, NameTaken, NotAllowed, NotFound, UnusablePicture, UserError
from bot.studio.contract import (
    Caller,
    GuildRules,
    JobState,
    JobView,
    Operation,
    Preferences,
    Restyling,
    StyleChoice,
    StyleView,
)
from bot.studio.repeats import STRONG_STRENGTH
from bot.studio.studio import Atelier
from bot.wording import translated
from engine.api import (
    ImageToImage,
    StyleLoss,
    StyleMethod,
    StyleStart,
    Stylize,
    fits_shipped,
    read_parameters,
)
from engine.models import style_versions
from engine.testing import FakeEngine
from tests.integration.bot.studio.conftest import ADMIN, MEMBER, OTHER, WEB, Open, ended, made

PAIR = (StyleChoice(name="udnie"), StyleChoice(name="great-wave"))
NIGHT = (StyleChoice(name="starry-night"),)
CHINESE = replace(MEMBER, locale="zh-CN")


def picture(
    size: tuple[int, int] = (90, 60), kind: str = "JPEG", mode: str = "RGB", **options: object
) -> bytes:
    file = io.BytesIO()
    Image.new(mode, size).save(file, kind, **options)
    return file.getvalue()


def rotated() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter
    return picture((90, 60), exif=exif)


async def restyled(studio: Atelier, content: bytes | str, styles=NIGHT, **asked: object):
    job = await studio.stylize(MEMBER, content, styles, WEB, Restyling(**asked))
    return await ended(studio, job)


async def test_a_picture_takes_the_look_of_a_painting(studio: Atelier, engine: FakeEngine) -> None:
    job = await restyled(studio, picture(), strength=0.7, seed=5)
    assert (job.state, job.operation, job.seed) == (JobState.FINISHED, Operation.STYLIZE, 5)
    [image] = job.images
    assert (image.width, image.height, image.seed) == (90, 60, 5)
    assert image.alt_text == "Restyled image: a picture, in the style of The Starry Night"
    [request] = engine.requests
    assert isinstance(request, Stylize)
    assert (request.styles[0].preset, request.strength) == ("starry-night", 0.7)


async def test_the_png_says_how_it_was_restyled(studio: Atelier) -> None:
    job = await restyled(studio, picture(), strength=0.7, method=StyleMethod.OPTIMISE)
    parameters = read_parameters(await studio.image_png(MEMBER, job.images[0].id))
    assert parameters is not None
    others = dict(parameters.others)
    assert others["Styles"] == "starry-night:1"
    assert (others["Style strength"], others["Style method"]) == ("0.7", "optimise")
    assert int(others["Iterations"]) > 0
    assert others["Style network"] == "style"


async def test_the_optimiser_takes_its_loss_and_start_and_the_network_that_is_configured(
    open_here: Open, engine: FakeEngine
) -> None:
    async with open_here(optimiser="vgg19") as studio:
        slow = {"method": StyleMethod.OPTIMISE, "loss": StyleLoss.SLICED, "start": StyleStart.NOISE}
        job = await restyled(studio, picture(), **slow)
        await restyled(studio, picture())
        optimised, fast = engine.requests
        assert isinstance(optimised, Stylize)
        assert isinstance(fast, Stylize)
        assert (optimised.network, fast.network) == ("vgg19", "style")
        assert (optimised.loss, optimised.start) == (StyleLoss.SLICED, StyleStart.NOISE)
        parameters = read_parameters(await studio.image_png(MEMBER, job.images[0].id))
        assert parameters is not None
        assert dict(parameters.others)["Style loss"] == "sliced"


@pytest.mark.parametrize(
    ("content", "size"),
    [
        (lambda: picture((16, 16)), (16, 16)),
        (lambda: picture((50, 40), mode="L"), (50, 40)),
        (lambda: picture((50, 40), mode="CMYK"), (50, 40)),
        (lambda: picture((50, 40), "PNG", "RGBA"), (50, 40)),
        (lambda: picture((50, 40), "GIF", "P"), (50, 40)),
        (rotated, (60, 90)),
        (lambda: picture((8000, 100), "PNG"), (1280, 16)),
    ],
    ids=["16 pixels", "grey", "CMYK", "alpha", "GIF", "rotated", "8000 pixels"],
)
async def test_contents_of_any_kind_are_restyled(
    studio: Atelier, content: Callable[[], bytes], size: tuple[int, int]
) -> None:
    job = await restyled(studio, content())
    assert [(image.width, image.height) for image in job.images] == [size]


@pytest.mark.parametrize(
    ("part", "name"), [("content", "the picture"), ("style", "the style"), ("mask", "the mask")]
)
async def test_a_broken_upload_is_named_and_starts_nothing(
    studio: Atelier, part: str, name: str
) -> None:
    broken = picture()[:200]
    style = StyleChoice(upload=broken) if part == "style" else NIGHT[0]
    asked = Restyling(mask=broken) if part == "mask" else Restyling()
    with pytest.raises(UnusablePicture, match=f"{name} is damaged"):
        await studio.stylize(
            MEMBER, broken if part == "content" else picture(), [style], WEB, asked
        )
    assert (await studio.history(MEMBER))[0] == ()


async def test_an_image_of_the_gallery_is_restyled_and_keeps_its_lineage(
    studio: Atelier, engine: FakeEngine
) -> None:
    drawn = await made(studio, "a red fox --chaos 20")
    job = await restyled(studio, drawn.images[1].id)
    assert job.parent_id == drawn.images[1].id
    assert job.prompt == "a red fox, in the style of The Starry Night"
    again = await restyled(studio, job.images[0].id, [StyleChoice(name="udnie")])
    assert again.prompt == "a red fox, in the style of Udnie"
    assert isinstance(engine.requests[-1], Stylize)
    assert engine.requests[-1].content == await studio.image_png(MEMBER, job.images[0].id)


async def test_several_styles_come_from_uploads_names_and_images(
    studio: Atelier, engine: FakeEngine
) -> None:
    await studio.save_style(MEMBER, "Wave", picture())
    drawn = await made(studio)
    styles = [
        StyleChoice(upload=picture((30, 30))),
        StyleChoice(name="Starry Night", weight=0.5),
        StyleChoice(name="wave"),
        StyleChoice(name=drawn.images[0].id),
    ]
    job = await restyled(studio, picture(), styles)
    request = engine.requests[-1]
    assert isinstance(request, Stylize)
    assert [bool(style.image) for style in request.styles] == [True, False, True, True]
    assert [style.weight for style in request.styles] == [1, 0.5, 1, 1]
    assert "another picture, The Starry Night, wave and the image" in job.prompt


async def test_a_private_image_stays_private_when_it_is_restyled(studio: Atelier) -> None:
    drawn = await made(studio, "a fox --private")
    assert (await restyled(studio, drawn.images[0].id)).is_private
    assert not (await restyled(studio, drawn.images[0].id, is_private=False)).is_private
    with pytest.raises(NotFound):
        await studio.stylize(OTHER, drawn.images[0].id, NIGHT, WEB)
    with pytest.raises(NotFound, match="no style called"):
        await studio.stylize(OTHER, picture(), [StyleChoice(name=drawn.images[0].id)], WEB)
    await studio.set_preferences(MEMBER, Preferences(is_private=True))
    assert (await restyled(studio, picture())).is_private


async def test_what_is_made_in_the_look_of_a_private_image_stays_private(studio: Atelier) -> None:
    secret = (await made(studio, "a fox --private")).images[0].id
    look = [StyleChoice(name="starry-night"), StyleChoice(name=secret)]
    assert (await restyled(studio, picture(), look)).is_private
    assert not (await restyled(studio, picture(), look, is_private=False)).is_private
    assert (await made(studio, f"an owl --sref {secret}")).is_private
    assert not (await made(studio, f"an owl --sref {secret} --public")).is_private
    assert not (await made(studio, "an owl --sref udnie")).is_private
    shown = (await made(studio)).images[0].id
    assert not (await made(studio, f"an owl --sref {shown}")).is_private


async def test_a_blend_shows_five_steps_on_the_newest_image(
    studio: Atelier, engine: FakeEngine
) -> None:
    with pytest.raises(NotFound, match="attach one"):
        await studio.blend_styles(MEMBER, None, PAIR, WEB)
    drawn = await made(studio)
    job = await ended(studio, await studio.blend_styles(MEMBER, None, PAIR, WEB, share=0.3))
    told = [read_parameters(await studio.image_png(MEMBER, image.id)) for image in job.images]
    weights = [dict(parameters.others)["Styles"] for parameters in told if parameters]
    assert weights[0] == "udnie:1"
    assert weights[1:4] == [
        f"udnie:{1 - share:g}, great-wave:{share:g}" for share in (0.15, 0.3, 0.65)
    ]
    assert len(job.images) == 5
    assert job.parent_id == drawn.images[-1].id
    request = engine.requests[-1]
    assert isinstance(request, Stylize)
    assert request.image_weights[2] == (0.7, 0.3)


async def newest_in_steps(studio: Atelier) -> JobView:
    """The steps of a blend that nothing was given to."""
    return await ended(studio, await studio.blend_styles(MEMBER, None, PAIR, WEB))


async def test_a_blend_goes_on_from_what_was_restyled_not_from_the_result(
    studio: Atelier, engine: FakeEngine
) -> None:
    drawn = (await made(studio, "a red fox")).images[-1]
    for _ in range(2):
        job = await newest_in_steps(studio)
        request = engine.requests[-1]
        assert isinstance(request, Stylize)
        assert request.content == await studio.image_png(MEMBER, drawn.id)
        assert job.parent_id == drawn.id
        assert job.prompt == "a red fox, in the style of Udnie and The Great Wave off Kanagawa"
    await studio.delete(MEMBER, drawn.id)
    job = await newest_in_steps(studio)
    assert isinstance(engine.requests[-1], Stylize)
    assert engine.requests[-1].content == request.content
    assert job.parent_id is None


async def test_a_blend_goes_on_from_an_upload_and_keeps_it_secret(
    studio: Atelier, engine: FakeEngine
) -> None:
    await restyled(studio, picture(), is_private=True)
    job = await newest_in_steps(studio)
    first, second = engine.requests
    assert isinstance(first, Stylize)
    assert isinstance(second, Stylize)
    assert second.content == first.content
    assert (job.parent_id, job.is_private) == (None, True)


async def test_a_blend_goes_on_from_what_moves(studio: Atelier, engine: FakeEngine) -> None:
    await restyled(studio, moving(3))
    job = await newest_in_steps(studio)
    assert all(image.is_animated for image in job.images)
    first, second = engine.requests
    assert isinstance(first, Stylize)
    assert isinstance(second, Stylize)
    assert (second.content, second.frames) == (first.content, first.frames)
    assert second.durations_ms == first.durations_ms


async def test_a_blend_takes_no_sheet_of_a_training(studio: Atelier, engine: FakeEngine) -> None:
    await ended(studio, await studio.train_style(MEMBER, "wave", picture(), WEB))
    with pytest.raises(NotFound, match="attach one"):
        await newest_in_steps(studio)
    drawn = await made(studio)
    sea = await ended(studio, await studio.train_style(MEMBER, "sea", picture(), WEB))
    again = await ended(studio, await studio.reroll(MEMBER, sea.id, WEB))
    assert again.operation is Operation.TRAIN_STYLE
    assert (await newest_in_steps(studio)).parent_id == drawn.images[-1].id


async def test_only_some_cells_are_restyled(studio: Atelier, engine: FakeEngine) -> None:
    await restyled(studio, picture((80, 80)), cells="A1-B2")
    request = engine.requests[-1]
    assert isinstance(request, Stylize)
    mask = Image.open(io.BytesIO(request.mask))
    assert mask.size == (80, 80)
    assert [mask.getpixel(place) for place in ((10, 10), (70, 10), (70, 70))] == [255, 0, 0]
    with pytest.raises(UserError, match="E9 is no cell"):
        await restyled(studio, picture(), cells="E9")
    with pytest.raises(LimitReached, match="leave one of them out"):
        await restyled(studio, picture(), cells="A1", mask=picture())


async def test_buttons_work_on_a_restyled_image(studio: Atelier, engine: FakeEngine) -> None:
    job = await restyled(studio, picture())
    image_id = job.images[0].id
    first = engine.requests[0]
    assert isinstance(first, Stylize)
    again = await ended(studio, await studio.reroll(MEMBER, job.id, WEB))
    assert again.images[0].seed != job.images[0].seed
    near = await ended(studio, await studio.vary(MEMBER, image_id, WEB, is_strong=False))
    assert len(near.images) == 4
    larger = await ended(studio, await studio.upscale(MEMBER, image_id, WEB))
    assert larger.images[0].width == 180
    png = await studio.image_png(MEMBER, image_id)
    same = await ended(studio, await studio.make_again(MEMBER, png, WEB))
    assert engine.requests[-1] == first
    assert same.images[0].seed == job.images[0].seed
    remixed = await studio.reroll(MEMBER, job.id, WEB, text="a blue fox --steps 2")
    assert (await ended(studio, remixed)).state is JobState.FINISHED
    drawn = engine.requests[-1]
    assert isinstance(drawn, ImageToImage)
    assert drawn.style_references == first.styles
    shape = studio.catalogue.default.size_for(90, 60)
    assert (drawn.width, drawn.height, drawn.strength) == (*shape, STRONG_STRENGTH)
    await ended(studio, await studio.reroll(MEMBER, remixed.id, WEB, text="an owl --steps 2"))
    assert engine.requests[-1].style_references == first.styles


async def test_diffusion_needs_a_model_that_the_server_allows(
    studio: Atelier, engine: FakeEngine
) -> None:
    default = studio.catalogue.default.name
    job = await restyled(studio, picture(), method=StyleMethod.DIFFUSION)
    assert job.model == default
    await studio.set_rules(ADMIN, GuildRules(allowed_models=(default,), allowed_channels=(70,)))
    fast = await restyled(studio, picture())
    assert fast.state is JobState.FINISHED, "the style networks are no model to choose"
    assert (await studio.vary(MEMBER, fast.images[0].id, WEB, is_strong=True)).model == "style"
    with pytest.raises(NotFound, match="nosuch"):
        await restyled(studio, picture(), method=StyleMethod.DIFFUSION, model="nosuch")
    with pytest.raises(NotAllowed, match="<#70>"):
        await studio.stylize(Caller(owner_id=1, guild_id=9, channel_id=1), picture(), NIGHT, WEB)


@pytest.mark.parametrize(
    ("asked", "error", "says"),
    [
        ({"strength": 1.5}, LimitReached, "strength"),
        ({"size": 20}, LimitReached, "size"),
        ({"variations": 9}, LimitReached, "variations must be 1 to 4"),
        ({"seed": -1}, LimitReached, "seed"),
    ],
)
async def test_values_out_of_range_are_refused_with_the_range(
    studio: Atelier, asked: dict[str, int], error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        await restyled(studio, picture(), **asked)


async def test_an_estimate_is_given_once_restyles_were_measured(studio: Atelier) -> None:
    first = await studio.stylize(MEMBER, picture(), NIGHT, WEB)
    assert first.position == 1
    await ended(studio, first)
    assert (await studio.stylize(MEMBER, picture(), NIGHT, WEB)).estimate_s is not None


# Animations


def moving(count: int, size: tuple[int, int] = (90, 60), kind: str = "GIF") -> bytes:
    frames = [Image.new("RGB", size, (37 * number % 250, 9, 9)) for number in range(count)]
    file = io.BytesIO()
    frames[0].save(file, kind, save_all=True, append_images=frames[1:], duration=40, loop=0)
    return file.getvalue()


@pytest.mark.parametrize("kind", ["GIF", "WEBP"])
async def test_an_animation_comes_back_moving(
    studio: Atelier, engine: FakeEngine, kind: str
) -> None:
    job = await restyled(studio, moving(5, (40, 30), kind))
    request = engine.requests[-1]
    assert isinstance(request, Stylize)
    assert (len(request.frames), request.durations_ms) == (4, (40,) * 5)
    [image] = job.images
    assert image.is_animated
    again = await restyled(studio, image.id)
    assert again.images[0].is_animated, "what moves in the gallery moves when it is restyled"


async def test_a_long_animation_is_thinned_and_keeps_its_length(
    studio: Atelier, engine: FakeEngine
) -> None:
    await restyled(studio, moving(100))
    request = engine.requests[-1]
    assert isinstance(request, Stylize)
    assert len(request.durations_ms) == 50
    assert sum(request.durations_ms) == 4000


async def test_animations_are_kept_small(studio: Atelier, engine: FakeEngine) -> None:
    await restyled(studio, moving(3, (900, 600)))
    request = engine.requests[-1]
    assert isinstance(request, Stylize)
    assert request.size == 480
    with pytest.raises(LimitReached, match="640 pixels"):
        await restyled(studio, moving(3), size=1024)
    with pytest.raises(UnusablePicture, match="too many frames"):
        await restyled(studio, moving(130, (16, 16)))


async def test_only_the_fast_method_restyles_what_moves(studio: Atelier) -> None:
    stored = (await restyled(studio, moving(3))).images[0].id
    for method in (StyleMethod.OPTIMISE, StyleMethod.DIFFUSION):
        for content in (moving(3), stored):
            with pytest.raises(LimitReached, match="fast method"):
                await restyled(studio, content, method=method)
        with pytest.raises(LimitReached, match="fast method"):
            await studio.blend_styles(MEMBER, None, PAIR, WEB, Restyling(method=method))


# Training


async def test_a_style_is_trained_and_named_afterwards(studio: Atelier, engine: FakeEngine) -> None:
    job = await ended(studio, await studio.train_style(MEMBER, "My Wave", picture(), WEB))
    assert (job.state, job.operation, job.is_private) == (
        JobState.FINISHED,
        Operation.TRAIN_STYLE,
        True,
    )
    assert len(job.images) == 1
    [style] = [one for one in await studio.styles(MEMBER) if not one.is_preset]
    assert (style.name, style.is_trained) == ("my-wave", True)
    await restyled(studio, picture(), [StyleChoice(name="my wave")])
    request = engine.requests[-1]
    assert isinstance(request, Stylize)
    [reference] = request.styles
    assert fits_shipped(reference.learnt)
    assert reference.is_kept
    assert reference.image == await studio.style_png(MEMBER, "my-wave")


async def test_a_learned_style_is_replaced_only_if_that_is_meant(studio: Atelier) -> None:
    await ended(studio, await studio.train_style(MEMBER, "wave", picture(), WEB))
    await studio.share_style(MEMBER, "wave", on=True)
    assert await studio.save_style(MEMBER, "wave", picture()) == "", "it is the same picture"
    other = picture((20, 20))
    with pytest.raises(NameTaken, match="wave was learned from another picture"):
        await studio.save_style(MEMBER, "wave", other)
    with pytest.raises(NameTaken, match="wave was learned from another picture"):
        await studio.train_style(MEMBER, "wave", other, WEB)
    [style] = [one for one in await studio.styles(MEMBER) if not one.is_preset]
    assert (style.is_trained, style.is_shared) == (True, True)
    told = await studio.save_style(MEMBER, "wave", other, replacing=True)
    assert "shared with nobody any more" in told
    assert "learned from the old one is gone" in told
    assert "不再分享" in translated(told, "zh")
    [style] = [one for one in await studio.styles(MEMBER) if not one.is_preset]
    assert (style.is_trained, style.is_shared) == (False, False)
    with pytest.raises(NotFound):
        await studio.style_png(OTHER, "wave")


async def test_a_kept_style_is_learned_without_its_picture_and_stays_shared(
    studio: Atelier,
) -> None:
    with pytest.raises(NotFound, match="send the picture"):
        await studio.train_style(MEMBER, "My Wave", None, WEB)
    await studio.save_style(MEMBER, "My Wave", picture())
    await studio.share_style(MEMBER, "my wave", on=True)
    before = await studio.style_png(MEMBER, "my-wave")
    with pytest.raises(NotFound, match="you keep no style called my-wave"):
        await studio.train_style(OTHER, "my-wave", None, WEB)
    for _ in range(2):
        job = await ended(studio, await studio.train_style(MEMBER, "My Wave", None, WEB))
        assert (job.state, job.reason) == (JobState.FINISHED, "")
    [style] = [one for one in await studio.styles(OTHER) if not one.is_preset]
    assert (style.is_trained, style.is_shared) == (True, True)
    assert await studio.style_png(MEMBER, "my-wave") == before


async def test_images_of_the_gallery_are_kept_and_learned_without_what_they_say_of_themselves(
    studio: Atelier,
) -> None:
    drawn = await made(studio, "a secret fox --private")
    await studio.save_style(MEMBER, "fox", drawn.images[0].id)
    kept = await studio.style_png(MEMBER, "fox")
    assert b"secret" not in kept
    assert Image.open(io.BytesIO(kept)).size == (64, 64)
    job = await studio.train_style(MEMBER, "learnt", f"{drawn.id}:1", WEB)
    assert (await ended(studio, job)).state is JobState.FINISHED
    for attempt in (
        studio.save_style(OTHER, "fox", drawn.images[0].id),
        studio.train_style(OTHER, "fox", drawn.images[0].id, WEB),
    ):
        with pytest.raises(NotFound, match="no such image"):
            await attempt


async def test_a_style_is_renamed_to_what_can_be_a_name(studio: Atelier) -> None:
    await studio.save_style(MEMBER, "wave", picture())
    await studio.rename_style(MEMBER, "Wave", "High Tide")
    assert await studio.style_names(MEMBER) == ("high-tide",)
    with pytest.raises(UserError, match="ships"):
        await studio.rename_style(MEMBER, "high-tide", "Udnie")
    with pytest.raises(NotFound, match="keep no style"):
        await studio.rename_style(OTHER, "high-tide", "mine")


async def test_a_shared_style_that_learns_another_picture_is_shared_no_more_and_says_so(
    studio: Atelier,
) -> None:
    await studio.save_style(MEMBER, "wave", picture())
    await studio.share_style(MEMBER, "wave", on=True)
    job = await ended(studio, await studio.train_style(MEMBER, "wave", picture(), WEB))
    assert job.reason == ""
    assert (await studio.styles(OTHER))[0].is_shared
    again = await studio.train_style(MEMBER, "wave", picture((20, 20)), WEB, replacing=True)
    assert "shared with nobody any more" in (await ended(studio, again)).reason
    assert all(style.is_preset for style in await studio.styles(OTHER))


def own_styles(styles: Iterable[StyleView]) -> dict[str, tuple[bool, bool]]:
    """Of each style that is kept whether it is learnt, and shared here."""
    return {one.name: (one.is_trained, one.is_shared) for one in styles if not one.is_preset}


async def test_what_is_learned_replaces_no_style_that_was_kept_meanwhile(
    studio: Atelier, engine: FakeEngine
) -> None:
    engine.stuck = True
    await studio.save_style(MEMBER, "gone", picture())
    jobs = [
        await studio.train_style(MEMBER, name, picture(), WEB) for name in ("wave", "gone", "new")
    ]
    await studio.save_style(MEMBER, "wave", picture((20, 20)))
    await studio.share_style(MEMBER, "wave", on=True)
    await studio.delete_style(MEMBER, "gone")
    engine.stuck = False
    told = [(await ended(studio, job)).reason for job in jobs]
    assert told == [
        "wave is another style by now; what was learned is kept as wave-2.",
        "There was no style called gone any more; what was learned is kept under that name.",
        "",
    ]
    assert own_styles(await studio.styles(MEMBER)) == {
        "gone": (True, False),
        "new": (True, False),
        "wave": (False, True),
        "wave-2": (True, False),
    }


async def test_no_file_of_what_a_training_replaces_stays(studio: Atelier, tmp_path: Path) -> None:
    await studio.save_style(MEMBER, "wave", picture())
    [replaced] = (tmp_path / "images").rglob("*.png")
    await ended(studio, await studio.train_style(MEMBER, "wave", picture((20, 20)), WEB))
    async with asyncio.timeout(10):
        while replaced.exists():
            await asyncio.sleep(0.01)


async def test_a_training_that_is_run_again_takes_nothing_from_a_newer_style_unasked(
    studio: Atelier,
) -> None:
    job = await ended(studio, await studio.train_style(MEMBER, "wave", picture(), WEB))
    sheet = await studio.image_png(MEMBER, job.images[0].id)
    newer = await studio.train_style(MEMBER, "wave", picture((20, 20)), WEB, replacing=True)
    await ended(studio, newer)
    for attempt in (studio.reroll(MEMBER, job.id, WEB), studio.make_again(MEMBER, sheet, WEB)):
        with pytest.raises(NameTaken, match="wave was learned from another picture"):
            await attempt
    await studio.delete_style(MEMBER, "wave")
    await studio.save_style(MEMBER, "wave", picture((20, 20)))
    await studio.share_style(MEMBER, "wave", on=True)
    again = await ended(studio, await studio.reroll(MEMBER, job.id, WEB))
    assert "shared with nobody any more" in again.reason
    assert own_styles(await studio.styles(MEMBER)) == {"wave": (True, False)}


async def test_what_was_learned_for_somebody_else_is_not_learned_again(studio: Atelier) -> None:
    job = await ended(studio, await studio.train_style(MEMBER, "wave", picture(), WEB))
    await studio.publish(MEMBER, job.images[0].id, is_private=False)
    sheet = await studio.image_png(OTHER, job.images[0].id)
    for attempt in (studio.reroll(OTHER, job.id, WEB), studio.make_again(OTHER, sheet, WEB)):
        with pytest.raises(NotAllowed, match="learned for somebody else"):
            await attempt
    assert own_styles(await studio.styles(OTHER)) == {}


async def test_a_training_waits_for_all_else_and_can_be_cancelled(
    studio: Atelier, engine: FakeEngine
) -> None:
    engine.stuck = True
    job = await studio.train_style(MEMBER, "wave", picture(), WEB)
    assert (await studio.cancel(MEMBER, job.id)).state is JobState.CANCELLED
    engine.stuck = False
    assert all(style.is_preset for style in await studio.styles(MEMBER))


async def test_a_training_survives_the_end_of_its_process(
    open_here: Open, engine: FakeEngine
) -> None:
    engine.stuck = True
    async with open_here() as first:
        job = await first.train_style(MEMBER, "wave", picture(), WEB)
        while not engine.requests:
            await asyncio.sleep(0.01)
    engine.stuck = False
    async with open_here() as second:
        assert (await ended(second, job)).state is JobState.FINISHED
        assert engine.requests[0] == engine.requests[1], "so that the engine finds its notes"
        assert (await second.styles(MEMBER))[0].is_trained


async def test_a_style_whose_lesson_is_lost_is_listed_as_one_to_learn_again_and_still_used(
    studio: Atelier, tmp_path: Path
) -> None:
    await ended(studio, await studio.train_style(MEMBER, "wave", picture(), WEB))
    for lesson in (tmp_path / "images").rglob("*.safetensors"):
        lesson.unlink()
    [own] = [style for style in await studio.styles(MEMBER) if not style.is_preset]
    assert (own.name, own.is_outdated) == ("wave", True)
    assert (await restyled(studio, picture(), [StyleChoice(name="wave")])).images
    assert (await made(studio, "a fox --sref random")).state is JobState.FINISHED


async def test_who_uses_what_was_learned_for_an_older_network_is_told_what_to_do(
    studio: Atelier, monkeypatch: pytest.MonkeyPatch
) -> None:
    await ended(studio, await studio.train_style(MEMBER, "wave", picture(), WEB))
    looks = [StyleChoice(name="wave")]
    assert (await restyled(studio, picture(), looks)).reason == ""
    assert not (await studio.styles(MEMBER))[0].is_outdated
    monkeypatch.setattr(style_versions, "shipped_version", lambda: "another")
    monkeypatch.setattr(studio._house, "_fitting", {})  # as after a restart
    assert (await studio.styles(MEMBER))[0].is_outdated
    told = (await restyled(studio, picture(), looks)).reason
    assert "newer network" in told
    assert "新网络" in translated(told, "zh-CN")
    drawn = await studio.imagine(MEMBER, "a fox --sref wave --images 1", WEB)
    assert "newer network" in (await ended(studio, drawn[0])).reason
    slow = await restyled(studio, picture(), looks, method=StyleMethod.OPTIMISE)
    assert slow.reason == "", "the optimiser never used it"


async def test_what_can_not_be_trained_is_refused(studio: Atelier) -> None:
    with pytest.raises(UserError, match="ships"):
        await studio.train_style(MEMBER, "udnie", picture(), WEB)
    with pytest.raises(UnusablePicture, match="the style is damaged"):
        await studio.train_style(MEMBER, "wave", picture()[:200], WEB)


# The library


async def test_a_library_holds_saved_styles_and_paintings(studio: Atelier) -> None:
    await studio.save_style(MEMBER, "My Wave", picture())
    found = await studio.styles(MEMBER)
    assert found[0].name == "my-wave"
    assert not found[0].is_preset
    assert sum(style.is_preset for style in found) == 8
    assert "梵高" in next(s for s in await studio.styles(CHINESE) if s.name == "starry-night").title
    assert (await studio.style_png(MEMBER, "my wave")).startswith(b"\x89PNG")


async def test_a_style_is_shared_with_a_server_and_taken_back(studio: Atelier) -> None:
    await studio.save_style(MEMBER, "wave", picture())
    with pytest.raises(NotFound, match="great-wave"):
        await studio.style_png(OTHER, "wave")
    await studio.share_style(MEMBER, "wave", on=True)
    await studio.style_png(OTHER, "wave")
    assert (await studio.styles(OTHER))[0].is_shared
    with pytest.raises(NotFound, match="keep no style"):
        await studio.delete_style(OTHER, "wave")
    with pytest.raises(NotFound, match="keep no style"):
        await studio.share_style(OTHER, "wave", on=False)
    await studio.share_style(MEMBER, "wave", on=False)
    assert all(style.is_preset for style in await studio.styles(OTHER))
    for on in (True, False):
        with pytest.raises(NotAllowed, match="server"):
            await studio.share_style(Caller(owner_id=1), "wave", on=on)


async def test_sharing_with_one_server_takes_nothing_from_another(studio: Atelier) -> None:
    elsewhere = replace(MEMBER, guild_id=10)
    await studio.save_style(MEMBER, "wave", picture())
    with pytest.raises(NotFound, match="shared with nobody"):
        await studio.share_style(MEMBER, "wave", on=False)
    await studio.share_style(MEMBER, "wave", on=True)
    with pytest.raises(NotFound, match=r"not shared with this server but with others \(1\)"):
        await studio.share_style(elsewhere, "wave", on=False)
    assert not (await studio.styles(elsewhere))[0].is_shared
    await studio.share_style(elsewhere, "wave", on=True)
    await studio.share_style(elsewhere, "wave", on=False)
    await studio.style_png(OTHER, "wave")


async def test_admins_take_a_style_out_of_their_server_alone(studio: Atelier) -> None:
    stranger = replace(ADMIN, guild_id=10)
    await studio.save_style(MEMBER, "wave", picture())
    for caller in (MEMBER, replace(MEMBER, guild_id=10)):
        await studio.share_style(caller, "wave", on=True)
    await studio.share_style(ADMIN, "wave", on=False)
    with pytest.raises(NotFound):
        await studio.style_png(OTHER, "wave")
    await studio.style_png(stranger, "wave")
    await studio.style_png(MEMBER, "wave")


async def test_a_name_that_is_shared_here_already_can_not_be_shared_again(studio: Atelier) -> None:
    for caller in (MEMBER, OTHER):
        await studio.save_style(caller, "wave", picture((90, 60 + caller.owner_id)))
    await studio.share_style(MEMBER, "wave", on=True)
    with pytest.raises(NameTaken, match="rename yours first"):
        await studio.share_style(OTHER, "wave", on=True)
    assert await studio.style_png(ADMIN, "wave") == await studio.style_png(MEMBER, "wave")


async def test_a_deleted_style_is_gone_but_what_it_made_can_be_made_again(
    studio: Atelier, engine: FakeEngine
) -> None:
    await studio.save_style(MEMBER, "wave", picture())
    job = await restyled(studio, picture(), [StyleChoice(name="wave")])
    await studio.delete_style(MEMBER, "Wave")
    with pytest.raises(NotFound):
        await studio.stylize(MEMBER, picture(), [StyleChoice(name="wave")], WEB)
    assert (await ended(studio, await studio.reroll(MEMBER, job.id, WEB))).images


async def test_a_painting_keeps_its_name_and_has_a_small_picture(studio: Atelier) -> None:
    with pytest.raises(UserError, match="ships"):
        await studio.save_style(MEMBER, "Starry Night", picture())
    assert Image.open(io.BytesIO(await studio.style_png(MEMBER, "Udnie"))).size == (128, 128)
    small = Image.open(io.BytesIO(await studio.style_thumbnail(MEMBER, "udnie")))
    assert (small.format, small.size) == ("WEBP", (128, 128))


async def test_a_saved_style_has_a_small_picture_for_who_may_use_it(studio: Atelier) -> None:
    await studio.save_style(MEMBER, "wave", picture((900, 600)))
    small = Image.open(io.BytesIO(await studio.style_thumbnail(MEMBER, "Wave")))
    assert (small.format, max(small.size)) == ("WEBP", 384)
    with pytest.raises(NotFound):
        await studio.style_thumbnail(OTHER, "wave")


async def test_prompts_name_images_of_the_gallery_as_looks(
    studio: Atelier, engine: FakeEngine
) -> None:
    job = await made(studio)
    await made(studio, f"a fox --sref {job.images[0].id}::3 {job.id}:1")
    files = [await studio.image_png(MEMBER, image.id) for image in job.images]
    references = engine.requests[-1].style_references
    assert [one.image for one in references] == files
    assert [one.weight for one in references] == [3, 1]
    secret = await made(studio, "a fox --private")
    with pytest.raises(NotFound, match="no style called"):
        await studio.imagine(OTHER, f"a fox --sref {secret.images[0].id}", WEB)


async def test_prompts_name_paintings_too(studio: Atelier, engine: FakeEngine) -> None:
    await made(studio, "a fox --sref great-wave::2 random")
    [request] = engine.requests
    assert [style.weight for style in request.style_references] == [2, 1]
    assert request.style_references[0].preset == "great-wave"
    assert request.style_references[1].preset, "nothing else is there to draw from"
