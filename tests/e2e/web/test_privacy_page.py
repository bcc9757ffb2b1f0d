"""What is kept of the studio, taken away and deleted on the status page, in a real browser."""

import zipfile

import pytest
from playwright.async_api import expect

from tests.e2e.web.test_studio_page import FINISHED, make_and_wait

pytestmark = [
    pytest.mark.browser,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(300),
]


async def test_everything_is_downloaded_and_then_deleted_once_it_is_confirmed(page, tmp_path):
    await make_and_wait(page, "a fox --size 64x64 --steps 2 --images 1")
    await page.get_by_role("link", name="Status").click()
    async with page.expect_download() as begun:
        await page.get_by_role("link", name="Download everything").click()
    await (await begun.value).save_as(tmp_path / "all.zip")
    with zipfile.ZipFile(tmp_path / "all.zip") as archive:
        assert len(archive.namelist()) == 2
    await expect(page.get_by_role("button", name="Log out")).to_have_count(0)  # of what?
    erase = page.get_by_role("button", name="Delete everything")
    await erase.focus()
    for _ in range(2):  # of the second answer, the first is drawn
        await page.wait_for_event("response", lambda told: told.url.endswith("/api/status"))
    await expect(erase).to_be_focused()
    await page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name="Delete everything?")
    await expect(dialog.get_by_role("button", name="Cancel")).to_be_focused()
    await page.keyboard.press("Escape")
    await expect(erase).to_be_focused()
    await erase.click()
    await dialog.get_by_role("button", name="Delete for good").click()
    await expect(page.locator("#prompt")).to_be_visible()
    await page.wait_for_url("**/")
    await expect(page.locator(FINISHED)).to_have_count(0)


async def test_a_table_that_is_read_on_a_phone_stays_where_it_was_scrolled_to(phone):
    await phone.get_by_role("link", name="Status").click()
    table = phone.get_by_role("region", name="Workers")
    await table.evaluate("table => (table.focus(), table.scrollLeft = 60)")
    for _ in range(2):  # of the second answer, the first is drawn
        await phone.wait_for_event("response", lambda told: told.url.endswith("/api/status"))
    await expect(table).to_be_focused()
    await expect(table).to_have_js_property("scrollLeft", 60)
