"""Starts and ends the two processes of these tests: the server and the bot."""

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from tests.e2e.loopback.pace import paced

ROOT = Path(__file__).parents[3]
START_S = paced(30.0)
STOP_S = paced(15.0)
TOKEN = "loopback-token"


class ServerProcess:
    """The Discord on loopback."""

    def __init__(self, *arguments: str) -> None:
        command = [sys.executable, "-m", "tests.e2e.loopback", *arguments]
        self._process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        ready, _, _ = select.select([self._process.stdout], [], [], START_S)
        first = self._process.stdout.readline() if ready else ""
        if not first:
            self.close()
            raise RuntimeError("the Discord on loopback did not start")
        told = json.loads(first)
        self.address: str = told["address"]
        self.is_judged: bool = told["is_judged"]

    def close(self) -> None:
        """End it."""
        self._process.terminate()
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()


class BotProcess:
    """The real bot in a folder of its own, which outlives it."""

    def __init__(self, address: str, folder: Path, **settings: str) -> None:
        self.address = address
        self.folder = folder
        self.settings = settings
        self.gate = folder / "gate"
        self.log_file = folder / "bot.log"
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)

    @property
    def is_running(self) -> bool:
        """It has been started and has not ended."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start it, as after a restart of the machine if it ran before."""
        assert not self.is_running
        command = [sys.executable, "-m", "tests.e2e.loopback.bot_process", self.address]
        with self.log_file.open("ab") as log:
            self._process = subprocess.Popen(
                command, cwd=ROOT, env=self._environment(), stdout=log, stderr=log
            )

    def kill(self) -> None:
        """End it at once, as a power cut would."""
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def stop(self) -> int:
        """Ask it to end; its exit status."""
        assert self._process is not None
        self._process.terminate()
        try:
            return self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.kill()
            raise

    def close(self) -> None:
        """End it if it still runs."""
        if self.is_running:
            self.kill()

    @property
    def log(self) -> str:
        """All it has said so far."""
        return self.log_file.read_text(encoding="utf-8") if self.log_file.exists() else ""

    def _environment(self) -> Mapping[str, str]:
        kept = {key: value for key, value in os.environ.items() if not _is_setting(key)}
        return kept | {
            "DISCORD_TOKEN": TOKEN,
            "ATELIER_DATA_DIR": str(self.folder / "data"),
            "ATELIER_WEB__ENABLED": "false",
            "LOOPBACK_GATE": str(self.gate),
            "PYTHONUNBUFFERED": "1",
            **self.settings,
        }


def _is_setting(name: str) -> bool:
    return name.startswith(("ATELIER_", "DISCORD_TOKEN", "LOOPBACK_"))


def wait_for_words(bot: BotProcess, words: str, timeout_s: float = START_S) -> None:
    """Return once the bot has logged certain words."""
    deadline = time.monotonic() + timeout_s
    while words not in bot.log:
        if time.monotonic() > deadline or not bot.is_running:
            raise AssertionError(f"the bot never said {words!r}:\n{bot.log[-4000:]}")
        time.sleep(0.05)
