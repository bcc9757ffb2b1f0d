"""What the service adds to the work itself: a job through studio, queue, database and host.

    python -m tests.benchmarks.service_overhead [--jobs 20] [--steps 24] [--step-ms 100]

The work is a stand-in of known length (steps that sleep, then a drawing). It is done by a bare
loop in this process, and by the service with its real host and worker process, SQLite and files.
The target is at most 5 % more; seconds of one machine, so that only the ratio means much.
"""

import argparse
import asyncio
import resource
import statistics
import tempfile
import time
from pathlib import Path

from bot.studio.contract import Caller, Destination, Limits
from bot.studio.opening import open_studio
from bot.studio.studio import Atelier
from engine.api import TextToImage, plain
from engine.testing import draw, open_fake_engine, steps_of

TARGET = 0.05
ME = Caller(owner_id=1)
NOWHERE = Destination(face="benchmark")


def bare_loop(steps: int, step_s: float, jobs: int) -> list[float]:
    """Seconds of each job done with nothing around it."""
    seconds = []
    for seed in range(jobs):
        request = TextToImage(
            model="any", prompt=plain("a fox"), seed=seed, width=256, height=256, steps=steps
        )
        begun = time.perf_counter()
        for _ in steps_of(request):
            time.sleep(step_s)
        draw(request)
        seconds.append(time.perf_counter() - begun)
    return seconds


async def one_job(studio: Atelier, text: str) -> float:
    """Seconds from the prompt to the committed result."""
    begun = time.perf_counter()
    [job] = await studio.imagine(ME, text, NOWHERE)
    async for update in studio.watch(ME, job.id):
        last = update.job.state
    assert last == "finished", last
    return time.perf_counter() - begun


async def through_the_service(steps: int, step_s: float, jobs: int) -> tuple[list[float], float]:
    """Seconds of each job, and CPU seconds that each took in the bot process."""
    text = f"a fox --size 256x256 --steps {steps}"
    with tempfile.TemporaryDirectory(prefix="atelier-overhead-") as folder:
        async with (
            open_fake_engine(step_delay_s=step_s) as engine,
            open_studio(
                engine,
                database_url=f"sqlite:///{folder}/atelier.db",
                images_dir=Path(folder) / "images",
                limits=Limits(running=50, waiting=1000),
            ) as studio,
        ):
            await one_job(studio, text)  # the first one pays for starting the worker
            before = _cpu_s()
            seconds = [await one_job(studio, text) for _ in range(jobs)]
            return seconds, (_cpu_s() - before) / jobs


def _cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    """Measure both and print the ratio."""
    parser = argparse.ArgumentParser(description="Overhead of the service")
    parser.add_argument("--jobs", type=int, default=20)
    parser.add_argument("--steps", type=int, default=24)
    parser.add_argument("--step-ms", type=float, default=100.0)
    options = parser.parse_args()
    step_s = options.step_ms / 1e3
    bare = statistics.median(bare_loop(options.steps, step_s, options.jobs))
    served, cpu_s = asyncio.run(through_the_service(options.steps, step_s, options.jobs))
    median = statistics.median(served)
    share = median / bare - 1
    print(f"bare loop    {bare:7.3f} s a job (median of {options.jobs})")
    print(f"the service  {median:7.3f} s a job, of which the bot computes {cpu_s:.3f} s")
    print(f"overhead     {share:7.1%}, target {TARGET:.0%}{'' if share <= TARGET else ': missed'}")
    print(f"bot's CPU    {cpu_s / bare:7.1%} of the work")


if __name__ == "__main__":
    main()
