"""Fetching from the hub, against one on loopback that speaks the hub's protocol."""

import asyncio
import hashlib
import json
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar
from urllib.parse import unquote, urlsplit

import pytest

from engine import host, worker_process
from engine.config import EngineConfig
from engine.errors import ModelUnavailable

COMMIT = "0123456789012345678901234567890123456789"
FETCH = """
import sys
from pathlib import Path
from engine.config import EngineConfig
from engine.errors import EngineError
from engine.models.catalogue import Family, ModelInfo, Source
from engine.models.hub import localised

info = ModelInfo(name="far", family=Family.SD1, where=sys.argv[1], source=Source.HUB)
config = EngineConfig(models_dir=Path(sys.argv[2]), allow_downloads=True)
try:
    print(localised(info, config).where)
except EngineError as error:
    print(type(error).__name__, error)
"""


class Hub(BaseHTTPRequestHandler):
    """Answers what huggingface_hub asks of a repository: its files, and each of them."""

    protocol_version = "HTTP/1.1"
    repositories: ClassVar[dict[str, dict[str, bytes]]] = {}
    asked: ClassVar[list[str]] = []
    is_open: ClassVar[threading.Event]  # files are given only when it is set

    def do_GET(self):
        self.answer()

    def do_HEAD(self):
        self.answer()

    def log_message(self, *args):
        pass

    def answer(self):
        path = unquote(urlsplit(self.path).path)
        self.asked.append(path)
        body, headers = self.found(path)
        if path.startswith("/api/models/someone/astray"):
            self.send(b"", status=302, Location=path)
        elif body is None:
            self.send(b"{}", status=404, **{"X-Error-Code": "RepoNotFound"})
        else:
            self.send(body, **headers)

    def found(self, path):
        for name, files in self.repositories.items():
            if path.startswith(f"/api/models/{name}/tree/"):
                tree = [
                    {"type": "file", "path": file, "size": len(data), "oid": digest(data)}
                    for file, data in files.items()
                ]
                return json.dumps(tree).encode(), {}
            if path.startswith(f"/api/models/{name}"):
                siblings = [{"rfilename": file} for file in files]
                about = {"id": name, "modelId": name, "sha": COMMIT, "siblings": siblings}
                return json.dumps(about).encode(), {}
            if path.startswith(f"/{name}/resolve/"):
                self.is_open.wait()
                file = path.split("/resolve/")[1].split("/", 1)[1]
                if file in files:
                    return files[file], {"ETag": f'"{digest(files[file])}"'}
        return None, {}

    def send(self, body, status=200, **headers):
        self.send_response(status)
        for key, value in ({"X-Repo-Commit": COMMIT} | headers).items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)


def digest(data):
    return hashlib.sha1(data).hexdigest()


@pytest.fixture
def hub():
    """Serve repositories; a dictionary of theirs, each a dictionary of files."""
    is_open = threading.Event()
    is_open.set()
    handler = type("TheHub", (Hub,), {"repositories": {}, "asked": [], "is_open": is_open})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    handler.address = f"http://127.0.0.1:{server.server_port}"
    yield handler
    is_open.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def our_hub(hub, tmp_path, monkeypatch):
    """The hub, which is that of all processes started from now on."""
    monkeypatch.setenv("HF_ENDPOINT", hub.address)
    monkeypatch.setenv("HF_HUB_DISABLE_XET", "1")
    monkeypatch.setenv("HF_HUB_DISABLE_TELEMETRY", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return hub


@pytest.fixture
def fetch(our_hub, tmp_path):
    """Fetch a repository in a process of its own, whose hub is ours."""

    def fetching(name):
        done = subprocess.run(
            [sys.executable, "-c", FETCH, name, str(tmp_path / "models")],
            capture_output=True,
            text=True,
            check=False,
            timeout=100,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    return fetching


def ignore(event):
    pass


def files_of(folder):
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


@pytest.mark.timeout(180)
def test_only_weights_in_safetensors_and_what_describes_them_are_fetched(hub, fetch, tmp_path):
    wanted = {
        "model_index.json": b"{}",
        "unet/config.json": b"{}",
        "unet/diffusion_pytorch_model.safetensors": b"weights",
        "tokenizer/merges.txt": b"#version",
    }
    others = {
        "model.ckpt": b"pickle",
        "unet/diffusion_pytorch_model.bin": b"pickle",
        "unet/diffusion_pytorch_model.fp16.safetensors": b"half",
        "safety_checker/model.safetensors": b"censor",
        "whole.safetensors": b"again",
        "README.md": b"words",
    }
    hub.repositories["someone/far"] = wanted | others
    folder = Path(fetch("someone/far"))
    assert folder.is_relative_to(tmp_path / "models" / "hub")
    assert files_of(folder) == set(wanted)
    assert (folder / "unet/diffusion_pytorch_model.safetensors").read_bytes() == b"weights"
    hub.asked.clear()
    assert Path(fetch("someone/far")) == folder
    assert hub.asked == []  # what is here is not asked for again


@pytest.mark.timeout(180)
def test_a_repository_with_code_is_refused_before_anything_is_fetched(hub, fetch, tmp_path):
    hub.repositories["someone/code"] = {"model_index.json": b"{}", "pipeline.py": b"import os"}
    assert "UnsafeCheckpoint" in fetch("someone/code")
    assert not any("/resolve/" in path for path in hub.asked)


@pytest.mark.timeout(180)
def test_a_repository_that_does_not_exist_is_named(fetch):
    answer = fetch("someone/nowhere")
    assert "ModelUnavailable" in answer
    assert "someone/nowhere can't be fetched" in answer


@pytest.mark.timeout(180)
def test_what_the_hubs_connection_fails_of_is_said_of_the_model(fetch):
    answer = fetch("someone/astray")
    assert "ModelUnavailable" in answer
    assert "someone/astray can't be fetched: Exceeded maximum allowed redirects" in answer


STUCK_S = 3.0


def _work(link):
    """Work as usual, with what takes long to import here already."""
    import engine.models.families.stable_diffusion
    import engine.worker  # noqa: F401

    worker_process.run(host._begin, link)


@pytest.mark.timeout(180)  # a fresh process imports torch and diffusers
async def test_others_draw_while_a_model_is_fetched_for_longer_than_a_worker_may_be_stuck(
    our_hub, checkpoints, request_of, tmp_path
):
    folder = checkpoints / "sd1"
    our_hub.repositories["someone/far"] = {
        name: (folder / name).read_bytes() for name in files_of(folder)
    }
    file = tmp_path / "mine.toml"
    file.write_text(
        "[models]\n"
        f"near = {{ family = 'sd1', where = '{folder}' }}\n"
        "far = { family = 'sd1', where = 'someone/far' }\n"
        "nowhere = { family = 'sd1', where = 'someone/nowhere' }\n"
    )
    config = EngineConfig(
        devices=("cpu",),
        catalogue_files=(file,),
        models_dir=tmp_path,
        threads=1,
        allow_downloads=True,
        stuck_timeout_s=STUCK_S,
    )
    near, far, nowhere = (request_of(name, steps=1) for name in ("near", "far", "nowhere"))
    our_hub.is_open.clear()
    async with host.open_host(config, _work) as engine:
        await engine.run(near, ignore)
        fetches = [asyncio.create_task(engine.run(far, ignore)) for _ in range(2)]
        while not any(path.startswith("/someone/far/resolve") for path in our_hub.asked):
            await engine.run(near, ignore)
        begun = time.monotonic()
        with pytest.raises(ModelUnavailable, match="someone/nowhere can't be fetched"):
            await engine.run(nowhere, ignore)
        while time.monotonic() < begun + 1.4 * STUCK_S:
            assert len((await engine.run(near, ignore)).images) == 2
        assert not any(fetch.done() for fetch in fetches)
        fetches[0].cancel()
        our_hub.is_open.set()
        assert len((await fetches[1]).images) == 2
        assert engine.status().workers[0].restarts == 0
    assert sum(path.endswith("/unet/config.json") for path in our_hub.asked) <= 2  # HEAD and GET
