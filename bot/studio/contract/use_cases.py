"""The use-cases themselves, and what a face gives in return."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from typing import Protocol

from bot.prompts import Wildcards
from bot.studio.contract.callers import Caller, Destination
from bot.studio.contract.gallery import GalleryPage, GalleryQuery
from bot.studio.contract.jobs import ImageView, JobEnding, JobUpdate, JobView, QueueView
from bot.studio.contract.mixtures import Blending, Dreaming, Morphing, MorphStop
from bot.studio.contract.privacy import Erased
from bot.studio.contract.restyles import AS_USUAL, Restyling, StyleChoice, StyleView
from bot.studio.contract.rules import GuildRules, Preferences
from bot.studio.contract.trainings import GeneratorView, Teaching
from engine.api import Catalogue, EngineStatus


class Deliverer(Protocol):
    """Brings an ended job to the chat it came from; registered by a face."""

    async def deliver(self, job: JobView, files: tuple[bytes, ...]) -> None:
        """Show the ending of `job`; may be called again for the same job after a crash.

        `files` has the PNG of each image, or the animated WebP of one that moves.
        Must be repeatable: edit the same message where there is one. Raises to be called again
        later (with growing pauses); returning means the job counts as delivered.
        """
        ...


class Studio(Protocol):
    """All use-cases. Each raises `bot.errors.UserError` with a text fit for the member."""

    @property
    def catalogue(self) -> Catalogue:
        """The models on offer."""
        ...

    @property
    def wildcards(self) -> Wildcards:
        """The lists that prompts may draw from."""
        ...

    def register_deliverer(self, face: str, deliverer: Deliverer) -> None:
        """Jobs whose destination names `face` are delivered by this from now on."""
        ...

    def register_fetcher(self, fetch: Callable[[str, str], Awaitable[bytes]]) -> None:
        """Fetch links in prompts by this from now on; only Discord's file hosts come to it."""
        ...

    def register_observer(self, observe: Callable[[JobEnding], None]) -> None:
        """Tell this, too, of each job that this process ends from now on."""
        ...

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
        """Make jobs from a prompt: one, or one for each expansion; all are committed or none.

        `source` and `style` are uploads as they came, which are cleaned first, or images' ids.
        `is_private` None leaves it to flags and preferences, and keeps a secret of one's own.
        """
        ...

    async def vary(
        self, caller: Caller, image_id: str, destination: Destination, *, is_strong: bool
    ) -> JobView:
        """New images near one."""
        ...

    async def compare_strengths(
        self, caller: Caller, image_id: str, destination: Destination
    ) -> JobView:
        """A restyled image in several strengths (`JobView.strengths`), by the fast method.

        Raises:
            NotAllowed: the image was not made by a restyle.
            LimitReached: it moves.
        """
        ...

    async def reroll(
        self, caller: Caller, job_id: str, destination: Destination, *, text: str | None = None
    ) -> JobView:
        """The same job with a new seed; with `text` (a remix) also with a new prompt."""
        ...

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
        """A larger version of an image or upload; `detail` goes from 0, smooth, to 1, crisp."""
        ...

    async def blend(
        self,
        caller: Caller,
        pictures: Sequence[bytes | str],
        destination: Destination,
        blending: Blending = Blending(),
    ) -> JobView:
        """Pictures, uploads or images' ids, mixed into one."""
        ...

    async def dream(
        self,
        caller: Caller,
        destination: Destination,
        dreaming: Dreaming = Dreaming(),
    ) -> JobView:
        """Images that a model draws without words."""
        ...

    async def morph(
        self,
        caller: Caller,
        stops: Sequence[MorphStop],
        destination: Destination,
        morphing: Morphing = Morphing(),
    ) -> JobView:
        """An animation from one picture, prompt or dream to others."""
        ...

    async def stylize(
        self,
        caller: Caller,
        content: bytes | str,
        styles: Sequence[StyleChoice],
        destination: Destination,
        restyling: Restyling = AS_USUAL,
    ) -> JobView:
        """The content, an upload or an image's id, in the look of the styles."""
        ...

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
        """Five steps from one style to another, `share` of the second in the middle one.

        Without content they are shown on the caller's newest image, as it was before a restyle.
        """
        ...

    async def make_again(self, caller: Caller, picture: bytes, destination: Destination) -> JobView:
        """The job that a picture's parameters (or our record of it) describe, same seed."""
        ...

    async def cancel(self, caller: Caller, job_id: str) -> JobView:
        """Cancel a waiting or running job; cancelling an ended one changes nothing.

        An admin who ends somebody else's hears its state, not what was asked.
        """
        ...

    async def job(self, caller: Caller, job_id: str) -> JobView:
        """One job, with images once finished."""
        ...

    def watch(self, caller: Caller, job_id: str) -> AsyncIterator[JobUpdate]:
        """The state now, then each change, up to and including the final one.

        Slow readers miss intermediate progress, never the ending.
        """
        ...

    def watch_all(self, caller: Caller) -> AsyncIterator[JobUpdate]:
        """Each change of any of the caller's own jobs, without end."""
        ...

    async def history(
        self, caller: Caller, *, cursor: str | None = None, limit: int = 10
    ) -> tuple[tuple[JobView, ...], str | None]:
        """The caller's jobs, newest first, and the next cursor."""
        ...

    async def asked_before(self, caller: Caller, key: str) -> tuple[JobView, ...]:
        """The jobs that a request of the caller's with this `Destination.key` has made.

        None: it is new. One that comes while the first is accepted raises `AskedBefore`.
        """
        ...

    async def open_jobs(self, face: str) -> tuple[JobView, ...]:
        """All jobs of a face that wait or run, oldest first; for the face itself."""
        ...

    async def move(self, job_id: str, destination: Destination) -> None:
        """Remember another place of a job's face; for the face itself."""
        ...

    async def queue(self, caller: Caller) -> QueueView:
        """What runs and waits."""
        ...

    async def gallery(self, caller: Caller, query: GalleryQuery) -> GalleryPage:
        """Images the caller may see."""
        ...

    async def image(self, caller: Caller, image_id: str) -> ImageView:
        """One image by its id, or by `job_id` plus index as `job:2`."""
        ...

    async def image_png(self, caller: Caller, image_id: str) -> bytes:
        """The original PNG, parameters chunk included; of one that moves the first frame."""
        ...

    async def image_file(self, caller: Caller, image_id: str) -> bytes:
        """The file to keep: the original PNG; of what moves the MP4, else the animated WebP."""
        ...

    async def image_animation(self, caller: Caller, image_id: str) -> bytes:
        """The animated WebP of an image that moves."""
        ...

    async def thumbnail(self, caller: Caller, image_id: str) -> bytes:
        """A WebP of at most 384 px."""
        ...

    async def favourite(self, caller: Caller, image_id: str, *, on: bool) -> ImageView:
        """Mark or unmark an image, for the caller."""
        ...

    async def tag(self, caller: Caller, image_id: str, tags: Iterable[str]) -> ImageView:
        """Replace the tags of an own image."""
        ...

    async def delete(self, caller: Caller, image_id: str) -> None:
        """Remove an image from the gallery (owner or guild admin); `restore` brings it back."""
        ...

    async def restore(self, caller: Caller, image_id: str) -> ImageView:
        """Undo `delete` within 24 hours."""
        ...

    async def publish(self, caller: Caller, image_id: str, *, is_private: bool) -> ImageView:
        """Change who may see an image."""
        ...

    async def preferences(self, caller: Caller) -> Preferences:
        """The caller's own defaults."""
        ...

    async def set_preferences(self, caller: Caller, preferences: Preferences) -> None:
        """Replace the caller's own defaults; validated."""
        ...

    async def guild_preferences(self, caller: Caller) -> Preferences:
        """Defaults of the caller's guild."""
        ...

    async def set_guild_preferences(self, caller: Caller, preferences: Preferences) -> None:
        """Replace the guild's defaults; admins only."""
        ...

    def export(self, caller: Caller) -> AsyncIterator[tuple[str, bytes]]:
        """All that is kept of the caller, as named files: `bot.studio.privacy` says which."""
        ...

    async def erase(self, caller: Caller) -> Erased:
        """Forget all that is kept of the caller, for good; stops their jobs first."""
        ...

    async def rules(self, caller: Caller) -> GuildRules:
        """Limits, channels, models, blocked members and forbidden words of the caller's guild."""
        ...

    async def set_rules(self, caller: Caller, rules: GuildRules) -> None:
        """Replace them; admins only."""
        ...

    async def save_style(
        self, caller: Caller, name: str, picture: bytes | str, *, replacing: bool = False
    ) -> str:
        """Keep an upload, or an image of the gallery, as a style, for `--sref NAME`.

        Says what an older picture of that name had that is lost, if anything. Where something was
        learnt from it, only `replacing` lets it go; else this raises `NameTaken`.
        """
        ...

    async def train_style(
        self,
        caller: Caller,
        name: str,
        picture: bytes | str | None,
        destination: Destination,
        *,
        replacing: bool = False,
    ) -> JobView:
        """Let the fast network learn a style; once the job is finished it is kept as `name`.

        The picture is an upload, an image's id, or None: the one that is kept under the name.
        Where something was learnt from another picture, `NameTaken` as in `save_style`.
        """
        ...

    async def train_gan(
        self, caller: Caller, teaching: Teaching, destination: Destination
    ) -> JobView:
        """Let a generator learn from a gallery; once finished it may be the model of dreams.

        Cancelling the job while it learns ends it with what it knows by then.
        """
        ...

    async def generators(self, caller: Caller) -> tuple[GeneratorView, ...]:
        """Generators that were trained in the caller's place: the server, else by themselves."""
        ...

    async def generator_png(self, caller: Caller, name: str) -> bytes:
        """A sheet of what a generator dreams."""
        ...

    async def delete_generator(self, caller: Caller, name: str) -> None:
        """Forget a generator (who had it trained, or an admin)."""
        ...

    async def style_names(self, caller: Caller) -> tuple[str, ...]:
        """Style references the caller may use."""
        ...

    async def styles(self, caller: Caller) -> tuple[StyleView, ...]:
        """Styles the caller may name: saved ones, then those that ship."""
        ...

    async def style_thumbnail(self, caller: Caller, name: str) -> bytes:
        """A small WebP of a style that may be named.

        Raises:
            NotFound: there is none of that name.
        """
        ...

    async def style_png(self, caller: Caller, name: str) -> bytes:
        """The picture of a saved style."""
        ...

    async def share_style(self, caller: Caller, name: str, *, on: bool) -> None:
        """Let the caller's guild use one of their styles, or no more; admins may end it, too."""
        ...

    async def rename_style(self, caller: Caller, name: str, new_name: str) -> None:
        """Call one of the caller's styles otherwise; it stays shared and learnt."""
        ...

    async def delete_style(self, caller: Caller, name: str) -> None:
        """Forget one of the caller's styles."""
        ...

    def engine_status(self) -> EngineStatus:
        """Workers, devices and resident models, for operators."""
        ...
