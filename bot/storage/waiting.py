"""Waiting, when the service starts, for a database server that starts too."""

import asyncio
import logging
from collections.abc import Callable

from bot.errors import BadConfiguration, StorageUnavailable
from bot.storage.database import Database

logger = logging.getLogger(__name__)

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0

# What no waiting mends, by https://www.postgresql.org/docs/current/errcodes-appendix.html
_REFUSALS = {
    "28000": "is refused by the server",
    "28P01": "is refused by the server",
    "3D000": "names a database that is not there: create it, or name another",
    "42501": "names a user who may not do that",
}


async def wait_for(database: Database, on_away: Callable[[], None] = lambda: None) -> None:
    """Return once the database answers; `on_away` hears, once, that it does not do so at first.

    Raises:
        BadConfiguration: the server answers, and won't have us.
        StorageUnavailable: a file can't be used; nobody will bring it.
    """
    pause_s = 0.0
    while True:
        try:
            await database.check()
        except StorageUnavailable as error:
            if refusal := _refusal(error):
                raise BadConfiguration("ATELIER_DATABASE_URL", refusal) from error
            if database.is_sqlite:
                raise
            if not pause_s:
                on_away()
            pause_s = min(2 * pause_s or FIRST_PAUSE_S, LONGEST_PAUSE_S)
            logger.warning(
                "waiting for the database at %s, asking again in %.1f s: see that it runs, and "
                "that ATELIER_DATABASE_URL has its host and port",
                database.engine.url.render_as_string(hide_password=True),
                pause_s,
            )
            await asyncio.sleep(pause_s)
        else:
            return


def _refusal(error: StorageUnavailable) -> str:
    """What the server has against us, in its own words too; nothing where it may yet heal."""
    cause = getattr(error.__cause__, "orig", None)
    known = _REFUSALS.get(getattr(cause, "sqlstate", None) or "")
    return f"{known} ({cause})" if known else ""
