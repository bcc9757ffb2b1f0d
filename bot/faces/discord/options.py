"""What the Discord face needs to know from the operator."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from bot.studio.contract import ImageView

MEDIA_HOSTS = frozenset({"cdn.discordapp.com", "media.discordapp.net"})


@dataclass(frozen=True, kw_only=True, slots=True)
class DiscordOptions:
    """The values `serve` runs with."""

    token: str = field(repr=False)
    state_dir: Path  # keeps the hash of the commands last sent
    sync_commands: bool = True
    test_guild_id: int | None = None  # commands go to this guild alone
    upload_max_bytes: int = 25 * 2**20
    media_hosts: frozenset[str] = MEDIA_HOSTS  # attachments are fetched from nowhere else
    picture_link: Callable[[ImageView], str] | None = None  # signed link of the web studio
    export_link: Callable[[int], str] | None = None  # the same, to all that is kept of a member
    is_age_restricted_only: bool = False  # pictures are made in age-restricted channels alone
    is_servers_only: bool = False  # neither in direct messages nor where a member brings it along
    announce_after_s: float = 60.0  # slower results come as messages of their own; 0: none
    edit_interval_s: float = 1.5  # between two edits of a progress message
    guild_ready_timeout_s: float = 2.0
