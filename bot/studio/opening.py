"""Builds a studio from plain values and closes it again."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

from bot.prompts import NONE as NO_WILDCARDS
from bot.prompts import Wildcards
from bot.storage import migration
from bot.storage.database import open_database
from bot.storage.files import ImageFiles, ImageFolder
from bot.storage.generators import Generators
from bot.storage.guilds import Guilds
from bot.storage.images import Images
from bot.storage.jobs import Jobs
from bot.storage.lock import scheduler_lock
from bot.storage.members import Members
from bot.storage.purging import Purging
from bot.storage.styles import Styles
from bot.studio.acceptance import Acceptance
from bot.studio.attempts import Attempts
from bot.studio.clock import Clock, utc_now
from bot.studio.commissions import OPTIMISER, TRAINING_STEPS, Commissions
from bot.studio.contract import Limits
from bot.studio.delivery import Delivery
from bot.studio.gallery import Gallery
from bot.studio.house import House
from bot.studio.ingredients import LINK_HOSTS, Ingredients
from bot.studio.janitor import Janitor
from bot.studio.moderation import NOTHING_FORBIDDEN, OperatorRules
from bot.studio.pictures import Pictures
from bot.studio.policy import DEFAULT_LIMITS
from bot.studio.privacy import Privacy
from bot.studio.repeats import Repeats
from bot.studio.scheduler import Parts
from bot.studio.studio import Atelier
from bot.studio.training import ADMINS_ALONE, Training, TrainingRules
from engine.api import Engine, UploadDecoder, UploadLimits

DEFAULT_SLOTS = 4  # jobs each device is given at once, for it to run steps of them together


@asynccontextmanager
async def open_studio(
    engine: Engine,
    *,
    database_url: str,
    images_dir: Path | None = None,
    files: ImageFiles | None = None,
    limits: Limits = DEFAULT_LIMITS,
    upload_limits: UploadLimits | None = None,
    slots: int = DEFAULT_SLOTS,
    migrate: bool = True,
    is_running: bool = True,
    link_hosts: frozenset[str] = LINK_HOSTS,
    wildcards: Wildcards = NO_WILDCARDS,
    training_steps: int = TRAINING_STEPS,
    optimiser: str = OPTIMISER,
    training_rules: TrainingRules = ADMINS_ALONE,
    everywhere: OperatorRules = NOTHING_FORBIDDEN,
    jobs_kept: timedelta | None = None,
    now: Clock = utc_now,
) -> AsyncIterator[Atelier]:
    """Open files and database, bring the latter up to date, and run the studio's tasks.

    Pictures are kept in `files`, else in the folder `images_dir`. Jobs that were running when an
    earlier process ended are run again. Without `is_running` nothing is run or delivered: such a
    studio shows what there is, and what it accepts waits for another process. Jobs that ended are
    forgotten `jobs_kept` later (None: never) once no picture of theirs is left.

    Raises:
        BadConfiguration: the database's address can't be used.
        StorageUnavailable: the database does not answer while it is brought up to date.
    """
    if files is None:
        assert images_dir is not None, "a studio needs a place for its pictures"
        files = ImageFolder(images_dir)
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(open_database(database_url))
        if migrate:
            await migration.upgrade(database)
        lock = scheduler_lock(database)
        stack.push_async_callback(lock.release)
        purging = Purging(database)
        janitor = Janitor(purging, files, now, jobs_kept=jobs_kept)
        jobs = Jobs(database, janitor.let_go)
        images, pictures, members = Images(database), Pictures(files), Members(database)
        gallery = Gallery(images, pictures, now)
        house = House(
            members,
            Guilds(database),
            Styles(database, janitor.let_go),
            files,
            gallery,
            engine.catalogue,
            limits,
            now,
        )
        training = Training(
            jobs=jobs,
            images=images,
            pictures=pictures,
            generators=Generators(database, janitor.let_go),
            files=files,
            catalogue=engine.catalogue,
            now=now,
            rules=training_rules,
            folder=images_dir,
        )
        acceptance = Acceptance(jobs, files, house, training, now, everywhere, janitor.let_go)
        ingredients = Ingredients(
            jobs=jobs,
            files=files,
            gallery=gallery,
            house=house,
            catalogue=engine.catalogue,
            decoder=UploadDecoder(upload_limits),
            link_hosts=link_hosts,
        )
        commissions = Commissions(
            house=house,
            catalogue=engine.catalogue,
            acceptance=acceptance,
            ingredients=ingredients,
            training=training,
            wildcards=wildcards,
            training_steps=training_steps,
            optimiser=optimiser,
        )
        repeats = Repeats(
            jobs=jobs,
            files=files,
            gallery=gallery,
            house=house,
            catalogue=engine.catalogue,
            acceptance=acceptance,
            ingredients=ingredients,
            wildcards=wildcards,
        )
        studio = Atelier(
            parts=Parts(engine, jobs, Attempts(files, pictures, training, now), lock, now),
            database=database,
            images=images,
            gallery=gallery,
            house=house,
            ingredients=ingredients,
            commissions=commissions,
            training=training,
            repeats=repeats,
            delivery=Delivery(jobs, images, pictures, now),
            janitor=janitor,
            privacy=Privacy(database, jobs, images, members, files, purging, janitor, now),
            wildcards=wildcards,
            slots=slots,
        )
        if is_running:
            work = asyncio.create_task(studio.run(), name="studio")
            work.add_done_callback(partial(_end_with, asyncio.current_task()))
            stack.push_async_callback(_ended, work)
        yield studio


def _end_with(owner: asyncio.Task[Any] | None, work: asyncio.Task[None]) -> None:
    """End whoever opened the studio when its work failed: half a studio would be worse."""
    if owner is not None and not work.cancelled() and work.exception() is not None:
        owner.cancel()


async def _ended(work: asyncio.Task[None]) -> None:
    """Stop the studio's work; what runs is run again by the next process."""
    work.cancel()
    with suppress(asyncio.CancelledError):
        await work
