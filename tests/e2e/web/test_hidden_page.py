"""What a page hears while nobody looks at it, in a real browser."""

import asyncio

import pytest
from playwright.async_api import expect

from tests.e2e.web.test_studio_page import FINISHED, until

pytestmark = [
    pytest.mark.browser,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(240),
]

# A page that is told whether it is seen, and notes for each of its streams whether it was.
SIGHT = """
    window.isSeen = %s;
    Object.defineProperty(document, "hidden", { get: () => !isSeen });
    window.streams = [];
    window.EventSource = class extends EventSource {
        constructor(address) { super(address); streams.push(isSeen); }
    };
"""
REST_MS = 61_000


async def open_again(page, *, is_seen):
    await page.clock.install()
    await page.add_init_script(SIGHT % str(is_seen).lower())
    await page.reload()
    await expect(page.locator(f"{FINISHED}, .empty:not([hidden])").first).to_be_visible()


async def look(page, *, is_seen):
    await page.evaluate(
        "isSeen => (window.isSeen = isSeen, document.dispatchEvent(new Event('visibilitychange')))",
        is_seen,
    )


async def make_many(page, address, count):
    """Have jobs made and finished by another client."""
    body = {"text": f"a fox --repeat {count} --images 1 --size 64x64 --steps 1", "confirmed": True}
    told = await (await page.request.post(f"{address}/api/jobs", data=body)).json()
    assert len(told["ids"]) == count
    async with asyncio.timeout(30):
        for job_id in told["ids"]:
            job = {"status": "queued"}
            while job["status"] != "finished":
                job = await (await page.request.get(f"{address}/api/jobs/{job_id}")).json()


async def test_a_page_opened_out_of_sight_takes_a_stream_once_it_is_looked_at(page):
    await open_again(page, is_seen=False)
    assert await page.evaluate("streams") == []
    await look(page, is_seen=True)
    assert await page.evaluate("streams") == [True]


async def test_a_page_out_of_sight_does_not_open_its_broken_stream_again(page):
    await page.route("**/api/events?*", lambda route: route.fulfill(status=503))
    await open_again(page, is_seen=True)
    await expect(page.locator(".notice")).to_contain_text("Connection lost")
    await look(page, is_seen=False)
    await page.clock.run_for(5000)
    assert await page.evaluate("streams") == [True]
    await page.unroute("**/api/events?*")
    await look(page, is_seen=True)
    await expect(page.locator(".notice").last).to_contain_text("Connected again")
    assert await page.evaluate("streams") == [True, True]


async def test_jobs_of_which_a_resting_page_heard_nothing_are_all_there_in_the_end(
    page, address, engine
):
    engine.step_delay_s = 0.0
    for count in (10, 10, 2):
        await make_many(page, address, count)
    await open_again(page, is_seen=True)
    await until(page, "streams.length === 1")
    await page.mouse.wheel(0, 100_000)
    await expect(page.locator(".job")).to_have_count(22)
    await look(page, is_seen=False)
    await page.clock.run_for(REST_MS)
    for count in (10, 10, 2):
        await make_many(page, address, count)
    await look(page, is_seen=True)
    await until(page, "document.querySelectorAll('.job').length > 22")
    await page.evaluate("scrollTo(0, document.body.scrollHeight)")
    await expect(page.locator(".job")).to_have_count(44)


async def test_older_jobs_that_did_not_come_are_asked_for_again(page, address, engine):
    engine.step_delay_s = 0.0
    for count in (10, 10, 2):
        await make_many(page, address, count)
    await page.route("**/api/jobs?*cursor=*", lambda route: route.abort())
    await open_again(page, is_seen=True)
    await page.mouse.wheel(0, 100_000)
    await expect(page.locator(".notice.bad")).to_contain_text("does not answer")
    await expect(page.locator(".job")).to_have_count(20)
    await page.unroute("**/api/jobs?*cursor=*")
    await look(page, is_seen=True)
    await expect(page.locator(".job")).to_have_count(22)
