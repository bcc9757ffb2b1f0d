"""All that is kept of one member: given to them, or forgotten.

An export is some files:

    atelier.json        jobs with prompts and settings, styles, generators, favourites, defaults
    pictures/ID.png     each picture of the gallery; .webp or .mp4 of one that moves
    uploads/KEY.png     what was sent in for jobs, by the names that the jobs' requests have for it
    styles/NAME.png     the pictures of saved styles
    generators/NAME-ID.safetensors, .png    what generators have learnt, and what they dream
    MISSING.txt         what can't be found any more, if anything
"""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from bot.errors import NotFound
from bot.storage.belongings import Belongings, belongings_of
from bot.storage.database import Database
from bot.storage.files import ImageFiles
from bot.storage.images import Images, SeenImage, Viewer
from bot.storage.jobs import JobRow, Jobs
from bot.storage.members import Members
from bot.storage.purging import Purging
from bot.studio.clock import Clock
from bot.studio.codec import file_keys
from bot.studio.contract import Erased, Operation
from bot.studio.janitor import Janitor
from bot.studio.views import image_view

LOST_FILES = "MISSING.txt"
_PAGE = 200  # jobs read at once
_PICTURES = {b"\x89PNG": ".png", b"RIFF": ".webp"}  # by how their files begin


class Privacy:
    """Exports and erases what belongs to one member."""

    def __init__(
        self,
        database: Database,
        jobs: Jobs,
        images: Images,
        members: Members,
        files: ImageFiles,
        purging: Purging,
        janitor: Janitor,
        now: Clock,
    ) -> None:
        self._database = database
        self._jobs = jobs
        self._images = images
        self._members = members
        self._files = files
        self._purging = purging
        self._janitor = janitor
        self._now = now

    async def export(self, owner_id: int) -> AsyncIterator[tuple[str, bytes]]:
        """The names and contents of all files of an export, one after the other."""
        told = _Told()
        async for row, images in self._jobs_of(owner_id):
            told.add_job(row, images)
        belongings = await belongings_of(self._database, owner_id)
        for name, key in _files_of(belongings):
            told.keys[name] = key
        about = {
            "member": str(owner_id),
            "exported_at": _moment(self._now()),
            "defaults": await self._members.preferences(owner_id),
            "jobs": told.jobs,
            **_told_belongings(belongings),
        }
        yield "atelier.json", await asyncio.to_thread(_as_json, about)
        lost = []
        for name, key in told.keys.items():
            try:
                yield name, await self._files.read(key)
            except NotFound:
                lost.append(name)
        async for key, data in self._uploads(told.uploads - set(told.keys.values())):
            yield key, data
        if lost:
            yield LOST_FILES, "\n".join(["These files are gone:", *lost, ""]).encode()

    async def erase(self, owner_id: int) -> Erased:
        """Forget everything of a member whose jobs have ended, and remove its files.

        Whoever calls it again after an error gets the rest forgotten.

        Raises:
            StorageUnavailable: the rest is still there.
        """
        begun = self._now()
        jobs = images = files = 0
        while (some := await self._purging.forget_jobs_of(owner_id)).jobs:
            jobs, images = jobs + some.jobs, images + some.images
            files += await self._janitor.free(some.keys, written_before=begun)
        keys = await self._purging.forget_belongings(owner_id)
        files += await self._janitor.free(keys, written_before=begun)
        return Erased(jobs, images, files)

    async def _jobs_of(self, owner_id: int) -> AsyncIterator[tuple[JobRow, Sequence[SeenImage]]]:
        below = None
        while rows := await self._jobs.of_owner(owner_id, below=below, limit=_PAGE):
            viewer = Viewer(owner_id, None)
            images = await self._images.of_jobs(viewer, [row.id for row in rows])
            for row in rows:
                yield row, images[row.id]
            below = rows[-1].number

    async def _uploads(self, keys: set[str]) -> AsyncIterator[tuple[str, bytes]]:
        """Pictures that jobs began with; what looks have learnt is not a member's own."""
        for key in sorted(keys):
            try:
                data = await self._files.read(key)
            except NotFound:
                continue  # a job may outlive the picture of somebody else that it began with
            if suffix := _PICTURES.get(data[:4]):
                yield f"uploads/{key.partition('.')[0]}{suffix}", data


@dataclass(slots=True)
class _Told:
    """What is told of jobs, and the files that go with it."""

    jobs: list[dict[str, Any]] = field(default_factory=list)
    keys: dict[str, str] = field(default_factory=dict)  # of files, by their names in the export
    uploads: set[str] = field(default_factory=set)  # keys

    def add_job(self, row: JobRow, images: Sequence[SeenImage]) -> None:
        """Tell of one more job."""
        told = []
        for seen in images:
            name = f"pictures/{seen.row.id}.{image_view(seen).suffix}"
            self.keys[name] = seen.row.video_key or seen.row.animation_key or seen.row.file_key
            told.append(_told_image(seen) | {"file": name})
        if not Operation(row.operation).takes_over:  # else others may have sent them
            self.uploads |= set(file_keys(row.request))
        self.jobs.append(_told_job(row) | {"images": told})


def _as_json(about: dict[str, Any]) -> bytes:
    return json.dumps(about, ensure_ascii=False, indent=1).encode()


def _told_job(row: JobRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "state": row.state,
        "reason": row.reason,
        "operation": row.operation,
        "prompt": row.prompt,
        "model": row.model,
        "seed": row.seed,
        "private": row.is_private,
        "server": _id(row.guild_id),
        "channel": _id(row.channel_id),
        "created_at": _moment(row.created_at),
        "ended_at": _moment(row.ended_at),
        "parent": row.parent_image_id,
        "request": row.request,
    }


def _told_image(seen: SeenImage) -> dict[str, Any]:
    row = seen.row
    return {
        "id": row.id,
        "seed": row.seed,
        "width": row.width,
        "height": row.height,
        "parameters": row.parameters,
        "private": row.is_private,
        "favourite": seen.is_favourite,
        "tags": list(seen.tags),
        "alt": row.alt_text,
    }


def _told_belongings(belongings: Belongings) -> dict[str, Any]:
    return {
        "styles": [
            {
                "name": style.name,
                "shared_with": [
                    _id(share.guild_id) for share in belongings.shares if share.name == style.name
                ],
                "created_at": _moment(style.created_at),
            }
            for style in belongings.styles
        ],
        "generators": [
            {
                "id": generator.id,
                "name": generator.name,
                "server": _id(generator.guild_id),
                "pictures": generator.pictures,
                "verdict": generator.verdict,
                "created_at": _moment(generator.created_at),
            }
            for generator in belongings.generators
        ],
        "favourites": list(belongings.favourites),
    }


def _files_of(belongings: Belongings) -> Iterator[tuple[str, str]]:
    """Name and key of each."""
    for style in belongings.styles:
        yield f"styles/{style.name}.png", style.file_key
    for generator in belongings.generators:
        stem = f"generators/{generator.name}-{generator.id}"
        yield f"{stem}.safetensors", generator.weights_key
        yield f"{stem}.png", generator.sheet_key


def _id(number: int | None) -> str | None:
    """An id of Discord's as text: JavaScript would round the number."""
    return None if number is None else str(number)


def _moment(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()
