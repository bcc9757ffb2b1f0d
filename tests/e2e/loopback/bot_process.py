"""The real bot, led to the server on loopback: `python -m tests.e2e.loopback.bot_process ADDRESS`.

All the rest is `atelier run` with settings from the environment. Its engine draws patterns unless
LOOPBACK_ENGINE=real; words of a prompt tell it to misbehave.
"""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import discord
import yarl

from bot import app
from bot.__main__ import main
from engine.api import Engine, EngineConfig, EngineError, Finished, OnEvent, Request
from engine.testing import FakeEngine

HELD = "held"  # a prompt with this word ends only when the gate is opened
DOOMED = "doomed"  # a prompt with this word fails
LOOPBACK = "127.0.0.1"


class StagedEngine(FakeEngine):
    """Draws patterns; holds or fails jobs whose prompt says so."""

    def __init__(self, gate: Path) -> None:
        super().__init__(step_delay_s=float(os.environ.get("LOOPBACK_STEP_S", "0.002")))
        self._gate = gate

    async def _run(self, request: Request, on_event: OnEvent) -> Finished:
        words = " ".join(part.text for part in getattr(request, "prompt", ()))
        ending = await super()._run(request, on_event)
        while HELD in words and not self._gate.exists():
            await asyncio.sleep(0.05)
        if DOOMED in words:
            raise EngineError("the brushes are worn out; try another prompt")
        return ending


@asynccontextmanager
async def open_staged_engine(config: EngineConfig) -> AsyncIterator[Engine]:
    """The engine that takes the place of the real one."""
    yield StagedEngine(Path(os.environ["LOOPBACK_GATE"]))


def lead(address: str) -> None:
    """Send the real client to the server on loopback instead of Discord."""
    discord.http.Route.BASE = f"{address}/api/v10"
    gateway = yarl.URL(address.replace("http://", "ws://") + "/gateway")
    discord.gateway.DiscordWebSocket.DEFAULT_GATEWAY = gateway
    discord.Asset.BASE = address


def trust_loopback() -> None:
    """Let attachments come from this server, and links to it."""
    options_of = app._discord_options

    def options(*values: Any) -> Any:
        known = options_of(*values)
        return replace(
            known,
            media_hosts=known.media_hosts | {LOOPBACK},
            guild_ready_timeout_s=0.1,
            edit_interval_s=float(os.environ.get("LOOPBACK_EDIT_S", known.edit_interval_s)),
        )

    app._discord_options = options


if __name__ == "__main__":
    lead(sys.argv.pop(1))
    trust_loopback()
    if os.environ.get("LOOPBACK_ENGINE") != "real":
        app.open_engine = open_staged_engine
    sys.argv[1:] = ["run"]
    main()
