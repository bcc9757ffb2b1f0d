"""Whose settings count and who may do what."""

import json

from bot.storage.images import Viewer
from bot.studio import policy
from bot.studio.contract import Caller, GuildRules, Limits, Preferences


def test_the_most_generous_role_counts_then_the_guild_then_the_default() -> None:
    rules = GuildRules(
        limits=Limits(running=3, waiting=3),
        role_limits={5: Limits(running=1), 6: Limits(running=9), 7: Limits(running=99)},
    )
    defaults = Limits(running=2, waiting=2, permutations=10)
    member = Caller(owner_id=1, role_ids=(5, 6))
    limits = policy.effective_limits(member, rules, defaults)
    assert (limits.running, limits.waiting, limits.permutations) == (9, 3, 10)
    assert policy.effective_limits(Caller(owner_id=1), rules, defaults).running == 3


def test_own_preferences_count_before_the_guilds() -> None:
    own, guild = Preferences(model="a", is_private=False), Preferences(model="b", aspect="3:2")
    merged = policy.merged_preferences(own, guild)
    assert merged == Preferences(model="a", aspect="3:2", is_private=False)


def test_a_default_flag_of_who_may_see_results_counts_as_much_as_its_level() -> None:
    private, public = Preferences(is_private=True), Preferences(flags="--public --chaos 5")
    assert policy.merged_preferences(private, public).is_private is True
    assert policy.merged_preferences(Preferences(flags="--chaos 5"), public).is_private is False
    assert policy.merged_preferences(public, private).is_private is False
    said = Preferences(flags="--public", is_private=True)
    assert policy.merged_preferences(said).is_private is True
    assert policy.merged_preferences(Preferences(flags="--no-more 1")).is_private is None


def test_rules_and_preferences_survive_json() -> None:
    rules = GuildRules(
        limits=Limits(running=1),
        role_limits={2**62: Limits(waiting=5)},
        allowed_channels=(1, 2),
        allowed_models=("tiny",),
        blocked_members=(2**62,),
        forbidden_words=("gore",),
    )
    assert policy.read_rules(json.loads(json.dumps(policy.stored_rules(rules)))) == rules
    assert policy.read_rules({}) == GuildRules()
    preferences = Preferences(aspect="3:2", is_private=False)
    stored = json.loads(json.dumps(policy.stored_preferences(preferences)))
    assert stored == {"aspect": "3:2", "is_private": False}
    assert policy.read_preferences(stored) == preferences


def test_only_an_admin_outside_of_guilds_is_the_operator() -> None:
    assert policy.viewer(Caller(owner_id=0, is_admin=True)) == Viewer(0, None, sees_all_guilds=True)
    assert policy.viewer(Caller(owner_id=1, guild_id=9, is_admin=True)) == Viewer(1, 9)
    assert policy.viewer(Caller(owner_id=1)) == Viewer(1, None)
