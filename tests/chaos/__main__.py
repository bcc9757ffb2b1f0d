"""Kill bot and workers at random instants and see whether every accepted job ends exactly once.

python -m tests.chaos --kills 100 [--seed 7] [--database postgres]

With `--database postgres` the database server is killed as well, and away for some seconds.
"""

import argparse
import asyncio
import contextlib
import random
import sys
import tempfile
from pathlib import Path

from tests.chaos.killing import Chaos
from tests.postgres_server import Server, free_port


def main() -> int:
    """Run once and print what happened; 1 where a job was lost or ended twice."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--database", choices=("sqlite", "postgres"), default="sqlite")
    options = parser.parse_args()
    print(f"seed {options.seed}, {options.database}", flush=True)
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="atelier-chaos-")))
        url, server = f"sqlite:///{folder}/atelier.db", None
        if options.database == "postgres":
            place = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="atelier-rows-")))
            server = Server(place, free_port())
            server.start()
            stack.callback(server.crash)
            url = f"{server.address}/postgres"
        chaos = Chaos(folder, url, kills=options.kills, seed=options.seed, server=server)
        report = asyncio.run(chaos.run(tell=lambda line: print(line, flush=True)))
    print(report)
    return 1 if report.faults else 0


if __name__ == "__main__":
    sys.exit(main())
