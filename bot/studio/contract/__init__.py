"""The studio as its faces see it: values and the use-cases that Discord, web and console share.

A face parses its input into these values, calls a use-case, and renders what comes back. Job and
image ids are short: 8 to 12 characters of [0-9a-z], fit for a button's custom_id and for typing.
"""

from bot.studio.contract.callers import LOCAL_OWNER, Caller, Destination
from bot.studio.contract.gallery import GalleryPage, GalleryQuery, GalleryScope
from bot.studio.contract.jobs import (
    ImageView,
    JobEnding,
    JobState,
    JobUpdate,
    JobView,
    Operation,
    QueueView,
)
from bot.studio.contract.mixtures import Blending, Dreaming, Morphing, MorphStop
from bot.studio.contract.privacy import Erased
from bot.studio.contract.restyles import AS_USUAL, Detail, Restyling, StyleChoice, StyleView
from bot.studio.contract.rules import GuildRules, Limits, Preferences
from bot.studio.contract.trainings import GeneratorView, Teaching
from bot.studio.contract.use_cases import Deliverer, Studio

__all__ = [
    "AS_USUAL",
    "LOCAL_OWNER",
    "Blending",
    "Caller",
    "Deliverer",
    "Destination",
    "Detail",
    "Dreaming",
    "Erased",
    "GalleryPage",
    "GalleryQuery",
    "GalleryScope",
    "GeneratorView",
    "GuildRules",
    "ImageView",
    "JobEnding",
    "JobState",
    "JobUpdate",
    "JobView",
    "Limits",
    "MorphStop",
    "Morphing",
    "Operation",
    "Preferences",
    "QueueView",
    "Restyling",
    "Studio",
    "StyleChoice",
    "StyleView",
    "Teaching",
]
