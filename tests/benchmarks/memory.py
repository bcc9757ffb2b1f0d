"""The bot process's memory, idle and while a thousand jobs pass through it.

    python -m tests.benchmarks.memory [--jobs 1000]

Pictures are drawn in a worker process, as in the service. What counts is that the last figures do
not rise: caches fill in the first hundreds of jobs. Objects are those Python can count; while they
stay the same, what still rises is SQLite's page cache, which grows with the database up to a limit.
"""

import argparse
import asyncio
import gc
import tempfile
from pathlib import Path

from bot.studio.contract import Caller, Destination, JobView, Limits
from bot.studio.opening import open_studio
from bot.studio.studio import Atelier
from engine.testing import open_fake_engine

AT_ONCE = 8
FLAT_MB = 8.0  # between half of the jobs and all of them
SHOWN = Destination(face="sink")


class Sink:
    """Takes endings and forgets them."""

    async def deliver(self, job: JobView, files: tuple[bytes, ...]) -> None:
        """Nothing to show."""


def resident_mb() -> float:
    """Memory of this process in megabytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise OSError("this machine does not tell")


async def run_jobs(studio: Atelier, first: int, count: int) -> None:
    """Run some jobs of many members, a few at once."""

    async def run(number: int) -> None:
        member = Caller(owner_id=number % 50)
        text = f"fox number {number} --size 128x128 --steps 2 --images 2"
        [job] = await studio.imagine(member, text, SHOWN)
        async for _ in studio.watch(member, job.id):
            pass

    for start in range(first, first + count, AT_ONCE):
        end = min(start + AT_ONCE, first + count)
        await asyncio.gather(*(run(number) for number in range(start, end)))


def objects() -> int:
    """How many objects the garbage collector knows, after a collection."""
    gc.collect()
    return len(gc.get_objects())


async def measure(jobs: int) -> None:
    """Print the memory at the start and after each quarter."""
    with tempfile.TemporaryDirectory(prefix="atelier-memory-") as folder:
        async with (
            open_fake_engine() as engine,
            open_studio(
                engine,
                database_url=f"sqlite:///{folder}/atelier.db",
                images_dir=Path(folder) / "images",
                limits=Limits(running=50, waiting=1000),
            ) as studio,
        ):
            studio.register_deliverer("sink", Sink())
            print(f"idle            {resident_mb():7.1f} MB", flush=True)
            figures = []
            for quarter in range(4):
                await run_jobs(studio, quarter * jobs // 4, jobs // 4)
                figures.append(resident_mb())
                done = (quarter + 1) * jobs // 4
                counted = f"{figures[-1]:6.1f} MB {objects():8,} objects"
                print(f"after {done:5} jobs {counted}", flush=True)
    growth = figures[3] - figures[1]
    verdict = "flat" if growth < FLAT_MB else "NOT flat"
    print(f"the second half added {growth:.1f} MB: {verdict}")


def main() -> None:
    """Measure once."""
    parser = argparse.ArgumentParser(description="Memory of the bot")
    parser.add_argument("--jobs", type=int, default=1000)
    asyncio.run(measure(parser.parse_args().jobs))


if __name__ == "__main__":
    main()
