"""Who asks, and where the answer goes."""

from collections.abc import Mapping
from dataclasses import dataclass, field

LOCAL_OWNER = 0  # owner_id of whoever uses the web studio or the command line without login


@dataclass(frozen=True, kw_only=True, slots=True)
class Caller:
    """Who asks, and where."""

    owner_id: int
    name: str = ""
    guild_id: int | None = None  # None: direct message, web or console
    channel_id: int | None = None
    secluded_in: int | None = None  # the channel, if it is not for everybody of the guild
    role_ids: tuple[int, ...] = ()
    is_admin: bool = False  # may use /admin in this guild; the operator on web and console
    locale: str = "en-US"


@dataclass(frozen=True, kw_only=True, slots=True)
class Destination:
    """Where a job's result goes; survives a restart, so JSON values only."""

    face: str  # "discord", "web", "console"; the deliverer registered under this name
    address: Mapping[str, str | int | None] = field(default_factory=dict)
    key: str = ""  # of the request, chosen by the caller; one of a kind makes jobs once
    # In place of `address` for a result that is private only since its channel is secluded.
    secluded_address: Mapping[str, str | int | None] = field(default_factory=dict)
