"""Generators that a server or member has trained on a gallery."""

from dataclasses import dataclass
from datetime import datetime

from bot.studio.contract.gallery import GalleryScope


@dataclass(frozen=True, kw_only=True, slots=True)
class Teaching:
    """What a generator shall learn from, and how long."""

    name: str
    scope: GalleryScope = GalleryScope.MINE  # whose pictures: MINE or GUILD
    words: str = ""  # as in a search of the gallery; empty: all
    favourites_only: bool = False
    minutes: float | None = None  # of learning; None: as usual


@dataclass(frozen=True, kw_only=True, slots=True)
class GeneratorView:
    """A generator that may be named as the model of dreams."""

    name: str
    owner_id: int
    job_id: str  # of its training
    pictures: int  # that it learnt from
    verdict: str  # of the monitors, in words; a `bot.wording.Said`
    created_at: datetime
