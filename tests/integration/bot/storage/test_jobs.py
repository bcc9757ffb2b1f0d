"""Jobs in the database: acceptance, attempts, endings, delivery."""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import event
from sqlalchemy.exc import OperationalError

from bot.errors import AskedBefore, LimitReached, NotFound, StorageUnavailable, TooManyWaiting
from bot.storage.database import Database
from bot.storage.images import Images, Viewer
from bot.storage.jobs import Held, Jobs, NewJob, Outcome
from bot.storage.styles import StyleRow, Styles
from tests.rows import NOON, image_row, new_job

LATER = NOON + timedelta(minutes=1)


async def claimed(jobs: Jobs, **changes: object) -> str:
    job = new_job(**changes)
    await jobs.add([job])
    assert await jobs.claim(job.row.id, now=NOON, lease_until=LATER)
    return job.row.id


async def test_an_accepted_job_is_there_with_a_number_that_rises(jobs: Jobs) -> None:
    first, second = new_job(), new_job()
    await jobs.add([first])
    await jobs.add([second])
    assert (await jobs.by_id(first.row.id)).number < (await jobs.by_id(second.row.id)).number
    assert [row.id for row in await jobs.open_jobs()] == [first.row.id, second.row.id]


async def test_either_all_jobs_of_a_prompt_are_accepted_or_none(jobs: Jobs) -> None:
    await jobs.add([new_job()], waiting_cap=3)
    with pytest.raises(LimitReached, match="1 jobs waiting, and 3 may wait"):
        await jobs.add([new_job() for _ in range(3)], waiting_cap=3)
    assert len(await jobs.open_jobs()) == 1


async def test_more_jobs_than_may_ever_wait_are_told_their_number_and_not_to_come_later(
    jobs: Jobs,
) -> None:
    for caps in ({"waiting_cap": 2}, {"waiting_cap": 9, "guild_waiting_cap": 2}):
        with pytest.raises(LimitReached, match="3 jobs, and 2 may wait at once") as refused:
            await jobs.add([new_job(guild_id=9) for _ in range(3)], **caps)
        assert not isinstance(refused.value, TooManyWaiting)


async def test_a_cap_holds_when_many_ask_at_once(jobs: Jobs) -> None:
    asked = [jobs.add([new_job()], waiting_cap=5) for _ in range(20)]
    results = await asyncio.gather(*asked, return_exceptions=True)
    assert sum(isinstance(result, LimitReached) for result in results) == 15
    assert len(await jobs.open_jobs()) == 5


async def test_a_key_makes_the_jobs_of_one_owner_once_though_many_ask_at_once(jobs: Jobs) -> None:
    def asked(owner_id: int = 1) -> list[NewJob]:
        return [
            new_job(owner_id=owner_id, request_key="order 7", request_place=place)
            for place in range(2)
        ]

    results = await asyncio.gather(*(jobs.add(asked()) for _ in range(5)), return_exceptions=True)
    assert sum(isinstance(result, AskedBefore) for result in results) == 4
    await jobs.add(asked(owner_id=2))
    assert [row.request_place for row in await jobs.of_request(1, "order 7")] == [0, 1]
    assert await jobs.of_request(1, "order 8") == []


async def test_the_cap_of_a_guild_counts_all_its_members(jobs: Jobs) -> None:
    await jobs.add([new_job(owner_id=1, guild_id=9)])
    with pytest.raises(LimitReached, match="this server"):
        await jobs.add([new_job(owner_id=2, guild_id=9)], guild_waiting_cap=1)
    await jobs.add([new_job(owner_id=2, guild_id=8)], guild_waiting_cap=1)


async def test_only_one_of_two_claims_starts_an_attempt(jobs: Jobs) -> None:
    job = new_job()
    await jobs.add([job])
    claims = [jobs.claim(job.row.id, now=NOON, lease_until=LATER) for _ in range(2)]
    rows = [row for row in await asyncio.gather(*claims) if row]
    assert [row.attempt for row in rows] == [1]


async def test_an_attempt_that_was_taken_over_cannot_end_the_job(jobs: Jobs) -> None:
    job_id = await claimed(jobs)
    assert await jobs.recover() == 1
    again = await jobs.claim(job_id, now=NOON, lease_until=LATER)
    assert again is not None
    assert again.attempt == 2
    outcome = Outcome(images=[image_row(job_id)], device_s=1.0)
    assert not await jobs.finish(job_id, 1, outcome, now=LATER)
    assert not await jobs.fail(job_id, 1, "late", now=LATER)
    assert (await jobs.by_id(job_id)).state == "running"
    assert await jobs.finish(job_id, 2, outcome, now=LATER)


async def test_a_finished_job_and_its_images_are_committed_together(jobs: Jobs, images) -> None:
    job_id = await claimed(jobs)
    twins = [image_row(job_id, 0), image_row(job_id, 0)]
    with pytest.raises(Exception, match=r"(?i)unique"):
        await jobs.finish(job_id, 1, Outcome(images=twins, device_s=1.0), now=LATER)
    assert (await jobs.by_id(job_id)).state == "running"
    assert (await images.of_jobs(Viewer(1, None), [job_id]))[job_id] == []


async def test_results_that_could_not_be_committed_are_committed_later_whatever_came_between(
    jobs: Jobs, images: Images, database: Database
) -> None:
    outcomes = {
        job_id: Outcome(images=[image_row(job_id, place) for place in range(2)], device_s=1.0)
        for job_id in [await claimed(jobs) for _ in range(2)]
    }

    def full(_connection: object) -> None:
        raise OperationalError("COMMIT", {}, Exception("database or disk is full"))

    event.listen(database.engine.sync_engine, "commit", full)
    for job_id, outcome in outcomes.items():
        with pytest.raises(StorageUnavailable):
            await jobs.finish(job_id, 1, outcome, now=LATER)
    event.remove(database.engine.sync_engine, "commit", full)
    for job_id, outcome in outcomes.items():
        assert await jobs.finish(job_id, 1, outcome, now=LATER)
    kept = await images.of_jobs(Viewer(1, None), outcomes)
    assert [len(of_job) for of_job in kept.values()] == [2, 2]


@pytest.mark.parametrize(
    ("replaces", "names"), [(None, ["wave", "wave-2", "wave-3"]), ("older", ["wave", "wave-2"])]
)
async def test_what_was_learned_replaces_the_picture_that_was_meant_alone(
    jobs: Jobs, database: Database, replaces: str | None, names: list[str]
) -> None:
    styles, values = Styles(database), {"owner_id": 1, "created_at": NOON}
    for name in ("wave", "wave-2"):
        await styles.save(StyleRow(name=name, file_key="older", **values))
    job_id = await claimed(jobs, operation="train-style", replaces=replaces)
    style = StyleRow(name="wave", file_key="newer", learnt_key="lesson", **values)
    assert await jobs.finish(job_id, 1, Outcome(images=[], style=style, device_s=1), now=LATER)
    kept = await styles.usable(1, None)
    assert [row.name for row in kept] == names
    assert [row.name for row in kept if row.learnt_key] == [names[-1] if not replaces else "wave"]


async def test_a_cancelled_job_stays_cancelled(jobs: Jobs) -> None:
    job_id = await claimed(jobs)
    assert await jobs.cancel(job_id, now=LATER)
    assert not await jobs.finish(job_id, 1, Outcome(images=[], device_s=1.0), now=LATER)
    assert not await jobs.cancel(job_id, now=LATER)
    row = await jobs.by_id(job_id)
    assert (row.state, row.ended_at) == ("cancelled", LATER)


async def test_recovery_leaves_alone_what_this_process_works_on(jobs: Jobs) -> None:
    mine, other = await claimed(jobs), await claimed(jobs)
    assert [row.id for row in await jobs.orphans(keep={mine})] == [other]
    assert await jobs.recover(keep={mine}) == 1
    left, recovered = await jobs.by_id(mine), await jobs.by_id(other)
    assert (left.state, left.bot_deaths) == ("running", 0)
    assert (recovered.state, recovered.bot_deaths) == ("queued", 1)


async def test_a_lease_that_is_renewed_does_not_expire(jobs: Jobs) -> None:
    kept, lost = await claimed(jobs), await claimed(jobs)
    much_later = LATER + timedelta(minutes=5)
    assert await jobs.renew([Held(kept, 1, 3, 20)], lease_until=much_later) == set()
    assert await jobs.recover_expired(now=LATER + timedelta(seconds=1), keep=()) == 1
    assert (await jobs.by_id(lost)).state == "queued"
    assert (await jobs.by_id(kept)).step == 3


async def test_renewing_tells_which_attempts_count_no_more(jobs: Jobs) -> None:
    job_id = await claimed(jobs)
    await jobs.cancel(job_id, now=LATER)
    assert await jobs.renew([Held(job_id, 1, 0, 0)], lease_until=LATER) == {job_id}


async def test_an_ending_is_due_for_delivery_until_it_was_delivered(jobs: Jobs) -> None:
    job_id = await claimed(jobs, face="discord")
    assert await jobs.due_deliveries(["discord"], now=LATER, limit=5) == []
    await jobs.fail(job_id, 1, "broken", now=LATER)
    assert await jobs.due_deliveries(["web"], now=LATER, limit=5) == []
    due = await jobs.due_deliveries(["web", "discord"], now=LATER, limit=5)
    assert [row.id for row in due] == [job_id]
    until = LATER + timedelta(minutes=2)
    assert await jobs.claim_delivery(job_id, now=LATER, until=until)
    assert not await jobs.claim_delivery(job_id, now=LATER, until=until)
    assert await jobs.due_deliveries(["discord"], now=LATER, limit=5) == []
    assert await jobs.due_deliveries(["discord"], now=until, limit=5), "its deliverer died"
    await jobs.delivered(job_id, now=until)
    assert await jobs.due_deliveries(["discord"], now=until, limit=5) == []


async def test_history_goes_on_where_the_page_before_ended(jobs: Jobs) -> None:
    made = [new_job() for _ in range(5)]
    for job in made:
        await jobs.add([job])
    await jobs.add([new_job(owner_id=2)])
    newest = [job.row.id for job in reversed(made)]
    page = await jobs.of_owner(1, below=None, limit=3)
    rest = await jobs.of_owner(1, below=page[-1].number, limit=3)
    assert [row.id for row in page + rest] == newest


async def test_an_unknown_job_is_not_found(jobs: Jobs) -> None:
    with pytest.raises(NotFound):
        await jobs.by_id("nothing000")


async def test_a_job_remembers_a_new_address(jobs: Jobs) -> None:
    moved, other = new_job(), new_job()
    await jobs.add([moved, other])
    before = other.row.address
    await jobs.move(moved.row.id, {"message_id": 7})
    assert (await jobs.by_id(moved.row.id)).address == {"message_id": 7}
    assert (await jobs.by_id(other.row.id)).address == before


async def sees(jobs: Jobs, viewer: Viewer, job_id: str) -> bool:
    try:
        return (await jobs.seen(viewer, job_id)).id == job_id
    except NotFound:
        return False


OWNER, NEIGHBOUR, STRANGER = Viewer(1, None), Viewer(2, 9), Viewer(2, None)
OPERATOR = Viewer(0, None, sees_all_guilds=True)


@pytest.mark.parametrize(
    ("guild_id", "is_private", "others"),
    [(9, False, {NEIGHBOUR, OPERATOR}), (9, True, set()), (None, False, {OPERATOR})],
)
async def test_a_job_without_pictures_yet_is_seen_where_it_is_public(
    jobs: Jobs, guild_id: int | None, is_private: bool, others: set[Viewer]
) -> None:
    job = new_job(guild_id=guild_id, is_private=is_private)
    await jobs.add([job])
    for viewer in (OWNER, NEIGHBOUR, STRANGER, OPERATOR):
        assert await sees(jobs, viewer, job.row.id) is (viewer in {OWNER} | others)


async def test_a_finished_job_is_seen_by_who_may_see_one_of_its_pictures(
    jobs: Jobs, images: Images
) -> None:
    job_id = await claimed(jobs, guild_id=9, is_private=True)
    made = [image_row(job_id, place, guild_id=9, is_private=True) for place in range(2)]
    await jobs.finish(job_id, 1, Outcome(images=made, device_s=1.0), now=LATER)
    assert not await sees(jobs, NEIGHBOUR, job_id)
    await images.publish(made[1].id, is_private=False)
    for viewer in (NEIGHBOUR, OPERATOR):
        assert await sees(jobs, viewer, job_id)
        [shown] = (await images.of_jobs(viewer, [job_id]))[job_id]
        assert shown.row.id == made[1].id
    assert not await sees(jobs, STRANGER, job_id)
    await images.delete(made[1].id, NOON, by=1)
    assert not await sees(jobs, NEIGHBOUR, job_id)
    assert await sees(jobs, OWNER, job_id)
