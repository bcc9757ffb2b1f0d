"""What members do, as the events that the bot is sent."""

import base64
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.e2e.loopback import rules
from tests.e2e.loopback.gateway import Gateway
from tests.e2e.loopback.messages import attachment
from tests.e2e.loopback.world import (
    Channel,
    Interaction,
    Json,
    Member,
    World,
    new_token,
)

COMMAND, COMPONENT, COMPLETION, FORM = 2, 3, 4, 5
SUBCOMMAND, STRING, INTEGER, BOOLEAN, USER, CHANNEL, ROLE, ATTACHMENT = 1, 3, 4, 5, 6, 7, 8, 11


class ImpossibleDeed(Exception):
    """No member could do this; the test is wrong, or the bot did not offer it."""


@dataclass(slots=True)
class Deeds:
    """Turns what members do into interactions."""

    world: World
    gateway: Gateway

    async def type(self, member: Member, channel: Channel, asked: Json) -> Interaction:
        """A member types a command."""
        data = self._command_data(channel, asked["command"], asked.get("options") or {})
        return await self._dispatch(COMMAND, member, channel, data, asked)

    async def complete(self, member: Member, channel: Channel, asked: Json) -> Interaction:
        """A member types into an option that completes itself."""
        data = self._command_data(
            channel, asked["command"], asked.get("options") or {}, focused=asked["focused"]
        )
        return await self._dispatch(COMPLETION, member, channel, data, asked)

    async def choose(self, member: Member, channel: Channel, asked: Json) -> Interaction:
        """A member uses a command from a message's menu."""
        command = self._command(asked["command"], 3)
        message_id = str(asked["message_id"])
        stored = self.world.message(int(message_id))
        data = {
            "id": command["id"],
            "name": command["name"],
            "type": 3,
            "target_id": message_id,
            "resolved": {"messages": {message_id: stored.payload}},
        }
        return await self._dispatch(COMMAND, member, channel, data, asked)

    async def press(self, member: Member, channel: Channel, asked: Json) -> Interaction:
        """A member presses a button or chooses from a menu of a message."""
        stored = self.world.message(int(asked["message_id"]))
        if stored.owner_id not in (None, member.id):
            raise ImpossibleDeed(f"{member.name} can't see this message")
        custom_id = asked["custom_id"]
        parts = rules.walk(stored.payload["components"])
        part = next((part for part in parts if part.get("custom_id") == custom_id), None)
        if part is None or part.get("disabled"):
            raise ImpossibleDeed(f"this message has no {custom_id} to press")
        data = {"custom_id": custom_id, "component_type": part["type"], "id": part["id"]}
        if "options" in part:
            data["values"] = asked["values"]
        message = stored.payload
        return await self._dispatch(COMPONENT, member, channel, data, asked, message=message)

    async def submit(self, member: Member, channel: Channel, asked: Json) -> Interaction:
        """A member sends a form that was opened."""
        opened = self.world.interactions[int(asked["interaction_id"])]
        answer = opened.answer or {}
        if answer.get("type") != 9:
            raise ImpossibleDeed("no form was opened")
        form, fields = answer["data"], asked["fields"]
        components = [_filled(part, fields, number) for number, part in _numbered(form)]
        data = {"custom_id": form["custom_id"], "components": components}
        stored = self.world.messages.get(opened.message_id or 0)
        message = stored.payload if stored else None
        return await self._dispatch(FORM, member, channel, data, asked, message=message)

    def _command(self, name: str, kind: int = 1) -> Json:
        known = [*self.world.commands[None], *self.world.commands.get(self.world.guild_id, [])]
        for command in known:
            if command["name"] == name and command["type"] == kind:
                return command
        raise ImpossibleDeed(f"there is no command {name}")

    def _command_data(
        self, channel: Channel, words: str, given: Mapping[str, Any], focused: str = ""
    ) -> Json:
        """The data of a command; `words` names a subcommand too, as in "admin show"."""
        name, *inner = words.split()
        command = self._command(name)
        resolved: Json = {}
        stated, wrap = command, None
        for word in inner:
            found = [option for option in stated["options"] if option["name"] == word]
            stated = wrap = found[0]
        options = self._options(channel, stated, given, focused, resolved)
        if wrap is not None:
            options = [{"name": wrap["name"], "type": SUBCOMMAND, "options": options}]
        data: Json = {"id": command["id"], "name": name, "type": 1, "options": options}
        if resolved:
            data["resolved"] = resolved
        return data

    def _options(
        self,
        channel: Channel,
        stated: Json,
        given: Mapping[str, Any],
        focused: str,
        resolved: Json,
    ) -> list[Json]:
        known = {option["name"]: option for option in stated.get("options") or ()}
        unknown = set(given) - set(known)
        if unknown:
            raise ImpossibleDeed(f"{stated['name']} has no options {unknown}")
        missing = [n for n, o in known.items() if o.get("required") and n not in given]
        if missing and not focused:
            raise ImpossibleDeed(f"{stated['name']} needs {missing}")
        sent = []
        for name, value in given.items():
            option = known[name]
            _check_value(option, value, is_partial=bool(focused))
            sent.append(
                {
                    "name": name,
                    "type": option["type"],
                    "value": self._value(channel, option, value, resolved),
                }
            )
            if name == focused:
                sent[-1]["focused"] = True
        return sent

    def _value(self, channel: Channel, option: Json, value: Any, resolved: Json) -> Any:
        match option["type"]:
            case 11:
                data = base64.b64decode(value["data"])
                file = self.world.store_file(channel.id, value["filename"], data)
                named = attachment(self.world, file) | {"ephemeral": True}
                resolved.setdefault("attachments", {})[str(file.id)] = named
                return str(file.id)
            case 6:
                member = self.world.member(value)
                user, in_guild = member.user(), member.member()
                del in_guild["user"]
                resolved.setdefault("users", {})[str(member.id)] = user
                resolved.setdefault("members", {})[str(member.id)] = in_guild
                return str(member.id)
            case _:
                return value

    async def _dispatch(
        self,
        kind: int,
        member: Member,
        channel: Channel,
        data: Json,
        asked: Json,
        message: Json | None = None,
    ) -> Interaction:
        world = self.world
        age_s = float(asked.get("age_s") or 0)
        interaction = Interaction(
            id=world.new_id(age_s=age_s),
            token=new_token(),
            kind=kind,
            member=member,
            channel=channel,
            created=world.clock.now() - age_s,
            limit_bytes=channel.limit_bytes,
            message_id=int(message["id"]) if message else None,
        )
        interaction.payload = self._event(interaction, data, message)
        world.interactions[interaction.id] = interaction
        interaction.sent_at = time.monotonic()
        await self.gateway.dispatch("INTERACTION_CREATE", interaction.payload)
        world.changed()
        return interaction

    def _event(self, interaction: Interaction, data: Json, message: Json | None) -> Json:
        world, member, channel = self.world, interaction.member, interaction.channel
        event: Json = {
            "id": str(interaction.id),
            "application_id": str(world.application.id),
            "type": interaction.kind,
            "data": data,
            "channel": channel.payload(),
            "channel_id": str(channel.id),
            "token": interaction.token,
            "version": 1,
            "locale": member.locale,
            "app_permissions": str(channel.app_permissions),
            "entitlements": [],
            "attachment_size_limit": interaction.limit_bytes,
        }
        if channel.guild_id is None:
            event |= {"user": member.user(), "context": 1}
            event["authorizing_integration_owners"] = {"0": "0"}
        else:
            guild_id = str(channel.guild_id)
            owners = {"0": guild_id} if channel.is_installed else {"1": str(member.id)}
            event |= {
                "guild_id": guild_id,
                "guild": {"id": guild_id, "locale": "en-US", "features": []},
                "guild_locale": "en-US",
                "member": member.member(),
                "context": 0,
                "authorizing_integration_owners": owners,
            }
        if message is not None:
            event["message"] = message
        return event


def _check_value(option: Json, value: Any, *, is_partial: bool) -> None:
    """What Discord's own clients would not let a member send."""
    choices = [choice["value"] for choice in option.get("choices") or ()]
    if choices and value not in choices:
        raise ImpossibleDeed(f"{value!r} is none of {choices}")
    if is_partial:
        return
    if option["type"] == STRING:
        low, high = option.get("min_length") or 0, option.get("max_length") or 6000
        if not low <= len(value) <= high:
            raise ImpossibleDeed(f"{option['name']} takes {low} to {high} characters")
    if option["type"] == INTEGER:
        low, high = option.get("min_value", -(2**53)), option.get("max_value", 2**53)
        if not low <= value <= high:
            raise ImpossibleDeed(f"{option['name']} takes {low} to {high}")


def _numbered(form: Json) -> Sequence[tuple[int, Json]]:
    return list(enumerate(form["components"], start=1))


def _filled(part: Json, fields: Mapping[str, str], number: int) -> Json:
    """One component of a sent form; a text box that was not touched keeps what it held."""
    box = part.get("component") or part["components"][0]
    value = fields.get(box["custom_id"], box.get("value") or "")
    if len(value) > (box.get("max_length") or 4000) or (box.get("required", True) and not value):
        raise ImpossibleDeed(f"{box['custom_id']} does not take this text")
    inner = {"type": 4, "id": 100 + number, "custom_id": box["custom_id"], "value": value}
    if "component" in part:
        return {"type": part["type"], "id": number, "component": inner}
    return {"type": part["type"], "id": number, "components": [inner]}
