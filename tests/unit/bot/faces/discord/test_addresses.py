"""An address survives being stored, and knows how long it can be used."""

import json
import time
from dataclasses import replace

import pytest

from bot.faces.discord.addresses import FACE, TOKEN_MARGIN_S, ChatAddress
from bot.studio.contract import Destination

ADDRESS = ChatAddress(
    application_id=2**62,
    token="aW50ZXJhY3Rpb24",
    expires_at=time.time() + 900,
    message_id=2**62 + 1,
    channel_id=2**62 + 2,
    guild_id=2**62 + 3,
    owner_id=2**62 + 4,
    locale="zh-CN",
    limit_bytes=10 * 2**20,
    is_ephemeral=False,
)


def test_an_address_is_the_same_after_json():
    stored = json.loads(json.dumps(dict(ADDRESS.destination().address)))
    assert ChatAddress.read(Destination(face=FACE, address=stored)) == ADDRESS


@pytest.mark.parametrize(
    ("left_s", "is_open"), [(900, True), (TOKEN_MARGIN_S - 1, False), (-1, False)]
)
def test_an_address_is_open_until_shortly_before_its_token_ends(left_s, is_open):
    assert replace(ADDRESS, expires_at=time.time() + left_s).is_open() is is_open


def test_only_an_open_answer_in_a_guild_is_public():
    assert ADDRESS.is_public
    assert not replace(ADDRESS, is_ephemeral=True).is_public
    assert not replace(ADDRESS, guild_id=None).is_public
