"""The studio: all use-cases, in one place for every face."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterable, Sequence

from bot.errors import NotAllowed, NotFound, StorageUnavailable
from bot.prompts import Wildcards
from bot.storage.database import Database
from bot.storage.images import Images
from bot.storage.jobs import JobRow, Jobs
from bot.studio import policy
from bot.studio.commissions import Commissions
from bot.studio.contract import (
    AS_USUAL,
    Blending,
    Caller,
    Deliverer,
    Destination,
    Dreaming,
    Erased,
    GalleryPage,
    GalleryQuery,
    GeneratorView,
    GuildRules,
    ImageView,
    JobEnding,
    JobState,
    JobUpdate,
    JobView,
    Morphing,
    MorphStop,
    Preferences,
    QueueView,
    Restyling,
    StyleChoice,
    StyleView,
    Teaching,
)
from bot.studio.delivery import Delivery
from bot.studio.gallery import Gallery
from bot.studio.house import House
from bot.studio.ingredients import FetchPicture, Ingredients
from bot.studio.janitor import Janitor
from bot.studio.privacy import Privacy
from bot.studio.repeats import Repeats
from bot.studio.scheduler import Parts, Running, Scheduler
from bot.studio.training import Training, ending_of
from bot.studio.updates import Updates
from bot.studio.views import job_ending, outline
from bot.studio.watching import Watching
from engine.api import Catalogue, Engine, EngineStatus

logger = logging.getLogger(__name__)

_ANNOUNCE_PAUSE_S = 0.5


class Atelier:
    """The `Studio` of this process; made by `open_studio`, which runs its tasks."""

    def __init__(
        self,
        *,
        parts: Parts,
        database: Database,
        images: Images,
        gallery: Gallery,
        house: House,
        ingredients: Ingredients,
        commissions: Commissions,
        training: Training,
        repeats: Repeats,
        delivery: Delivery,
        janitor: Janitor,
        privacy: Privacy,
        wildcards: Wildcards,
        slots: int,
    ) -> None:
        self._engine: Engine = parts.engine
        self._jobs: Jobs = parts.jobs
        self._now = parts.now
        self._database = database
        self._gallery = gallery
        self._house = house
        self._ingredients = ingredients
        self._commissions = commissions
        self._training = training
        self._repeats = repeats
        self._delivery = delivery
        self._janitor = janitor
        self._privacy = privacy
        self._wildcards = wildcards
        self._updates = Updates()
        self._observers: list[Callable[[JobEnding], None]] = []
        self._changed: asyncio.Queue[str] = asyncio.Queue()
        self.scheduler = Scheduler(
            parts,
            slots=slots,
            on_change=self._changed.put_nowait,
            on_progress=self._tell_progress,
            on_ending=self._tell_ending,
        )
        self._watching = Watching(parts.jobs, images, self.scheduler, self._updates)

    async def run(self) -> None:
        """Schedule, deliver and announce until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.scheduler.run(), name="scheduler")
            tasks.create_task(self._delivery.run(), name="delivery")
            tasks.create_task(self._announce(), name="announcer")
            tasks.create_task(self._janitor.run(), name="janitor")

    @property
    def catalogue(self) -> Catalogue:
        """The models on offer."""
        return self._engine.catalogue

    @property
    def wildcards(self) -> Wildcards:
        """The lists that prompts may draw from."""
        return self._wildcards

    def engine_status(self) -> EngineStatus:
        """Workers, devices and resident models."""
        return self._engine.status()

    def register_deliverer(self, face: str, deliverer: Deliverer) -> None:
        """Deliver jobs whose destination names `face` by this from now on."""
        self._delivery.register(face, deliverer)

    def register_fetcher(self, fetch: FetchPicture) -> None:
        """Fetch links in prompts by this; only links to Discord's file hosts come to it."""
        self._ingredients.fetch_picture = fetch

    def register_observer(self, observe: Callable[[JobEnding], None]) -> None:
        """Tell this, too, of each job that this process ends from now on."""
        self._observers.append(observe)

    async def check_storage(self) -> None:
        """Raise StorageUnavailable where the database does not answer."""
        await self._database.check()

    # Making

    async def imagine(
        self,
        caller: Caller,
        text: str,
        destination: Destination,
        *,
        source: bytes | str | None = None,
        style: bytes | str | None = None,
        is_private: bool | None = None,
        confirmed: bool = False,
    ) -> tuple[JobView, ...]:
        """Make jobs from a prompt."""
        rows = await self._commissions.imagine(
            caller,
            text,
            destination,
            source=source,
            style=style,
            is_private=is_private,
            confirmed=confirmed,
        )
        return self._accepted(rows)

    async def vary(
        self, caller: Caller, image_id: str, destination: Destination, *, is_strong: bool
    ) -> JobView:
        """New images near one."""
        row = await self._repeats.vary(caller, image_id, destination, is_strong=is_strong)
        return self._accepted([row])[0]

    async def compare_strengths(
        self, caller: Caller, image_id: str, destination: Destination
    ) -> JobView:
        """A restyled image in several strengths."""
        row = await self._repeats.compare_strengths(caller, image_id, destination)
        return self._accepted([row])[0]

    async def reroll(
        self, caller: Caller, job_id: str, destination: Destination, *, text: str | None = None
    ) -> JobView:
        """The same job with a new seed; with `text` also with a new prompt."""
        row = await self._repeats.reroll(caller, job_id, destination, text=text)
        return self._accepted([row])[0]

    async def upscale(
        self,
        caller: Caller,
        picture: bytes | str,
        destination: Destination,
        *,
        factor: int = 2,
        detail: float = 0.5,
        is_private: bool | None = None,
    ) -> JobView:
        """A larger version of an image or upload."""
        row = await self._commissions.upscale(
            caller, picture, destination, factor=factor, detail=detail, is_private=is_private
        )
        return self._accepted([row])[0]

    async def blend(
        self,
        caller: Caller,
        pictures: Sequence[bytes | str],
        destination: Destination,
        blending: Blending = Blending(),
    ) -> JobView:
        """Pictures, uploads or images' ids, mixed into one."""
        row = await self._commissions.blend(caller, pictures, destination, blending)
        return self._accepted([row])[0]

    async def dream(
        self,
        caller: Caller,
        destination: Destination,
        dreaming: Dreaming = Dreaming(),
    ) -> JobView:
        """Images that a model draws without words."""
        row = await self._commissions.dream(caller, destination, dreaming)
        return self._accepted([row])[0]

    async def morph(
        self,
        caller: Caller,
        stops: Sequence[MorphStop],
        destination: Destination,
        morphing: Morphing = Morphing(),
    ) -> JobView:
        """An animation from one picture, prompt or dream to others."""
        row = await self._commissions.morph(caller, stops, destination, morphing)
        return self._accepted([row])[0]

    async def stylize(
        self,
        caller: Caller,
        content: bytes | str,
        styles: Sequence[StyleChoice],
        destination: Destination,
        restyling: Restyling = AS_USUAL,
    ) -> JobView:
        """The content, an upload or an image's id, in the look of the styles."""
        row = await self._commissions.stylize(
            caller, content, styles, destination, restyling, share=None
        )
        return self._accepted([row])[0]

    async def blend_styles(
        self,
        caller: Caller,
        content: bytes | str | None,
        styles: tuple[StyleChoice, StyleChoice],
        destination: Destination,
        restyling: Restyling = AS_USUAL,
        *,
        share: float = 0.5,
    ) -> JobView:
        """Five steps from one style to another, `share` of the second in the middle one."""
        row = await self._commissions.stylize(
            caller, content, styles, destination, restyling, share=share
        )
        return self._accepted([row])[0]

    async def make_again(self, caller: Caller, picture: bytes, destination: Destination) -> JobView:
        """The job that a picture's parameters describe, same seed."""
        row = await self._repeats.make_again(caller, picture, destination)
        return self._accepted([row])[0]

    # Jobs

    async def cancel(self, caller: Caller, job_id: str) -> JobView:
        """Cancel a waiting or running job."""
        row = await self._jobs.by_id(job_id.strip().lower())
        if not policy.may_end_job(caller, row):
            await self._watching.visible(caller, row.id)  # whether there is a secret one is one
            raise NotAllowed("only its owner or an admin of this server may cancel a job")
        if not await self._ended_early(row):
            await self._stop(row)
        view = await self._watching.view(await self._jobs.by_id(row.id))
        return view if row.owner_id == caller.owner_id else outline(view)

    async def _stop(self, row: JobRow) -> None:
        if await self._jobs.cancel(row.id, now=self._now()):
            self.scheduler.stop(row.id)
            self._tell_ending(job_ending(row, JobState.CANCELLED))
            self._changed.put_nowait(row.id)

    async def _ended_early(self, row: JobRow) -> bool:
        """Have a training make its result of what it has learnt; False where that is nothing."""
        ending = ending_of(row, self.scheduler.steps(row.id) or (row.step, row.total))
        if ending is None or not await self._jobs.end_early(row.id, row.attempt, ending):
            return False
        self.scheduler.run_again(row.id)
        self._changed.put_nowait(row.id)
        return True

    async def job(self, caller: Caller, job_id: str) -> JobView:
        """One job, with images once finished."""
        row = await self._watching.visible(caller, job_id)
        return await self._watching.view(row, policy.viewer(caller))

    def watch(self, caller: Caller, job_id: str) -> AsyncIterator[JobUpdate]:
        """The state now, then each change, up to and including the final one."""
        return self._watching.watch(caller, job_id)

    def watch_all(self, caller: Caller) -> AsyncIterator[JobUpdate]:
        """Each change of any of the caller's own jobs, without end."""
        return self._watching.watch_all(caller)

    async def history(
        self, caller: Caller, *, cursor: str | None = None, limit: int = 10
    ) -> tuple[tuple[JobView, ...], str | None]:
        """The caller's jobs, newest first, and the next cursor."""
        return await self._watching.history(caller, cursor=cursor, limit=limit)

    async def asked_before(self, caller: Caller, key: str) -> tuple[JobView, ...]:
        """The jobs that a request of the caller's with this key has made; none: it is new."""
        return await self._watching.asked_before(caller, key)

    async def open_jobs(self, face: str) -> tuple[JobView, ...]:
        """All jobs of a face that wait or run, oldest first; for the face itself."""
        return await self._watching.open_jobs(face)

    async def move(self, job_id: str, destination: Destination) -> None:
        """Remember another place of a job's face; for the face itself."""
        await self._watching.move(job_id, destination)

    async def queue(self, caller: Caller) -> QueueView:
        """What runs and waits."""
        return await self._watching.queue(caller)

    # Images

    async def gallery(self, caller: Caller, query: GalleryQuery) -> GalleryPage:
        """Images the caller may see."""
        return await self._gallery.page(caller, query)

    async def image(self, caller: Caller, image_id: str) -> ImageView:
        """One image by its id, or by job and place as `job:2`."""
        return await self._gallery.view(caller, image_id)

    async def image_png(self, caller: Caller, image_id: str) -> bytes:
        """The original PNG, parameters chunk included."""
        return await self._gallery.png(caller, image_id)

    async def image_file(self, caller: Caller, image_id: str) -> bytes:
        """The original PNG, or the animated WebP of an image that moves."""
        return await self._gallery.file(caller, image_id)

    async def image_animation(self, caller: Caller, image_id: str) -> bytes:
        """The animated WebP of an image that moves."""
        return await self._gallery.animation(caller, image_id)

    async def thumbnail(self, caller: Caller, image_id: str) -> bytes:
        """A WebP of at most 384 px."""
        return await self._gallery.thumbnail(caller, image_id)

    async def favourite(self, caller: Caller, image_id: str, *, on: bool) -> ImageView:
        """Mark or unmark an image, for the caller."""
        return await self._gallery.favourite(caller, image_id, on=on)

    async def tag(self, caller: Caller, image_id: str, tags: Iterable[str]) -> ImageView:
        """Replace the tags of an own image."""
        return await self._gallery.tag(caller, image_id, tags)

    async def delete(self, caller: Caller, image_id: str) -> None:
        """Remove an image from the gallery."""
        await self._gallery.delete(caller, image_id)

    async def restore(self, caller: Caller, image_id: str) -> ImageView:
        """Undo `delete` within 24 hours."""
        return await self._gallery.restore(caller, image_id)

    async def publish(self, caller: Caller, image_id: str, *, is_private: bool) -> ImageView:
        """Change who may see an image."""
        return await self._gallery.publish(caller, image_id, is_private=is_private)

    # What is set

    async def preferences(self, caller: Caller) -> Preferences:
        """The caller's own defaults."""
        return await self._house.preferences(caller)

    async def set_preferences(self, caller: Caller, preferences: Preferences) -> None:
        """Replace the caller's own defaults."""
        await self._house.set_preferences(caller, preferences)

    async def guild_preferences(self, caller: Caller) -> Preferences:
        """Defaults of the caller's guild."""
        return await self._house.guild_preferences(caller)

    async def set_guild_preferences(self, caller: Caller, preferences: Preferences) -> None:
        """Replace the guild's defaults."""
        await self._house.set_guild_preferences(caller, preferences)

    def export(self, caller: Caller) -> AsyncIterator[tuple[str, bytes]]:
        """All that is kept of the caller, as named files."""
        return self._privacy.export(caller.owner_id)

    async def erase(self, caller: Caller) -> Erased:
        """Forget all that is kept of the caller, for good; stops their jobs first."""
        stopped = await self._jobs.open_jobs(owner_id=caller.owner_id)
        for row in stopped:
            await self._stop(row)
            self._updates.publish(await self._watching.view(await self._jobs.by_id(row.id)))
        # What shows their progress would stay as it is once nothing is known of them.
        await self._delivery.settle([row.id for row in stopped])
        return await self._privacy.erase(caller.owner_id)

    async def rules(self, caller: Caller) -> GuildRules:
        """Limits, channels, models, blocked members and forbidden words of the caller's guild."""
        return await self._house.rules(caller)

    async def set_rules(self, caller: Caller, rules: GuildRules) -> None:
        """Replace them."""
        await self._house.set_rules(caller, rules)

    async def save_style(
        self, caller: Caller, name: str, picture: bytes | str, *, replacing: bool = False
    ) -> str:
        """Keep a style reference under a name of the member's."""
        data = await self._data_of(caller, picture)
        upload = await self._ingredients.clean(data, "the style")
        return await self._house.save_style(caller, name, upload.png, replacing=replacing)

    async def train_style(
        self,
        caller: Caller,
        name: str,
        picture: bytes | str | None,
        destination: Destination,
        *,
        replacing: bool = False,
    ) -> JobView:
        """Let the fast network learn a style; once the job is finished it is kept as `name`."""
        data = None if picture is None else await self._data_of(caller, picture)
        row = await self._commissions.train_style(
            caller, name, data, destination, replacing=replacing
        )
        return self._accepted([row])[0]

    async def train_gan(
        self, caller: Caller, teaching: Teaching, destination: Destination
    ) -> JobView:
        """Let a generator learn from a gallery."""
        row = await self._commissions.train_gan(caller, teaching, destination)
        return self._accepted([row])[0]

    async def generators(self, caller: Caller) -> tuple[GeneratorView, ...]:
        """Generators that were trained in the caller's place."""
        return await self._training.views(caller)

    async def generator_png(self, caller: Caller, name: str) -> bytes:
        """A sheet of what a generator dreams."""
        return await self._training.sheet(caller, name)

    async def delete_generator(self, caller: Caller, name: str) -> None:
        """Forget a generator."""
        await self._training.delete(caller, name)

    async def style_names(self, caller: Caller) -> tuple[str, ...]:
        """Style references the caller may use."""
        return await self._house.style_names(caller)

    async def styles(self, caller: Caller) -> tuple[StyleView, ...]:
        """Styles the caller may name: saved ones, then those that ship."""
        return await self._house.styles(caller)

    async def style_thumbnail(self, caller: Caller, name: str) -> bytes:
        """A small WebP of a style that may be named."""
        return await self._house.style_thumbnail(caller, name)

    async def style_png(self, caller: Caller, name: str) -> bytes:
        """The picture of a saved style."""
        return await self._house.style_png(caller, name)

    async def share_style(self, caller: Caller, name: str, *, on: bool) -> None:
        """Let the caller's guild use one of their styles, or no more; admins may end it, too."""
        await self._house.share_style(caller, name, on=on)

    async def rename_style(self, caller: Caller, name: str, new_name: str) -> None:
        """Call one of the caller's styles otherwise."""
        await self._house.rename_style(caller, name, new_name)

    async def delete_style(self, caller: Caller, name: str) -> None:
        """Forget one of the caller's styles."""
        await self._house.delete_style(caller, name)

    async def _data_of(self, caller: Caller, picture: bytes | str) -> bytes:
        """An upload, or the file of an image of the gallery."""
        return picture if isinstance(picture, bytes) else await self._gallery.png(caller, picture)

    def _accepted(self, rows: Sequence[JobRow]) -> tuple[JobView, ...]:
        self.scheduler.accept(rows)
        views = tuple(self._watching.queued(row) for row in rows)
        for view in views:
            self._updates.publish(view)
        return views

    def _tell_progress(self, running: Running, preview: bytes | None) -> None:
        if running.row is not None:
            self._updates.publish(self._watching.running(running, running.row), preview)

    def _tell_ending(self, ending: JobEnding) -> None:
        for observe in self._observers:
            observe(ending)

    async def _announce(self) -> None:
        """Tell watchers what the rows say now, and the delivery what ended."""
        while True:
            job_id = await self._changed.get()
            try:
                view = await self._watching.view(await self._jobs.by_id(job_id))
            except StorageUnavailable:
                self._changed.put_nowait(job_id)
                await asyncio.sleep(_ANNOUNCE_PAUSE_S)
                continue
            except NotFound:
                continue  # erased meanwhile
            self._updates.publish(view)
            if view.state.is_final:
                self._delivery.hurry()
