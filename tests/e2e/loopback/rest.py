"""The REST routes that the bot uses, answered as Discord answers them."""

import json
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from tests.e2e.loopback import rules
from tests.e2e.loopback.gateway import Gateway
from tests.e2e.loopback.messages import (
    Upload,
    answer_of,
    blank,
    check_sizes,
    edit,
    fill,
    keep,
)
from tests.e2e.loopback.world import (
    ANSWER_S,
    EPHEMERAL,
    LOADING,
    TOKEN_S,
    Channel,
    Interaction,
    Json,
    Refusal,
    StoredMessage,
    World,
)

MESSAGE, DEFERRED, DEFERRED_UPDATE, UPDATE, CHOICES, FORM = 4, 5, 6, 7, 8, 9
VIEW, SEND, EMBED, ATTACH = 1 << 10, 1 << 11, 1 << 14, 1 << 15
SEND_IN_THREADS = 1 << 38
FOLLOWUPS_MAX = 5  # where only the member installed the application
CHOICES_MAX = 25


@dataclass(frozen=True, slots=True)
class Call:
    """One request, read and judged."""

    world: World
    gateway: Gateway
    places: Mapping[str, str]
    query: Mapping[str, str]
    body: Any
    uploads: Mapping[int, Upload] = field(default_factory=dict)

    def number(self, name: str) -> int:
        """An id of the path."""
        return int(self.places[name])


Answer: TypeAlias = tuple[int, Any]
Route: TypeAlias = Callable[[Call], Awaitable[Answer]]


async def me(call: Call) -> Answer:
    """GET /users/@me"""
    user = call.world.application.user()
    return 200, user | {"mfa_enabled": True, "locale": "en-US", "verified": True}


async def application(call: Call) -> Answer:
    """GET /oauth2/applications/@me"""
    return 200, {
        "id": str(call.world.application.id),
        "name": "atelier",
        "icon": None,
        "description": "",
        "type": None,
        "verify_key": "00",
        "flags": 0,
        "flags_new": "0",
        "redirect_uris": [],
        "interactions_endpoint_url": None,
        "role_connections_verification_url": None,
        "owner": call.world.application.user(),
        "approximate_guild_count": 1,
        "approximate_user_install_count": 0,
        "approximate_user_authorization_count": 0,
        "explicit_content_filter": 0,
        "team": None,
        "eligible_oauth2_scopes": [],
        "bot_public": True,
        "bot_require_code_grant": False,
    }


async def gateway_bot(call: Call) -> Answer:
    """GET /gateway/bot"""
    limit = {"total": 1000, "remaining": 990, "reset_after": 1000, "max_concurrency": 1}
    address = call.world.address.replace("http://", "ws://")
    return 200, {"url": f"{address}/gateway", "shards": 1, "session_start_limit": limit}


async def commands(call: Call) -> Answer:
    """GET /applications/{application_id}/commands"""
    return 200, call.world.commands.get(_scope(call), [])


async def set_commands(call: Call) -> Answer:
    """PUT /applications/{application_id}/commands"""
    world = call.world
    problems = list(rules.command_problems(call.body))
    if problems:
        for problem in problems:
            world.complain(f"commands: {problem}")
        raise Refusal(400, 50035, "; ".join(problems))
    scope = _scope(call)
    stored = []
    for command in call.body:
        permissions = command.get("default_member_permissions")
        kept = {key: value for key, value in command.items() if value is not None}
        kept |= {
            "id": str(world.new_id()),
            "application_id": str(world.application.id),
            "version": str(world.new_id()),
            "type": command.get("type", 1),
            "description": command.get("description") or "",
            "default_member_permissions": None if permissions is None else str(permissions),
        }
        stored.append(kept | ({"guild_id": str(scope)} if scope else {}))
    world.commands[scope] = stored
    world.changed()
    return 200, stored


async def callback(call: Call) -> Answer:
    """POST /interactions/{interaction_id}/{interaction_token}/callback"""
    world = call.world
    interaction = world.interactions.get(call.number("interaction_id"))
    if interaction is None or interaction.token != call.places["interaction_token"]:
        raise Refusal(404, 10062, "Unknown interaction")
    if interaction.answer is not None:
        raise Refusal(400, 40060, "Interaction has already been acknowledged.")
    waited_s = time.monotonic() - interaction.sent_at
    if waited_s > ANSWER_S:
        raise Refusal(404, 10062, "Unknown interaction")
    message = _answered(call, interaction, call.body)
    interaction.answer = call.body
    interaction.answered_after_s = waited_s
    world.changed()
    if "with_response" not in call.query:
        return 204, None
    return 200, _callback_answer(interaction, call.body["type"], message)


def _answered(call: Call, interaction: Interaction, body: Json) -> StoredMessage | None:
    """Do what an answer says."""
    world, data = call.world, body.get("data") or {}
    flags = (data.get("flags") or 0) & EPHEMERAL
    match body["type"]:
        case 4:
            check_sizes(call.uploads.values(), interaction.limit_bytes)
            message = answer_of(world, interaction, flags=flags)
            fill(world, message, data, call.uploads, interaction.limit_bytes)
            message.history[-1] = dict(message.payload)
            interaction.original_id = int(message.payload["id"])
            return message
        case 5:
            message = answer_of(world, interaction, flags=flags | LOADING)
            interaction.original_id = int(message.payload["id"])
            interaction.is_loading = True
            return message
        case 6 | 7 if interaction.message_id is not None:
            interaction.original_id = interaction.message_id
            message = world.message(interaction.message_id)
            if body["type"] == UPDATE:
                edit(world, message, data, call.uploads, interaction.limit_bytes)
            return message
        case 8 if interaction.kind == 4:
            if len(data.get("choices") or ()) > CHOICES_MAX:
                raise Refusal(400, 50035, "choices: at most 25")
            return None
        case 9 if interaction.kind in (2, 3):
            problems = list(rules.component_problems(list(rules.walk(data["components"]))))
            if problems:
                raise Refusal(400, 50035, "; ".join(problems))
            return None
    raise Refusal(400, 50035, f"type {body['type']} is no answer to this interaction")


def _callback_answer(interaction: Interaction, kind: int, message: StoredMessage | None) -> Json:
    told: Json = {"id": str(interaction.id), "type": interaction.kind}
    if interaction.channel.guild_id is not None:
        told["guild_id"] = str(interaction.channel.guild_id)
    told["channel_id"] = str(interaction.channel.id)
    if message is None:
        return {"interaction": told}
    told["response_message_id"] = message.payload["id"]
    told["response_message_loading"] = kind == DEFERRED
    told["response_message_ephemeral"] = message.owner_id is not None
    if kind in (MESSAGE, UPDATE):
        return {"interaction": told, "resource": {"type": kind, "message": message.payload}}
    return {"interaction": told}


async def follow_up(call: Call) -> Answer:
    """POST /webhooks/{webhook_id}/{webhook_token}"""
    world, interaction = call.world, _interaction(call)
    if interaction.is_loading and interaction.original_id is not None:
        # The first follow-up to a deferral takes its place, as visible as that was.
        message = world.message(interaction.original_id)
        _edit(call, interaction, message)
        return _written(call, message)
    if not interaction.channel.is_installed and len(interaction.followup_ids) >= FOLLOWUPS_MAX:
        raise Refusal(400, 40094, "This interaction has no follow-up messages left")
    check_sizes(call.uploads.values(), interaction.limit_bytes)
    message = answer_of(world, interaction, flags=(call.body.get("flags") or 0) & EPHEMERAL)
    fill(world, message, call.body, call.uploads, interaction.limit_bytes)
    message.history[-1] = dict(message.payload)
    interaction.followup_ids.append(int(message.payload["id"]))
    world.changed()
    return _written(call, message)


def _written(call: Call, message: StoredMessage) -> Answer:
    return (200, message.payload) if call.query.get("wait") in ("true", "1") else (204, None)


async def edit_answer(call: Call) -> Answer:
    """PATCH /webhooks/{webhook_id}/{webhook_token}/messages/{message_id}"""
    interaction = _interaction(call)
    message = _answer_message(call, interaction)
    _edit(call, interaction, message)
    return 200, message.payload


async def read_answer(call: Call) -> Answer:
    """GET /webhooks/{webhook_id}/{webhook_token}/messages/{message_id}"""
    return 200, _answer_message(call, _interaction(call)).payload


async def delete_answer(call: Call) -> Answer:
    """DELETE /webhooks/{webhook_id}/{webhook_token}/messages/{message_id}"""
    _answer_message(call, _interaction(call)).is_deleted = True
    call.world.changed()
    return 204, None


async def post_message(call: Call) -> Answer:
    """POST /channels/{channel_id}/messages"""
    world, channel = call.world, call.world.channel(call.number("channel_id"))
    may_send = SEND if channel.parent_id is None else SEND_IN_THREADS
    _require(channel, VIEW | may_send | (ATTACH if call.uploads else 0))
    if channel.is_locked and channel.is_archived:
        raise Refusal(403, 160005, "Thread is locked")
    nonce = call.body.get("nonce")
    if nonce and call.body.get("enforce_nonce"):
        earlier = world.nonces.get((channel.id, str(nonce)))
        if earlier is not None:
            return 200, world.message(earlier).payload
    check_sizes(call.uploads.values(), channel.limit_bytes)
    message = StoredMessage(blank(world, channel, world.application))
    if nonce:
        message.payload["nonce"] = nonce
    fill(world, message, call.body, call.uploads, channel.limit_bytes)
    keep(world, message)
    channel.is_archived = False
    if nonce:
        world.nonces[channel.id, str(nonce)] = int(message.payload["id"])
    return 200, message.payload


async def edit_message(call: Call) -> Answer:
    """PATCH /channels/{channel_id}/messages/{message_id}"""
    channel, message = _channel_message(call)
    _require_unarchived(channel)
    edit(call.world, message, call.body, call.uploads, channel.limit_bytes)
    return 200, message.payload


async def read_message(call: Call) -> Answer:
    """GET /channels/{channel_id}/messages/{message_id}"""
    return 200, _channel_message(call)[1].payload


async def delete_message(call: Call) -> Answer:
    """DELETE /channels/{channel_id}/messages/{message_id}"""
    _channel_message(call)[1].is_deleted = True
    call.world.changed()
    return 204, None


async def direct_channel(call: Call) -> Answer:
    """POST /users/@me/channels"""
    member = call.world.members.get(int(call.body["recipient_id"]))
    if member is None:
        raise Refusal(400, 50033, "Invalid Recipient(s)")
    return 200, call.world.direct_channel(member).payload()


def _scope(call: Call) -> int | None:
    return call.number("guild_id") if "guild_id" in call.places else None


def _interaction(call: Call) -> Interaction:
    """The interaction a webhook's token belongs to, while that lives."""
    token = call.places["webhook_token"]
    for interaction in call.world.interactions.values():
        is_over = call.world.clock.now() - interaction.created > TOKEN_S
        if interaction.token == token and interaction.answer is not None and not is_over:
            return interaction
    raise Refusal(404, 10015, "Unknown Webhook")


def _answer_message(call: Call, interaction: Interaction) -> StoredMessage:
    name = call.places.get("message_id", "@original")
    message_id = interaction.original_id if name == "@original" else int(name)
    if message_id is None or message_id not in (interaction.original_id, *interaction.followup_ids):
        raise Refusal(404, 10008, "Unknown Message")
    return call.world.message(message_id)


def _edit(call: Call, interaction: Interaction, message: StoredMessage) -> None:
    _require_unarchived(interaction.channel)
    edit(call.world, message, call.body, call.uploads, interaction.limit_bytes)
    if int(message.payload["id"]) == interaction.original_id:
        interaction.is_loading = False


def _channel_message(call: Call) -> tuple[Channel, StoredMessage]:
    channel = call.world.channel(call.number("channel_id"))
    _require(channel, VIEW)
    message = call.world.message(call.number("message_id"))
    if message.owner_id is not None or message.payload["channel_id"] != str(channel.id):
        raise Refusal(404, 10008, "Unknown Message")
    if message.payload["author"]["id"] != str(call.world.application.id):
        raise Refusal(403, 50005, "Cannot edit a message authored by another user")
    return channel, message


def _require_unarchived(channel: Channel) -> None:
    if channel.is_archived:
        raise Refusal(400, 50083, "Thread is archived")


def _require(channel: Channel, permissions: int) -> None:
    if channel.is_closed:
        raise Refusal(403, 50007, "Cannot send messages to this user")
    if channel.recipient is not None:
        return
    if not channel.is_installed or not channel.app_permissions & VIEW:
        raise Refusal(403, 50001, "Missing Access")
    if channel.app_permissions & permissions != permissions:
        raise Refusal(403, 50013, "Missing Permissions")


ROUTES: Mapping[tuple[str, str], Route] = {
    ("GET", "/users/@me"): me,
    ("GET", "/oauth2/applications/@me"): application,
    ("GET", "/gateway/bot"): gateway_bot,
    ("GET", "/applications/{application_id}/commands"): commands,
    ("PUT", "/applications/{application_id}/commands"): set_commands,
    ("GET", "/applications/{application_id}/guilds/{guild_id}/commands"): commands,
    ("PUT", "/applications/{application_id}/guilds/{guild_id}/commands"): set_commands,
    ("POST", "/interactions/{interaction_id}/{interaction_token}/callback"): callback,
    ("POST", "/webhooks/{webhook_id}/{webhook_token}"): follow_up,
    ("GET", "/webhooks/{webhook_id}/{webhook_token}/messages/{message_id}"): read_answer,
    ("PATCH", "/webhooks/{webhook_id}/{webhook_token}/messages/{message_id}"): edit_answer,
    ("DELETE", "/webhooks/{webhook_id}/{webhook_token}/messages/{message_id}"): delete_answer,
    ("POST", "/channels/{channel_id}/messages"): post_message,
    ("GET", "/channels/{channel_id}/messages/{message_id}"): read_message,
    ("PATCH", "/channels/{channel_id}/messages/{message_id}"): edit_message,
    ("DELETE", "/channels/{channel_id}/messages/{message_id}"): delete_message,
    ("POST", "/users/@me/channels"): direct_channel,
}
NEEDS_NO_TOKEN = ("/webhooks/", "/interactions/")


def as_json(body: Any) -> bytes:
    """A body as it is sent."""
    return json.dumps(body, ensure_ascii=False).encode()
