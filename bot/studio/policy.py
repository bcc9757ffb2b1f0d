"""Who may do what: limits, channels, models; and whose settings count. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, fields, replace
from functools import cache
from typing import Any

from pydantic import TypeAdapter

from bot.errors import LimitReached, NotAllowed
from bot.prompts import PromptError, parse
from bot.storage.images import ImageRow, Viewer
from bot.storage.jobs import JobRow
from bot.studio.contract import Caller, GuildRules, Limits, Preferences
from bot.wording import Said, said
from engine.api import Ability, Catalogue

# Where nobody decided otherwise.
DEFAULT_LIMITS = Limits(
    running=2, waiting=20, guild_running=None, guild_waiting=500, permutations=10
)


def effective_limits(caller: Caller, rules: GuildRules, defaults: Limits) -> Limits:
    """The caps of a member here: the most generous role's, else the guild's, else the default."""
    of_roles = [rules.role_limits[role] for role in caller.role_ids if role in rules.role_limits]
    decided = {}
    for field in fields(Limits):
        name = field.name
        generous = max(_given(getattr(limits, name) for limits in of_roles), default=None)
        levels = (generous, getattr(rules.limits, name), getattr(defaults, name))
        decided[name] = next(_given(levels), None)
    return Limits(**decided)


def merged_preferences(*levels: Preferences) -> Preferences:
    """What counts: for each setting, the first level that has one."""
    levels = tuple(map(_with_visibility, levels))
    names = [field.name for field in fields(Preferences)]
    values = {name: next(_given(getattr(level, name) for level in levels), None) for name in names}
    return Preferences(**values)


def _with_visibility(level: Preferences) -> Preferences:
    """A level whose default flags say who may see results, unless its own setting does."""
    if level.is_private is not None or not level.flags:
        return level
    try:
        flags = parse(level.flags, allow_empty=True).flags
    except PromptError:  # of an older grammar; who draws with them is told so
        return level
    return replace(level, is_private=flags.is_private)


def changed(wanted: Preferences, known: Preferences) -> Preferences:
    """Of wanted preferences those that are not so yet."""
    names = [field.name for field in fields(Preferences)]
    differing = {name for name in names if getattr(wanted, name) != getattr(known, name)}
    return Preferences(**{name: getattr(wanted, name) for name in differing})


def usual_preferences(caller: Caller) -> Preferences:
    """What counts where nothing is set: what is made in direct messages is private."""
    is_direct = caller.guild_id is None and not is_operator(caller)
    return Preferences(is_private=True) if is_direct else Preferences()


def require_place(caller: Caller, rules: GuildRules) -> None:
    """Refuse channels that the guild's admins did not open.

    Raises:
        NotAllowed: another channel must be used.
    """
    allowed = rules.allowed_channels
    if allowed and caller.channel_id not in allowed and not caller.is_admin:
        places = ", ".join(f"<#{channel}>" for channel in allowed[:5])
        raise NotAllowed(
            Said("pictures can't be made in this channel; use {places}", places=places)
        )


def require_model(model: str, rules: GuildRules) -> None:
    """Refuse models that the guild's admins did not open.

    Raises:
        NotAllowed: another model must be used.
    """
    if not is_open(model, rules):
        names = ", ".join(rules.allowed_models)
        raise NotAllowed(
            Said("the model {model} can't be used here; use {names}", model=model, names=names)
        )


def is_open(model: str | None, rules: GuildRules) -> bool:
    """Whether the guild's admins let a model be used; None: whichever they do."""
    allowed = rules.allowed_models
    return model is None or not allowed or model.strip().lower() in allowed


def with_draft_models(rules: GuildRules, catalogue: Catalogue) -> GuildRules:
    """The rules where each model that admins opened may draw its drafts too."""
    opened = {info.name: info.draft_model for info in catalogue.models()}
    drafts = tuple(filter(None, (opened.get(name) for name in rules.allowed_models)))
    return replace(rules, allowed_models=tuple(dict.fromkeys((*rules.allowed_models, *drafts))))


def with_open_model(
    preferences: Preferences, rules: GuildRules, catalogue: Catalogue
) -> Preferences:
    """The preferences with the first model that admins opened and that draws words.

    Those whose own model, or else the catalogue's, may be used stay as they are.
    """
    usual = preferences.model or catalogue.default.name
    able = {info.name for info in catalogue.models() if Ability.TEXT_TO_IMAGE in info.abilities}
    opened = [name for name in rules.allowed_models if name in able]
    is_open = not opened or usual.strip().lower() in opened
    return preferences if is_open else replace(preferences, model=opened[0])


def require_usable(limits: Limits) -> None:
    """Refuse caps that would let nobody do anything.

    Raises:
        LimitReached: a cap is below 1.
    """
    for field in fields(Limits):
        cap = getattr(limits, field.name)
        if cap is not None and cap < 1:
            raise LimitReached(
                Said(
                    "{what} must be at least 1, not {given}",
                    what=said(field.name.replace("_", " ")),
                    given=cap,
                )
            )


def require_admin(caller: Caller) -> int:
    """The guild that an admin decides for.

    Raises:
        NotAllowed: the caller is no admin, or it is no guild.
    """
    if caller.guild_id is None:
        raise NotAllowed("this is decided in a server, by its admins")
    if not caller.is_admin:
        raise NotAllowed("only admins of this server may decide that")
    return caller.guild_id


def is_operator(caller: Caller) -> bool:
    """Runs the studio: an admin outside of any guild."""
    return caller.is_admin and caller.guild_id is None


def viewer(caller: Caller) -> Viewer:
    """Who looks, as the storage knows them."""
    return Viewer(
        caller.owner_id,
        caller.guild_id,
        sees_all_guilds=is_operator(caller),
        channel_id=caller.secluded_in,
    )


def owner_of(job: JobRow) -> Viewer:
    """Who sees all images of a job."""
    return Viewer(job.owner_id, job.guild_id)


def may_end_job(caller: Caller, job: JobRow) -> bool:
    """Their own, or one in the guild they administer."""
    return job.owner_id == caller.owner_id or _moderates(caller, job.guild_id)


def may_remove_image(caller: Caller, owner_id: int, guild_id: int | None) -> bool:
    """Their own, or one in the guild they administer."""
    return owner_id == caller.owner_id or _moderates(caller, guild_id)


def may_undo_deletion(caller: Caller, image: ImageRow) -> bool:
    """Of those who may remove it: an owner what they deleted themselves, an admin any deletion."""
    is_owners = image.deleted_by in (None, image.owner_id)
    return is_owners or _moderates(caller, image.guild_id)


def may_take_back_style(caller: Caller, owner_id: int, guild_id: int) -> bool:
    """Their own, or one that is shared with the guild they administer."""
    return owner_id == caller.owner_id or _administers(caller, guild_id)


def read_rules(stored: Mapping[str, Any]) -> GuildRules:
    """Rules as a row keeps them."""
    return _rules_adapter().validate_python(dict(stored)) if stored else GuildRules()


def stored_rules(rules: GuildRules) -> dict[str, Any]:
    """Rules as a row keeps them; JSON knows no numbers as keys."""
    roles = {str(role): asdict(limits) for role, limits in rules.role_limits.items()}
    plain = asdict(replace(rules, role_limits={}))
    return plain | {"role_limits": roles}


def read_preferences(stored: Mapping[str, Any]) -> Preferences:
    """Preferences as a row keeps them."""
    return _preferences_adapter().validate_python(dict(stored)) if stored else Preferences()


def stored_preferences(preferences: Preferences) -> dict[str, Any]:
    """Preferences as a row keeps them: what is set, and no more."""
    return {name: value for name, value in asdict(preferences).items() if value is not None}


@cache
def _rules_adapter() -> TypeAdapter[GuildRules]:
    return TypeAdapter(GuildRules)


@cache
def _preferences_adapter() -> TypeAdapter[Preferences]:
    return TypeAdapter(Preferences)


def _moderates(caller: Caller, guild_id: int | None) -> bool:
    return is_operator(caller) or _administers(caller, guild_id)


def _administers(caller: Caller, guild_id: int | None) -> bool:
    return caller.is_admin and guild_id is not None and caller.guild_id == guild_id


def _given(values: Iterable[Any]) -> Iterator[Any]:
    return (value for value in values if value is not None)
