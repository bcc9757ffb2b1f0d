"""All tables together, for the migrations."""

from sqlalchemy import MetaData

# Each import makes the tables of its module known.
from bot.storage import generators, guilds, images, jobs, members, styles  # noqa: F401
from bot.storage.tables import Base

METADATA: MetaData = Base.metadata
