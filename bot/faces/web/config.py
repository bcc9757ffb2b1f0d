"""What the web studio needs to know, and which addresses it may listen on."""

import ipaddress
from dataclasses import dataclass
from pathlib import Path

from bot.errors import BadConfiguration

LOOPBACK_NAMES = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True, kw_only=True, slots=True)
class WebConfig:
    """The settings of the web studio.

    Raises:
        BadConfiguration: the address can be reached by others, and no token is set.
    """

    host: str = "127.0.0.1"  # address to listen on
    port: int = 8080  # 0: any free one
    token: str = ""  # demanded at login; on loopback it may be empty
    public_url: str = ""  # where a reverse proxy shows the studio, if there is one
    upload_max_bytes: int = 25 * 2**20  # of one picture
    heartbeat_s: float = 15.0  # between signs of life on an event stream
    jobs_max: int | None = None  # of one prompt; None: only the studio knows, once it is sent
    login_days: int = 30  # how long a browser stays logged in
    data_dir: Path | None = None  # whose disk health looks at; None: it looks at none

    def __post_init__(self) -> None:
        if not self.is_loopback and not self.token:
            raise BadConfiguration(
                "ATELIER_WEB__TOKEN",
                f"must be set, because the web studio listens on {self.host}, where others can "
                "reach it; or set ATELIER_WEB__HOST=127.0.0.1",
            )
        if self.token and len(self.token) < 12:
            raise BadConfiguration(
                "ATELIER_WEB__TOKEN", "must have at least 12 characters, so that nobody guesses it"
            )

    @property
    def is_loopback(self) -> bool:
        """Only this machine can reach the studio."""
        return is_loopback(self.host)

    @property
    def demands_login(self) -> bool:
        """A token is asked for, on loopback too where one is set (it may be behind a proxy)."""
        return bool(self.token)

    @property
    def body_max_bytes(self) -> int:
        """Of a request: two pictures, written in base64, and some words."""
        return 2 * self.upload_max_bytes * 4 // 3 + 2**20


def is_loopback(host: str) -> bool:
    """Whether a name or address means this very machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
