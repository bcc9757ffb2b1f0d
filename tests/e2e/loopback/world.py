"""What there is on this Discord: a guild, channels, members, messages, interactions, files."""

import asyncio
import io
import itertools
import mimetypes
import re
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeAlias

from PIL import Image

from tests.e2e.loopback.pace import paced

Json: TypeAlias = dict[str, Any]
EPOCH_MS = 1420070400000  # 2015, where Discord's ids begin
TOKEN_S = 15 * 60.0  # an interaction's token lives so long
ANSWER_S = paced(3.0)  # an interaction must be acknowledged within
LINK_S = 24 * 3600.0  # a link to an attachment holds
FILE_LIMIT = 10 * 2**20  # bytes
ALL_PERMISSIONS = (1 << 50) - 1
EPHEMERAL, LOADING = 1 << 6, 1 << 7


class Refusal(Exception):
    """An answer of Discord's other than success."""

    def __init__(self, status: int, code: int, message: str) -> None:
        super().__init__(status, code, message)
        self.status = status
        self.code = code
        self.message = message


@dataclass(slots=True)
class Clock:
    """The time, which tests may put forward."""

    offset_s: float = 0.0

    def now(self) -> float:
        """Seconds since 1970."""
        return time.time() + self.offset_s

    def stamp(self) -> str:
        """The time as messages carry it."""
        return datetime.fromtimestamp(self.now(), UTC).isoformat()


@dataclass(slots=True)
class Member:
    """Somebody with an account."""

    id: int
    name: str
    locale: str = "en-US"
    permissions: int = 0x7FFFFFFF & ~0x28  # not administrator, may not manage the guild
    role_ids: tuple[int, ...] = ()
    is_bot: bool = False

    def user(self) -> Json:
        """The account."""
        return {
            "id": str(self.id),
            "username": self.name,
            "global_name": self.name.title(),
            "avatar": None,
            "discriminator": "0",
            "public_flags": 0,
            "flags": 0,
            "primary_guild": None,
            "bot": self.is_bot,
        }

    def member(self) -> Json:
        """The account in the guild."""
        return {
            "user": self.user(),
            "nick": None,
            "avatar": None,
            "roles": [str(role_id) for role_id in self.role_ids],
            "joined_at": "2024-01-01T00:00:00+00:00",
            "premium_since": None,
            "deaf": False,
            "mute": False,
            "flags": 0,
            "pending": False,
            "permissions": str(self.permissions),
            "communication_disabled_until": None,
        }


@dataclass(slots=True)
class Channel:
    """A text channel of the guild, or direct messages with one member."""

    id: int
    name: str
    guild_id: int | None
    recipient: Member | None = None
    app_permissions: int = ALL_PERMISSIONS
    is_nsfw: bool = False
    is_installed: bool = True  # else only members bring the application along
    is_closed: bool = False  # direct messages that are not accepted
    limit_bytes: int = FILE_LIMIT
    parent_id: int | None = None  # of a thread
    is_archived: bool = False  # a thread; a new message opens it again
    is_locked: bool = False  # a thread that moderators alone may open

    def payload(self) -> Json:
        """The channel as events carry it."""
        if self.recipient is not None:
            return {
                "id": str(self.id),
                "type": 1,
                "flags": 0,
                "last_message_id": None,
                "recipients": [self.recipient.user()],
            }
        if self.parent_id is not None:
            return self._thread_payload()
        return {
            "id": str(self.id),
            "type": 0,
            "guild_id": str(self.guild_id),
            "name": self.name,
            "position": 0,
            "permission_overwrites": [],
            "parent_id": None,
            "topic": None,
            "nsfw": self.is_nsfw,
            "rate_limit_per_user": 0,
            "last_message_id": None,
            "flags": 0,
            "permissions": str(ALL_PERMISSIONS),
        }

    def _thread_payload(self) -> Json:
        return {
            "id": str(self.id),
            "type": 11,
            "guild_id": str(self.guild_id),
            "parent_id": str(self.parent_id),
            "owner_id": "1",
            "name": self.name,
            "last_message_id": None,
            "message_count": 0,
            "member_count": 1,
            "rate_limit_per_user": 0,
            "thread_metadata": {
                "archived": self.is_archived,
                "auto_archive_duration": 60,
                "archive_timestamp": "2024-01-01T00:00:00+00:00",
                "locked": self.is_locked,
            },
            "flags": 0,
            "permissions": str(ALL_PERMISSIONS),
        }


@dataclass(slots=True)
class StoredFile:
    """An attachment on the content network."""

    id: int
    channel_id: int
    filename: str
    data: bytes
    expires: float
    description: str | None = None
    size: tuple[int, int] | None = None  # pixels, where it is a picture

    @property
    def content_type(self) -> str:
        return mimetypes.guess_type(self.filename)[0] or "application/octet-stream"


@dataclass(slots=True)
class StoredMessage:
    """A message and all it has been."""

    payload: Json
    owner_id: int | None = None  # who alone sees it
    files: list[StoredFile] = field(default_factory=list)
    history: list[Json] = field(default_factory=list)
    edited_at: list[float] = field(default_factory=list)
    is_deleted: bool = False


@dataclass(slots=True)
class Interaction:
    """Something a member did, until and after the bot answered."""

    id: int
    token: str
    kind: int  # 2 command, 3 component, 4 autocompletion, 5 form
    member: Member
    channel: Channel
    created: float  # seconds of the clock
    limit_bytes: int
    payload: Json = field(default_factory=dict)
    message_id: int | None = None  # of the component that was used
    sent_at: float = 0.0  # monotonic seconds
    answered_after_s: float | None = None
    answer: Json | None = None  # the callback's body
    original_id: int | None = None
    followup_ids: list[int] = field(default_factory=list)
    is_loading: bool = False


@dataclass(slots=True)
class Fault:
    """Trouble for the next requests that match."""

    method: str
    path: str  # a regular expression for the whole path behind the version
    times: int = 1
    status: int = 0  # 0: cut the connection
    code: int = 0
    message: str = "injected"
    retry_after: float | None = None
    delay_s: float = 0.0
    is_after: bool = False  # the request is carried out, only its answer is lost
    is_upload_only: bool = False


class World:
    """All of it, and news of each change."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.clock = Clock()
        self._last_id = 0
        self.application = Member(self.new_id(), "atelier", is_bot=True)
        self.guild_id = self.new_id()
        self.members: dict[int, Member] = {self.application.id: self.application}
        self.channels: dict[int, Channel] = {}
        self.messages: dict[int, StoredMessage] = {}
        self.interactions: dict[int, Interaction] = {}
        self.files: dict[int, StoredFile] = {}
        self.commands: dict[int | None, list[Json]] = {None: []}
        self.nonces: dict[tuple[int, str], int] = {}
        self.faults: list[Fault] = []
        self.requests: list[Json] = []
        self.violations: list[str] = []
        self.version = 0
        self._changed = asyncio.Event()

    def new_id(self, *, age_s: float = 0.0) -> int:
        """A new snowflake: its upper bits are the time."""
        moment = (round((self.clock.now() - age_s) * 1000) - EPOCH_MS) << 22
        if age_s:
            return moment | secrets.randbits(22)
        self._last_id = max(self._last_id + 1, moment)
        return self._last_id

    def changed(self) -> None:
        """Wake whoever waits for news."""
        self.version += 1
        self._changed.set()
        self._changed = asyncio.Event()

    async def next_change(self, since: int, timeout_s: float) -> int:
        """The version once it is newer, or the same one when time is over."""
        if self.version <= since:
            try:
                async with asyncio.timeout(timeout_s):
                    await self._changed.wait()
            except TimeoutError:
                pass
        return self.version

    def member(self, name: str) -> Member:
        """The member of that name; a new one where there is none."""
        found = next((m for m in self.members.values() if m.name == name), None)
        if found is None:
            found = Member(self.new_id(), name)
            self.members[found.id] = found
        return found

    def channel(self, channel_id: int) -> Channel:
        """A channel that the bot may know of."""
        if channel_id not in self.channels:
            raise Refusal(404, 10003, "Unknown Channel")
        return self.channels[channel_id]

    def direct_channel(self, member: Member) -> Channel:
        """The direct messages between a member and the bot."""
        for channel in self.channels.values():
            if channel.recipient is member:
                return channel
        channel = Channel(self.new_id(), "", None, recipient=member)
        self.channels[channel.id] = channel
        return channel

    def message(self, message_id: int) -> StoredMessage:
        """A message that still exists."""
        stored = self.messages.get(message_id)
        if stored is None or stored.is_deleted:
            raise Refusal(404, 10008, "Unknown Message")
        return stored

    def store_file(
        self, channel_id: int, filename: str, data: bytes, description: str | None = None
    ) -> StoredFile:
        """Put a file on the content network."""
        expires = self.clock.now() + LINK_S
        stored = StoredFile(self.new_id(), channel_id, filename, data, expires, description)
        try:
            with Image.open(io.BytesIO(data)) as image:
                stored.size = image.size
        except OSError:
            stored.size = None
        self.files[stored.id] = stored
        return stored

    def url(self, stored: StoredFile) -> str:
        """Where a file is, with the end of the link in it."""
        place = f"attachments/{stored.channel_id}/{stored.id}/{stored.filename}"
        return f"{self.address}/{place}?ex={round(stored.expires):x}&is=0&hm=0"

    def fault_for(self, method: str, path: str, *, is_upload: bool = False) -> Fault | None:
        """The trouble that was asked for this request; it is used up a little."""
        for fault in self.faults:
            is_meant = fault.method in (method, "*") and re.fullmatch(fault.path, path)
            if fault.times > 0 and is_meant and (is_upload or not fault.is_upload_only):
                fault.times -= 1
                return fault
        return None

    def complain(self, problem: str) -> None:
        """Note that somebody, the bot or this server, broke a rule."""
        self.violations.append(problem)
        self.changed()


def visible_to(messages: Iterator[StoredMessage], member: Member) -> Iterator[StoredMessage]:
    """What one member can see."""
    for stored in messages:
        if not stored.is_deleted and stored.owner_id in (None, member.id):
            yield stored


_tokens = itertools.count(1)


def new_token() -> str:
    """An interaction's token."""
    return f"loopback-{next(_tokens)}-{secrets.token_urlsafe(24)}"
