"""A PostgreSQL server of the tests' own: started in a temporary folder, gone with it.

Or any server that ATELIER_TEST_POSTGRES_URL names; its user must be allowed to create databases.
"""

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

GIVEN = "ATELIER_TEST_POSTGRES_URL"
_USER = "postgres"  # PostgreSQL refuses to run as root


class NoPostgres(Exception):
    """There is no server and no means to start one."""


@contextmanager
def running_postgres() -> Iterator[str]:
    """The address of a server, without a database's name."""
    given = os.environ.get(GIVEN)
    if given:
        yield given.rstrip("/").rpartition("/")[0]
        return
    folder = Path(tempfile.mkdtemp(prefix="atelier-postgres-"))
    try:
        with started(folder) as address:
            yield address
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def started(folder: Path, port: int | None = None) -> Iterator[str]:
    """Start a server whose data is in `folder`, made first where there is none; stop it after."""
    server = Server(folder, port or free_port())
    server.start()
    try:
        yield server.address
    finally:
        server.crash()


@dataclass(frozen=True, slots=True)
class Server:
    """A server that can be ended as a power cut would, and started again."""

    folder: Path
    port: int

    @property
    def address(self) -> str:
        """Without a database's name."""
        return f"postgresql://{_USER}@127.0.0.1:{self.port}"

    def start(self) -> None:
        """Wait until it answers.

        Raises:
            NoPostgres: it can't be started.
        """
        data = self.folder / "data"
        if os.getuid() == 0:
            shutil.chown(self.folder, _USER, _USER)
        if not data.exists():
            options = ["-A", "trust", "-U", _USER, "-E", "UTF8", "--locale=C", "--no-sync"]
            _run([_programs() / "initdb", "-D", data, *options])
        listening = f"-p {self.port} -k {self.folder} -c listen_addresses=127.0.0.1"
        settings = f"-F {listening} -c max_connections=60"
        self._control("-l", self.folder / "log", "-o", settings, "start")

    def crash(self) -> None:
        """End it at once: connections are cut, and the next start recovers from its journal."""
        self._control("-m", "immediate", "stop")

    def _control(self, *options: str | Path) -> None:
        _run([_programs() / "pg_ctl", "-D", self.folder / "data", "-w", "-t", "120", *options])


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _programs() -> Path:
    found = shutil.which("initdb")
    if found:
        return Path(found).parent
    for folder in sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True):
        if (folder / "initdb").exists():
            return folder
    raise NoPostgres(f"neither initdb nor {GIVEN}")


def _run(command: list[str | Path]) -> None:
    as_user = {"user": _USER, "group": _USER, "extra_groups": []} if os.getuid() == 0 else {}
    done = subprocess.run(
        command,
        check=False,
        cwd="/",
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        timeout=300,  # a machine may have much else to do
        **as_user,
    )
    if done.returncode:
        raise NoPostgres(f"{Path(command[0]).name} failed: {done.stderr.decode().strip()}")
