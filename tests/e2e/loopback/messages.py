"""Messages as Discord keeps them: what a request asks for becomes what everybody sees."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.e2e.loopback import rules
from tests.e2e.loopback.world import (
    EPHEMERAL,
    LOADING,
    Channel,
    Interaction,
    Json,
    Member,
    Refusal,
    StoredFile,
    StoredMessage,
    World,
)

EDITS_MAX, EDITS_WINDOW_S = 5, 5.0  # of one message
IS_V2 = rules.IS_V2


@dataclass(frozen=True, slots=True)
class Upload:
    """A file of a request."""

    filename: str
    data: bytes


class RateLimited(Exception):
    """Too many edits; try again later."""

    def __init__(self, retry_after: float) -> None:
        super().__init__(retry_after)
        self.retry_after = retry_after


def blank(world: World, channel: Channel, author: Member, *, message_id: int = 0) -> Json:
    """A message without anything in it."""
    return {
        "id": str(message_id or world.new_id()),
        "type": 0,
        "channel_id": str(channel.id),
        "author": author.user(),
        "content": "",
        "timestamp": world.clock.stamp(),
        "edited_timestamp": None,
        "tts": False,
        "mention_everyone": False,
        "mentions": [],
        "mention_roles": [],
        "attachments": [],
        "embeds": [],
        "components": [],
        "pinned": False,
        "flags": 0,
    }


def answer_of(world: World, interaction: Interaction, *, flags: int) -> StoredMessage:
    """An empty message that answers an interaction, now in its channel."""
    payload = blank(world, interaction.channel, world.application)
    payload["flags"] = flags
    payload["application_id"] = str(world.application.id)
    payload["webhook_id"] = str(world.application.id)
    payload["interaction_metadata"] = _metadata(interaction)
    if interaction.kind == 2:
        payload["type"] = 20
    owner_id = interaction.member.id if flags & EPHEMERAL else None
    return keep(world, StoredMessage(payload, owner_id))


def keep(world: World, stored: StoredMessage) -> StoredMessage:
    """Put a message where it is found."""
    world.messages[int(stored.payload["id"])] = stored
    stored.history.append(dict(stored.payload))
    world.changed()
    return stored


def fill(
    world: World,
    stored: StoredMessage,
    request: Mapping[str, Any],
    uploads: Mapping[int, Upload],
    limit_bytes: int,
) -> None:
    """Write a request's content into a message, new or old.

    Raises:
        Refusal: it breaks a rule, or a file is too large.
    """
    check_sizes(uploads.values(), limit_bytes)
    payload = stored.payload
    files, names = _files(stored, request, uploads)
    _check(world, payload, request, names)
    channel_id = int(payload["channel_id"])
    kept = [
        file if isinstance(file, StoredFile) else world.store_file(channel_id, *file)
        for file in files
    ]
    for key in ("content", "embeds"):
        if key in request:
            payload[key] = request[key] or type(payload[key])()
    flags = (payload["flags"] & ~LOADING) | (request.get("flags") or 0)
    payload["flags"] = flags
    if "components" in request:
        payload["components"] = _shown(world, request["components"] or [], kept)
    stored.files = kept
    named = set(rules.media_urls(list(rules.walk(payload["components"]))))
    # A file that a component shows is not among the attachments.
    payload["attachments"] = [
        attachment(world, file) for file in kept if world.url(file) not in named
    ]


def edit(
    world: World,
    stored: StoredMessage,
    request: Mapping[str, Any],
    uploads: Mapping[int, Upload],
    limit_bytes: int,
) -> None:
    """Change a message.

    Raises:
        RateLimited: it was changed too often just now.
        Refusal: as for `fill`.
    """
    now = world.clock.now()
    recent = [moment for moment in stored.edited_at if now - moment < EDITS_WINDOW_S]
    if len(recent) >= EDITS_MAX:
        raise RateLimited(EDITS_WINDOW_S - (now - recent[0]))
    fill(world, stored, request, uploads, limit_bytes)
    stored.edited_at = [*recent, now]
    stored.payload["edited_timestamp"] = world.clock.stamp()
    stored.history.append(dict(stored.payload))
    world.changed()


def check_sizes(uploads: Iterable[Upload], limit_bytes: int) -> None:
    """Refuse files over the limit."""
    for upload in uploads:
        if len(upload.data) > limit_bytes:
            raise Refusal(413, 40005, "Request entity too large")


def attachment(world: World, file: StoredFile) -> Json:
    """A file as messages and commands name it."""
    url = world.url(file)
    named = {
        "id": str(file.id),
        "filename": file.filename,
        "size": len(file.data),
        "url": url,
        "proxy_url": url,
        "content_type": file.content_type,
    }
    if file.description is not None:
        named["description"] = file.description
    if file.size is not None:
        named |= {"width": file.size[0], "height": file.size[1]}
    return named


def _files(
    stored: StoredMessage, request: Mapping[str, Any], uploads: Mapping[int, Upload]
) -> tuple[list[StoredFile | tuple[str, bytes, str | None]], list[str]]:
    """The files a message will have, old and new, and their names."""
    known = {file.id: file for file in stored.files}
    listed = request.get("attachments")
    files: list[StoredFile | tuple[str, bytes, str | None]] = []
    if listed is None:
        files += stored.files
        files += [(upload.filename, upload.data, None) for upload in uploads.values()]
    for entry in listed or ():
        number = int(entry["id"])
        if number in known:
            files.append(known[number])
        elif number in uploads:
            name = entry.get("filename") or uploads[number].filename
            files.append((name, uploads[number].data, entry.get("description")))
        else:
            raise Refusal(400, 50035, f"attachments: {number} was not uploaded")
    names = [file.filename if isinstance(file, StoredFile) else file[0] for file in files]
    return files, names


def _check(world: World, payload: Json, request: Mapping[str, Any], names: Sequence[str]) -> None:
    was_v2 = bool(payload["flags"] & IS_V2)
    problems = list(rules.message_problems(request, names, was_v2=was_v2))
    becomes_v2 = bool((request.get("flags") or 0) & IS_V2) and not was_v2
    if becomes_v2 and payload["content"] and request.get("content", "kept") is not None:
        problems.append("the text of the old message must be removed for version 2")
    if problems:
        for problem in problems:
            world.complain(f"message {payload['id']}: {problem}")
        raise Refusal(400, 50035, "; ".join(problems))
    has_old = payload["content"] or payload["components"] or payload["embeds"]
    if not (request.get("content") or request.get("components") or names or has_old):
        raise Refusal(400, 50006, "Cannot send an empty message")


def _shown(world: World, components: Sequence[Any], files: Sequence[StoredFile]) -> list[Json]:
    """Components as Discord sends them back: numbered, with real addresses."""
    used = {part["id"] for part in rules.walk(components) if part.get("id")}
    numbers = iter(number for number in range(1, 1000) if number not in used)
    by_name = {f"attachment://{file.filename}": file for file in files}

    def media(asked: Mapping[str, Any]) -> Json:
        file = by_name.get(asked["url"])
        if file is None:
            return {"id": str(world.new_id()), "url": asked["url"], "proxy_url": asked["url"]}
        url = world.url(file)
        width, height = file.size or (None, None)
        return {
            "id": str(world.new_id()),
            "url": url,
            "proxy_url": url,
            "width": width,
            "height": height,
            "content_type": file.content_type,
            "attachment_id": str(file.id),
        }

    def shown(part: Mapping[str, Any]) -> Json:
        made = {key: value for key, value in part.items() if value is not None}
        made["id"] = part.get("id") or next(numbers)
        if "components" in made:
            made["components"] = [shown(inner) for inner in made["components"]]
        if "accessory" in made:
            made["accessory"] = shown(made["accessory"])
        if "items" in made:
            made["items"] = [
                {
                    "media": media(item["media"]),
                    "description": item.get("description"),
                    "spoiler": bool(item.get("spoiler")),
                }
                for item in made["items"]
            ]
        if made["type"] == rules.CONTAINER:
            made["accent_color"] = part.get("accent_color")
            made["spoiler"] = bool(part.get("spoiler"))
        if "options" in made:
            made.pop("required", None)  # of forms alone
            made["min_values"] = made.get("min_values", 1)
            made["max_values"] = made.get("max_values", 1)
            made["options"] = [_without_nothing(option) for option in made["options"]]
        if "emoji" in made:
            made["emoji"] = _without_nothing(made["emoji"])
        return made

    return [shown(component) for component in components]


def _without_nothing(part: Mapping[str, Any]) -> Json:
    return {
        key: _without_nothing(value) if isinstance(value, Mapping) else value
        for key, value in part.items()
        if value is not None
    }


def _metadata(interaction: Interaction) -> Json:
    owners = interaction.payload["authorizing_integration_owners"]
    told = {
        "id": str(interaction.id),
        "type": interaction.kind,
        "user": interaction.member.user(),
        "authorizing_integration_owners": owners,
    }
    if interaction.kind == 3:
        told["interacted_message_id"] = str(interaction.message_id)
    if interaction.kind == 5:
        told["triggering_interaction_metadata"] = _triggering(interaction)
    return told


def _triggering(interaction: Interaction) -> Json:
    """Of a form: the button or command that opened it."""
    told = {
        "id": str(interaction.id - 1),
        "type": 3 if interaction.message_id else 2,
        "user": interaction.member.user(),
        "authorizing_integration_owners": interaction.payload["authorizing_integration_owners"],
    }
    if interaction.message_id:
        told["interacted_message_id"] = str(interaction.message_id)
    return told
