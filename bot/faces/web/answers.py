"""What the API answers, as types: they hold the code to it, and the description is made of them.

A name that is there today stays; others may join it.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal, NotRequired

from pydantic import Field, WithJsonSchema
from typing_extensions import TypedDict

from bot.prompts import FlagKind
from bot.studio.contract import Detail, JobState, Operation
from engine.api import Ability, KeepColour, StyleMethod

Moment = Annotated[str, WithJsonSchema({"type": "string", "format": "date-time"})]
Address = Annotated[str, Field(description="a path of this server")]


class Image(TypedDict):
    """One picture."""

    id: str
    job_id: str
    index: Annotated[int, Field(description="its place in its job, from 0")]
    seed: int
    width: Annotated[int, Field(description="pixels")]
    height: Annotated[int, Field(description="pixels")]
    prompt: Annotated[str, Field(description="as typed, flags included")]
    model: str
    parameters: Annotated[str, Field(description="how it was made, as AUTOMATIC1111 writes it")]
    operation: Operation
    parent: Annotated[str | None, Field(description="the image it was made from")]
    private: bool
    favourite: bool
    own: bool
    tags: Sequence[str]
    alt: Annotated[str, Field(description="for those who can't see it")]
    created_at: Moment
    png: Address
    webp: Address
    animation: Address | None
    video: Address | None


class Job(TypedDict):
    """One job, with its images once it is finished."""

    id: str
    status: JobState
    reason: Annotated[str, Field(description="why it failed, or what a training came to")]
    progress: Annotated[float, Field(ge=0, le=1)]
    step: int
    total: int
    position: Annotated[int | None, Field(description="in the queue; 1 is next")]
    estimate_s: Annotated[float | None, Field(description="seconds until it is finished")]
    prompt: str
    seed: int
    model: str
    operation: Operation
    parent: str | None
    private: bool
    created_at: Moment
    images: Sequence[Image]
    strengths: Annotated[Sequence[float], Field(description="of its images, where they differ")]
    expected: Annotated[int, Field(description="images shown side by side; 0: not known")]


class Update(Job):
    """A job as an event tells it."""

    preview: Annotated[str | None, Field(description="a data URL, while it is drawn")]


class Jobs(TypedDict):
    """Jobs that are kept and will end; `id` is the first one's."""

    id: str
    ids: Sequence[str]
    jobs: Sequence[Job]


class History(TypedDict):
    """A page of jobs, newest first."""

    jobs: Sequence[Job]
    cursor: Annotated[str | None, Field(description="of the next page")]


class Page(TypedDict):
    """A page of the gallery, newest first."""

    images: Sequence[Image]
    cursor: Annotated[str | None, Field(description="of the next page")]
    total: int
    capped: Annotated[bool, Field(description="there are more than `total`")]


class Deleted(TypedDict):
    """An image that is out of the gallery."""

    id: str
    deleted: Literal[True]


class Style(TypedDict):
    """One look."""

    name: str
    title: str
    preset: Annotated[bool, Field(description="it ships")]
    shared: bool
    trained: Annotated[bool, Field(description="the fast method has learnt it")]
    outdated: Annotated[bool, Field(description="what was learnt is of an older network")]
    picture: Address
    colours: Annotated[Sequence[str], Field(description="#rrggbb, from dark to light")]


class Styles(TypedDict):
    """Looks, and what a restyle may be asked for."""

    styles: Sequence[Style]
    methods: Sequence[StyleMethod]
    colours: Sequence[KeepColour]
    details: Sequence[Detail]
    blend_steps: int


class SavedStyle(Styles):
    """The same after one was saved."""

    remark: Annotated[str, Field(description="what was lost by it, or nothing")]


class Generator(TypedDict):
    """One generator that was trained here."""

    name: str
    pictures: Annotated[int, Field(description="it learnt from")]
    verdict: str
    job: str
    created_at: Moment
    sheet: Address


class Generators(TypedDict):
    """All of them."""

    generators: Sequence[Generator]


class Erased(TypedDict):
    """How much was forgotten."""

    jobs: int
    images: int
    files: int


class Model(TypedDict):
    """One model that draws words."""

    name: str
    title: str
    description: str
    description_zh: str
    licence: str
    width: int
    height: int
    steps: int
    guidance_scale: float
    abilities: Sequence[Ability]
    default: bool


class Dreamer(TypedDict):
    """One model that dreams."""

    name: str
    title: str
    looks: Sequence[str]


class Models(TypedDict):
    """What can draw words, and what can dream."""

    models: Sequence[Model]
    dreamers: Sequence[Dreamer]


class Preset(TypedDict):
    """Words to add to a prompt."""

    name: str
    title: str
    title_zh: str
    added: str


class Presets(TypedDict):
    """All of them."""

    presets: Sequence[Preset]


class Flag(TypedDict):
    """One flag of the grammar."""

    name: str
    aliases: Sequence[str]
    kind: FlagKind
    usage: str
    allowed: str
    summary: str
    summary_zh: str


class Flags(TypedDict):
    """All of them."""

    flags: Sequence[Flag]


class Refusal(TypedDict):
    """Why something is refused, and what to change."""

    error: Annotated[str, Field(description="fit to be shown")]
    kind: Annotated[str, Field(description="for programs")]
    field: NotRequired[Annotated[str, Field(description="whose value can't be")]]
    reason: NotRequired[str]
    position: NotRequired[Annotated[int, Field(description="of a prompt's mistake, in characters")]]
    length: NotRequired[int]
    suggestion: NotRequired[str]
    count: NotRequired[Annotated[int, Field(description="of jobs to be confirmed")]]


class Checked(TypedDict):
    """How many jobs a text makes, or what is wrong with it."""

    count: int
    problem: Refusal | None


class Parameters(TypedDict):
    """How a picture was made: as it says itself, and a prompt that asks for the same."""

    text: str
    prompt: str


class Worker(TypedDict):
    """One process of the engine."""

    device: str
    alive: bool
    running: int
    restarts: int
    memory_bytes: int
    models: Sequence[str]


class Status(TypedDict):
    """Queue, workers, errors by class and versions, and whether one may log out."""

    uptime_s: int
    running: int
    waiting: int
    workers: Sequence[Worker]
    errors: Mapping[str, int]
    versions: Mapping[str, str]
    login: Annotated[bool, Field(description="a token is demanded")]


class Health(TypedDict):
    """Whether jobs are taken and made, and what is missing."""

    status: Literal["ok", "unwell"]
    problems: Sequence[str]
