"""Gallery pages and prompt searches among 100,000 images, on SQLite and PostgreSQL.

    python -m tests.benchmarks.gallery [--images 100000] [--rounds 15]

Each row is one thing a member does, through the studio's own use-case; the target is 30 ms. On a
machine that does other work as well, "computed" says what bot and database server needed of it.
"""

import argparse
import asyncio
import contextlib
import random
import statistics
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import insert, text

from bot.storage import migration
from bot.storage.database import Database, open_database
from bot.storage.files import ImageFolder
from bot.storage.images import FavouriteRow, ImageRow, Images
from bot.storage.jobs import JobRow
from bot.storage.search import search_words
from bot.studio.clock import utc_now
from bot.studio.contract import Caller, GalleryQuery, GalleryScope
from bot.studio.gallery import Gallery
from bot.studio.pictures import Pictures
from tests.postgres_server import NoPostgres, running_postgres

TARGET_MS = 30.0
MEMBERS, GUILDS, BATCH = 300, 5, 5_000
NOUNS = ("fox", "cat", "dog", "house", "tree", "river", "castle", "robot", "mountain", "whale")
LOOKS = ("glossy", "flat", "cartoon", "blob", "pixel", "watercolor", "ink", "neon", "paper")
CHINESE = ["一只小狗在草地上", "红色的狐狸", "夜晚的城堡"]
START = datetime(2026, 1, 1, tzinfo=UTC)
ME = Caller(owner_id=7, guild_id=2)
OPERATOR = Caller(owner_id=0, is_admin=True)


def queries() -> Iterator[tuple[str, Caller, GalleryQuery]]:
    """What members do, by name."""
    everything = GalleryScope.ALL
    yield "my newest", ME, GalleryQuery()
    yield "the guild's newest", ME, GalleryQuery(scope=GalleryScope.GUILD)
    yield "all, by the operator", OPERATOR, GalleryQuery(scope=everything)
    yield "a page deep down", OPERATOR, GalleryQuery(scope=everything, cursor="100")
    yield "another member's", ME, GalleryQuery(scope=GalleryScope.MEMBER, member_id=12)
    yield "my favourites", ME, GalleryQuery(scope=everything, favourites_only=True)
    yield "of one model", ME, GalleryQuery(scope=everything, model="rare")
    yield "a common word", OPERATOR, GalleryQuery(scope=everything, text="fox")
    yield "a word in the guild", ME, GalleryQuery(scope=GalleryScope.GUILD, text="fox")
    yield "two words", OPERATOR, GalleryQuery(scope=everything, text="neon whale")
    yield "a rare word", OPERATOR, GalleryQuery(scope=everything, text="unicorn")
    yield "a beginning", OPERATOR, GalleryQuery(scope=everything, text="mou")
    yield "Chinese", OPERATOR, GalleryQuery(scope=everything, text="小狗")
    yield "a word nobody typed", OPERATOR, GalleryQuery(scope=everything, text="xylophone")
    yield "my own by word", ME, GalleryQuery(text="castle")


async def fill(database: Database, count: int) -> None:
    """Add images of many members, most of them public."""
    numbers = random.Random(1)
    for first in range(0, count, BATCH):
        rows = [image(number, numbers) for number in range(first, min(first + BATCH, count))]
        jobs = [job(row) for row in rows[::4]]
        marks = [{"owner_id": 7, "image_id": row["id"]} for row in rows[::500]]
        async with database.writing() as session:
            await session.execute(insert(JobRow), jobs)
            await session.execute(insert(ImageRow), rows)
            await session.execute(insert(FavouriteRow), marks)
    async with database.connecting() as connection:
        await connection.execute(text("ANALYZE"))
        await connection.commit()


def image(number: int, numbers: random.Random) -> dict[str, object]:
    """The values of one image row."""
    words = [numbers.choice(LOOKS), numbers.choice(NOUNS), numbers.choice(NOUNS)]
    prompt = " ".join(words) if numbers.random() > 0.05 else numbers.choice(CHINESE)
    prompt += " unicorn" if number % 5_000 == 0 else ""
    owner = numbers.randrange(MEMBERS)
    return {
        "id": f"i{number:09d}",
        "job_id": f"j{number // 4:09d}",
        "place": number % 4,
        "owner_id": owner,
        "guild_id": owner % GUILDS,
        "seed": number,
        "width": 256,
        "height": 256,
        "prompt": prompt,
        "words": search_words(prompt),
        "model": "rare" if number % 1000 == 0 else "atelier-pack",
        "parameters": f"{prompt}\nSteps: 24, Sampler: euler, Seed: {number}, Size: 256x256",
        "operation": "imagine",
        "is_private": numbers.random() < 0.3,
        "alt_text": prompt,
        "file_key": f"{number:064x}.png",
        "created_at": START + timedelta(seconds=number),
        "deleted_at": START if numbers.random() < 0.01 else None,
    }


def job(row: dict[str, object]) -> dict[str, object]:
    """The values of the job row of an image."""
    return {
        "id": row["job_id"],
        "owner_id": row["owner_id"],
        "is_private": row["is_private"],
        "state": "finished",
        "reason": "",
        "operation": "imagine",
        "prompt": row["prompt"],
        "model": row["model"],
        "seed": row["seed"],
        "request": {},
        "created_at": row["created_at"],
        "ended_at": row["created_at"],
        "work": 1.0,
        "face": "web",
        "address": {},
        "deliver_after": row["created_at"],
        "delivered_at": row["created_at"],
    }


async def prepare(name: str, url: str, count: int) -> None:
    """Make a database and fill it."""
    async with open_database(url) as database:
        await migration.upgrade(database)
        begun = time.perf_counter()
        await fill(database, count)
        seconds = time.perf_counter() - begun
        print(f"{name}: {count:,} images, filled in {seconds:.0f} s", flush=True)


async def measure(name: str, url: str, rounds: int) -> None:
    """Print a table for one database."""
    async with open_database(url) as database:
        print(f"\n{name}")
        print(f"{'':24}{'median ms':>10}{'worst ms':>10}{'computed':>10}{'found':>8}")
        gallery = Gallery(Images(database), Pictures(ImageFolder(Path("nowhere"))), utc_now)
        for title, caller, query in queries():
            page = await gallery.page(caller, query)
            servers = await backends(database)
            times, computed = [], -cpu_ms(servers)
            for _ in range(rounds):
                begun = time.perf_counter()
                await gallery.page(caller, query)
                times.append(1e3 * (time.perf_counter() - begun))
            computed = (computed + cpu_ms(servers)) / rounds
            median = statistics.median(times)
            mark = "" if min(median, computed) < TARGET_MS else "  over the target"
            figures = f"{median:10.1f}{max(times):10.1f}{computed:10.1f}{page.total:8}"
            print(f"{title:24}{figures}{mark}", flush=True)


async def backends(database: Database) -> list[int]:
    """Processes of the database server that work for this one; none of SQLite."""
    if database.is_sqlite:
        return []
    asked = "SELECT pid FROM pg_stat_activity WHERE datname = current_database()"
    async with database.reading() as session:
        return list(await session.scalars(text(asked)))


def cpu_ms(servers: list[int]) -> float:
    """Milliseconds computed so far, by this process and by some of the server's."""
    spent = time.process_time() * 1e3
    for pid in servers:
        spent += int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e6
    return spent


def main() -> None:
    """Measure both kinds of database."""
    parser = argparse.ArgumentParser(description="Gallery and search times")
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="atelier-gallery-"))
        databases = {"SQLite": f"sqlite:///{folder}/atelier.db"}
        try:
            databases["PostgreSQL"] = f"{stack.enter_context(running_postgres())}/postgres"
        except NoPostgres as missing:
            print(f"PostgreSQL is missing: {missing}")
        for name, url in databases.items():
            asyncio.run(prepare(name, url, options.images))
        for name, url in databases.items():
            asyncio.run(measure(name, url, options.rounds))


if __name__ == "__main__":
    main()
