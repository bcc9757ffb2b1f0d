"""Generators that learn from a gallery: whose pictures they see, where they may be used.

A generator belongs to the server in which it was trained, else to its owner alone. A job keeps the
ids of its pictures, never copies: each attempt looks again which of them may still be seen.
"""

import asyncio
import re
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bot.errors import LimitReached, NotAllowed, NotFound, UserError
from bot.storage.files import ImageFiles, content_key
from bot.storage.generators import GeneratorRow, Generators
from bot.storage.images import ImageRow, Images, Viewer
from bot.storage.jobs import RUNNING, JobRow, Jobs
from bot.storage.tables import new_id
from bot.studio import policy
from bot.studio.asking import new_seed, valid
from bot.studio.clock import Clock
from bot.studio.contract import (
    Caller,
    GalleryQuery,
    GalleryScope,
    GeneratorView,
    Operation,
    Teaching,
)
from bot.studio.gallery import read_query
from bot.studio.house import as_style_name
from bot.studio.pictures import Pictures
from bot.studio.verdicts import verdict_of
from bot.wording import Said
from engine.api import (
    LEAST_LEARNT,
    MAX_LEARNT,
    Ability,
    Catalogue,
    Family,
    Finished,
    ModelInfo,
    Source,
    TrainGan,
    lesson_of,
)

MINUTES = 20.0  # of learning, at most; 0: none may be trained
USUAL_MINUTES = 10.0  # so that a chat's answer can still show the result
MAX_GENERATORS = 10  # of one place
LEAST_STEPS = 20  # of a training that is cancelled, for its result to be worth keeping
ROOM_BYTES = 200 * 2**20  # that a training wants free on the disk
_PAGE = 100  # images read at once
_NAME = re.compile(r"[^\W_][\w-]{0,39}")


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingRules:
    """What an operator decides about generators."""

    minutes: float = MINUTES
    is_open: bool = False  # all members may train, not admins alone


ADMINS_ALONE = TrainingRules()


@dataclass(frozen=True, slots=True)
class OwnGenerator:
    """A generator that was trained here, ready to dream."""

    name: str
    weights: bytes

    @property
    def info(self) -> ModelInfo:
        """As if it stood in the catalogue."""
        return ModelInfo(
            name=self.name,
            family=Family.GAN,
            where="builtin",
            source=Source.BUILTIN,
            abilities=frozenset({Ability.DREAM}),
        )


class Training:
    """Checks what generators shall learn, gathers their pictures, keeps and finds them."""

    def __init__(
        self,
        *,
        jobs: Jobs,
        images: Images,
        pictures: Pictures,
        generators: Generators,
        files: ImageFiles,
        catalogue: Catalogue,
        now: Clock,
        rules: TrainingRules,
        folder: Path | None,
    ) -> None:
        """`folder` is where the files are kept, if that is a folder of this machine."""
        self._jobs = jobs
        self._images = images
        self._pictures = pictures
        self._generators = generators
        self._files = files
        self._catalogue = catalogue
        self._now = now
        self._rules = rules
        self._folder = folder

    async def request(self, caller: Caller, asked: Teaching) -> TrainGan:
        """What the engine is to be asked, once it is checked; without the pictures themselves.

        Raises:
            NotAllowed: generators are not trained here, or not by this member.
            LimitReached: there are too few different pictures, too many generators or no room.
            UserError: the name can't be used.
        """
        name = as_style_name(asked.name)
        await self.require_trainable(caller, name)
        await self._require_room()
        rows = await self._chosen(caller, asked)
        lessons = await self._lessons(rows)
        _require_different(len(rows), len(set(lessons)))
        usual = min(USUAL_MINUTES, self._rules.minutes)
        minutes = usual if asked.minutes is None else asked.minutes
        if not 0 < minutes <= self._rules.minutes:
            raise LimitReached(
                Said(
                    "minutes must be up to {most}, not {given}",
                    most=f"{self._rules.minutes:g}",
                    given=f"{minutes:g}",
                )
            )
        sources = tuple(row.id for row in rows)
        return valid(lambda: TrainGan(name=name, sources=sources, minutes=minutes, seed=new_seed()))

    async def with_pictures(self, job: JobRow, request: TrainGan) -> TrainGan:
        """The request of a job with those of its pictures that may still be seen.

        Raises:
            LimitReached: too few are left.
        """
        viewer = policy.owner_of(job)
        rows = []
        for image_id in request.sources:
            try:
                row = (await self._images.by_id(viewer, image_id)).row
            except NotFound:
                continue  # deleted since, or private
            if _may_teach(row, job.guild_id):
                rows.append(row)
        lessons = await self._lessons(rows)
        _require_different(len(rows), len(set(lessons)))
        return replace(request, pictures=tuple(lessons))

    async def row_of(self, job: JobRow, request: TrainGan, finished: Finished) -> GeneratorRow:
        """Keep what was learnt; the row that makes it known.

        Raises:
            StorageUnavailable: it can't be kept.
        """
        [picture] = finished.images
        weights_key, sheet_key = (
            content_key(picture.weights, "safetensors"),
            content_key(picture.png),
        )
        await self._files.put(weights_key, picture.weights)
        await self._files.put(sheet_key, picture.png)
        told = dict(picture.report)
        return GeneratorRow(
            id=new_id(),
            name=request.name,
            owner_id=job.owner_id,
            guild_id=job.guild_id,
            job_id=job.id,
            weights_key=weights_key,
            sheet_key=sheet_key,
            pictures=len(request.pictures),
            verdict=told.get("Verdict", ""),
            created_at=self._now(),
        )

    async def own(self, caller: Caller, name: str) -> OwnGenerator | None:
        """The generator of that name that was trained here; None where there is none."""
        try:
            row = await self._named(caller, name)
        except NotFound:
            return None
        return OwnGenerator(row.name, await self._files.read(row.weights_key))

    async def require(self, caller: Caller, weights: bytes) -> None:
        """Refuse a generator that does not belong here, or is deleted.

        Raises:
            NotAllowed: it may not be used.
        """
        key = content_key(weights, "safetensors")
        usable = await self._generators.usable(caller.owner_id, caller.guild_id)
        if key not in {row.weights_key for row in usable}:
            raise NotAllowed("the generator of this image is not here any more; use another one")

    async def views(self, caller: Caller) -> tuple[GeneratorView, ...]:
        """The generators of the caller's place."""
        rows = await self._generators.usable(caller.owner_id, caller.guild_id)
        return tuple(
            GeneratorView(
                name=row.name,
                owner_id=row.owner_id,
                job_id=row.job_id,
                pictures=row.pictures,
                verdict=verdict_of(row.verdict),
                created_at=row.created_at,
            )
            for row in rows
        )

    async def sheet(self, caller: Caller, name: str) -> bytes:
        """A picture with samples of a generator.

        Raises:
            NotFound: there is none of that name here.
        """
        return await self._files.read((await self._named(caller, name)).sheet_key)

    async def delete(self, caller: Caller, name: str) -> None:
        """Forget a generator.

        Raises:
            NotFound: there is none of that name here.
            NotAllowed: the caller neither had it trained nor is an admin.
        """
        row = await self._named(caller, name)
        if not policy.may_remove_image(caller, row.owner_id, row.guild_id):
            raise NotAllowed("only who had it trained or an admin may delete a generator")
        await self._generators.remove(row.id)

    def _require_trainer(self, caller: Caller) -> None:
        if not self._rules.minutes:
            raise NotAllowed("generators are not trained here; the operator can allow it")
        if not (caller.is_admin or self._rules.is_open):
            raise NotAllowed("only admins of a server may have generators trained; ask one of them")

    async def require_trainable(self, caller: Caller, name: str) -> None:
        """Refuse a training that could not be kept.

        Raises:
            NotAllowed: generators are not trained here, or not by this member.
            LimitReached: the name is taken, or there are too many generators; those that are being
                trained count, too.
            UserError: the name can't be used.
        """
        self._require_trainer(caller)
        if not _NAME.fullmatch(name):
            raise UserError(
                Said(
                    "a generator can't be called {name!r}; "
                    "use a word of letters, digits and hyphens",
                    name=name[:40],
                )
            )
        taken = {row.name for row in await self._usable(caller)}
        if name in taken:
            raise LimitReached(
                Said(
                    "there is a generator called {name} here; "
                    "delete it first, or choose another name",
                    name=name,
                )
            )
        coming = await self._coming(caller)
        if name in coming:
            raise LimitReached(
                Said(
                    "a generator called {name} is to be trained here already; "
                    "cancel that first, or choose another name",
                    name=name,
                )
            )
        if name in self._catalogue.names():
            raise LimitReached(
                Said("there is a model called {name} here; choose another name", name=name)
            )
        if len(taken) + len(coming) >= MAX_GENERATORS:
            raise LimitReached(
                Said("{most} generators may be kept; delete one first", most=MAX_GENERATORS)
            )

    async def _require_room(self) -> None:
        if self._folder is None:
            return
        free = await asyncio.to_thread(lambda: shutil.disk_usage(_existing(self._folder)).free)
        if free < ROOM_BYTES:
            raise LimitReached(
                "the disk is nearly full, so nothing can be trained; the operator must make room"
            )

    async def _chosen(self, caller: Caller, asked: Teaching) -> Sequence[ImageRow]:
        """The newest pictures that are asked for and may be learnt from."""
        if asked.scope not in (GalleryScope.MINE, GalleryScope.GUILD):
            raise NotAllowed("a generator learns from your own pictures, or from this server's")
        query = GalleryQuery(
            scope=asked.scope, text=asked.words, favourites_only=asked.favourites_only
        )
        viewer = Viewer(caller.owner_id, caller.guild_id)  # as each attempt will look again
        wanted = read_query(caller, query)
        chosen: list[ImageRow] = []
        below: int | None = None
        while len(chosen) < MAX_LEARNT:
            page = await self._images.page(viewer, wanted, below=below, limit=_PAGE)
            rows = [seen.row for seen in page.images]
            chosen += [row for row in rows if _may_teach(row, caller.guild_id)]
            if len(rows) < _PAGE:
                break
            below = rows[-1].number
        return chosen[:MAX_LEARNT]

    async def _lessons(self, rows: Iterable[ImageRow]) -> list[bytes]:
        """Small squares of pictures; those whose files are gone are left out."""
        found = []
        for row in rows:
            try:
                thumbnail = await self._pictures.thumbnail(row.file_key)
            except NotFound:
                continue
            found.append(await asyncio.to_thread(lesson_of, thumbnail))
        return found

    async def _usable(self, caller: Caller) -> Sequence[GeneratorRow]:
        return await self._generators.usable(caller.owner_id, caller.guild_id)

    async def _coming(self, caller: Caller) -> set[str]:
        """The names of generators of the caller's place whose trainings wait or run."""
        owner_id = caller.owner_id if caller.guild_id is None else None
        rows = await self._jobs.open_jobs(owner_id=owner_id, guild_id=caller.guild_id)
        return {
            row.model
            for row in rows
            if row.operation == Operation.TRAIN_GAN and row.guild_id == caller.guild_id
        }

    async def _named(self, caller: Caller, name: str) -> GeneratorRow:
        return await self._generators.named(caller.owner_id, caller.guild_id, as_style_name(name))


def ending_of(job: JobRow, steps: tuple[int, int]) -> dict[str, Any] | None:
    """The stored request by which a running training ends early; None for all other jobs."""
    is_running = job.operation == Operation.TRAIN_GAN and job.state == RUNNING
    fields = job.request["fields"]
    if not is_running or fields["is_ending"] or steps[0] < LEAST_STEPS:
        return None
    return {**job.request, "fields": {**fields, "is_ending": True}}


def _may_teach(row: ImageRow, guild_id: int | None) -> bool:
    """What all members of a server may dream from must not be anybody's secret."""
    is_secret = row.is_private and guild_id is not None
    return not is_secret and not Operation(row.operation).is_training


def _require_different(found: int, different: int) -> None:
    if different >= LEAST_LEARNT:
        return
    if different < found:
        raise LimitReached(
            Said(
                "a generator needs {least} different pictures; of these {found} only {different} "
                "differ",
                least=LEAST_LEARNT,
                found=found,
                different=different,
            )
        )
    raise LimitReached(
        Said(
            "a generator needs {least} different pictures, and these are {found}; make some more, "
            "or ask for more of the gallery",
            least=LEAST_LEARNT,
            found=found,
        )
    )


def _existing(folder: Path | None) -> Path:
    """The folder itself, or the nearest one above that is there."""
    assert folder is not None
    return next(place for place in (folder, *folder.absolute().parents) if place.exists())
