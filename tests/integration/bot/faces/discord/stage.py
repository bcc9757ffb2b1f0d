"""The real bot and the real studio in an in-memory Discord; the engine draws patterns."""

import asyncio
import contextvars
import io
import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import discord
import simcord
from PIL import Image

from bot.errors import UserError
from bot.faces.discord.client import AtelierClient
from bot.faces.discord.face import Follower
from bot.faces.discord.options import DiscordOptions
from bot.studio.contract import Studio
from bot.studio.opening import open_studio
from engine.testing import FakeEngine

PATIENCE_S = 30.0
SIMULATED_HOST = "cdn.simcord.invalid"


class SimulatedClient(AtelierClient):
    """The real client, whose progress messages live outside SimCord's bookkeeping of bot work.

    SimCord waits for all that the bot began, but a job is done by the studio, which is not the bot.
    """

    def __init__(self, studio: Studio, options: DiscordOptions, outside: contextvars.Context):
        super().__init__(studio, options)
        self.outside = outside
        self.followers: list[asyncio.Task[None]] = []

    async def follow(self, message: Follower) -> None:
        self.followers.append(self.outside.run(asyncio.ensure_future, message.follow()))


class Stage:
    """One guild with a channel, two members and an admin, and the bot."""

    def __init__(
        self,
        env: simcord.Env,
        studio: Studio,
        engine: FakeEngine,
        options: DiscordOptions,
        outside: contextvars.Context,
    ) -> None:
        self.env = env
        self.studio = studio
        self.engine = engine
        self.options = options
        self.outside = outside
        self.forgiven = 0  # errors that a test expected
        self.clients: list[SimulatedClient] = []

    async def connect(self) -> None:
        """Start the bot, or start it anew as after a restart."""
        client = SimulatedClient(self.studio, self.options, self.outside)
        self.clients.append(client)
        await self.env.restart_bot(client)

    def furnish(self) -> None:
        self.guild = self.env.create_guild()
        self.channel = self.guild.create_text_channel("art")
        self.alice = self.guild.add_member(self.env.create_user("alice"))
        self.bob = self.guild.add_member(self.env.create_user("bob"))
        admins = self.guild.create_role(
            "Admins", permissions=discord.Permissions(manage_guild=True)
        )
        self.admin = self.guild.add_member(self.env.create_user("ada"), roles=[admins])

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait for what the studio does, in real time."""
        async with asyncio.timeout(PATIENCE_S):
            while not condition():
                await asyncio.sleep(0.02)

    async def answered(self, result: simcord.InteractionResult, words: str) -> str:
        """The text of an answer once it holds certain words."""
        await self.until(lambda: words in text(result.response))
        return text(result.response)

    def messages(self, channel_id: int | None = None) -> list[simcord.results.ResponseMessage]:
        """All messages of a channel, oldest first."""
        stored = self.env.backend.messages[channel_id or self.channel.id].values()
        return [simcord.results.ResponseMessage(self.env, message) for message in stored]

    async def delivered(self, result: simcord.InteractionResult) -> simcord.results.ResponseMessage:
        """The answer of an interaction once its job has ended."""
        await self.until(lambda: has_ending(result.response))
        assert result.response is not None
        return result.response

    async def imagine(self, member: Any = None, **options: Any) -> simcord.results.ResponseMessage:
        """The result message of /imagine."""
        options.setdefault("prompt", "a red fox")
        actor = member or self.alice
        return await self.delivered(await actor.slash(self.channel, "imagine", **options))

    def require_no_surprises(self) -> None:
        """Fail for whatever the bot raised that was not meant for a member."""
        raised = self.env.errors_since(self.forgiven)
        surprises = [error for error in raised if not _is_meant(error)]
        if surprises:
            raise BaseExceptionGroup("the bot raised", surprises)

    def forgive(self) -> None:
        """What the bot raised so far was what the test is about."""
        self.forgiven = self.env.error_cursor

    def replaced_options(self, **changes: Any) -> DiscordOptions:
        """Other options, for the next `connect`."""
        return replace(self.options, **changes)


def _is_meant(error: BaseException) -> bool:
    return isinstance(error, UserError) or isinstance(error.__cause__, UserError)


def has_ending(message: Any) -> bool:
    return message is not None and any(
        str(part.get("custom_id", "")).startswith("remix:") for part in parts(message)
    )


def parts(message: Any) -> Iterator[dict[str, Any]]:
    """All components of a message, nested ones too."""

    def walk(components: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        for component in components:
            yield component
            yield from walk(component.get("components") or [])

    yield from walk(message.components)


def labels(message: Any) -> list[str]:
    """The buttons of a message by their labels, in order."""
    return [part.get("label") or "" for part in parts(message) if part["type"] == 2]


def text(message: Any) -> str:
    """All that can be read in a message."""
    if message is None:
        return ""
    texts = [part["content"] for part in parts(message) if part["type"] == 10]
    return "\n".join([message.content or "", *texts]).strip()


def gallery_items(message: Any) -> list[dict[str, Any]]:
    return [item for part in parts(message) if part["type"] == 12 for item in part["items"]]


def png_bytes(side: int = 64, colour: str = "teal") -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (side, side), colour).save(file, "PNG")
    return file.getvalue()


def attached(stage: Stage, message: Any) -> Image.Image:
    """The picture that a message shows."""
    [attachment] = message.attachments
    data = stage.env.backend.cdn.get(attachment.url)
    assert data is not None
    return Image.open(io.BytesIO(data))


@asynccontextmanager
async def open_stage(
    engine: FakeEngine, options: DiscordOptions, folder: Path, template: Path
) -> AsyncIterator[Stage]:
    """Everything set up; ended jobs, followers and studio are gone afterwards."""
    shutil.copy(template, folder / "atelier.db")
    env = simcord.Env(
        discord.AutoShardedClient(intents=discord.Intents(guilds=True)),
        shard_count=1,
        settle_timeout=PATIENCE_S,
    )
    await env.start()
    with env.time_context():  # for what is not begun by the bot but writes to Discord
        outside = contextvars.copy_context()
    opened: asyncio.Future[Studio] = asyncio.get_running_loop().create_future()
    closing = asyncio.Event()

    async def keep_open() -> None:
        url = f"sqlite+aiosqlite:///{folder / 'atelier.db'}"
        async with open_studio(
            engine, database_url=url, images_dir=folder / "images", migrate=False
        ) as studio:
            opened.set_result(studio)
            await closing.wait()

    keeper = outside.run(asyncio.ensure_future, keep_open())
    await asyncio.wait([keeper, opened], return_when=asyncio.FIRST_COMPLETED)
    if keeper.done():
        await keeper
    stage = Stage(env, opened.result(), engine, options, outside)
    try:
        await stage.connect()
        stage.furnish()
        yield stage
    finally:
        for client in stage.clients:
            for follower in client.followers:
                follower.cancel()
            await asyncio.gather(*client.followers, return_exceptions=True)
        closing.set()
        await keeper
        await env.shutdown()
    stage.require_no_surprises()
