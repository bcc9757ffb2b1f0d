"""Builds a studio from plain values and closes it again."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from bot.storage import migration
from bot.storage.database import open_database
from bot.storage.files import ImageFiles, ImageFolder
from bot.storage.guilds import Guilds
from bot.storage.images import Images
from bot.storage.jobs import Jobs
from bot.storage.lock import scheduler_lock
from bot.storage.members import Members
from bot.storage.styles import Styles
from bot.studio.clock import Clock, utc_now
from bot.studio.commissions import LINK_HOSTS, Commissions
from bot.studio.contract import Limits
from bot.studio.delivery import Delivery
from bot.studio.gallery import Gallery
from bot.studio.house import House
from bot.studio.pictures import Pictures
from bot.studio.policy import DEFAULT_LIMITS
from bot.studio.scheduler import Parts
from bot.studio.studio import Atelier
from engine.api import Engine, UploadDecoder, UploadLimits

DEFAULT_SLOTS = 4  # jobs the engine is given at once, for it to run steps of them together


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
    link_hosts: frozenset[str] = LINK_HOSTS,
    now: Clock = utc_now,
) -> AsyncIterator[Atelier]:
    """Open files and database, bring the latter up to date, and run the studio's tasks.

    Pictures are kept in `files`, else in the folder `images_dir`. Jobs that were running when an
    earlier process ended are run again.

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
        jobs, images, pictures = Jobs(database), Images(database), Pictures(files)
        gallery = Gallery(images, pictures, now)
        house = House(
            Members(database),
            Guilds(database),
            Styles(database),
            files,
            engine.catalogue,
            limits,
            now,
        )
        commissions = Commissions(
            jobs=jobs,
            files=files,
            gallery=gallery,
            house=house,
            catalogue=engine.catalogue,
            decoder=UploadDecoder(upload_limits),
            now=now,
            link_hosts=link_hosts,
        )
        studio = Atelier(
            parts=Parts(engine, jobs, files, pictures, lock, now),
            database=database,
            images=images,
            gallery=gallery,
            house=house,
            commissions=commissions,
            delivery=Delivery(jobs, images, pictures, now),
            slots=slots,
        )
        tasks = asyncio.create_task(studio.run(), name="studio")
        stack.push_async_callback(_end, tasks)
        yield studio


async def _end(tasks: asyncio.Task[None]) -> None:
    """Stop the studio's tasks; what runs is run again by the next process."""
    tasks.cancel()
    await asyncio.gather(tasks, return_exceptions=True)
    if not tasks.cancelled() and (error := tasks.exception()) is not None:
        raise error
