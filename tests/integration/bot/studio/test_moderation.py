"""Blocked members and forbidden words, wherever jobs are accepted."""

from collections.abc import AsyncIterator

import pytest

from bot.errors import LimitReached, NotAllowed
from bot.prompts import Wildcards
from bot.studio.contract import Caller, Dreaming, GuildRules, Morphing, MorphStop, Preferences
from bot.studio.moderation import OperatorRules
from bot.studio.studio import Atelier
from tests.integration.bot.studio.conftest import ADMIN, MEMBER, OTHER, WEB, Open, made

ELSEWHERE = Caller(owner_id=MEMBER.owner_id, guild_id=10, channel_id=1)
RULES = OperatorRules(blocked_members=frozenset({77}), forbidden_words=("gore",))


@pytest.fixture
async def studio(open_here: Open) -> AsyncIterator[Atelier]:
    async with open_here(everywhere=RULES, wildcards=Wildcards({"moods": ("Nüde",)})) as opened:
        yield opened


async def test_whom_admins_block_makes_nothing_in_their_server(studio: Atelier) -> None:
    job = await made(studio, "a fox")
    await studio.set_rules(ADMIN, GuildRules(blocked_members=(MEMBER.owner_id,)))
    [image] = [image.id for image in job.images[:1]]
    with pytest.raises(NotAllowed, match="ask its admins"):
        await studio.imagine(MEMBER, "a fox", WEB)
    with pytest.raises(NotAllowed, match="ask its admins"):
        await studio.vary(MEMBER, image, WEB, is_strong=True)
    with pytest.raises(NotAllowed, match="ask its admins"):
        await studio.upscale(MEMBER, image, WEB)
    with pytest.raises(NotAllowed, match="ask its admins"):
        await studio.dream(MEMBER, WEB, Dreaming())
    assert (await made(studio, "a fox", OTHER)).images
    assert (await made(studio, "a fox", ELSEWHERE)).images
    await studio.set_rules(ADMIN, GuildRules())
    assert (await made(studio, "a fox")).images


async def test_whom_the_operator_blocks_makes_nothing_anywhere(studio: Atelier) -> None:
    for caller in (Caller(owner_id=77), Caller(owner_id=77, guild_id=9, channel_id=70)):
        with pytest.raises(NotAllowed, match="whoever runs this bot"):
            await studio.imagine(caller, "a fox", WEB)


async def test_a_forbidden_word_is_found_once_all_is_expanded(studio: Atelier) -> None:
    await studio.set_rules(ADMIN, GuildRules(forbidden_words=("nude",)))
    for text in ("a nude", "a {fox, nude}", "a __moods__ fox", "a (nu:1.2)de fox", "fog::2 nude"):
        with pytest.raises(NotAllowed, match="the word nude is forbidden"):
            await studio.imagine(MEMBER, text, WEB)
    with pytest.raises(NotAllowed, match="the word gore is forbidden"):
        await studio.imagine(ELSEWHERE, "GORE", WEB)
    stops = [MorphStop(prompt="a fox"), MorphStop(prompt="a nude fox")]
    with pytest.raises(NotAllowed, match="nude"):
        await studio.morph(MEMBER, stops, WEB, Morphing(frames=4))
    assert (await studio.history(MEMBER))[0] == ()
    assert (await made(studio, "a denuded hill --no nude, gore")).images
    assert (await made(studio, "a nude", ELSEWHERE)).images


async def test_what_is_no_word_can_not_be_forbidden_and_only_admins_are_told(
    studio: Atelier,
) -> None:
    rules = GuildRules(forbidden_words=("fox", "!?"))
    with pytest.raises(LimitReached, match="can't be forbidden"):
        await studio.set_rules(ADMIN, rules)
    with pytest.raises(NotAllowed, match="only admins"):
        await studio.set_rules(MEMBER, rules)


async def test_a_word_of_a_chosen_look_is_forbidden_too(studio: Atelier) -> None:
    await studio.set_rules(ADMIN, GuildRules(forbidden_words=("watercolor",)))
    await studio.set_preferences(MEMBER, Preferences(preset="watercolor"))
    with pytest.raises(NotAllowed, match="watercolor"):
        await studio.imagine(MEMBER, "a fox", WEB)


async def test_what_was_made_before_is_not_drawn_again_with_a_forbidden_word(
    studio: Atelier,
) -> None:
    job = await made(studio, "a nude fox")
    await studio.set_rules(ADMIN, GuildRules(forbidden_words=("nude",)))
    with pytest.raises(NotAllowed, match="nude"):
        await studio.reroll(MEMBER, job.id, WEB)
    with pytest.raises(NotAllowed, match="nude"):
        await studio.reroll(MEMBER, job.id, WEB, text="a nude owl")
    assert (await studio.reroll(MEMBER, job.id, WEB, text="an owl")).prompt == "an owl"
