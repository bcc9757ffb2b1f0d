"""Logging: one line an event, with the job it belongs to; prompts at DEBUG only, tokens never."""

import asyncio
import json
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime

_job: ContextVar[str] = ContextVar("job", default="-")


@contextmanager
def about_job(job_id: str) -> Iterator[None]:
    """Name the job in every line logged inside."""
    token = _job.set(job_id)
    try:
        yield
    finally:
        _job.reset(token)


def start_logging(level: str, line_format: str) -> None:
    """Send all logs to standard error, as text or as JSON lines."""
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(_name_job)
    handler.addFilter(_is_no_farewell)
    handler.setFormatter(JsonLines() if line_format == "json" else TextLines())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for noisy in (
        "aiosqlite",  # all values of statements; where answers go holds a token
        "discord.webhook",  # addresses, which end in one
        "discord.gateway",
        "discord.client",
        "aiohttp.access",
        "sqlalchemy.engine",
        "PIL",
    ):
        logging.getLogger(noisy).setLevel(max(logging.WARNING, logging.getLevelName(level)))


def _name_job(record: logging.LogRecord) -> bool:
    record.job = _job.get()
    return True


def _is_no_farewell(record: logging.LogRecord) -> bool:
    """Whether a line is more than the pool's news of a connection whose user was cancelled.

    At every end something may still be reading; the pool throws that connection away, as it should.
    """
    error = record.exc_info[1] if record.exc_info else None
    is_cancelled = isinstance(error, asyncio.CancelledError)
    return not (is_cancelled and record.name.startswith("sqlalchemy.pool"))


class TextLines(logging.Formatter):
    """For a terminal."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(job)s %(name)s: %(message)s", "%H:%M:%S")


class JsonLines(logging.Formatter):
    """For a log collector."""

    def format(self, record: logging.LogRecord) -> str:
        """One JSON object."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "level": record.levelname,
            "logger": record.name,
            "job": getattr(record, "job", "-"),
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)
