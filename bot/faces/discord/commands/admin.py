"""/admin: what a server's admins decide: limits, channels, models, members, words, defaults."""

import re
from collections.abc import Iterable
from dataclasses import fields, replace
from typing import TypeVar

import discord
from discord import app_commands

from bot.errors import NotAllowed, NotFound
from bot.faces.discord.cards import lines_within
from bot.faces.discord.commands.choices import (
    aspects,
    choice_of,
    complete_model,
    complete_preset,
)
from bot.faces.discord.commands.settings import (
    COUNT_MAX,
    FLAGS_MAX,
    changed,
    clearable,
    preference_lines,
    without,
)
from bot.faces.discord.face import Interaction, caller_of, known_guild
from bot.faces.discord.localisation import Words, described, phrase
from bot.studio.contract import Caller, GuildRules, Limits, Preferences

LIMIT_MAX = 1000  # jobs
WORDS_MAX = 200  # characters
CONTENT_MAX = 2000  # characters of a message
LISTED_MAX = 300  # characters of the names of a list
T = TypeVar("T")
_ACTIONS = ("allow", "remove", "clear")
_BLOCKS = ("block", "unblock", "clear")
_COMMAS = re.compile("[,，、]")


class AdminCommands(app_commands.Group):
    """Rules of a server, for members who may manage it."""

    def __init__(self) -> None:
        super().__init__(
            name=phrase("commands.admin.name"),
            description=phrase("commands.admin.description"),
            guild_only=True,
            default_permissions=discord.Permissions(manage_guild=True),
        )

    @app_commands.command(
        name=phrase("commands.admin-show.name"),
        description=phrase("commands.admin-show.description"),
    )
    async def show(self, interaction: Interaction) -> None:
        """Show all rules and defaults."""
        await _begin(interaction)
        await _show(interaction, await _rules(interaction))

    @app_commands.command(
        name=phrase("commands.admin-limits.name"),
        description=phrase("commands.admin-limits.description"),
    )
    @app_commands.describe(
        **described(
            "admin-limits",
            "role",
            "running",
            "waiting",
            "guild_running",
            "guild_waiting",
            "permutations",
            "reset",
        )
    )
    async def limits(
        self,
        interaction: Interaction,
        role: discord.Role | None = None,
        running: app_commands.Range[int, 1, LIMIT_MAX] | None = None,
        waiting: app_commands.Range[int, 1, LIMIT_MAX] | None = None,
        guild_running: app_commands.Range[int, 1, LIMIT_MAX] | None = None,
        guild_waiting: app_commands.Range[int, 1, LIMIT_MAX] | None = None,
        permutations: app_commands.Range[int, 1, LIMIT_MAX] | None = None,
        reset: bool = False,  # noqa: FBT001, FBT002
    ) -> None:
        """Change the limits that are given, of everybody or of one role."""
        await _begin(interaction)
        given = Limits(
            running=running,
            waiting=waiting,
            guild_running=guild_running,
            guild_waiting=guild_waiting,
            permutations=permutations,
        )
        rules = await _rules(interaction)
        if role is None:
            known = Limits() if reset else rules.limits
            wanted = replace(rules, limits=_merged(known, given))
        else:
            known = Limits() if reset else rules.role_limits.get(role.id, Limits())
            merged = _merged(known, given)
            others = {key: value for key, value in rules.role_limits.items() if key != role.id}
            role_limits = others if merged == Limits() else others | {role.id: merged}
            wanted = replace(rules, role_limits=role_limits)
        await _save(interaction, rules, wanted)

    @app_commands.command(
        name=phrase("commands.admin-channels.name"),
        description=phrase("commands.admin-channels.description"),
    )
    @app_commands.describe(**described("admin-channels", "action", "channel"))
    @app_commands.choices(action=choice_of(*_ACTIONS, prefix="commands.admin-actions"))
    async def channels(
        self,
        interaction: Interaction,
        action: app_commands.Choice[str],
        channel: discord.TextChannel | discord.ForumChannel | discord.VoiceChannel | None = None,
    ) -> None:
        """Allow or forbid a channel; the one this is typed in unless another is named."""
        await _begin(interaction)
        caller = caller_of(interaction)
        named = channel.id if channel else caller.channel_id or 0
        rules = await _rules(interaction)
        allowed = _edited(interaction, rules.allowed_channels, action.value, named, f"<#{named}>")
        await _save(interaction, rules, replace(rules, allowed_channels=allowed))

    @app_commands.command(
        name=phrase("commands.admin-models.name"),
        description=phrase("commands.admin-models.description"),
    )
    @app_commands.describe(**described("admin-models", "action", "model"))
    @app_commands.choices(action=choice_of(*_ACTIONS, prefix="commands.admin-actions"))
    @app_commands.autocomplete(model=complete_model)
    async def models(
        self,
        interaction: Interaction,
        action: app_commands.Choice[str],
        model: str | None = None,
    ) -> None:
        """Allow or forbid a model."""
        await _begin(interaction)
        rules = await _rules(interaction)
        named = _model_named(interaction, model, rules)
        allowed = _edited(interaction, rules.allowed_models, action.value, named, f"`{named}`")
        await _save(interaction, rules, replace(rules, allowed_models=allowed))

    @app_commands.command(
        name=phrase("commands.admin-members.name"),
        description=phrase("commands.admin-members.description"),
    )
    @app_commands.describe(**described("admin-members", "action", "member"))
    @app_commands.choices(action=choice_of(*_BLOCKS, prefix="commands.admin-blocks"))
    async def members(
        self,
        interaction: Interaction,
        action: app_commands.Choice[str],
        member: discord.User | None = None,
    ) -> None:
        """Block a member from making pictures in this server, or no more."""
        await _begin(interaction)
        named = [member.id] if member else []
        rules = await _rules(interaction)
        blocked = _blocked(interaction, rules.blocked_members, action.value, named)
        await _save(interaction, rules, replace(rules, blocked_members=blocked))

    @app_commands.command(
        name=phrase("commands.admin-words.name"),
        description=phrase("commands.admin-words.description"),
    )
    @app_commands.describe(**described("admin-words", "action", "words"))
    @app_commands.choices(action=choice_of(*_BLOCKS, prefix="commands.admin-blocks"))
    async def words(
        self,
        interaction: Interaction,
        action: app_commands.Choice[str],
        words: app_commands.Range[str, 1, WORDS_MAX] | None = None,
    ) -> None:
        """Forbid words in prompts, with commas between several, or no more."""
        await _begin(interaction)
        typed = (word.strip().casefold() for word in _COMMAS.split(words or ""))
        named = [word for word in typed if word]
        rules = await _rules(interaction)
        forbidden = _blocked(interaction, rules.forbidden_words, action.value, named)
        await _save(interaction, rules, replace(rules, forbidden_words=forbidden))

    @app_commands.command(
        name=phrase("commands.admin-defaults.name"),
        description=phrase("commands.admin-defaults.description"),
    )
    @app_commands.describe(
        **described(
            "admin-defaults",
            "model",
            "aspect",
            "count",
            "preset",
            "flags",
            "private",
            "clear",
            "reset",
        )
    )
    @app_commands.choices(aspect=aspects(), clear=clearable())
    @app_commands.autocomplete(model=complete_model, preset=complete_preset)
    async def defaults(
        self,
        interaction: Interaction,
        model: str | None = None,
        aspect: app_commands.Choice[str] | None = None,
        count: app_commands.Range[int, 1, COUNT_MAX] | None = None,
        preset: str | None = None,
        flags: app_commands.Range[str, 0, FLAGS_MAX] | None = None,
        private: bool | None = None,  # noqa: FBT001
        clear: app_commands.Choice[str] | None = None,
        reset: bool = False,  # noqa: FBT001, FBT002
    ) -> None:
        """Change the defaults that are given, and take back the one that is cleared."""
        await _begin(interaction)
        words, caller = Words(interaction.locale.value), caller_of(interaction)
        studio = interaction.client.studio
        known = Preferences() if reset else await studio.guild_preferences(caller)
        wanted = changed(words, without(known, clear), model, aspect, count, preset, flags, private)
        if reset or wanted != known:
            await studio.set_guild_preferences(caller, wanted)
        await _show(interaction, await _rules(interaction))


async def _begin(interaction: Interaction) -> None:
    """Acknowledge; admins of the server alone, whatever its integration settings say."""
    await interaction.response.defer(thinking=True, ephemeral=True)
    if not caller_of(interaction).is_admin:
        raise NotAllowed(Words(interaction.locale.value)("admin.only"))


async def _rules(interaction: Interaction) -> GuildRules:
    return await interaction.client.studio.rules(caller_of(interaction))


async def _save(interaction: Interaction, known: GuildRules, wanted: GuildRules) -> None:
    lasting = _lasting(interaction, wanted)
    if lasting != known:
        await interaction.client.studio.set_rules(caller_of(interaction), lasting)
    await _show(interaction, lasting)


def _lasting(interaction: Interaction, rules: GuildRules) -> GuildRules:
    """The rules without roles and channels that were deleted, and models not offered any more.

    Models or channels all of which are gone stay: without any, all would be allowed.
    """
    offered = interaction.client.studio.catalogue.names()
    models = tuple(model for model in rules.allowed_models if model in offered)
    rules = replace(rules, allowed_models=models or rules.allowed_models)
    guild = known_guild(interaction)
    if guild is None:
        return rules
    roles = {role: limits for role, limits in rules.role_limits.items() if guild.get_role(role)}
    channels = tuple(one for one in rules.allowed_channels if guild.get_channel(one))
    return replace(rules, role_limits=roles, allowed_channels=channels or rules.allowed_channels)


def _model_named(interaction: Interaction, model: str | None, rules: GuildRules) -> str:
    """A model of the rules, though it be gone, or of the catalogue; the usual one for none."""
    catalogue = interaction.client.studio.catalogue
    if model is None:
        return catalogue.default.name
    typed = model.strip().lower()
    return typed if typed in rules.allowed_models else catalogue.info(model).name


async def _show(interaction: Interaction, rules: GuildRules) -> None:
    words = Words(interaction.locale.value)
    caller: Caller = caller_of(interaction)
    preferences = await interaction.client.studio.guild_preferences(caller)
    members = (f"<@{member}>" for member in rules.blocked_members)
    forbidden = (f"||{discord.utils.escape_markdown(word)}||" for word in rules.forbidden_words)
    lines = [
        words("admin.limits", **_limit_values(words, rules.limits)),
        words("admin.channels", names=_listed(words, (f"<#{c}>" for c in rules.allowed_channels))),
        words("admin.models", names=_listed(words, (f"`{m}`" for m in rules.allowed_models))),
        words("admin.members", names=_listed(words, members, "admin.none")),
        words("admin.words", names=_listed(words, forbidden, "admin.none")),
        words("settings.guild_title"),
        *preference_lines(words, preferences),
    ]
    of_roles = [
        words("admin.role_limits", role=f"<@&{role_id}>", **_limit_values(words, limits))
        for role_id, limits in rules.role_limits.items()
    ]
    text = lines_within(
        [*lines, *of_roles], CONTENT_MAX, lambda count: words("admin.more", count=count)
    )
    await interaction.edit_original_response(content=text)


def _limit_values(words: Words, limits: Limits) -> dict[str, object]:
    values = {field.name: getattr(limits, field.name) for field in fields(limits)}
    return {
        name: words("admin.default") if value is None else value for name, value in values.items()
    }


def _listed(words: Words, names: Iterable[str], nothing: str = "admin.all") -> str:
    """The names in one line, the oldest of them only counted where it would be too long."""
    known = list(names)
    newest = known
    while len(", ".join(newest)) > LISTED_MAX:
        newest = newest[1:]
    shown = ", ".join(newest)
    if count := len(known) - len(newest):
        shown += " " + words("admin.more", count=count)
    return shown or words(nothing)


def _merged(known: Limits, given: Limits) -> Limits:
    values = {field.name: getattr(given, field.name) for field in fields(given)}
    return replace(known, **{name: value for name, value in values.items() if value is not None})


def _edited(
    interaction: Interaction, names: tuple[T, ...], action: str, named: T, shown: str
) -> tuple[T, ...]:
    """What is allowed after an action.

    Raises:
        NotAllowed: the last one is to be removed, which would allow all.
    """
    if action == "clear":
        return ()
    others = tuple(name for name in names if name != named)
    if action == "allow":
        return (*others, named)
    if names and not others:
        words = Words(interaction.locale.value)
        clear = words("commands.admin-actions.clear")
        raise NotAllowed(words("admin.last", name=shown, clear=clear))
    return others


def _blocked(
    interaction: Interaction, known: tuple[T, ...], action: str, named: Iterable[T]
) -> tuple[T, ...]:
    """What is blocked after an action.

    Raises:
        NotFound: nothing is named.
    """
    if action == "clear":
        return ()
    chosen = tuple(named)
    if not chosen:
        raise NotFound(Words(interaction.locale.value)("admin.unnamed"))
    others = tuple(one for one in known if one not in chosen)
    return (*others, *dict.fromkeys(chosen)) if action == "block" else others
