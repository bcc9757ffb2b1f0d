"""The gateway: sessions that outlive their connections, heartbeats, resuming."""

import asyncio
import json
import secrets
from dataclasses import dataclass, field
from typing import Any

from aiohttp import WSCloseCode, WSMsgType, web

from tests.e2e.loopback.world import Json, World

DISPATCH, HEARTBEAT, IDENTIFY, RESUME, RECONNECT, INVALID, HELLO, ACK = 0, 1, 2, 6, 7, 9, 10, 11
PRIVILEGED = 1 << 1 | 1 << 8 | 1 << 15  # members, presences, message content
HEARTBEAT_MS = 2000


@dataclass(slots=True)
class Session:
    """What a client was sent, so that it can be sent again."""

    id: str = field(default_factory=lambda: secrets.token_hex(16))
    sequence: int = 0
    frames: list[tuple[int, str]] = field(default_factory=list)
    socket: web.WebSocketResponse | None = None

    async def send(self, event: str, data: Any) -> None:
        """Send an event now, or keep it for the client's return."""
        self.sequence += 1
        frame = {"op": DISPATCH, "t": event, "s": self.sequence, "d": data}
        text = json.dumps(frame, ensure_ascii=False)
        self.frames.append((self.sequence, text))
        if self.socket is not None and not self.socket.closed:
            await self.socket.send_str(text)

    async def replay(self, after: int) -> None:
        """Send again what a client missed."""
        assert self.socket is not None
        for number, text in self.frames:
            if number > after:
                await self.socket.send_str(text)


class Gateway:
    """All sessions, and how often what happened."""

    def __init__(self, world: World, token: str) -> None:
        self._world = world
        self._token = token
        self._session: Session | None = None
        self.counts = {"identify": 0, "resume": 0, "heartbeat": 0, "refused": 0}
        self.is_refusing = False  # the handshake fails
        self.is_guild_late = False  # READY comes without what the guild is
        self.intents = 0

    @property
    def is_connected(self) -> bool:
        """A client can hear us."""
        session = self._session
        return session is not None and session.socket is not None and not session.socket.closed

    async def dispatch(self, event: str, data: Any) -> None:
        """Send an event to the bot, or keep it until it resumes."""
        if self._session is not None:
            await self._session.send(event, data)

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """One connection."""
        if self.is_refusing:
            self._count("refused")
            raise web.HTTPServiceUnavailable
        socket = web.WebSocketResponse(max_msg_size=16384)
        await socket.prepare(request)
        await _send(socket, HELLO, {"heartbeat_interval": HEARTBEAT_MS})
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                await self._receive(socket, json.loads(message.data))
        if self._session is not None and self._session.socket is socket:
            self._session.socket = None
        self._world.changed()
        return socket

    async def tell_guild(self) -> None:
        """Say what the guild is, as Discord does some time after READY."""
        await self.dispatch("GUILD_CREATE", self._guild())

    async def ask_to_reconnect(self) -> None:
        """Tell the client to come again, as before maintenance."""
        await _send(self._open_socket(), RECONNECT, None)

    async def invalidate(self, *, is_resumable: bool) -> None:
        """Tell the client that its session is over."""
        socket = self._open_socket()
        if not is_resumable:
            self._session = None
        await _send(socket, INVALID, is_resumable)

    def cut(self) -> None:
        """Lose the connection without a word."""
        transport = self._open_socket()._req.transport  # type: ignore[union-attr]
        assert transport is not None
        transport.abort()

    def forget(self) -> None:
        """Lose the session, as when Discord's servers change; the next resume fails."""
        self.cut()
        self._session = None

    def _open_socket(self) -> web.WebSocketResponse:
        assert self._session is not None, "nobody is here"
        assert self._session.socket is not None, "nobody listens"
        return self._session.socket

    async def _receive(self, socket: web.WebSocketResponse, frame: Json) -> None:
        data = frame.get("d")
        match frame["op"]:
            case 1:
                self._count("heartbeat")
                await _send(socket, ACK, None)
            case 2:
                await self._identify(socket, data)
            case 6:
                await self._resume(socket, data)
            case other:
                self._world.complain(f"gateway: operation {other} is not for this bot")

    async def _identify(self, socket: web.WebSocketResponse, data: Json) -> None:
        self._count("identify")
        if data["token"] != self._token:
            await socket.close(code=4004, message=b"Authentication failed")
            return
        self.intents = data["intents"]
        if self.intents & PRIVILEGED:
            self._world.complain(f"gateway: privileged intents {self.intents}")
            await socket.close(code=4014, message=b"Disallowed intents")
            return
        self._session = Session(socket=socket)
        await self._session.send("READY", self._ready(self._session.id, data))
        if not self.is_guild_late:
            await self.tell_guild()
        self._world.changed()

    async def _resume(self, socket: web.WebSocketResponse, data: Json) -> None:
        self._count("resume")
        session = self._session
        is_ours = session is not None and session.id == data["session_id"]
        if session is None or not is_ours or data["token"] != self._token:
            await _send(socket, INVALID, False)
            return
        session.socket = socket
        await session.replay(data["seq"])
        await session.send("RESUMED", {})
        self._world.changed()

    def _count(self, what: str) -> None:
        self.counts[what] += 1
        self._world.changed()

    def _ready(self, session_id: str, identity: Json) -> Json:
        world = self._world
        application_id = str(world.application.id)
        address = world.address.replace("http://", "ws://")
        return {
            "v": 10,
            "user": world.application.user() | {"verified": True, "mfa_enabled": False},
            "guilds": [{"id": str(world.guild_id), "unavailable": True}],
            "session_id": session_id,
            "resume_gateway_url": f"{address}/gateway",
            "shard": identity.get("shard", [0, 1]),
            "application": {"id": application_id, "flags": 0},
        }

    def _guild(self) -> Json:
        world = self._world
        guild_id = str(world.guild_id)
        everyone = {
            "id": guild_id,
            "name": "@everyone",
            "permissions": str(1 << 10 | 1 << 31),  # to see channels and use commands
            "color": 0,
            "colors": {"primary_color": 0, "secondary_color": None, "tertiary_color": None},
            "hoist": False,
            "managed": False,
            "mentionable": False,
            "position": 0,
            "flags": 0,
        }
        channels = [c.payload() for c in world.channels.values() if c.guild_id is not None]
        return {
            "id": guild_id,
            "name": "Loopback",
            "owner_id": "1",
            "roles": [everyone],
            "channels": channels,
            "members": [world.application.member()],
            "threads": [],
            "emojis": [],
            "stickers": [],
            "features": [],
            "premium_tier": 0,
            "member_count": len(world.members),
            "large": False,
            "unavailable": False,
            "joined_at": "2024-01-01T00:00:00+00:00",
            "voice_states": [],
            "presences": [],
            "stage_instances": [],
            "guild_scheduled_events": [],
            "preferred_locale": "en-US",
        }


async def _send(socket: web.WebSocketResponse, operation: int, data: Any) -> None:
    await socket.send_str(json.dumps({"op": operation, "d": data, "s": None, "t": None}))


async def close_all(gateway: Gateway) -> None:
    """End the connection as a server that goes down."""
    session = gateway._session
    if session is not None and session.socket is not None:
        await asyncio.wait_for(session.socket.close(code=WSCloseCode.GOING_AWAY), 1)
