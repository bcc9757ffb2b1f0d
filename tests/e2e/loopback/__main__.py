"""Runs the server: `python -m tests.e2e.loopback [--port N] [--unjudged]`."""

import argparse
import asyncio
import json
import signal

from tests.e2e.loopback.schema import Contract, document_path
from tests.e2e.loopback.server import open_server


async def main() -> None:
    """Serve until told to stop; the first line names the address."""
    arguments = argparse.ArgumentParser(description="A Discord on loopback.")
    arguments.add_argument("--port", type=int, default=0)
    arguments.add_argument("--unjudged", action="store_true", help="validate nothing")
    asked = arguments.parse_args()
    path = None if asked.unjudged else document_path()
    contract = None if path is None else Contract.read(path)
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with open_server(contract, asked.port) as world:
        print(json.dumps({"address": world.address, "is_judged": contract is not None}), flush=True)
        await stop.wait()


if __name__ == "__main__":
    asyncio.run(main())
