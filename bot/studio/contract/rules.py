"""What members and guilds decide: defaults, limits, channels, models."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True, slots=True)
class Preferences:
    """Defaults of a member or a guild; None: not set, the level below decides."""

    model: str | None = None
    aspect: str | None = None  # "3:2"
    image_count: int | None = None
    preset: str | None = None
    flags: str | None = None  # appended to each prompt where not given
    is_private: bool | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """Caps on jobs; the most generous of a member's roles counts. None: the level below decides."""

    running: int | None = None  # jobs of one member at once
    waiting: int | None = None  # jobs of one member in the queue
    guild_running: int | None = None
    guild_waiting: int | None = None
    permutations: int | None = None  # jobs of one prompt


@dataclass(frozen=True, kw_only=True, slots=True)
class GuildRules:
    """What admins decide for a guild."""

    limits: Limits = Limits()
    role_limits: Mapping[int, Limits] = field(default_factory=dict)
    allowed_channels: tuple[int, ...] = ()  # empty: all
    allowed_models: tuple[str, ...] = ()  # empty: all
    blocked_members: tuple[int, ...] = ()
    forbidden_words: tuple[str, ...] = ()  # in prompts, found as `bot.studio.moderation` says
