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
