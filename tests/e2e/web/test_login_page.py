"""Logging in and out, in a real browser."""

import re
from contextlib import suppress

import pytest
import pytest_asyncio
from playwright.async_api import Error, expect

from bot.faces.web.config import WebConfig
from tests.e2e.web.conftest import studio_page
from tests.e2e.web.test_studio_page import make_and_wait

pytestmark = [
    pytest.mark.browser,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(240),
]

TOKEN = "correct horse battery"


@pytest.fixture
def config():
    return WebConfig(port=0, token=TOKEN)


@pytest_asyncio.fixture(loop_scope="module")
async def door(browser, address):
    """The login page on a small phone."""
    viewport = {"width": 360, "height": 740}
    async for opened in studio_page(browser, address, shows="#token", viewport=viewport):
        yield opened


async def log_in(page, token=TOKEN):
    await page.fill("#token", token)
    await page.press("#token", "Enter")


async def test_a_link_to_a_picture_opens_it_after_the_login(door, address, artefacts):
    await log_in(door)
    await make_and_wait(door, "a fox --images 1")
    path = await door.locator(".tile a").first.get_attribute("href")
    await door.context.clear_cookies()
    await door.goto(f"{address}{path}")
    await expect(door).to_have_url(f"{address}/login?to={path}")
    await log_in(door, "not the token")
    await expect(door.get_by_role("alert")).to_contain_text("That is not the token")
    await door.screenshot(path=artefacts / "login-wrong.png")
    await log_in(door)
    await expect(door).to_have_url(f"{address}{path}")
    await expect(door.locator("dialog .large")).to_be_visible()


async def test_a_link_of_another_site_finds_one_logged_in(door, address):
    await log_in(door)
    await expect(door.locator("#prompt")).to_be_visible()
    mail = f'<a href="{address}/gallery">Look at this</a>'
    await door.route(
        "http://mail.example/", lambda route: route.fulfill(body=mail, content_type="text/html")
    )
    await door.goto("http://mail.example/")
    await door.get_by_role("link", name="Look at this").click()
    await expect(door).to_have_url(f"{address}/gallery")
    await expect(door.get_by_role("heading", name="No pictures yet")).to_be_visible()


async def test_a_session_that_has_ended_leads_to_the_door_and_back_again(door, address):
    await log_in(door)
    await door.get_by_role("link", name="Gallery").click()
    await expect(door.get_by_role("heading", name="No pictures yet")).to_be_visible()
    await door.context.clear_cookies()
    await door.route("**/static/login.js", lambda route: route.abort())  # it may come late
    with suppress(Error):  # by itself the page may ask, and so leave, before it is clicked
        await door.evaluate("document.querySelector('.filters [aria-pressed]')?.click()")
    await expect(door.locator("#token")).to_be_visible()
    await log_in(door)
    await expect(door).to_have_url(f"{address}/gallery")


async def test_one_logs_out_on_the_status_page(door, address, artefacts):
    await log_in(door)
    await door.get_by_role("link", name="Status").click()
    leave = door.get_by_role("button", name="Log out")
    await leave.scroll_into_view_if_needed()
    await door.screenshot(path=artefacts / "login-out.png")
    assert await door.evaluate("document.documentElement.scrollWidth") <= 360
    await leave.click()
    await expect(door.locator("#token")).to_be_visible()
    await door.goto(address)
    await expect(door).to_have_url(re.compile("/login$"))
