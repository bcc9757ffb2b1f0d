"""Builds every part from settings, runs them together, and closes them in order."""

import asyncio
import logging
import signal
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeAlias

from bot.errors import BadConfiguration, UserError
from bot.faces.discord import client as discord_face
from bot.faces.discord.options import DiscordOptions
from bot.faces.web import app as web_face
from bot.faces.web.config import WebConfig
from bot.faces.web.links import export_links, picture_links
from bot.faces.web.meanwhile import open_meanwhile
from bot.prompts import Wildcards
from bot.settings import Settings, given_variables, misspelt, no_such_setting
from bot.storage import migration
from bot.storage.database import Database, database_url, open_database
from bot.storage.waiting import refusals_named, wait_for
from bot.storage.wildcards import wildcard_texts
from bot.studio.contract import JobView, Limits
from bot.studio.moderation import OperatorRules
from bot.studio.opening import open_studio
from bot.studio.studio import Atelier
from bot.studio.training import TrainingRules
from engine.api import BadCatalogue, UploadLimits, open_engine

log = logging.getLogger(__name__)

_Face: TypeAlias = Coroutine[Any, Any, None]


class ConsoleDeliverer:
    """Brings nothing anywhere: the command that waits for a job fetches its pictures itself."""

    async def deliver(self, job: JobView, files: tuple[bytes, ...]) -> None:
        """Count the job as delivered."""


@asynccontextmanager
async def open_studio_of(settings: Settings, *, with_engine: bool = True) -> AsyncIterator[Atelier]:
    """Open the studio alone; without engine it carries out no jobs, but all else.

    Raises:
        BadConfiguration: a setting has a value that can't work.
        StorageUnavailable: the database does not answer.
    """
    _prepare(settings.data_dir)
    lists = await asyncio.to_thread(wildcard_texts, settings.resolved_wildcards_dir)
    config = settings.engine_config()
    if not with_engine:
        config = replace(config, devices=())
    async with AsyncExitStack() as stack:
        try:
            engine = await stack.enter_async_context(open_engine(config))
        except BadCatalogue as error:
            raise BadConfiguration("ATELIER_ENGINE__CATALOGUE_FILES", str(error)) from error
        with refusals_named(database_url(settings.resolved_database_url)):
            studio = await stack.enter_async_context(
                open_studio(
                    engine,
                    database_url=settings.resolved_database_url,
                    images_dir=settings.data_dir / "images",
                    limits=Limits(**settings.limits.model_dump()),
                    slots=settings.engine.slots,
                    upload_limits=UploadLimits(max_bytes=settings.upload_max_mb * 2**20),
                    training_steps=settings.style_training_steps,
                    optimiser="vgg19" if settings.engine.vgg19_file else "style",
                    training_rules=TrainingRules(
                        minutes=settings.gan_training_minutes,
                        is_open=settings.gan_training_by == "members",
                    ),
                    everywhere=OperatorRules(
                        blocked_members=frozenset(settings.moderation.blocked_members),
                        forbidden_words=settings.moderation.forbidden_words,
                    ),
                    jobs_kept=timedelta(days=settings.forget_jobs_after_days) or None,
                    is_running=with_engine,
                    wildcards=Wildcards.from_texts(lists),
                )
            )
        studio.register_deliverer("console", ConsoleDeliverer())
        yield studio


async def serve(settings: Settings, announce: Callable[[str], None]) -> None:
    """Run studio and faces until SIGINT or SIGTERM; `announce` hears where to find them.

    A database server that is away is waited for.

    Raises:
        BadConfiguration: a setting has a value that can't work.
    """
    for name in misspelt(given_variables()):
        log.warning("%s: %s", name, no_such_setting(name))
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    try:
        if not await _unless(stop, _database_answers(settings)):
            return
        async with open_studio_of(settings) as studio, asyncio.TaskGroup() as tasks:
            faces = [tasks.create_task(face) for face in _faces(settings, studio, announce)]
            await stop.wait()
            log.info("stopping")
            for face in faces:
                face.cancel()
    except* UserError as group:
        raise _first(group) from None
    announce("Atelier has stopped; what was waiting goes on at the next start.")


async def _unless(stop: asyncio.Event, work: Coroutine[Any, Any, None]) -> bool:
    """Do some work, or as much of it as there is time for until `stop`; tell if it is done."""
    working, stopping = asyncio.create_task(work), asyncio.create_task(stop.wait())
    try:
        await asyncio.wait((working, stopping), return_when=asyncio.FIRST_COMPLETED)
        return working.done() and working.result() is None
    finally:
        stopping.cancel()
        working.cancel()
        await asyncio.wait((working, stopping))


async def _database_answers(settings: Settings) -> None:
    """Wait until it does; the web studio's address says so meanwhile."""
    _prepare(settings.data_dir)
    is_away = asyncio.Event()
    async with (
        open_database(settings.resolved_database_url) as database,
        asyncio.TaskGroup() as tasks,
    ):
        page = tasks.create_task(_serve_meanwhile(settings, is_away))
        await wait_for(database, is_away.set)
        page.cancel()


async def _serve_meanwhile(settings: Settings, is_away: asyncio.Event) -> None:
    await is_away.wait()
    if settings.web.enabled:
        with _refused_port_named(settings):
            async with open_meanwhile(_web_config(settings)):
                await asyncio.Event().wait()


async def migrate(settings: Settings) -> None:
    """Bring the database to the newest schema.

    Raises:
        BadConfiguration: the database can't be used.
        StorageUnavailable: the database does not answer.
    """
    _prepare(settings.data_dir)
    async with _opened_database(settings) as database:
        await migration.upgrade(database)


def web_problem(settings: Settings) -> str:
    """Why the web studio would refuse to start, or nothing."""
    try:
        _web_config(settings)
    except BadConfiguration as error:
        return str(error)
    return ""


def wildcards_problem(settings: Settings) -> str:
    """Why the lists for prompts can't be read, or nothing."""
    try:
        wildcard_texts(settings.resolved_wildcards_dir)
    except BadConfiguration as error:
        return error.reason
    return ""


async def is_schema_current(settings: Settings) -> bool:
    """Whether the database has the newest schema; False where it is older, or has none yet.

    Raises:
        BadConfiguration: the database can't be used, or is of a newer version.
        StorageUnavailable: the database does not answer.
    """
    async with _opened_database(settings) as database:
        return await migration.is_current(database)


@asynccontextmanager
async def _opened_database(settings: Settings) -> AsyncIterator[Database]:
    url = database_url(settings.resolved_database_url)
    with refusals_named(url):
        async with open_database(url) as database:
            yield database


def _faces(settings: Settings, studio: Atelier, announce: Callable[[str], None]) -> list[_Face]:
    faces: list[_Face] = []
    if settings.web.enabled:
        faces.append(_serve_web(settings, studio, announce))
    if token := settings.discord_token.get_secret_value():
        announce("Connecting to Discord.")
        faces.append(discord_face.serve(studio, _discord_options(settings, token)))
    else:
        announce("Discord is off: set DISCORD_TOKEN to connect.")
    if not faces:
        raise BadConfiguration(
            "ATELIER_WEB__ENABLED", "leaves nothing to run, because DISCORD_TOKEN is not set either"
        )
    return faces


async def _serve_web(settings: Settings, studio: Atelier, announce: Callable[[str], None]) -> None:
    config = _web_config(settings)
    with _refused_port_named(settings):
        async with web_face.open_web(studio, config) as address:
            announce(f"The studio is at {address}")
            await asyncio.Event().wait()


@contextmanager
def _refused_port_named(settings: Settings) -> Iterator[None]:
    web = settings.web
    try:
        yield
    except OSError as error:
        reason = f"{web.host}:{web.port} can't be used ({error.strerror}); choose another port"
        raise BadConfiguration("ATELIER_WEB__PORT", reason) from error


def _web_config(settings: Settings) -> WebConfig:
    web = settings.web
    return WebConfig(
        host=web.host,
        port=web.port,
        token=web.token.get_secret_value(),
        public_url=web.public_url,
        upload_max_bytes=settings.upload_max_mb * 2**20,
        jobs_max=settings.limits.permutations,
        data_dir=settings.data_dir,
    )


def _discord_options(settings: Settings, token: str) -> DiscordOptions:
    return DiscordOptions(
        token=token,
        state_dir=settings.data_dir,
        sync_commands=settings.discord.sync_commands,
        test_guild_id=settings.discord.test_guild_id,
        is_age_restricted_only=settings.discord.age_restricted_only,
        is_servers_only=settings.discord.servers_only,
        announce_after_s=settings.discord.announce_after_s,
        upload_max_bytes=settings.upload_max_mb * 2**20,
        picture_link=picture_links(_web_config(settings)) if settings.web.enabled else None,
        export_link=export_links(_web_config(settings)) if settings.web.enabled else None,
    )


def _prepare(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = f"{folder} can't be made: {error.strerror}"
        raise BadConfiguration("ATELIER_DATA_DIR", reason) from error


def _first(group: BaseExceptionGroup[UserError]) -> UserError:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, UserError)
    return error
