"""/settings, /admin, /info and /help."""

import pytest
from simcord.backend.errors import SetupError

from bot.prompts import FLAGS
from bot.studio.contract import Caller
from tests.integration.bot.faces.discord.stage import labels, text


def told_alone(refused) -> str:
    """What the member alone is told, where a public answer was begun."""
    assert refused.response is None
    [told] = refused.followups
    assert told.ephemeral
    return text(told)


async def test_settings_are_kept_and_used(stage):
    result = await stage.alice.slash(
        stage.channel, "settings", aspect="3:2", count=2, flags="--chaos 10"
    )
    assert result.ephemeral
    assert "`3:2`" in text(result.response)
    message = await stage.imagine(prompt="a fox")
    assert labels(message)[:3] == ["U1", "U2", "V1"]
    [request] = stage.engine.requests
    assert request.chaos == 10
    assert request.width > request.height


async def test_settings_can_be_forgotten(stage):
    await stage.alice.slash(stage.channel, "settings", count=2)
    result = await stage.alice.slash(stage.channel, "settings", reset=True, aspect="2:3")
    assert "`2:3`" in text(result.response)
    kept = await stage.studio.preferences(Caller(owner_id=stage.alice.id))
    assert (kept.image_count, kept.aspect) == (None, "2:3")


async def test_one_setting_can_be_taken_back(stage):
    await stage.alice.slash(stage.channel, "settings", count=2, private=True, aspect="3:2")
    result = await stage.alice.slash(stage.channel, "settings", clear="private", aspect="2:3")
    assert "Private: not set" in text(result.response)
    assert "Saved." in text(result.response)
    kept = await stage.studio.preferences(Caller(owner_id=stage.alice.id))
    assert (kept.image_count, kept.is_private, kept.aspect) == (2, None, "2:3")
    await stage.alice.slash(stage.channel, "settings", clear="count")
    assert (await stage.studio.preferences(Caller(owner_id=stage.alice.id))).image_count is None


async def test_one_default_of_the_server_can_be_taken_back(stage):
    await stage.admin.slash(stage.channel, "admin defaults", count=1, flags="--chaos 10")
    await stage.admin.slash(stage.channel, "admin defaults", clear="flags")
    kept = await stage.studio.guild_preferences(Caller(owner_id=1, guild_id=stage.guild.id))
    assert (kept.image_count, kept.flags) == (1, None)


async def test_a_setting_that_cannot_work_is_refused(stage):
    result = await stage.alice.slash(stage.channel, "settings", flags="--caos 3")
    assert "chaos" in text(result.response)
    assert (await stage.studio.preferences(Caller(owner_id=stage.alice.id))).flags is None


async def test_admins_limit_jobs_and_channels_and_models(stage):
    await stage.admin.slash(stage.channel, "admin limits", waiting=1, running=1)
    await stage.admin.slash(stage.channel, "admin models", action="allow", model="atelier-pack")
    other = stage.guild.create_text_channel("other")
    shown = await stage.admin.slash(
        stage.channel, "admin channels", action="allow", channel=stage.channel
    )
    assert shown.ephemeral
    assert f"<#{stage.channel.id}>" in text(shown.response)
    assert "waiting 1" in text(shown.response)
    assert "`atelier-pack`" in text(shown.response)
    refused = await stage.alice.slash(other, "imagine", prompt="a fox")
    assert f"<#{stage.channel.id}>" in told_alone(refused)
    stage.engine.stuck = True
    for _ in range(2):
        await stage.alice.slash(stage.channel, "imagine", prompt="a fox")
    full = await stage.alice.slash(stage.channel, "imagine", prompt="a fox")
    assert "⏳" in text(full.response)


async def test_roles_have_limits_of_their_own(stage):
    role = stage.guild.create_role("Patrons")
    shown = await stage.admin.slash(
        stage.channel, "admin limits", role=role, running=5, guild_running=7
    )
    assert f"<@&{role.id}>: running 5, waiting default, server running 7" in text(shown.response)
    rules = await stage.studio.rules(Caller(owner_id=1, guild_id=stage.guild.id))
    assert rules.role_limits[role.id].running == 5
    await stage.admin.slash(stage.channel, "admin limits", role=role, reset=True)
    rules = await stage.studio.rules(Caller(owner_id=1, guild_id=stage.guild.id))
    assert rules.role_limits == {}


async def test_rules_can_be_taken_back(stage):
    await stage.admin.slash(stage.channel, "admin channels", action="allow")
    cleared = await stage.admin.slash(stage.channel, "admin channels", action="clear")
    assert "all" in text(cleared.response)
    rules = await stage.studio.rules(Caller(owner_id=1, guild_id=stage.guild.id))
    assert rules.allowed_channels == ()


async def test_admins_block_members_and_let_them_in_again(stage):
    shown = await stage.admin.slash(
        stage.channel, "admin members", action="block", member=stage.alice
    )
    assert f"**Blocked members**: <@{stage.alice.id}>" in text(shown.response)
    refused = await stage.alice.slash(stage.channel, "imagine", prompt="a fox")
    assert "ask its admins" in told_alone(refused)
    await stage.imagine(stage.bob)
    shown = await stage.admin.slash(
        stage.channel, "admin members", action="unblock", member=stage.alice
    )
    assert "**Blocked members**: none" in text(shown.response)
    await stage.imagine(stage.alice)
    unnamed = await stage.admin.slash(stage.channel, "admin members", action="block")
    assert "say whom" in text(unnamed.response)


async def test_admins_forbid_words_and_allow_them_again(stage):
    shown = await stage.admin.slash(
        stage.channel, "admin words", action="block", words="Gore, nude"
    )
    assert "||gore||, ||nude||" in text(shown.response)
    refused = await stage.alice.slash(stage.channel, "imagine", prompt="a NÜDE fox")
    assert "the word nude is forbidden here" in told_alone(refused)
    await stage.admin.slash(stage.channel, "admin words", action="unblock", words="nude")
    await stage.imagine(prompt="a nude fox")
    refused = await stage.admin.slash(stage.channel, "admin words", action="block", words="!!")
    assert "can't be forbidden" in text(refused.response)
    shown = await stage.admin.slash(stage.channel, "admin words", action="clear")
    assert "**Words forbidden in prompts**: none" in text(shown.response)


async def test_words_are_told_apart_by_chinese_commas_too(stage):
    shown = await stage.admin.slash(
        stage.channel, "admin words", action="block", words="血腥，裸体、gore"
    )
    assert "||血腥||, ||裸体||, ||gore||" in text(shown.response)


async def test_a_long_list_of_words_leaves_the_rest_of_the_rules_in_sight(stage):
    for start in range(0, 200, 25):
        words = ",".join(f"bad{number}" for number in range(start, start + 25))
        shown = await stage.admin.slash(stage.channel, "admin words", action="block", words=words)
    assert "||bad199|| … and " in text(shown.response)
    assert "Private: not set" in text(shown.response)


async def test_the_servers_defaults_hold_for_its_members(stage):
    await stage.admin.slash(stage.channel, "admin defaults", count=1)
    message = await stage.imagine(stage.bob)
    assert "Upscale 2×" in labels(message)


async def test_members_do_not_see_admin_commands(stage):
    with pytest.raises(SetupError, match="not visible"):
        await stage.alice.slash(stage.channel, "admin show")


async def test_admin_commands_check_for_themselves_who_asks(stage):
    commands = await stage.clients[-1].tree.fetch_commands()
    admin = next(command for command in commands if command.name == "admin")
    stage.guild.set_command_permissions(admin, {stage.alice: True})
    refused = await stage.alice.slash(stage.channel, "admin show")
    assert "manage the server" in text(refused.response)


async def test_info_tells_of_the_studio(stage):
    result = await stage.alice.slash(stage.channel, "info")
    assert "`atelier-pack`" in text(result.response)
    assert "fake" in text(result.response)


async def test_info_tells_of_a_picture_and_of_a_job(stage):
    await stage.imagine(count=1)
    jobs, _ = await stage.studio.history(Caller(owner_id=stage.alice.id))
    job = jobs[0]
    of_image = await stage.alice.slash(stage.channel, "info", id=job.images[0].id)
    assert "**Picture**" in text(of_image.response)
    of_job = await stage.alice.slash(stage.channel, "info", id=job.id)
    assert "**Job**" in text(of_job.response)
    of_nothing = await stage.alice.slash(stage.channel, "info", id="nothing0here")
    assert "🔍" in text(of_nothing.response)


async def test_help_says_what_the_pack_cannot_do(stage):
    result = await stage.alice.slash(stage.channel, "help")
    assert result.ephemeral
    assert "no photographs" in text(result.response)


async def test_help_lists_every_flag(stage):
    result = await stage.alice.slash(stage.channel, "help")
    listed = await stage.alice.click(result.response, label="All flags")
    assert listed.ephemeral
    assert all(f"`{flag.usage}`" in text(listed.response) for flag in FLAGS)


async def test_removing_the_last_channel_or_model_does_not_allow_all(stage):
    for command, named in (("admin channels", {}), ("admin models", {"model": "atelier-pack"})):
        await stage.admin.slash(stage.channel, command, action="allow", **named)
        refused = await stage.admin.slash(stage.channel, command, action="remove", **named)
        assert "Allow all again" in text(refused.response)
    rules = await stage.studio.rules(Caller(owner_id=1, guild_id=stage.guild.id))
    assert rules.allowed_channels == (stage.channel.id,)
    assert rules.allowed_models == ("atelier-pack",)


async def test_many_role_limits_do_not_push_the_other_rules_out_of_the_message(stage):
    for number in range(25):
        role = stage.guild.create_role(f"role {number}")
        shown = await stage.admin.slash(
            stage.channel, "admin limits", role=role, running=1, waiting=20, permutations=5
        )
    told = text(shown.response)
    assert "**Blocked members**" in told
    assert told.splitlines()[-1].startswith("… and ")
    assert len(told) <= 2000


async def test_limits_of_a_role_that_was_deleted_go_with_the_next_change(stage):
    gone, kept = stage.guild.create_role("Patrons"), stage.guild.create_role("Friends")
    for role in (gone, kept):
        await stage.admin.slash(stage.channel, "admin limits", role=role, running=5)
    await stage.clients[-1].get_guild(stage.guild.id).get_role(gone.id).delete()
    await stage.env.settle()
    shown = await stage.admin.slash(stage.channel, "admin limits", waiting=9)
    assert f"<@&{gone.id}>" not in text(shown.response)
    rules = await stage.studio.rules(Caller(owner_id=1, guild_id=stage.guild.id))
    assert list(rules.role_limits) == [kept.id]


async def test_a_channel_that_was_deleted_is_not_named_to_members_any_more(stage):
    old, new = stage.guild.create_text_channel("old"), stage.guild.create_text_channel("new")
    await stage.admin.slash(old, "admin channels", action="allow")
    await stage.clients[-1].get_channel(old.id).delete()
    await stage.env.settle()
    kept = await stage.admin.slash(stage.channel, "admin limits", waiting=9)
    assert f"<#{old.id}>" in text(kept.response), "without any, all would be allowed"
    await stage.admin.slash(new, "admin channels", action="allow")
    refused = await stage.alice.slash(stage.channel, "imagine", prompt="a fox")
    assert told_alone(refused).endswith(f"use <#{new.id}>")


async def test_a_model_that_is_not_offered_any_more_keeps_no_admin_from_changing_rules(
    stage, monkeypatch
):
    for model in ("atelier-dreams", "atelier-pack"):
        await stage.admin.slash(stage.channel, "admin models", action="allow", model=model)
    withdraw(stage, monkeypatch, "atelier-dreams")
    shown = await stage.admin.slash(stage.channel, "admin limits", waiting=9)
    assert "waiting 9" in text(shown.response)
    assert "**Models**: `atelier-pack`" in text(shown.response)


async def test_a_model_that_is_not_offered_any_more_makes_room_for_another(stage, monkeypatch):
    await stage.admin.slash(stage.channel, "admin models", action="allow", model="atelier-dreams")
    withdraw(stage, monkeypatch, "atelier-dreams")
    refused = await stage.admin.slash(
        stage.channel, "admin models", action="remove", model="atelier-dreams"
    )
    assert "allow another one first" in text(refused.response)
    shown = await stage.admin.slash(
        stage.channel, "admin models", action="allow", model="atelier-pack"
    )
    assert "**Models**: `atelier-pack`" in text(shown.response)


def withdraw(stage, monkeypatch, name) -> None:
    """Let the operator take a model out of the catalogue."""
    others = {key: info for key, info in stage.studio.catalogue._models.items() if key != name}
    monkeypatch.setattr(stage.studio.catalogue, "_models", others)
