"""Dockerfile, compose.yaml and wheel, as far as they can be checked without building them."""

import asyncio
import fnmatch
import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from bot.errors import BadConfiguration
from bot.faces.web.app import open_web
from bot.faces.web.config import WebConfig
from bot.settings import Settings, read_settings, setting_names
from bot.studio.opening import open_studio
from engine.testing import FakeEngine

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
SERVICES: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
IGNORED = (ROOT / ".dockerignore").read_text().split()


def instructions() -> list[tuple[str, str]]:
    """(name, rest) of each instruction of the Dockerfile."""
    text = re.sub(r"^#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE)
    lines = text.replace("\\\n", " ").splitlines()
    return [(line.split()[0], line.partition(" ")[2].strip()) for line in lines if line.strip()]


def of(name: str) -> list[str]:
    return [rest for found, rest in instructions() if found == name]


def variables() -> dict[str, str]:
    """What the image sets for the service."""
    return dict(pair.split("=", 1) for pair in shlex.split(of("ENV")[-1]))


def test_what_is_copied_is_there_and_not_ignored() -> None:
    copied = [shlex.split(rest)[:-1] for rest in of("COPY") if "--from" not in rest]
    names = {name for line in copied for name in line}
    assert {"bot", "engine", "migrations", "constraints.txt", "LICENSE"} <= names
    for name in names:
        assert (ROOT / name).exists()
        assert not any(fnmatch.fnmatch(name, pattern) for pattern in IGNORED)


def test_secrets_and_pictures_stay_out_of_the_build() -> None:
    hidden = (".env", "atelier.toml", "data", ".git", ".venv", "tests", ".mypy_cache")
    for name in hidden:
        assert any(fnmatch.fnmatch(name, pattern) for pattern in IGNORED), name


def test_the_python_of_the_image_is_one_that_is_supported() -> None:
    versions = {tuple(map(int, re.findall(r"python:3\.(\d+)", base))) for base in of("FROM")}
    assert len(versions) == 1, "what is built and what runs it are the same"
    [(minor,)] = versions
    assert (3, minor) >= (3, 11)
    assert PROJECT["project"]["requires-python"] == ">=3.11"


def test_everything_installed_is_held_to_the_constraints() -> None:
    for line in " ".join(of("RUN")).split("pip install ")[1:]:
        assert line.startswith(("--constraint constraints.txt", "--no-deps ."))
    assert "dev" not in " ".join(of("RUN"))


def test_another_index_is_asked_for_torch_beside_pypi_which_has_the_rest() -> None:
    text = (ROOT / "Dockerfile").read_text()
    assert 'TORCH="torch --extra-index-url ADDRESS"' in text
    assert " --index-url" not in text


def test_the_requirements_are_read_from_the_project() -> None:
    [command] = re.findall(r'python -c "(import tomllib.*?)" >', " ".join(of("RUN")))
    done = subprocess.run(
        [sys.executable, "-c", command], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == PROJECT["project"]["dependencies"]


def test_it_does_not_run_as_root_and_keeps_its_data_in_the_volume() -> None:
    [user] = of("USER")
    assert int(user) > 0
    assert f"--uid {user}" in " ".join(of("RUN"))
    assert of("VOLUME") == [variables()["ATELIER_DATA_DIR"]]
    [mounted] = SERVICES["bot"]["volumes"]
    assert mounted.endswith(":" + variables()["ATELIER_DATA_DIR"])


def test_signals_reach_the_service() -> None:
    assert json.loads(of("ENTRYPOINT")[0]) == ["atelier"]
    assert "atelier" in PROJECT["project"]["scripts"]
    assert json.loads(of("CMD")[0]) == ["run"]
    assert SERVICES["bot"]["init"] is True


def test_every_variable_is_one_that_is_read() -> None:
    known = {*setting_names(), "DISCORD_TOKEN", "PGPASSWORD", "PATH", "PYTHONUNBUFFERED"}
    assert variables().keys() <= known
    assert SERVICES["bot"]["environment"].keys() <= known


def test_the_settings_of_compose_can_work(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    given = variables() | SERVICES["bot"]["environment"]
    for name, value in given.items():
        if name.startswith("ATELIER_"):
            monkeypatch.setenv(name, re.sub(r"\$\{\w+:-(.*?)\}", r"\1", value))
    settings: Settings = read_settings()
    assert settings.resolved_database_url == "postgresql+asyncpg://atelier@database/atelier"
    assert settings.web.host == "0.0.0.0"
    with pytest.raises(BadConfiguration, match="ATELIER_WEB__TOKEN"):
        WebConfig(host=settings.web.host, token="")


async def healthy(folder: Path, **settings: str) -> bool:
    """What the container's health check says of a service with some settings."""
    [check] = of("HEALTHCHECK")
    _, *arguments = json.loads(check.partition("CMD ")[2])
    environment = {"PATH": os.defpath, "PYTHONPATH": str(ROOT)} | variables() | settings
    checking = await asyncio.create_subprocess_exec(
        sys.executable, *arguments, env=environment, cwd=folder, stderr=asyncio.subprocess.DEVNULL
    )
    return await checking.wait() == 0


async def test_the_health_check_asks_the_web_studio_wherever_it_is(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/atelier.db"
    async with (
        open_studio(FakeEngine(), database_url=url, images_dir=tmp_path) as studio,
        open_web(studio, WebConfig(port=0)) as address,
    ):
        port = address.rpartition(":")[2]
        assert await healthy(tmp_path, ATELIER_WEB__PORT=port)
    assert not await healthy(tmp_path, ATELIER_WEB__PORT=port)


async def test_without_a_web_studio_the_health_check_finds_nothing_wrong(tmp_path: Path) -> None:
    assert await healthy(tmp_path, ATELIER_WEB__ENABLED="false")
    (tmp_path / "atelier.toml").write_text("[web]\nenabled = false\n")
    assert await healthy(tmp_path)


def test_the_port_of_the_web_studio_is_the_one_that_is_published() -> None:
    port = variables()["ATELIER_WEB__PORT"]
    assert of("EXPOSE") == [port]
    named = f"${{ATELIER_WEB__PORT:-{port}}}"
    assert SERVICES["bot"]["environment"]["ATELIER_WEB__PORT"] == named
    assert SERVICES["bot"]["ports"] == [f"{named}:{named}"]


def test_every_setting_may_stand_in_the_file_beside_compose() -> None:
    assert SERVICES["bot"]["env_file"] == [{"path": ".env", "required": False}]
    for name in ("ATELIER_DATA_DIR", "ATELIER_WEB__HOST"):  # of a service without a container
        assert SERVICES["bot"]["environment"][name] == variables()[name]


def test_the_bot_waits_for_the_database() -> None:
    assert SERVICES["bot"]["depends_on"]["database"]["condition"] == "service_healthy"
    asked = SERVICES["database"]["healthcheck"]["test"]
    assert "127.0.0.1" in asked
    assert SERVICES["database"]["environment"]["POSTGRES_DB"] in asked


def test_the_wheel_brings_all_that_is_no_code() -> None:
    patterns = PROJECT["tool"]["setuptools"]["package-data"]["*"]
    files = [
        file
        for package in ("bot", "engine", "migrations")
        for file in (ROOT / package).rglob("*")
        if file.is_file() and file.suffix not in (".py", ".pyc")
    ]
    assert len(files) > 50
    left_out = [
        file.name
        for file in files
        if not any(fnmatch.fnmatch(file.name, pattern) for pattern in patterns)
    ]
    assert left_out == []
