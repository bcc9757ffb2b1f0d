"""What members and guilds set."""

import pytest

from bot.errors import NotFound
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
    await styles.save(StyleRow(owner_id=2, guild_id=9, file_key="theirs", **values))
    assert (await styles.named(1, 9, "wave")).file_key == "theirs"
    with pytest.raises(NotFound, match="wave"):
        await styles.named(1, 8, "wave")
    await styles.save(StyleRow(owner_id=1, file_key="mine", **values))
    assert (await styles.named(1, 9, "wave")).file_key == "mine"
    assert len(await styles.usable(1, 9)) == 2
    await styles.remove(1, "wave")
    assert (await styles.named(1, 9, "wave")).file_key == "theirs"
