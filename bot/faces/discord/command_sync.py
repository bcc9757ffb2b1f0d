"""Sending the commands to Discord, only when they changed: it allows 200 creations a day."""

import asyncio
import hashlib
import json
import logging
from pathlib import Path

import discord
from discord import app_commands

from bot.faces.discord.face import FaceClient

log = logging.getLogger(__name__)

EVERYWHERE = "global"
STATE_FILE = "discord-commands.json"


async def sync_commands(
    tree: app_commands.CommandTree[FaceClient], state_dir: Path, guild_id: int | None
) -> bool:
    """Send the commands if they are not those sent last; True where they were sent.

    With `guild_id` they go to that guild alone. Where they were sent to before they are withdrawn
    then: Discord would show each command twice.
    """
    guild = discord.Object(guild_id) if guild_id else None
    if guild is not None:
        tree.copy_global_to(guild=guild)
    place = f"{tree.client.application_id}:{guild_id or EVERYWHERE}"
    digest = await commands_digest(tree, guild)
    file = state_dir / STATE_FILE
    known = await asyncio.to_thread(_read, file)
    is_new = known.get(place) != digest
    if is_new:
        sent = await tree.sync(guild=guild)
        known[place] = digest
        await asyncio.to_thread(_write, file, known)
        log.info("sent %s commands to Discord", len(sent))
    for earlier in [key for key in known if key.startswith(f"{tree.client.application_id}:")]:
        if earlier != place:
            await _withdraw(tree, earlier.rpartition(":")[2])
            del known[earlier]
            await asyncio.to_thread(_write, file, known)
    return is_new


async def _withdraw(tree: app_commands.CommandTree[FaceClient], where: str) -> None:
    """Take the commands out of a guild, or from everywhere."""
    http, application_id = tree.client.http, tree.client.application_id
    if application_id is None:
        return
    try:
        if where == EVERYWHERE:
            await http.bulk_upsert_global_commands(application_id, [])
        else:
            await http.bulk_upsert_guild_commands(application_id, int(where), [])
    except (discord.Forbidden, discord.NotFound) as error:
        log.info("commands of guild %s can't be withdrawn: %s", where, error)


async def commands_digest(
    tree: app_commands.CommandTree[FaceClient], guild: discord.Object | None
) -> str:
    """A hash over everything Discord would be told, translations included."""
    translator = tree.translator
    payloads = []
    for command in tree.get_commands(guild=guild):
        if translator is None:
            payloads.append(command.to_dict(tree))
        else:
            payloads.append(await command.get_translated_payload(tree, translator))
    text = json.dumps(payloads, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _read(file: Path) -> dict[str, str]:
    try:
        known = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}  # a lost file costs one more sync
    return known if isinstance(known, dict) else {}


def _write(file: Path, known: dict[str, str]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_suffix(".new")
    draft.write_text(json.dumps(known), encoding="utf-8")
    draft.replace(file)
