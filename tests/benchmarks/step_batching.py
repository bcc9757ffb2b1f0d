"""What joining at every step buys, against one request at a time on the same engine.

    python -m tests.benchmarks.step_batching [--seconds 12] [--catalogue FILE] [--model NAME]

Requests of different lengths arrive at random (Poisson) at half, once and twice the rate at which
the engine can do them one after the other. Both ways get the same requests at the same moments.
All times are multiples of one request's time alone, so that they hold for any machine:

    throughput  requests ended per time, 1.0 = one after the other without a gap
    latency     from arrival to the pictures: the median and the 95th of a hundred
    join        from arrival to the first step
"""

import argparse
import asyncio
import random
import statistics
import tempfile
import time
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from engine.api import (
    Engine,
    EngineConfig,
    Event,
    Progress,
    Sampler,
    TextToImage,
    open_engine,
    plain,
)

LOADS = (0.5, 1.0, 2.0)
SAMPLERS = (Sampler.EULER, Sampler.DPMPP_2M, Sampler.HEUN, Sampler.DDIM)
TINY = "tiny"


@dataclass(frozen=True)
class Ran:
    """When one request arrived, made its first step and ended; seconds of one clock."""

    arrived: float
    joined: float
    ended: float


Play: TypeAlias = Sequence[Ran]  # what became of all requests of one play


async def run(engine: Engine, request: TextToImage, arrived: float) -> Ran:
    """Carry out a request and note its times."""
    joined: list[float] = []

    def on_event(event: Event) -> None:
        if isinstance(event, Progress) and not event.stage:
            joined.append(time.perf_counter())

    await engine.run(request, on_event)
    return Ran(arrived, joined[0], time.perf_counter())


async def play(
    engine: Engine,
    requests: Sequence[TextToImage],
    gaps: Sequence[float],
    gate: AbstractAsyncContextManager[object],
) -> Play:
    """Let the requests arrive one after the other; each passes `gate` before the engine has it."""

    async def arrive(request: TextToImage) -> Ran:
        arrived = time.perf_counter()
        async with gate:
            return await run(engine, request, arrived)

    jobs = []
    for request, gap in zip(requests, gaps, strict=True):
        await asyncio.sleep(gap)
        jobs.append(asyncio.create_task(arrive(request)))
    return await asyncio.gather(*jobs)


def some_requests(model: str, side: int, count: int, chance: random.Random) -> list[TextToImage]:
    """Requests of 6 to 18 steps and several samplers, one image each."""
    return [
        TextToImage(
            model=model,
            prompt=plain("a red fox in the snow"),
            seed=number,
            width=side,
            height=side,
            steps=chance.randint(6, 18),
            sampler=chance.choice(SAMPLERS),
            image_count=1,
            previews=False,
        )
        for number in range(count)
    ]


async def alone_s(engine: Engine, requests: Sequence[TextToImage]) -> float:
    """Mean seconds of a request when nobody else is there."""
    begun = time.perf_counter()
    for request in requests:
        await run(engine, request, begun)
    return (time.perf_counter() - begun) / len(requests)


async def compare(engine: Engine, model: str, side: int, seconds: float) -> None:
    """Measure both ways at each load and print a table."""
    chance = random.Random(1)
    warm_up = some_requests(model, side, 8, chance)
    await asyncio.gather(*(engine.run(request, lambda _: None) for request in warm_up))
    print("the engine is warm", flush=True)
    unit = await alone_s(engine, some_requests(model, side, 10, chance))
    print(f"model {model}, {side} px; one request alone takes {unit:.3f} s = 1.00\n")
    print("load  way            requests  throughput  p50    p95    join p50  join p95")
    for load in LOADS:
        count = max(8, round(load * seconds / unit))
        requests = some_requests(model, side, count, chance)
        gaps = [chance.expovariate(load / unit) for _ in requests]
        ways = {"one at a time": asyncio.Semaphore(1), "step batching": nullcontext()}
        plays: dict[str, list[Play]] = {way: [] for way in ways}
        for way in (*ways, *reversed(ways)):  # what else the machine does hits both alike
            plays[way].append(await play(engine, requests, gaps, ways[way]))
        solo, shared = (plays[way] for way in ways)
        for way, ran in plays.items():
            print(_line(load, way, ran, unit))
        print(_ratios(solo, shared))


def _line(load: float, way: str, plays: Sequence[Play], unit: float) -> str:
    figures = [
        _throughput(plays) * unit,
        *(value / unit for value in (*_latency(plays), *_joining(plays))),
    ]
    columns = "{:<11.2f} {:<6.2f} {:<6.2f} {:<9.2f} {:.2f}".format(*figures)
    return f"{load:<5} {way:<14} {sum(map(len, plays)):<9} {columns}"


def _ratios(solo: Sequence[Play], shared: Sequence[Play]) -> str:
    pairs = zip(
        (_throughput(solo), *_latency(solo), *_joining(solo)),
        (_throughput(shared), *_latency(shared), *_joining(shared)),
        strict=True,
    )
    ratios = [after / before for before, after in pairs]
    return "      {:<24} {:<11} {:<6} {:<6} {:<9} {}\n".format(
        "ratio", *(f"{ratio:.2f}x" for ratio in ratios)
    )


def _throughput(plays: Sequence[Play]) -> float:
    seconds = sum(max(r.ended for r in ran) - min(r.arrived for r in ran) for ran in plays)
    return sum(len(ran) for ran in plays) / seconds


def _latency(plays: Sequence[Play]) -> tuple[float, float]:
    return _p50_p95([r.ended - r.arrived for ran in plays for r in ran])


def _joining(plays: Sequence[Play]) -> tuple[float, float]:
    return _p50_p95([r.joined - r.arrived for ran in plays for r in ran])


def _p50_p95(values: Sequence[float]) -> tuple[float, float]:
    return statistics.median(values), statistics.quantiles(values, n=20)[-1]


def _tiny_catalogue(folder: Path) -> Path:
    """Write a tiny random Stable Diffusion: speed does not depend on the weights."""
    from tests import tiny_checkpoints

    tiny_checkpoints.write_sd1(folder / TINY)
    catalogue = folder / "catalogue.toml"
    catalogue.write_text(f'[models.{TINY}]\nfamily = "sd1"\nwhere = "{TINY}"\n')
    return catalogue


async def measure(options: argparse.Namespace, folder: Path) -> None:
    """Open the engine and compare."""
    catalogue = options.catalogue
    if catalogue is None and options.model == TINY:
        catalogue = await asyncio.to_thread(_tiny_catalogue, folder)
    files = (catalogue,) if catalogue else ()
    config = EngineConfig(devices=(options.device,), catalogue_files=files, threads=options.threads)
    async with open_engine(config) as engine:
        await compare(engine, options.model, options.side, options.seconds)


def main() -> None:
    """Read the options and measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=12.0, help="of arrivals at each load")
    parser.add_argument("--model", default=TINY, help="a model of the catalogue; a tiny random one")
    parser.add_argument("--catalogue", type=Path, help="a catalogue file beside the shipped one")
    parser.add_argument("--side", type=int, default=64, help="width and height in pixels")
    parser.add_argument("--threads", type=int, default=1, help="of a CPU; others may be busy")
    parser.add_argument("--device", default="auto")
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(measure(parser.parse_args(), Path(folder)))


if __name__ == "__main__":
    main()
