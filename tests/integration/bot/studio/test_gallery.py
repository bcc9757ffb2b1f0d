"""The gallery's use-cases."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from bot.errors import NotAllowed, NotFound
from bot.studio.contract import Caller, GalleryQuery, GalleryScope
from bot.studio.studio import Atelier
from tests.integration.bot.studio.conftest import ADMIN, MEMBER, OTHER, WEB, ended, made

OPERATOR = Caller(owner_id=0, is_admin=True)


async def prompts(studio: Atelier, caller: Caller, text: str = "", **query: object) -> list[str]:
    page = await studio.gallery(caller, GalleryQuery(text=text, **query))  # type: ignore[arg-type]
    return [image.prompt.split(" --")[0] for image in page.images]


async def test_pages_lead_on_to_each_other(studio: Atelier) -> None:
    for text in ("one", "two", "three"):
        await made(studio, text)
    first = await studio.gallery(MEMBER, GalleryQuery(limit=4))
    assert (len(first.images), first.total) == (4, 6)
    rest = await studio.gallery(MEMBER, GalleryQuery(limit=4, cursor=first.next_cursor))
    assert rest.next_cursor is None
    assert len({image.id for image in first.images + rest.images}) == 6
    with pytest.raises(NotFound, match="page"):
        await studio.gallery(MEMBER, GalleryQuery(cursor="?"))


async def test_a_search_takes_words_and_fields(studio: Atelier) -> None:
    job = await made(studio, "red fox --seed 500 --chaos 20")
    await made(studio, "blue fox --no sausages")
    await studio.tag(MEMBER, f"{job.id}:0", ["Best"])
    await studio.favourite(MEMBER, f"{job.id}:1", on=True)
    assert await prompts(studio, MEMBER, "fox red") == ["red fox"] * 2
    assert await prompts(studio, MEMBER, "seed:501") == ["red fox"]
    assert await prompts(studio, MEMBER, "fox chaos:20") == ["red fox"] * 2
    assert await prompts(studio, MEMBER, "chaos:2") == []
    assert await prompts(studio, MEMBER, "chaos:20 model:Atelier-Pack") == ["red fox"] * 2
    assert await prompts(studio, MEMBER, "tag:best fox") == ["red fox"]
    assert await prompts(studio, MEMBER, "is:favourite") == ["red fox"]
    assert await prompts(studio, MEMBER, "model:nosuch") == []
    assert await prompts(studio, MEMBER, "sausages") == [], "it was not to be shown"
    assert await prompts(studio, MEMBER, "steps") == [], "flags are no words"
    assert len(await prompts(studio, OTHER, "by:1", scope=GalleryScope.ALL)) == 4
    varied = await studio.vary(MEMBER, f"{job.id}:0", WEB, is_strong=True)
    await ended(studio, varied)
    for operation in ("vary", "vary-strong", "VARY"):
        assert len(await prompts(studio, MEMBER, f"op:{operation}")) == 2
    assert await prompts(studio, MEMBER, "op:vary-subtle") == []
    for wrong in ("seed:x", "is:nice", "by:99999999999999999999999", "op:enlarge"):
        with pytest.raises(NotFound):
            await prompts(studio, MEMBER, wrong)


async def test_a_search_of_very_many_fields_is_answered(studio: Atelier) -> None:
    await made(studio, "red fox --chaos 20")
    assert len(await prompts(studio, MEMBER, "chaos:20 " * 2000)) == 2
    assert await prompts(studio, MEMBER, "tag:none " * 2000) == []


async def test_a_search_takes_days(studio: Atelier) -> None:
    await made(studio, "fox")
    today = datetime.now(UTC).date()
    day = timedelta(days=1)
    assert await prompts(studio, MEMBER, f"after:{today} before:{today + day}") == ["fox"] * 2
    assert await prompts(studio, MEMBER, f"fox before:{today}") == []
    assert await prompts(studio, MEMBER, f"after:{today + day}") == []
    for wrong in ("after:today", "before:2026-13-01", "after:2026-05-01T10"):
        with pytest.raises(NotFound, match="such as 2026-05-01"):
            await prompts(studio, MEMBER, wrong)


async def test_private_images_are_their_owners_alone(studio: Atelier) -> None:
    job = await made(studio, "secret --private")
    image_id = job.images[0].id
    for caller in (OTHER, ADMIN, OPERATOR):
        assert await prompts(studio, caller, scope=GalleryScope.ALL) == []
        with pytest.raises(NotFound):
            await studio.image_png(caller, image_id)
        with pytest.raises(NotFound):
            await studio.job(caller, job.id)
    shown = await studio.publish(MEMBER, image_id, is_private=False)
    assert not shown.is_private
    assert await prompts(studio, OTHER, scope=GalleryScope.GUILD) == ["secret"]
    with pytest.raises(NotAllowed):
        await studio.publish(OTHER, image_id, is_private=True)


async def test_direct_messages_show_nothing_of_the_operators_nor_of_other_members(
    studio: Atelier,
) -> None:
    drawn = await made(studio, "the operator's", caller=OPERATOR)
    written = await made(studio, "a letter", caller=Caller(owner_id=1), is_private=False)
    stranger = Caller(owner_id=2)
    for job in (drawn, written):
        assert await prompts(studio, stranger, f"by:{job.owner_id}") == []
        for show in (studio.image, studio.image_png, studio.thumbnail):
            with pytest.raises(NotFound):
                await show(stranger, job.images[0].id)
        with pytest.raises(NotFound):
            await studio.job(stranger, job.id)
        with pytest.raises(NotFound):
            await studio.reroll(stranger, job.id, WEB)
    assert await prompts(studio, OPERATOR, scope=GalleryScope.ALL) == [
        *["a letter"] * 2,
        *["the operator's"] * 2,
    ]


async def test_a_picture_that_is_locked_is_not_shown_by_its_job_either(studio: Atelier) -> None:
    job = await made(studio, "a fox")
    await studio.publish(MEMBER, job.images[0].id, is_private=True)
    assert [image.index for image in (await studio.job(OTHER, job.id)).images] == [1]
    updates = [update async for update in studio.watch(OTHER, job.id)]
    assert [image.index for image in updates[-1].job.images] == [1]
    png = await studio.image_png(MEMBER, job.images[1].id)
    await studio.publish(MEMBER, job.images[1].id, is_private=True)
    with pytest.raises(NotFound):
        await studio.job(OTHER, job.id)
    with pytest.raises(NotFound):
        await studio.reroll(OTHER, job.id, WEB)
    again = await studio.make_again(OTHER, png, WEB)
    assert again.prompt != job.prompt, "only what the picture itself says"
    assert len((await studio.job(MEMBER, job.id)).images) == 2


async def test_others_may_make_more_of_a_picture_that_was_published(studio: Atelier) -> None:
    job = await made(studio, "a fox --private")
    await studio.publish(MEMBER, job.images[1].id, is_private=False)
    assert [image.index for image in (await studio.job(OTHER, job.id)).images] == [1]
    rerolled = await studio.reroll(OTHER, job.id, WEB)
    remixed = await studio.reroll(OTHER, job.id, WEB, text="an owl")
    again = await studio.make_again(OTHER, await studio.image_png(OTHER, f"{job.id}:1"), WEB)
    assert [one.is_private for one in (rerolled, remixed, again)] == [False] * 3
    assert (rerolled.prompt, again.prompt) == (job.prompt, job.prompt)


async def test_an_image_is_named_by_its_id_or_by_job_and_place(studio: Atelier) -> None:
    job = await made(studio)
    assert await studio.image(MEMBER, f"{job.id}:1") == job.images[1]
    assert await studio.image(MEMBER, f" {job.images[1].id.upper()} ") == job.images[1]
    for unknown in (f"{job.id}:2", "nosuch0000", "", "a:b:c", "x" * 1000):
        with pytest.raises(NotFound):
            await studio.image(MEMBER, unknown)


async def test_owner_and_admin_may_delete_and_restore(studio: Atelier) -> None:
    job = await made(studio)
    image_id = job.images[0].id
    with pytest.raises(NotAllowed):
        await studio.delete(OTHER, image_id)
    for deleting, restoring in ((MEMBER, MEMBER), (MEMBER, ADMIN), (ADMIN, ADMIN)):
        await studio.delete(deleting, image_id)
        assert len(await prompts(studio, MEMBER)) == 1
        assert len((await studio.job(MEMBER, job.id)).images) == 1
        with pytest.raises(NotFound):
            await studio.restore(OTHER, image_id)
        assert (await studio.restore(restoring, image_id)).id == image_id
        assert len(await prompts(studio, MEMBER)) == 2


async def test_an_owner_does_not_undo_what_an_admin_deleted(studio: Atelier) -> None:
    image_id = (await made(studio)).images[0].id
    elsewhere = replace(ADMIN, owner_id=MEMBER.owner_id, guild_id=10)
    for admin in (ADMIN, OPERATOR):
        await studio.delete(admin, image_id)
        for caller in (MEMBER, elsewhere):
            with pytest.raises(NotAllowed, match="an admin deleted"):
                await studio.restore(caller, image_id)
            with pytest.raises(NotFound):
                await studio.image(caller, image_id)
        assert (await studio.restore(admin, image_id)).id == image_id
    await studio.delete(MEMBER, image_id)
    assert (await studio.restore(MEMBER, image_id)).id == image_id


async def test_only_its_owner_restores_a_private_image(studio: Atelier) -> None:
    image_id = (await made(studio, "secret --private")).images[0].id
    await studio.delete(MEMBER, image_id)
    for caller in (ADMIN, OPERATOR):
        with pytest.raises(NotFound):
            await studio.restore(caller, image_id)
    assert (await studio.restore(MEMBER, image_id)).is_private


async def test_a_favourite_is_each_members_own(studio: Atelier) -> None:
    job = await made(studio)
    image_id = job.images[0].id
    assert (await studio.favourite(OTHER, image_id, on=True)).is_favourite
    assert not (await studio.image(MEMBER, image_id)).is_favourite
    page = await studio.gallery(OTHER, GalleryQuery(scope=GalleryScope.ALL, favourites_only=True))
    assert [image.id for image in page.images] == [image_id]


async def test_history_pages_newest_first(studio: Atelier) -> None:
    made_jobs = [await made(studio, text) for text in ("one", "two", "three")]
    first, cursor = await studio.history(MEMBER, limit=2)
    rest, end = await studio.history(MEMBER, limit=2, cursor=cursor)
    assert [job.id for job in first + rest] == [job.id for job in reversed(made_jobs)]
    assert end is None
