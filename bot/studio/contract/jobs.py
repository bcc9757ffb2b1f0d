"""Jobs and their images, as faces show them."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from bot.studio.contract.callers import Destination
from engine.api import VIDEO_SUFFIX


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
    COMPARE = "compare"  # of strengths of a restyle
    TRAIN_STYLE = "train-style"
    TRAIN_GAN = "train-gan"
    MAKE_AGAIN = "make-again"
    BLEND = "blend"
    DREAM = "dream"
    MORPH = "morph"

    @property
    def is_training(self) -> bool:
        """Its image is a sheet of what was learnt, to look at."""
        return self in (Operation.TRAIN_STYLE, Operation.TRAIN_GAN)

    @property
    def takes_over(self) -> bool:
        """It keeps the pictures that another job began with, which may be somebody else's."""
        is_near = self in (Operation.VARY_SUBTLE, Operation.VARY_STRONG, Operation.COMPARE)
        return is_near or self in (Operation.REROLL, Operation.REMIX, Operation.MAKE_AGAIN)


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
    alt_text: str  # at most 1024 characters; may be a `bot.wording.Said`
    tags: tuple[str, ...] = ()
    is_animated: bool = False
    is_video: bool = False  # it has an MP4 beside its animation
    shown_in: int | None = None  # a channel whose members see it, though it is private

    @property
    def suffix(self) -> str:
        """Of its file's name."""
        if self.is_video:
            return VIDEO_SUFFIX
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
    # Why it failed, or what a training came to, so far or in the end; may be a `bot.wording.Said`.
    reason: str = ""
    step: int = 0
    total: int = 0
    position: int | None = None  # in the queue, 1 = next; None unless queued
    estimate_s: float | None = None  # until it is finished; None where nothing is known yet
    images: tuple[ImageView, ...] = ()
    strengths: tuple[float, ...] = ()  # of its images by their index, where they differ in these
    # Images that are drawn, and shown by its previews, side by side; 1 where they come one by one,
    # 0 where it is not known.
    expected: int = 0

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


@dataclass(frozen=True, slots=True)
class JobEnding:
    """How a job ended, for figures."""

    operation: Operation
    state: JobState  # a final one
    waited_s: float | None = None  # before its last start; None: it was never started
    device_s: float | None = None  # None unless finished


@dataclass(frozen=True, slots=True)
class QueueView:
    """The state of the queue, for members."""

    running: tuple[JobView, ...]  # the caller's own
    waiting: tuple[JobView, ...]  # the caller's own, next first
    others: tuple[JobView, ...]  # of the guild the caller administers, without what was asked
    total_running: int
    total_waiting: int
