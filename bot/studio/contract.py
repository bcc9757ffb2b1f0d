"""The studio as its faces see it: values and the use-cases that Discord, web and console share.

A face parses its input into these values, calls a use-case, and renders what comes back. Job and
image ids are short: 8 to 12 characters of [0-9a-z], fit for a button's custom_id and for typing.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from engine.api import Catalogue, EngineStatus, KeepColour, StyleMethod

LOCAL_OWNER = 0  # owner_id of whoever uses the web studio or the command line without login


@dataclass(frozen=True, kw_only=True, slots=True)
class Caller:
    """Who asks, and where."""

    owner_id: int
    name: str = ""
    guild_id: int | None = None  # None: direct message, web or console
    channel_id: int | None = None
    role_ids: tuple[int, ...] = ()
    is_admin: bool = False  # may use /admin in this guild; the operator on web and console
    locale: str = "en-US"


@dataclass(frozen=True, kw_only=True, slots=True)
class Destination:
    """Where a job's result goes; survives a restart, so JSON values only."""

    face: str  # "discord", "web", "console"; the deliverer registered under this name
    address: Mapping[str, str | int | None] = field(default_factory=dict)


class JobState(StrEnum):
    """Where a job is in its life; the last three are final."""

    QUEUED = "queued"
    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        """Nothing changes any more."""
        return self in (JobState.FINISHED, JobState.FAILED, JobState.CANCELLED)


class Operation(StrEnum):
    """What was done to make a job's images; with the parent it is their lineage."""

    IMAGINE = "imagine"
    VARY_SUBTLE = "vary-subtle"
    VARY_STRONG = "vary-strong"
    REROLL = "reroll"
    REMIX = "remix"
    UPSCALE = "upscale"
    STYLIZE = "stylize"
    TRAIN_STYLE = "train-style"
    MAKE_AGAIN = "make-again"
    BLEND = "blend"
    DREAM = "dream"
    MORPH = "morph"


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageView:
    """One image as a face shows it."""

    id: str
    job_id: str
    index: int  # place in its job, from 0
    owner_id: int
    guild_id: int | None
    seed: int
    width: int  # pixels
    height: int  # pixels
    prompt: str  # as typed, flags included
    model: str
    parameters: str  # the A1111 parameters chunk
    operation: Operation
    parent_id: str | None  # the image it was made from
    is_private: bool
    is_favourite: bool
    created_at: datetime
    alt_text: str  # at most 1024 characters
    tags: tuple[str, ...] = ()
    is_animated: bool = False

    @property
    def suffix(self) -> str:
        """Of its file's name."""
        return "webp" if self.is_animated else "png"


@dataclass(frozen=True, kw_only=True, slots=True)
class JobView:
    """One job as a face shows it."""

    id: str
    owner_id: int
    guild_id: int | None
    state: JobState
    operation: Operation
    prompt: str  # as typed, flags included
    model: str
    seed: int
    created_at: datetime
    is_private: bool
    destination: Destination
    parent_id: str | None = None
    reason: str = ""  # why it failed, fit for its owner
    step: int = 0
    total: int = 0
    position: int | None = None  # in the queue, 1 = next; None unless queued
    estimate_s: float | None = None  # until it is finished; None where nothing is known yet
    images: tuple[ImageView, ...] = ()

    @property
    def progress(self) -> float:
        """0 to 1."""
        if self.state is JobState.FINISHED:
            return 1.0
        return self.step / self.total if self.total else 0.0


@dataclass(frozen=True, slots=True)
class JobUpdate:
    """A change of a job; `preview` is a small WebP, only while running."""

    job: JobView
    preview: bytes | None = None
    number: int = 0  # rises with each update of all jobs, for event streams' last-event id


class GalleryScope(StrEnum):
    """Whose images."""

    MINE = "mine"
    MEMBER = "member"
    GUILD = "guild"
    ALL = "all"  # all that the caller may see


@dataclass(frozen=True, kw_only=True, slots=True)
class GalleryQuery:
    """Which images, newest first. `text` may hold `model:`, `seed:`, `by:`, `is:favourite`..."""

    scope: GalleryScope = GalleryScope.MINE
    member_id: int | None = None
    text: str = ""
    model: str = ""
    favourites_only: bool = False
    after: datetime | None = None
    before: datetime | None = None
    cursor: str | None = None  # of the page before
    limit: int = 24  # 1..100


@dataclass(frozen=True, slots=True)
class GalleryPage:
    """Some images, and where the next ones begin."""

    images: tuple[ImageView, ...]
    next_cursor: str | None
    total: int  # of the whole query; capped at 10,000


@dataclass(frozen=True, kw_only=True, slots=True)
class Preferences:
    """Defaults of a member or a guild; None: not set, the level below decides."""

    model: str | None = None
    aspect: str | None = None  # "3:2"
    image_count: int | None = None
    preset: str | None = None
    flags: str | None = None  # appended to each prompt where not given
    is_private: bool | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """Caps on jobs; the most generous of a member's roles counts. None: the level below decides."""

    running: int | None = None  # jobs of one member at once
    waiting: int | None = None  # jobs of one member in the queue
    guild_running: int | None = None
    guild_waiting: int | None = None
    permutations: int | None = None  # jobs of one prompt


@dataclass(frozen=True, kw_only=True, slots=True)
class GuildRules:
    """What admins decide for a guild."""

    limits: Limits = Limits()
    role_limits: Mapping[int, Limits] = field(default_factory=dict)
    allowed_channels: tuple[int, ...] = ()  # empty: all
    allowed_models: tuple[str, ...] = ()  # empty: all


@dataclass(frozen=True, slots=True)
class QueueView:
    """The state of the queue, for members."""

    running: tuple[JobView, ...]  # the caller's own
    waiting: tuple[JobView, ...]  # the caller's own, next first
    total_running: int
    total_waiting: int


class Detail(StrEnum):
    """How long an optimiser works on a restyle."""

    DRAFT = "draft"
    NORMAL = "normal"
    FINE = "fine"


@dataclass(frozen=True, kw_only=True, slots=True)
class StyleChoice:
    """Whose look is taken: an upload, else a name, else an image of the gallery."""

    upload: bytes = b""
    name: str = ""  # of a saved style or a painting that ships, `random`, or an image's id
    weight: float = 1.0  # above 0; those of several styles are normalised


@dataclass(frozen=True, kw_only=True, slots=True)
class Restyling:
    """How a picture takes on a look."""

    strength: float = 1.0  # 0 keeps the content, 1 takes the whole style
    method: StyleMethod = StyleMethod.FAST
    detail: Detail = Detail.NORMAL  # of the optimise method
    keep_colour: KeepColour = KeepColour.NO
    size: int = 0  # longer side in pixels; 0: the content's own, up to what is quick
    seed: int | None = None  # None: at random
    variations: int = 1  # 1..4
    model: str | None = None  # of the diffusion method; None: as preferred
    mask: bytes = b""  # an upload; white is restyled; empty: everywhere
    cells: str = ""  # in place of a mask: A1 to D4, such as "A1-B2 D4"
    is_private: bool | None = None  # None: as the content, else as preferred


AS_USUAL = Restyling()


@dataclass(frozen=True, kw_only=True, slots=True)
class Blending:
    """How pictures are mixed."""

    weights: tuple[float, ...] = ()  # of the pictures; empty: all alike
    prompt: str = ""  # draws the mixture on; flags may follow
    strength: float | None = None  # how far the prompt leads away, 0..1; None: as usual
    seed: int | None = None  # None: at random
    count: int = 1  # 1..4; without a prompt each has its own weights
    model: str | None = None  # None: as preferred
    is_private: bool | None = None  # None: as the pictures, else as preferred


@dataclass(frozen=True, kw_only=True, slots=True)
class Dreaming:
    """What is dreamt."""

    look: str = ""  # one of the model's; empty: any
    seed: int | None = None  # None: at random
    truncation: float = 0.7  # 0 the average, 1 the wildest
    count: int = 4
    like: bytes | str = b""  # an upload or an image's id: dreams near it
    distance: float | None = None  # from what it is like, 0..1; None: as usual
    model: str | None = None  # None: the first that dreams
    is_private: bool | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class MorphStop:
    """Where a morph passes through: one of these."""

    upload: bytes = b""
    image: str = ""  # id of an image
    prompt: str = ""  # flags may follow
    seed: int | None = None  # of a dream


@dataclass(frozen=True, kw_only=True, slots=True)
class Morphing:
    """How an animation moves between its stops."""

    frames: int = 24
    seconds: float = 3.0
    loop: bool = True
    look: str = ""  # of dreams
    seed: int | None = None  # of what prompts draw; None: at random
    model: str | None = None  # None: as preferred
    is_private: bool | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class StyleView:
    """A style that may be named."""

    name: str
    title: str  # of a painting: with artist and year, in the caller's language
    owner_id: int | None = None  # None: it ships
    is_shared: bool = False  # with the guild
    is_trained: bool = False  # the fast network has learnt it
    colours: tuple[str, ...] = ()  # of a painting, as #rrggbb, from dark to light

    @property
    def is_preset(self) -> bool:
        """It ships, and has no picture to show."""
        return self.owner_id is None


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

    def register_deliverer(self, face: str, deliverer: Deliverer) -> None:
        """Jobs whose destination names `face` are delivered by this from now on."""
        ...

    def register_fetcher(self, fetch: Callable[[str], Awaitable[bytes]]) -> None:
        """Fetch links in prompts by this from now on; only Discord's file hosts come to it."""
        ...

    async def imagine(
        self,
        caller: Caller,
        text: str,
        destination: Destination,
        *,
        source: bytes | None = None,
        style: bytes | None = None,
        is_private: bool | None = None,
        confirmed: bool = False,
    ) -> tuple[JobView, ...]:
        """Make jobs from a prompt: one, or one for each expansion; all are committed or none.

        `source` and `style` are uploads as they came; they are cleaned first. `is_private` None
        leaves it to flags and preferences.
        """
        ...

    async def vary(
        self, caller: Caller, image_id: str, destination: Destination, *, is_strong: bool
    ) -> JobView:
        """New images near one."""
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

        Without content they are shown on the caller's newest image.
        """
        ...

    async def make_again(self, caller: Caller, picture: bytes, destination: Destination) -> JobView:
        """The job that a picture's parameters (or our record of it) describe, same seed."""
        ...

    async def cancel(self, caller: Caller, job_id: str) -> JobView:
        """Cancel a waiting or running job; cancelling an ended one changes nothing."""
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

    async def open_jobs(self, face: str) -> tuple[JobView, ...]:
        """All jobs of a face that wait or run, oldest first; for the face itself."""
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
        """The file to keep: the original PNG, or the animated WebP of an image that moves."""
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

    async def rules(self, caller: Caller) -> GuildRules:
        """Limits, channels and models of the caller's guild."""
        ...

    async def set_rules(self, caller: Caller, rules: GuildRules) -> None:
        """Replace them; admins only."""
        ...

    async def save_style(self, caller: Caller, name: str, picture: bytes) -> None:
        """Keep a style reference under a name of the member's, for `--sref NAME`."""
        ...

    async def train_style(
        self, caller: Caller, name: str, picture: bytes, destination: Destination
    ) -> JobView:
        """Let the fast network learn a style; once the job is finished it is kept as `name`."""
        ...

    async def style_names(self, caller: Caller) -> tuple[str, ...]:
        """Style references the caller may use."""
        ...

    async def styles(self, caller: Caller) -> tuple[StyleView, ...]:
        """Styles the caller may name: saved ones, then those that ship."""
        ...

    async def style_png(self, caller: Caller, name: str) -> bytes:
        """The picture of a saved style."""
        ...

    async def share_style(self, caller: Caller, name: str, *, on: bool) -> None:
        """Let the caller's guild use one of their styles, or no more."""
        ...

    async def delete_style(self, caller: Caller, name: str) -> None:
        """Forget one of the caller's styles."""
        ...

    def engine_status(self) -> EngineStatus:
        """Workers, devices and resident models, for operators."""
        ...
