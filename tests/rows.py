"""Rows for tests of the storage, with what does not matter filled in."""

from datetime import UTC, datetime
from typing import Any

from bot.storage.images import ImageRow
from bot.storage.jobs import JobRow, NewJob
from bot.storage.search import search_words
from bot.storage.tables import new_id

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def job_row(**changes: Any) -> JobRow:
    """A queued job of owner 1."""
    values: dict[str, Any] = {
        "id": new_id(),
        "owner_id": 1,
        "is_private": False,
        "operation": "imagine",
        "prompt": "a fox",
        "model": "tiny",
        "seed": 7,
        "request": {"kind": "TextToImage", "fields": {}},
        "created_at": NOON,
        "work": 1.0,
        "face": "web",
        "address": {},
        "deliver_after": NOON,
    }
    return JobRow(**values | changes)


def new_job(**changes: Any) -> NewJob:
    """A job to be accepted."""
    return NewJob(job_row(**changes))


def image_row(job_id: str, place: int = 0, **changes: Any) -> ImageRow:
    """An image of owner 1."""
    values: dict[str, Any] = {
        "id": new_id(),
        "job_id": job_id,
        "place": place,
        "owner_id": 1,
        "seed": 7 + place,
        "width": 64,
        "height": 64,
        "prompt": "a fox",
        "model": "tiny",
        "parameters": "a fox\nSteps: 20, Seed: 7, Chaos: 30",
        "operation": "imagine",
        "is_private": False,
        "alt_text": "a fox",
        "file_key": f"{job_id}{place}.png",
        "created_at": NOON,
    }
    row = ImageRow(**values | changes)
    row.words = search_words(row.prompt)
    return row
