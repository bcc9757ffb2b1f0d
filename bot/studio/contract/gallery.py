"""Which images a gallery shows, and a page of them."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from bot.studio.contract.jobs import ImageView


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
    total: int  # of the whole query, as far as it is counted
    is_capped: bool = False  # there may be more than `total`
