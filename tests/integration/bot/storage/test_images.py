"""Images in the database: who sees them, search, pages, deletion."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import pytest

from bot.errors import NotFound
from bot.storage.images import ImageFilter, ImageRow, Images, Viewer
from bot.storage.jobs import Jobs, Outcome
from tests.rows import NOON, image_row, new_job

ME = Viewer(1, 9)
STRANGER = Viewer(2, 8)


async def keep(jobs: Jobs, *rows: dict[str, object]) -> list[ImageRow]:
    job = new_job()
    await jobs.add([job])
    assert await jobs.claim(job.row.id, now=NOON, lease_until=NOON)
    made = [image_row(job.row.id, place, **row) for place, row in enumerate(rows)]
    assert await jobs.finish(job.row.id, 1, Outcome(images=made, device_s=1), now=NOON)
    return made


async def found(
    images: Images, words: str = "", viewer: Viewer = ME, **wanted: object
) -> list[str]:
    wanted_images = ImageFilter(words=words, **wanted)  # type: ignore[arg-type]
    page = await images.page(viewer, wanted_images, below=None, limit=50)
    assert page.total == len(page.images)
    for below in (None, 0, 2**40):  # wherever one is, the total is the same
        part = await images.page(viewer, wanted_images, below=below, limit=1)
        assert part.total == page.total
    return [seen.row.prompt for seen in page.images]


async def prompts(jobs: Jobs, *texts: str, **values: object) -> Sequence[ImageRow]:
    return await keep(jobs, *({"prompt": text, **values} for text in texts))


async def test_words_are_found_by_their_beginning_in_any_order_and_case(jobs, images) -> None:
    await prompts(jobs, "Two CATS on a Mat", "a catalogue", "a dog", "Café at night")
    assert await found(images, "cat") == ["a catalogue", "Two CATS on a Mat"]
    assert await found(images, "mat cat") == ["Two CATS on a Mat"]
    assert await found(images, "cafe") == ["Café at night"]
    assert await found(images, "at") == ["Café at night"]
    assert await found(images, "cat elephant") == []


async def test_chinese_and_other_unspaced_words_are_found_anywhere(jobs, images) -> None:
    await prompts(jobs, "一只小狗在草地上", "狗很小", "赤い金魚", "강아지 그림", "a dog 小猫")
    assert await found(images, "小狗") == ["一只小狗在草地上"]
    assert await found(images, "狗") == ["狗很小", "一只小狗在草地上"]
    assert await found(images, "金魚") == ["赤い金魚"]
    assert await found(images, "아지") == ["강아지 그림"]
    assert await found(images, "小猫 dog") == ["a dog 小猫"]


async def test_emoji_are_found_where_they_were_typed(jobs, images) -> None:
    await prompts(jobs, "a fox 🦊", "a dog", "🦊👩‍🎨", "小狗🐶")
    assert await found(images, "🦊") == ["🦊👩‍🎨", "a fox 🦊"]
    assert await found(images, "👩‍🎨") == ["🦊👩‍🎨"]
    assert await found(images, "fox🦊") == ["a fox 🦊"]
    assert await found(images, "狗 🐶") == ["小狗🐶"]
    assert await found(images, "dog 🦊") == []


@pytest.mark.parametrize(
    "typed",
    ['"', "'", "*", "a' OR 1=1 --", "fox:*", "(", "!fox", "fox & | <->", "\x00fox", "%"],
)
async def test_no_punctuation_breaks_a_search(jobs, images, typed: str) -> None:
    await prompts(jobs, "a fox")
    assert isinstance(await found(images, typed), list)


async def test_a_private_image_is_seen_by_its_owner_alone(jobs, images) -> None:
    [secret] = await keep(jobs, {"prompt": "secret", "is_private": True, "guild_id": 9})
    assert await found(images, "secret") == ["secret"]
    for other in (Viewer(2, 9), Viewer(3, None, sees_all_guilds=True)):
        assert await found(images, "secret", other) == []
        assert await found(images, "", other, owner_id=1) == []
        with pytest.raises(NotFound):
            await images.by_id(other, secret.id)


async def test_a_public_image_is_seen_in_its_guild_and_by_the_operator(jobs, images) -> None:
    await keep(jobs, {"prompt": "shown", "guild_id": 9})
    assert await found(images, viewer=Viewer(2, 9)) == ["shown"]
    assert await found(images, viewer=STRANGER) == []
    assert await found(images, viewer=Viewer(2, None)) == []
    assert await found(images, viewer=Viewer(0, None, sees_all_guilds=True)) == ["shown"]


async def test_what_was_made_outside_of_guilds_is_seen_by_its_owner_and_the_operator(
    jobs, images
) -> None:
    [own] = await keep(jobs, {"prompt": "shown"})
    for stranger in (Viewer(2, None), Viewer(2, 9)):
        assert await found(images, viewer=stranger) == []
        assert await found(images, viewer=stranger, owner_id=1) == []
        with pytest.raises(NotFound):
            await images.by_id(stranger, own.id)
    for viewer in (Viewer(1, None), Viewer(1, 9), Viewer(0, None, sees_all_guilds=True)):
        assert await found(images, viewer=viewer) == ["shown"]


async def test_images_are_filtered_by_what_made_them(jobs, images) -> None:
    await keep(
        jobs,
        {"prompt": "one", "model": "big", "seed": 5},
        {"prompt": "two", "operation": "upscale", "parameters": "x\nSteps: 30, Chaos: 50, Seed: 1"},
        {"prompt": "old", "created_at": NOON - timedelta(days=2)},
    )
    assert await found(images, model="big") == ["one"]
    assert await found(images, seed=5) == ["one"]
    assert await found(images, operations=("upscale", "dream")) == ["two"]
    assert await found(images, parameters=("chaos: 50",)) == ["two"]
    assert await found(images, parameters=("seed: 1",)) == ["two"], "the last one"
    assert await found(images, parameters=("chaos: 5",)) == []
    assert await found(images, before=NOON - timedelta(days=1)) == ["old"]
    assert await found(images, after=NOON - timedelta(days=1)) == ["two", "one"]


async def test_an_image_that_is_marked_many_times_at_once_is_marked_once(jobs, images) -> None:
    [row] = await prompts(jobs, "a fox")
    await asyncio.gather(*(images.favourite(1, row.id, on=True) for _ in range(8)))
    assert (await images.by_id(ME, row.id)).is_favourite
    await asyncio.gather(*(images.favourite(1, row.id, on=False) for _ in range(8)))
    assert not (await images.by_id(ME, row.id)).is_favourite


async def test_of_tags_that_are_set_at_once_the_last_ones_hold(jobs, images) -> None:
    [row] = await prompts(jobs, "a fox")
    asked = [("fox", f"tag{number}") for number in range(8)]
    await asyncio.gather(*(images.set_tags(row.id, tags) for tags in asked))
    assert (await images.by_id(ME, row.id)).tags in asked


async def test_what_is_gone_is_neither_marked_nor_tagged(images) -> None:
    with pytest.raises(NotFound):
        await images.favourite(1, "gone", on=True)
    with pytest.raises(NotFound):
        await images.set_tags("gone", ["a"])


async def test_favourites_and_tags_are_per_viewer_and_per_image(jobs, images) -> None:
    first, second = await keep(
        jobs, {"prompt": "one", "guild_id": 9}, {"prompt": "two", "guild_id": 9}
    )
    for _ in range(2):
        await images.favourite(1, first.id, on=True)
    await images.set_tags(second.id, ["best", "blue"])
    assert await found(images, favourites_only=True) == ["one"]
    assert await found(images, viewer=Viewer(2, 9), favourites_only=True) == []
    assert await found(images, tags=("best",)) == ["two"]
    assert (await images.by_id(ME, first.id)).is_favourite
    assert (await images.by_id(ME, second.id)).tags == ("best", "blue")
    await images.favourite(1, first.id, on=False)
    assert await found(images, favourites_only=True) == []


async def test_pages_show_each_image_once_while_new_ones_come(jobs, images) -> None:
    old = await prompts(jobs, *[f"image {i}" for i in range(7)])
    first = await images.page(ME, ImageFilter(), below=None, limit=4)
    await prompts(jobs, "newer")
    rest = await images.page(ME, ImageFilter(), below=first.images[-1].row.number, limit=4)
    assert [seen.row.id for seen in first.images + rest.images] == [row.id for row in reversed(old)]


@pytest.mark.parametrize("near", [1, 20])
async def test_pages_of_a_word_that_is_too_common_to_count_show_the_newest_first(
    jobs, images, monkeypatch: pytest.MonkeyPatch, near: int
) -> None:
    monkeypatch.setattr("bot.storage.images.COUNT_CAP", 3)
    monkeypatch.setattr("bot.storage.images.NEAR", near)
    await prompts(jobs, *[f"fox {i}" for i in range(6)], "a cat", "an owl")
    shown, below = [], None
    while page := (await images.page(ME, ImageFilter(words="fox"), below=below, limit=2)).images:
        shown += [seen.row.prompt for seen in page]
        below = page[-1].row.number
    assert shown == [f"fox {i}" for i in reversed(range(6))]
    first = await images.page(ME, ImageFilter(words="fox"), below=None, limit=2)
    assert first.total == 3, "the highest that is counted"


async def test_a_deleted_image_can_be_restored_for_a_day(jobs, images) -> None:
    [row] = await prompts(jobs, "gone")
    await images.delete(row.id, NOON, by=3)
    assert await found(images) == []
    with pytest.raises(NotFound):
        await images.by_id(ME, row.id)
    deleted = await images.deleted(row.id, NOON + timedelta(hours=23))
    assert (deleted.id, deleted.deleted_by) == (row.id, 3)
    with pytest.raises(NotFound):
        await images.deleted(row.id, NOON + timedelta(hours=25))
    await images.restore(row.id)
    assert await found(images, "gone") == ["gone"]
    restored = (await images.by_id(ME, row.id)).row
    assert (restored.deleted_at, restored.deleted_by) == (None, None)
