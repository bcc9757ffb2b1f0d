"""What is to be done at start about a database that does not answer: change a setting, or wait."""

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sqlalchemy.engine import URL

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
# What another process may end, by https://www.sqlite.org/rescode.html
_PASSING = ("SQLITE_BUSY", "SQLITE_LOCKED")


@contextmanager
def refusals_named(url: URL) -> Iterator[None]:
    """Tell a database that won't have us for good from one that does not answer now.

    Raises:
        BadConfiguration: it won't have us.
    """
    try:
        yield
    except StorageUnavailable as error:
        if refusal := _refusal(error, url):
            raise BadConfiguration("ATELIER_DATABASE_URL", refusal) from error
        raise


async def wait_for(database: Database, on_away: Callable[[], None] = lambda: None) -> None:
    """Return once the database answers; `on_away` hears, once, that it does not do so at first.

    Raises:
        BadConfiguration: the server answers, and won't have us; or a file can't be used.
        StorageUnavailable: another process has the file.
    """
    url, pause_s = database.engine.url, 0.0
    while True:
        try:
            with refusals_named(url):
                await database.check()
        except StorageUnavailable:
            if database.is_sqlite:
                raise
            if not pause_s:
                on_away()
            pause_s = min(2 * pause_s or FIRST_PAUSE_S, LONGEST_PAUSE_S)
            logger.warning(
                "waiting for the database at %s, asking again in %.1f s: see that it runs, and "
                "that ATELIER_DATABASE_URL has its host and port",
                url.render_as_string(hide_password=True),
                pause_s,
            )
            await asyncio.sleep(pause_s)
        else:
            return


def _refusal(error: StorageUnavailable, url: URL) -> str:
    """What the database has against us, in its own words too; nothing where it may yet heal."""
    cause = getattr(error.__cause__, "orig", None)
    if name := getattr(cause, "sqlite_errorname", ""):
        return "" if name.startswith(_PASSING) else f"{url.database} can't be used: {cause}"
    known = _REFUSALS.get(getattr(cause, "sqlstate", None) or "")
    return f"{known} ({cause})" if known else ""
