"""Kills bot, workers and database at random instants, and counts what became of each job."""

import asyncio
import contextlib
import hashlib
import json
import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

from bot.storage.database import open_database
from bot.storage.files import ImageFolder
from bot.storage.images import Images, Viewer
from bot.storage.jobs import FAILED, JobRow, Jobs
from tests.chaos.bot import NO_DATABASE
from tests.postgres_server import Server

ROOT = Path(__file__).parents[2]
TARGETS = ("worker", "worker", "bot", "both")
SERVER_TARGETS = (*TARGETS, "database", "bot and database")
LONGEST_OUTAGE_S = 4.0
CLIENTS = 3
KILLED_IN_START = 0.2  # share of kills that do not wait until the bot takes jobs
JOBS_PER_KILL = 8
START_TIMEOUT_S = 300.0  # a machine may have much else to do
DRAIN_TIMEOUT_S = 300.0


@dataclass(frozen=True, slots=True)
class Accepted:
    """What a client was told, and so what must come true."""

    job_id: str
    seed: int
    images: int


@dataclass(slots=True)
class Report:
    """What happened in one run."""

    kills: Counter[str] = field(default_factory=Counter)
    accepted: list[Accepted] = field(default_factory=list)
    unanswered: int = 0  # asked, and the bot died before it answered
    refused: int = 0  # asked while the database was away
    vain_starts: int = 0  # of the bot, while the database was away
    endings: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)  # of the jobs that failed
    reruns: int = 0  # attempts beyond the first
    shown_again: int = 0  # endings whose delivery was begun more than once
    faults: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def __str__(self) -> str:
        lines = [
            f"{sum(self.kills.values())} kills in {self.seconds:.0f} s: {dict(self.kills)}",
            f"{len(self.accepted)} jobs accepted, {self.unanswered} asked for but not answered",
            f"{self.refused} refused and {self.vain_starts} starts in vain without a database",
            f"endings: {dict(self.endings)}",
            *(f"{count} failed because: {why}" for why, count in self.reasons.most_common()),
            f"{self.reruns} attempts run again, {self.shown_again} deliveries begun again",
            *(f"FAULT: {fault}" for fault in self.faults),
            "every accepted job ended exactly once" if not self.faults else "NOT ALL IS WELL",
        ]
        return "\n".join(lines)


class Chaos:
    """One run: a bot that is killed and started again while clients ask for jobs.

    Where it is given the database's `server`, that is killed too.
    """

    def __init__(
        self,
        folder: Path,
        database_url: str,
        *,
        kills: int,
        seed: int,
        server: Server | None = None,
    ) -> None:
        self._folder = folder
        self._database_url = database_url
        self._server = server
        self._targets = SERVER_TARGETS if server else TARGETS
        self._kills = kills
        self._random = random.Random(seed)
        self._bot: asyncio.subprocess.Process | None = None
        self._workers: set[int] = set()
        self._asked = 0
        self.report = Report()

    async def run(self, tell: Callable[[str], None] = lambda _: None) -> Report:
        """Kill as often as told, let the rest end, and check everything."""
        begun = time.monotonic()
        await self._start()
        await self._ready()
        clients = [asyncio.create_task(self._ask(number)) for number in range(CLIENTS)]
        try:
            for number in range(1, self._kills + 1):
                await self._wait_for_an_instant()
                target = self._random.choice(self._targets)
                await self._kill(target)
                tell(f"kill {number}: {target}; {len(self.report.accepted)} jobs accepted")
        finally:
            for client in clients:
                client.cancel()
            await asyncio.gather(*clients, return_exceptions=True)
        await self._check()
        await self._stop()
        self.report.seconds = time.monotonic() - begun
        return self.report

    async def _start(self) -> None:
        self._bot = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.chaos.bot", self._folder, self._database_url, cwd=ROOT
        )

    async def _wait_for_an_instant(self) -> None:
        """Mostly while jobs run, sometimes while the bot starts."""
        if self._random.random() > KILLED_IN_START:
            await self._ready()
            enough = len(self.report.accepted) + self._random.randint(1, 5)

            async def has_accepted() -> bool:
                return len(self.report.accepted) >= enough

            await _comes_true(has_accepted, 5.0, pause_s=0.02)
        await asyncio.sleep(self._random.uniform(0.0, 0.7))

    async def _ready(self) -> None:
        """Wait until the bot takes jobs."""

        async def is_open() -> bool:
            await self._supervise()
            try:
                _, writer = await asyncio.open_unix_connection(self._folder / "socket")
            except OSError:
                return False
            writer.close()
            return True

        if not await _comes_true(is_open, START_TIMEOUT_S, pause_s=0.05):
            self.report.faults.append("the bot did not start")

    async def _kill(self, target: str) -> None:
        assert self._bot is not None
        await self._supervise()
        workers = _workers_of(self._bot.pid)
        self._workers |= workers
        if target in ("worker", "both"):
            for worker in workers:
                _kill_at_once(worker)
        if "database" in target:
            await self._cut_off(is_bot_killed="bot" in target)
        elif target in ("bot", "both"):
            _kill_at_once(self._bot.pid)
            await self._bot.wait()
            await self._start()
        self.report.kills[target] += 1

    async def _cut_off(self, *, is_bot_killed: bool) -> None:
        """Kill the database, perhaps the bot as well; the database is away for some seconds.

        A bot that finds no database when it starts says so and ends, and is started again.
        """
        assert self._server is not None
        assert self._bot is not None
        await asyncio.to_thread(self._server.crash)
        if is_bot_killed:
            _kill_at_once(self._bot.pid)
            await self._bot.wait()
            await self._start()
        await asyncio.sleep(self._random.uniform(0.0, LONGEST_OUTAGE_S))
        await asyncio.to_thread(self._server.start)

    async def _supervise(self) -> None:
        """Start a bot again that ended because it found no database."""
        assert self._bot is not None
        if self._bot.returncode is None:
            return
        if self._bot.returncode == NO_DATABASE:
            self.report.vain_starts += 1
        else:
            self.report.faults.append(f"the bot ended by itself, with {self._bot.returncode}")
        await self._start()

    async def _stop(self) -> None:
        assert self._bot is not None
        self._workers |= _workers_of(self._bot.pid)
        _kill_at_once(self._bot.pid)
        await self._bot.wait()
        await asyncio.sleep(1.0)  # the kernel tells workers of their parent's death
        alive = [pid for pid in self._workers if _is_worker(pid)]
        if alive:
            self.report.faults.append(f"{len(alive)} workers outlived their bot")

    async def _ask(self, client: int) -> None:
        """Ask for one job after the other, on a new connection whenever the old one is gone."""
        while True:
            with contextlib.suppress(OSError):
                reader, writer = await asyncio.open_unix_connection(self._folder / "socket")
                with contextlib.closing(writer):
                    while await self._ask_once(reader, writer, client):
                        await asyncio.sleep(self._random.uniform(0.0, 0.3))
            await asyncio.sleep(0.05)

    async def _ask_once(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, client: int
    ) -> bool:
        if self._asked >= JOBS_PER_KILL * (1 + sum(self.report.kills.values())):
            return True  # enough for now
        images, steps = self._random.randint(1, 3), self._random.randint(1, 30)
        text = f"a fox --size 64x64 --steps {steps} --images {images}"
        self._asked += 1
        writer.write(json.dumps({"text": text, "owner": client}).encode() + b"\n")
        try:
            line = await reader.readline()
        except OSError:
            line = b""
        if not line.endswith(b"\n"):
            self.report.unanswered += 1
            return False
        told = json.loads(line)
        if "id" in told:
            self.report.accepted.append(Accepted(told["id"], told["seed"], images))
        else:
            self.report.refused += 1
        return True

    async def _check(self) -> None:
        """Wait until nothing is open and all is shown; then look at each job."""
        async with open_database(self._database_url) as database:
            jobs, images = Jobs(database), Images(database)
            rows = await self._all_ended(jobs)
            known = {row.id for row in rows}
            for lost in [job for job in self.report.accepted if job.job_id not in known]:
                self.report.faults.append(f"job {lost.job_id} was promised and is gone")
            promised = {job.job_id: job for job in self.report.accepted}
            for row in rows:
                self._count(row)
                await self._check_one(row, promised.get(row.id), images)
            # What was refused when the database broke off may have been committed all the same.
            if len(rows) > len(promised) + self.report.unanswered + self.report.refused:
                self.report.faults.append("there are jobs that nobody asked for")

    async def _all_ended(self, jobs: Jobs) -> list[JobRow]:
        rows: list[JobRow] = []

        async def is_over() -> bool:
            await self._supervise()
            rows[:] = [
                row
                for client in range(CLIENTS)
                for row in await jobs.of_owner(client, below=None, limit=100_000)
            ]
            return all(row.ended_at and row.delivered_at for row in rows)

        if not await _comes_true(is_over, DRAIN_TIMEOUT_S):
            open_ones = [row.id for row in rows if not (row.ended_at and row.delivered_at)]
            self.report.faults.append(f"not ended or not delivered: {open_ones[:10]}")
        return rows

    def _count(self, row: JobRow) -> None:
        self.report.endings[row.state] += 1
        if row.state == FAILED:
            self.report.reasons[row.reason] += 1
        self.report.reruns += max(0, row.attempt - 1)
        self.report.shown_again += max(0, row.delivery_attempts - 1)

    async def _check_one(self, row: JobRow, promised: Accepted | None, images: Images) -> None:
        fault = self.report.faults.append
        message = self._folder / "chat" / f"{row.id}.json"
        if not message.exists():
            fault(f"job {row.id} was never shown")
            return
        shown = json.loads(message.read_text())
        owner = Viewer(row.owner_id, row.guild_id)
        kept = [seen.row for seen in (await images.of_jobs(owner, [row.id]))[row.id]]
        seeds = [image.seed for image in kept]
        if (shown["state"], shown["seeds"]) != (row.state, seeds):
            fault(f"job {row.id}: the chat shows something else than the database")
        if promised and row.seed != promised.seed:
            fault(f"job {row.id} has another seed than promised")
        if row.state == FAILED and "so it was given up" in row.reason:
            # Workers and bots were killed under it. Such a job is given up, because it might be
            # what kills them: that is an ending, and says so.
            return
        count = row.request["fields"]["image_count"]
        if row.state != "finished" or seeds != [row.seed + i for i in range(count)]:
            fault(f"job {row.id} is {row.state} ({row.reason}) with seeds {seeds}")
        pngs = [await ImageFolder(self._folder / "images").read(image.file_key) for image in kept]
        hashes = [hashlib.sha256(png).hexdigest() for png in pngs]
        if hashes != shown["pictures"] or any(
            not image.file_key.startswith(value) for image, value in zip(kept, hashes, strict=True)
        ):
            fault(f"job {row.id}: a picture is not what was kept")


async def _comes_true(
    condition: Callable[[], Awaitable[bool]], timeout_s: float, pause_s: float = 0.3
) -> bool:
    until = time.monotonic() + timeout_s
    while time.monotonic() < until:
        if await condition():
            return True
        await asyncio.sleep(pause_s)
    return False


def _workers_of(pid: int) -> set[int]:
    """The worker processes of a bot."""
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        children = {int(c) for task in tasks for c in (task / "children").read_text().split()}
    except OSError:
        return set()
    return {child for child in children if _is_worker(child)}


def _is_worker(pid: int) -> bool:
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
    return b"spawn_main" in command


def _kill_at_once(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
