"""The real bot and the real studio in an in-memory Discord; the engine draws patterns."""

import asyncio
import contextvars
import io
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import discord
import pytest
import simcord
from PIL import Image

from bot.faces.discord.client import AtelierClient
from bot.faces.discord.face import Follower
from bot.faces.discord.options import MEDIA_HOSTS, DiscordOptions
from bot.studio.contract import Studio
from bot.studio.opening import open_studio
from engine.testing import FakeEngine

PATIENCE_S = 10.0
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
        self, env: simcord.Env, studio: Studio, engine: FakeEngine, options: DiscordOptions
    ) -> None:
        self.env = env
        self.studio = studio
        self.engine = engine
        self.options = options
        self.outside = contextvars.copy_context()
        self.clients: list[SimulatedClient] = []

    async def connect(self, **changes: Any) -> None:
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

    async def press(self, member: Any, message: Any, label: str) -> simcord.InteractionResult:
        return await member.click(_clickable(message), label=label)


def _clickable(message: Any) -> Any:
    return message


def has_ending(message: Any) -> bool:
    return message is not None and any(
        str(part.get("custom_id", "")).startswith("reroll:") for part in parts(message)
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


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine()


@pytest.fixture
def options(tmp_path: Path) -> DiscordOptions:
    return DiscordOptions(
        token="none",
        state_dir=tmp_path,
        media_hosts=MEDIA_HOSTS | {SIMULATED_HOST},
        edit_interval_s=0.02,
    )


@asynccontextmanager
async def _stage(
    engine: FakeEngine, options: DiscordOptions, tmp_path: Path
) -> AsyncIterator[Stage]:
    nobody = discord.AutoShardedClient(intents=discord.Intents(guilds=True))
    async with (
        simcord.run(nobody, shard_count=1) as env,
        open_studio(
            engine,
            database_url=f"sqlite+aiosqlite:///{tmp_path / 'atelier.db'}",
            images_dir=tmp_path / "images",
        ) as studio,
    ):
        stage = Stage(env, studio, engine, options)
        try:
            await stage.connect()
            stage.furnish()
            yield stage
        finally:
            for client in stage.clients:
                for follower in client.followers:
                    follower.cancel()
                await asyncio.gather(*client.followers, return_exceptions=True)


@pytest.fixture
async def stage(
    engine: FakeEngine, options: DiscordOptions, tmp_path: Path
) -> AsyncIterator[Stage]:
    async with _stage(engine, options, tmp_path) as built:
        yield built
