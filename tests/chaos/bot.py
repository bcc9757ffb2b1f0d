"""The process that chaos kills: studio, engine host, worker processes; its chats are files.

    python -m tests.chaos.bot FOLDER DATABASE_URL

Jobs come over FOLDER/socket, one JSON line each: {"text": ..., "owner": ...} -> {"id": ..., "seed"
...} once the job is committed. Endings are shown in FOLDER/chat/JOB.json: a message that can be
written again, but not twice. Without a database at its start it ends with the code NO_DATABASE.
"""

import asyncio
import contextlib
import hashlib
import json
import sys
import tempfile
from functools import partial
from pathlib import Path

from bot.errors import StorageUnavailable, UserError
from bot.studio.contract import Caller, Destination, JobView, Limits
from bot.studio.opening import open_studio
from bot.studio.studio import Atelier
from engine.api import EngineConfig
from engine.testing import open_fake_engine

STEP_S = 0.01
NO_DATABASE = 69  # EX_UNAVAILABLE of <sysexits.h>
LIMITS = Limits(running=50, waiting=10_000, permutations=10)


class Chat:
    """Shows each ending as one file."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def deliver(self, job: JobView, files: tuple[bytes, ...]) -> None:
        """Write the message of `job`; the same one, if it is written again after a crash."""
        message = {
            "state": job.state.value,
            "reason": job.reason,
            "seeds": [image.seed for image in job.images],
            "pictures": [hashlib.sha256(png).hexdigest() for png in files],
        }
        with tempfile.NamedTemporaryFile("w", dir=self._folder, delete=False) as file:
            json.dump(message, file)
        Path(file.name).rename(self._folder / f"{job.id}.json")


async def serve(folder: Path, database_url: str) -> None:
    """Run until killed."""
    chats = folder / "chat"
    chats.mkdir(exist_ok=True)
    config = EngineConfig(devices=("fake",))
    async with (
        open_fake_engine(config, step_delay_s=STEP_S) as engine,
        open_studio(
            engine, database_url=database_url, images_dir=folder / "images", limits=LIMITS
        ) as studio,
    ):
        studio.register_deliverer("chat", Chat(chats))
        server = await asyncio.start_unix_server(partial(answer, studio), folder / "socket")
        async with server:
            await server.serve_forever()


async def answer(
    studio: Atelier, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """Accept jobs from one client."""
    with contextlib.suppress(ConnectionError), contextlib.closing(writer):
        while line := await reader.readline():
            asked = json.loads(line)
            caller = Caller(owner_id=asked["owner"])
            try:
                [job] = await studio.imagine(caller, asked["text"], Destination(face="chat"))
                told = {"id": job.id, "seed": job.seed}
            except UserError as error:
                told = {"error": str(error)}
            writer.write(json.dumps(told).encode() + b"\n")
            await writer.drain()


if __name__ == "__main__":
    try:
        asyncio.run(serve(Path(sys.argv[1]), sys.argv[2]))
    except StorageUnavailable:
        sys.exit(NO_DATABASE)
