"""`atelier doctor`: what is wrong with this installation, and how to mend it."""

import asyncio
import json
import os
import shutil
import socket
import sys
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from bot.errors import BadConfiguration, UserError
from bot.faces.console.application import Application
from bot.settings import (
    Settings,
    given_variables,
    misspelt,
    no_such_setting,
    read_settings,
    shown_database_url,
)
from engine.api import EngineError, lora_problems, open_catalogue, problems, vgg19_problems

LITTLE_DISK_BYTES = 2 * 2**30
# Run in a process of its own, because this one never imports torch.
DEVICE_PROBE = """
import json, torch
cuda = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
print(json.dumps({"torch": torch.__version__, "cuda": cuda, "threads": torch.get_num_threads()}))
"""


class Verdict(StrEnum):
    """How a check ended."""

    GOOD = "ok"
    WORTH_KNOWING = "note"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at; `cure` says how to mend it."""

    verdict: Verdict
    subject: str
    text: str
    cure: str = ""


async def diagnose(application: Application, console: Console) -> bool:
    """Print all findings; True if the service can work."""
    can_work = True
    async for finding in _findings(application):
        can_work = can_work and finding.verdict is not Verdict.BAD
        colour = {"ok": "green", "note": "yellow", "bad": "red"}[finding.verdict]
        subject = escape(finding.subject)
        console.print(f"[{colour}]{finding.verdict:>4}[/]  [bold]{subject}[/]: ", end="")
        console.print(finding.text, markup=False, highlight=False)
        if finding.cure:
            console.print(f"      -> {finding.cure}", markup=False, highlight=False)
    return can_work


async def _findings(application: Application) -> AsyncIterator[Finding]:
    version = ".".join(str(n) for n in sys.version_info[:3])
    yield Finding(Verdict.GOOD, "Python", version)
    try:
        settings = read_settings()
    except BadConfiguration as error:
        yield Finding(Verdict.BAD, error.setting, error.reason, "change the variable or the file")
        return
    yield Finding(Verdict.GOOD, "configuration", "every setting has a value that can work")
    for name in misspelt(given_variables()):
        yield Finding(Verdict.WORTH_KNOWING, name, no_such_setting(name), "it changes nothing")
    yield _data_dir(settings.data_dir)
    yield await _database(application, settings)
    yield _wildcards(application, settings)
    yield _web(application, settings)
    yield _discord(settings)
    yield await _device(settings.engine.devices)
    for finding in _models(settings):
        yield finding


def _data_dir(folder: Path) -> Finding:
    subject = "data folder"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        cure = "create it, or name another with ATELIER_DATA_DIR"
        return Finding(Verdict.BAD, subject, f"{folder}: {error.strerror}", cure)
    if not os.access(folder, os.W_OK | os.X_OK):
        cure = f"give this user the right to write there: chown -R $(id -un) {folder}"
        return Finding(Verdict.BAD, subject, f"{folder} can't be written", cure)
    free = shutil.disk_usage(folder).free
    text = f"{folder.resolve()}, {free / 2**30:.1f} GiB free"
    if free < LITTLE_DISK_BYTES:
        return Finding(Verdict.WORTH_KNOWING, subject, text, "free some space for pictures")
    return Finding(Verdict.GOOD, subject, text)


async def _database(application: Application, settings: Settings) -> Finding:
    subject, text = "database", shown_database_url(settings)
    try:
        if await application.is_schema_current(settings):
            return Finding(Verdict.GOOD, subject, text)
    except BadConfiguration as error:
        return Finding(Verdict.BAD, subject, f"{text}: {error.reason}", "see ATELIER_DATABASE_URL")
    except UserError as error:
        cure = "see that it runs, and that ATELIER_DATABASE_URL has its host and port"
        return Finding(Verdict.BAD, subject, f"{text}: {error}", cure)
    told = f"{text} is brought up to date at the next start"
    return Finding(Verdict.WORTH_KNOWING, subject, told)


def _wildcards(application: Application, settings: Settings) -> Finding:
    if problem := application.wildcards_problem(settings):
        return Finding(Verdict.BAD, "wildcards", problem, "mend that file, or take it away")
    return Finding(Verdict.GOOD, "wildcards", f"lists in {settings.resolved_wildcards_dir}")


def _web(application: Application, settings: Settings) -> Finding:
    web = settings.web
    if not web.enabled:
        return Finding(Verdict.WORTH_KNOWING, "web studio", "switched off")
    if problem := application.web_problem(settings):
        return Finding(Verdict.BAD, "web studio", problem, "change the variable or the file")
    address = f"http://{web.host}:{web.port}"
    with socket.socket(socket.AF_INET6 if ":" in web.host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((web.host, web.port))
        except OSError as error:
            cure = "another program (or this service) uses it; choose another ATELIER_WEB__PORT"
            return Finding(
                Verdict.WORTH_KNOWING, "web studio", f"{address}: {error.strerror}", cure
            )
    return Finding(Verdict.GOOD, "web studio", f"{address} is free")


def _discord(settings: Settings) -> Finding:
    token = settings.discord_token.get_secret_value()
    if not token:
        cure = "set DISCORD_TOKEN to connect; README says how to make an application"
        return Finding(Verdict.WORTH_KNOWING, "Discord", "no token, so no connection", cure)
    if token.count(".") != 2:
        cure = "copy the token from the page 'Bot' of the application, not the secret or the id"
        return Finding(
            Verdict.BAD, "Discord", "DISCORD_TOKEN does not look like a bot's token", cure
        )
    return Finding(Verdict.GOOD, "Discord", "a token is set; it is tried when the service starts")


async def _device(wanted: Sequence[str]) -> Finding:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        DEVICE_PROBE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, complaint = await process.communicate()
    if process.returncode:
        last = complaint.decode(errors="replace").strip().splitlines()[-1:]
        return Finding(Verdict.BAD, "torch", " ".join(last), "install again: make clean run")
    facts = json.loads(out)
    known = {"auto", "cpu", *(f"cuda:{i}" for i in range(len(facts["cuda"])))}
    known |= {"cuda"} if facts["cuda"] else set()
    if strange := [name for name in wanted if name not in known]:
        cure = f"set ATELIER_ENGINE__DEVICES to some of {', '.join(sorted(known))}"
        text = f"this machine has no {', '.join(strange)}"
        return Finding(Verdict.BAD, "device", text, cure)
    devices = ", ".join(facts["cuda"]) or f"CPU with {facts['threads']} threads"
    cure = "" if facts["cuda"] else "the shipped pack is made for this; big checkpoints want a GPU"
    verdict = Verdict.GOOD if facts["cuda"] else Verdict.WORTH_KNOWING
    return Finding(verdict, "device", f"{devices}, torch {facts['torch']}", cure)


def _models(settings: Settings) -> list[Finding]:
    config = settings.engine_config()
    try:
        catalogue = open_catalogue(config)
    except EngineError as error:
        return [Finding(Verdict.BAD, "models", str(error), "mend that catalogue file")]
    findings = []
    for name in catalogue.names():
        model = catalogue.info(name)
        found = problems(model, config)
        findings.append(_weights(f"model {name}", found, model.title or model.where))
    for name in catalogue.lora_names():
        lora = catalogue.lora(name)
        findings.append(_weights(f"LoRA {name}", lora_problems(lora), lora.where))
    if config.vgg19_file:
        findings.append(_weights("VGG-19", vgg19_problems(config), str(config.vgg19_file)))
    return findings


def _weights(subject: str, problems: list[str], text: str) -> Finding:
    if problems:
        cure = "put the files there, or mend or remove the line that names them"
        return Finding(Verdict.BAD, subject, "; ".join(problems), cure)
    return Finding(Verdict.GOOD, subject, text)
