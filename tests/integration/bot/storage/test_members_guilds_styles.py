"""What members and guilds set."""

import asyncio

import pytest

from bot.errors import NameTaken, NotFound
from bot.storage.database import Database
from bot.storage.guilds import Guilds
from bot.storage.members import Members
from bot.storage.styles import StyleRow, Styles
from tests.rows import NOON


async def test_what_is_set_replaces_what_was_set(database: Database) -> None:
    members, guilds = Members(database), Guilds(database)
    assert await members.preferences(1) == {}
    await members.set_preferences(1, {"model": "a", "aspect": "3:2"}, NOON)
    await members.set_preferences(1, {"model": "b"}, NOON)
    assert await members.preferences(1) == {"model": "b"}
    await guilds.set_rules(2**62, {"allowed_models": ["a"]}, NOON)
    await guilds.set_preferences(2**62, {"model": "a"}, NOON)
    assert await guilds.settings(2**62) == ({"model": "a"}, {"allowed_models": ["a"]})
    assert await guilds.settings(3) == ({}, {})


async def test_an_own_style_counts_more_than_a_shared_one(database: Database) -> None:
    styles = Styles(database)
    values = {"name": "wave", "created_at": NOON}
    await styles.save(StyleRow(owner_id=2, file_key="theirs", **values))
    await styles.share(2, "wave", 9)
    assert (await styles.named(1, 9, "wave")).file_key == "theirs"
    with pytest.raises(NotFound, match="wave"):
        await styles.named(1, 8, "wave")
    await styles.save(StyleRow(owner_id=1, file_key="mine", **values))
    assert (await styles.named(1, 9, "wave")).file_key == "mine"
    assert len(await styles.usable(1, 9)) == 2
    await styles.remove(1, "wave")
    assert (await styles.named(1, 9, "wave")).file_key == "theirs"
    await styles.remove(2, "wave")
    assert await styles.shared(9) == {}, "what is gone is shared no more"


@pytest.mark.parametrize(
    ("file_key", "learnt_key", "guilds"), [("a", "lesson", [9]), ("b", None, [])]
)
async def test_another_picture_of_a_name_is_neither_shared_nor_learnt(
    database: Database, file_key: str, learnt_key: str | None, guilds: list[int]
) -> None:
    styles = Styles(database)
    values = {"owner_id": 1, "name": "w", "created_at": NOON}
    await styles.save(StyleRow(file_key="a", learnt_key="lesson", **values))
    await styles.share(1, "w", 9)
    await styles.save(StyleRow(file_key=file_key, learnt_key=None, **values))
    assert (await styles.own(1, "w")).learnt_key == learnt_key
    assert await styles.guilds_of(1, "w") == guilds


async def test_a_renamed_style_stays_shared_and_learnt_and_takes_no_name_from_others(
    database: Database,
) -> None:
    styles = Styles(database)
    for owner_id, name in ((1, "old"), (1, "other"), (2, "theirs"), (3, "free")):
        row = StyleRow(owner_id=owner_id, name=name, file_key="a", created_at=NOON)
        row.learnt_key = f"{name}'s"
        await styles.save(row)
    await styles.share(1, "old", 9)
    await styles.share(2, "theirs", 9)
    with pytest.raises(NotFound, match="nothing"):
        await styles.rename(1, "nothing", "new")
    for taken in ("other", "theirs"):
        with pytest.raises(NameTaken, match=taken):
            await styles.rename(1, "old", taken)
    await styles.rename(1, "old", "free")
    assert (await styles.shared(9))["free"] == 1
    assert (await styles.named(2, 9, "free")).learnt_key == "old's"
    with pytest.raises(NotFound):
        await styles.named(1, 9, "old")


async def test_a_name_means_one_style_in_a_guild_and_may_be_shared_with_several(
    database: Database,
) -> None:
    styles = Styles(database)
    for owner_id in (1, 2):
        await styles.save(StyleRow(owner_id=owner_id, name="w", file_key="a", created_at=NOON))
    await asyncio.gather(*(styles.share(1, "w", guild_id) for guild_id in (8, 9, 9, 8, 9)))
    with pytest.raises(NotFound, match="you keep no style called x"):
        await styles.share(1, "x", 9)
    with pytest.raises(NameTaken, match="somebody else shares a style called w"):
        await styles.share(2, "w", 9)
    assert sorted(await styles.guilds_of(1, "w")) == [8, 9]
    await styles.take_back(8, "w")
    await styles.share(2, "w", 8)
    assert (await styles.shared(8), await styles.shared(9)) == ({"w": 2}, {"w": 1})


async def test_what_is_set_at_the_same_instant_is_set_one_after_the_other(
    database: Database,
) -> None:
    """A second click, or a second device: nobody has a row yet, and all would write the first."""
    styles, members, guilds = Styles(database), Members(database), Guilds(database)

    async def save(file_key: str) -> None:
        await styles.save(StyleRow(owner_id=5, name="w", file_key=file_key, created_at=NOON))

    await asyncio.gather(
        *(save(key) for key in "abcdef"),
        *(members.set_preferences(5, {"steps": steps}, NOON) for steps in range(6)),
        *(guilds.set_preferences(6, {"steps": steps}, NOON) for steps in range(6)),
        *(guilds.set_rules(6, {"cap": cap}, NOON) for cap in range(6)),
    )
    assert (await styles.own(5, "w")).file_key in "abcdef"
    assert (await members.preferences(5))["steps"] in range(6)
    preferences, rules = await guilds.settings(6)
    assert preferences["steps"] in range(6)
    assert rules["cap"] in range(6)


async def test_of_two_who_share_a_name_at_the_same_instant_one_is_told_that_it_is_taken(
    database: Database,
) -> None:
    styles = Styles(database)
    for owner_id in (1, 2, 3):
        await styles.save(StyleRow(owner_id=owner_id, name="w", file_key="a", created_at=NOON))
        other = StyleRow(owner_id=owner_id, name="other", file_key="a", created_at=NOON)
        await styles.save(other)
    ends = await asyncio.gather(
        *(styles.share(owner_id, "w", 9) for owner_id in (1, 2, 3)), return_exceptions=True
    )
    assert [type(end) for end in ends if end is not None] == [NameTaken, NameTaken]
    await styles.share(1, "other", 8)
    await asyncio.gather(
        styles.rename(1, "other", "w2"), styles.share(1, "w", 8), return_exceptions=True
    )
    assert set(await styles.shared(8)) == {"w", "w2"}
