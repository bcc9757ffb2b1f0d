"""All tables together, for the migrations."""

from sqlalchemy import MetaData

from bot.storage.guilds import GuildRow
from bot.storage.images import FavouriteRow, ImageRow, TagRow
from bot.storage.jobs import JobFileRow, JobRow
from bot.storage.members import MemberRow
from bot.storage.styles import StyleRow, StyleShareRow
from bot.storage.tables import Base

ROWS: tuple[type[Base], ...] = (
    FavouriteRow,
    GuildRow,
    ImageRow,
    JobFileRow,
    JobRow,
    MemberRow,
    StyleRow,
    StyleShareRow,
    TagRow,
)
METADATA: MetaData = Base.metadata
