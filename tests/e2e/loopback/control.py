"""What tests ask of the server: members' deeds, looks at messages, trouble, the clock."""

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable
from dataclasses import fields
from typing import Any

from aiohttp import web

from tests.e2e.loopback.gateway import Gateway
from tests.e2e.loopback.interactions import Deeds, ImpossibleDeed
from tests.e2e.loopback.messages import attachment, blank, keep
from tests.e2e.loopback.world import (
    Channel,
    Fault,
    Interaction,
    Json,
    Member,
    Refusal,
    StoredMessage,
    World,
)

WAIT_S = 5.0
_MANAGE_GUILD = 1 << 5


class Control:
    """The routes under /control; JSON in, JSON out."""

    def __init__(self, world: World, gateway: Gateway, deeds: Deeds, *, is_judged: bool) -> None:
        self._world = world
        self._gateway = gateway
        self._deeds = deeds
        self._is_judged = is_judged

    def add_to(self, app: web.Application) -> None:
        """Serve all verbs."""
        verbs: dict[str, Callable[[Json], Awaitable[Any]]] = {
            "member": self._member,
            "channel": self._channel,
            "type": lambda asked: self._deed(self._deeds.type, asked),
            "complete": lambda asked: self._deed(self._deeds.complete, asked),
            "choose": lambda asked: self._deed(self._deeds.choose, asked),
            "press": lambda asked: self._deed(self._deeds.press, asked),
            "submit": lambda asked: self._deed(self._deeds.submit, asked),
            "storm": self._storm,
            "post": self._post,
            "interaction": self._interaction,
            "message": self._message,
            "messages": self._messages,
            "fault": self._fault,
            "clock": self._clock,
            "gateway": self._steer_gateway,
            "report": self._report,
            "calm": self._calm,
            "changed": self._changed,
        }
        for name, verb in verbs.items():
            app.router.add_post(f"/control/{name}", _answering(verb))

    async def _member(self, asked: Json) -> Json:
        member = self._world.member(asked["name"])
        member.locale = asked.get("locale", member.locale)
        member.role_ids = tuple(asked.get("role_ids", member.role_ids))
        if asked.get("is_admin"):
            member.permissions |= _MANAGE_GUILD
        return {"id": str(member.id), "direct": str(self._world.direct_channel(member).id)}

    async def _channel(self, asked: Json) -> Json:
        """Make a channel, or change one whose id is given."""
        world = self._world
        if "id" in asked:
            channel = world.channel(int(asked["id"]))
        else:
            channel = Channel(world.new_id(), asked["name"], world.guild_id)
            if parent_id := asked.get("settings", {}).get("parent_id"):
                channel.parent_id = int(parent_id)
            world.channels[channel.id] = channel
            kind = "CHANNEL_CREATE" if channel.parent_id is None else "THREAD_CREATE"
            await self._gateway.dispatch(kind, channel.payload())
        for key, value in asked.get("settings", {}).items():
            setattr(channel, key, value)
        if {"is_archived", "is_locked"} & asked.get("settings", {}).keys():
            await self._gateway.dispatch("THREAD_UPDATE", channel.payload())
        if "is_nsfw" in asked.get("settings", {}):
            await self._gateway.dispatch("CHANNEL_UPDATE", channel.payload())
        return {"id": str(channel.id)}

    async def _deed(
        self, deed: Callable[[Member, Channel, Json], Awaitable[Interaction]], asked: Json
    ) -> Json:
        if not self._gateway.is_connected and not asked.get("is_patient"):
            raise ImpossibleDeed("the bot is not here")
        member = self._world.member(asked["member"])
        channel = self._world.channel(int(asked["channel_id"]))
        interaction = await deed(member, channel, asked)
        return _seen(self._world, interaction)

    async def _storm(self, asked: Json) -> Json:
        """Many members type the same at once."""
        channel = self._world.channel(int(asked["channel_id"]))
        members = [self._world.member(f"{asked['name']}{n}") for n in range(asked["count"])]
        made = [await self._deeds.type(member, channel, asked) for member in members]
        return {"ids": [str(interaction.id) for interaction in made]}

    async def _post(self, asked: Json) -> Json:
        """A member writes a message, with a file perhaps."""
        world = self._world
        channel = world.channel(int(asked["channel_id"]))
        stored = StoredMessage(blank(world, channel, world.member(asked["member"])))
        stored.payload["content"] = asked.get("content", "")
        if "file" in asked:
            data = base64.b64decode(asked["file"]["data"])
            file = world.store_file(channel.id, asked["file"]["filename"], data)
            stored.files.append(file)
            stored.payload["attachments"].append(attachment(world, file))
        return keep(world, stored).payload

    async def _interaction(self, asked: Json) -> Json:
        return _seen(self._world, self._world.interactions[int(asked["id"])])

    async def _message(self, asked: Json) -> Json:
        stored = self._world.messages[int(asked["id"])]
        return _told(stored) | {"history": stored.history}

    async def _messages(self, asked: Json) -> list[Json]:
        """What a member sees in a channel, oldest first."""
        member = self._world.member(asked["member"])
        return [
            _told(stored)
            for stored in self._world.messages.values()
            if stored.payload["channel_id"] == str(asked["channel_id"])
            and not stored.is_deleted
            and stored.owner_id in (None, member.id)
        ]

    async def _fault(self, asked: Json) -> Json:
        known = {field.name for field in fields(Fault)}
        self._world.faults.append(Fault(**{key: asked[key] for key in asked if key in known}))
        return {}

    async def _clock(self, asked: Json) -> Json:
        self._world.clock.offset_s += asked["forward_s"]
        return {}

    async def _steer_gateway(self, asked: Json) -> Json:
        gateway = self._gateway
        match asked["action"]:
            case "reconnect":
                await gateway.ask_to_reconnect()
            case "invalidate":
                await gateway.invalidate(is_resumable=asked.get("is_resumable", False))
            case "cut":
                gateway.cut()
            case "forget":
                gateway.forget()
            case "refuse":
                gateway.is_refusing = asked["on"]
            case "delay the guild":
                gateway.is_guild_late = True
            case "tell the guild":
                gateway.is_guild_late = False
                await gateway.tell_guild()
        return {}

    async def _report(self, asked: Json) -> Json:
        """All that was noted since the last time it was cleared."""
        world = self._world
        told = {
            "is_judged": self._is_judged,
            "violations": list(world.violations),
            "requests": list(world.requests),
            "gateway": dict(self._gateway.counts),
            "intents": self._gateway.intents,
            "is_connected": self._gateway.is_connected,
            "commands": world.commands[None],
            "guild_id": str(world.guild_id),
            "version": world.version,
        }
        if asked.get("is_cleared"):
            world.violations.clear()
            world.requests.clear()
        return told

    async def _calm(self, asked: Json) -> Json:
        """End all trouble."""
        self._world.faults.clear()
        self._world.clock.offset_s = 0.0
        self._gateway.is_refusing = self._gateway.is_guild_late = False
        return {}

    async def _changed(self, asked: Json) -> Json:
        version = await self._world.next_change(asked["since"], WAIT_S)
        return {"version": version}


def _answering(verb: Callable[[Json], Awaitable[Any]]) -> Any:
    async def handler(request: web.Request) -> web.Response:
        asked = json.loads(await request.read() or b"{}")
        try:
            return web.json_response(await verb(asked))
        except (ImpossibleDeed, KeyError, AssertionError) as error:
            return web.json_response({"impossible": f"{error!r}"}, status=400)
        except Refusal as refusal:
            return web.json_response({"impossible": refusal.message}, status=400)
        except asyncio.CancelledError:
            raise

    return handler


def _told(stored: StoredMessage) -> Json:
    return stored.payload | {
        "owner_id": stored.owner_id and str(stored.owner_id),
        "is_deleted": stored.is_deleted,
    }


def _seen(world: World, interaction: Interaction) -> Json:
    """An interaction as a test sees it."""

    def message(message_id: int | None) -> Json | None:
        stored = world.messages.get(message_id or 0)
        return None if stored is None else _told(stored)

    return {
        "id": str(interaction.id),
        "member": interaction.member.name,
        "channel_id": str(interaction.channel.id),
        "answer": interaction.answer,
        "answered_after_s": interaction.answered_after_s,
        "original": message(interaction.original_id),
        "followups": [message(message_id) for message_id in interaction.followup_ids],
        "version": world.version,
    }
