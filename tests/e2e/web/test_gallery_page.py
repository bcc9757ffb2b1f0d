"""Choosing, deleting and searching in the gallery, in a real browser."""

import asyncio
import re

import pytest
from playwright.async_api import expect

from bot.faces.web.images import ARCHIVE_MAX
from tests.e2e.web.test_studio_page import make_and_wait

pytestmark = [
    pytest.mark.browser,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(240),
]

TILES = ".justified .tile"


async def test_chosen_pictures_that_a_filter_hides_are_told_and_deleted_too(page, artefacts):
    await make_and_wait(page, "a fox --images 3")
    await make_and_wait(page, "an owl --images 2", 2)
    await page.get_by_role("link", name="Gallery").click()
    await page.get_by_role("button", name="Select").click()
    foxes = page.locator(f'{TILES} a[aria-label*="fox"]')
    for place in range(3):
        await foxes.nth(place).click()
    await page.fill(".search input", "owl")
    await expect(page.locator(TILES)).to_have_count(2)
    await page.locator(f"{TILES} a").first.click()
    told = page.locator(".basket strong")
    await expect(told).to_have_text("4 selected, 3 of them not shown")
    await page.screenshot(path=artefacts / "gallery-unseen.png")
    await page.locator(".basket").get_by_role("button", name="Delete").click()
    await expect(page.locator(".notice")).to_contain_text("4 pictures deleted")
    await page.fill(".search input", "")
    await expect(page.locator(TILES)).to_have_count(1)
    await expect(page.locator(".count")).to_have_text("1 picture")


async def test_what_another_tab_has_deleted_goes_and_keeps_nothing_from_being_deleted(
    page, address
):
    await make_and_wait(page, "a fox --images 4")
    await page.get_by_role("link", name="Gallery").click()
    tiles = page.locator(".justified .tile")
    await expect(tiles).to_have_count(4)

    async def delete_elsewhere(place):
        image = await tiles.nth(place).get_attribute("data-image")
        await page.request.post(f"{address}/api/images/{image}/delete")

    await delete_elsewhere(0)
    await page.get_by_role("button", name="Select").click()
    for place in range(3):
        await tiles.nth(place).locator("a").click()
    await page.locator(".basket").get_by_role("button", name="Delete").click()
    await expect(tiles).to_have_count(1)
    await page.get_by_role("button", name="Undo").click()
    await expect(tiles).to_have_count(3)
    await delete_elsewhere(1)
    await tiles.nth(1).locator("a").click()
    await page.locator("dialog.lightbox").get_by_role("button", name="Favourite").click()
    await page.keyboard.press("Escape")
    await expect(tiles).to_have_count(2)


async def test_screen_readers_are_told_which_pictures_are_chosen(page):
    await make_and_wait(page, "a fox --images 3")
    await page.get_by_role("link", name="Gallery").click()
    frames, boxes = page.locator(f"{TILES} a"), page.locator(TILES).get_by_role("checkbox")
    await expect(frames).to_have_count(3)
    await expect(boxes).to_have_count(0)
    await page.get_by_role("button", name="Select").click()
    await expect(boxes).to_have_count(3)
    told = page.locator(".basket").get_by_role("status")
    for key, place in (("Enter", 0), ("Space", 1)):
        await expect(boxes.nth(place)).not_to_be_checked()
        await boxes.nth(place).press(key)
        await expect(boxes.nth(place)).to_be_checked()
        await expect(boxes.nth(place)).to_be_focused()
        await expect(told).to_have_text(f"{place + 1} selected")
    await boxes.nth(0).press("Space")
    await expect(boxes.nth(0)).not_to_be_checked()
    await page.locator(".basket").get_by_role("button", name="Done").press("Enter")
    await expect(page.locator(".filters .choose")).to_be_focused()
    await expect(boxes).to_have_count(0)
    await expect(page.locator(TILES).get_by_role("link")).to_have_count(3)


async def test_a_range_of_pictures_is_chosen_and_told_at_once(page):
    await make_and_wait(page, "a fox --images 8")
    await page.get_by_role("link", name="Gallery").click()
    await page.get_by_role("button", name="Select").click()
    tiles = page.locator(TILES)
    await tiles.nth(1).click()
    told = page.locator(".basket strong")
    await expect(told).to_have_text("1 selected")
    await told.evaluate(
        """told => {
            window.changes = 0;
            const count = (records) => (window.changes += records.length);
            new MutationObserver(count).observe(told, { childList: true });
        }"""
    )
    await tiles.nth(6).click(modifiers=["Shift"])
    await expect(told).to_have_text("6 selected")
    assert await page.evaluate("changes") == 1
    await expect(page.locator(f"{TILES}[data-chosen]")).to_have_count(6)


async def test_deleting_large_pictures_goes_on_to_the_next_until_the_wall_is_empty(page):
    await make_and_wait(page, "a fox --images 2")
    await page.get_by_role("link", name="Gallery").click()
    await page.locator(f"{TILES} a").first.click()
    large = page.locator("dialog .large")
    first = await large.get_attribute("src")
    delete = page.locator(".keepers").get_by_role("button", name="Delete")
    await delete.click()
    await expect(large).not_to_have_attribute("src", first)
    await expect(page.locator(".turn")).to_have_count(0)
    await expect(page.locator(".count")).to_have_text("1 picture")
    await delete.click()
    await expect(page.locator("dialog.lightbox")).to_be_hidden()
    await expect(page.get_by_role("heading", name="No pictures yet")).to_be_visible()
    await expect(page.locator(".count")).to_have_text("0 pictures")


async def test_more_pictures_than_one_archive_takes_are_downloaded_as_several(page):
    ids = [f"image{number:04}" for number in range(2 * ARCHIVE_MAX + 1)]
    asked = "(ids) => import('/static/gallery.js').then(({ archives }) => archives(ids))"
    parts = await page.evaluate(asked, ids)
    assert [(part["from"], part["to"]) for part in parts] == [
        (1, ARCHIVE_MAX),
        (ARCHIVE_MAX + 1, 2 * ARCHIVE_MAX),
        (2 * ARCHIVE_MAX + 1, 2 * ARCHIVE_MAX + 1),
    ]
    assert ",".join(part["href"].removeprefix("/api/images.zip?ids=") for part in parts) == (
        ",".join(ids)
    )


async def test_a_mistake_in_the_search_is_told_beneath_it_on_a_phone(phone, artefacts):
    await make_and_wait(phone, "a fox --images 2")
    await phone.get_by_role("link", name="Gallery").click()
    await expect(phone.locator(".count")).to_be_in_viewport(ratio=1)
    await phone.fill(".search input", "seed:abc")
    fault = phone.get_by_role("alert").filter(has_text="seed")
    await expect(fault).to_be_in_viewport(ratio=1)
    field = phone.locator(".search input")
    await expect(field).to_have_attribute("aria-invalid", "true")
    await expect(phone.locator(".justified")).to_have_js_property("inert", True)
    await phone.screenshot(path=artefacts / "gallery-phone-fault.png")
    await phone.fill(".search input", "fox")
    await expect(fault).to_be_hidden()
    await expect(field).to_have_attribute("aria-invalid", "false")
    await expect(phone.locator(".count")).to_have_text("2 pictures")


async def test_the_gallery_comes_back_page_by_page_and_may_be_left_meanwhile(page):
    await make_and_wait(page, "a fox --images 8")
    await make_and_wait(page, "an owl --images 4", 2)
    await page.get_by_role("link", name="Gallery").click()
    tiles = page.locator(TILES)
    await expect(tiles).to_have_count(12)
    answering = asyncio.Event()
    answering.set()

    async def few(route):
        await answering.wait()
        await route.continue_(url=re.sub(r"limit=\d+", "limit=5", route.request.url))

    await page.route("**/api/images?*", few)
    await page.reload()
    await expect(tiles).to_have_count(12)
    answering.clear()
    async with page.expect_request("**/api/images?*"):
        await page.reload()
    await page.get_by_role("link", name="Create").click()
    async with page.expect_event("requestfinished", lambda done: "/api/images?" in done.url):
        answering.set()
    async with asyncio.timeout(10):
        await expect(tiles).to_have_count(5)
    await page.get_by_role("link", name="Gallery").click()
    await expect(tiles).to_have_count(12)


async def test_filters_keep_the_focus_when_they_are_pressed(page):
    await make_and_wait(page, "a fox --images 1")
    await page.get_by_role("link", name="Gallery").click()
    for name, other in (("Favourites", ""), ("Private", ""), ("Select", "Done")):
        chip = page.locator(".filters").get_by_role("button", name=name)
        changed = page.locator(".filters").get_by_role("button", name=other or name)
        await chip.press("Enter")
        await expect(changed).to_have_attribute("aria-pressed", "true")
        await expect(changed).to_be_focused()
        await changed.press("Enter")
        await expect(chip).to_have_attribute("aria-pressed", "false")
        await expect(chip).to_be_focused()
    model = page.locator(".filters").get_by_label("Model")
    async with page.expect_request("**/api/images?*model=*"):
        await model.select_option("atelier-pack")
    await model.focus()
    async with page.expect_request("**/api/images?*model=*"):
        await model.press("ArrowDown")
    await expect(model).to_be_focused()


async def test_words_that_are_typed_just_before_a_filter_is_pressed_are_searched_too(page):
    await make_and_wait(page, "a fox --images 1")
    await make_and_wait(page, "an owl --images 2 --private", 2)
    await page.get_by_role("link", name="Gallery").click()
    await expect(page.locator(TILES)).to_have_count(3)
    await page.locator(".search input").evaluate(
        """field => {
            field.value = "owl";
            field.dispatchEvent(new Event("input"));
            document.querySelector("[data-control=only-private]").click();
        }"""
    )
    await expect(page.locator(".search input")).to_have_value("owl is:private")
    await expect(page.locator(TILES)).to_have_count(2)


async def test_a_day_is_typed_to_its_end_and_then_looked_for(page):
    await page.get_by_role("link", name="Gallery").click()
    await expect(page.get_by_role("heading", name="No pictures yet")).to_be_visible()
    days = []
    page.on("request", lambda sent: days.extend(re.findall(r"before=(\d{4}-\d\d-\d\d)", sent.url)))
    until = page.locator(".filters input[type=date]")
    await until.focus()
    async with page.expect_request("**/api/images?*before=*"):
        await page.keyboard.type("12152026", delay=100)
    await expect(until).to_have_value("2026-12-15")
    await expect(until).to_be_focused()
    assert set(days) <= {"2026-12-15", "2026-12-16"}  # by the clock of the server


async def test_what_an_older_search_found_late_is_not_hung_in_a_newer_one(page):
    await make_and_wait(page, "a fox --images 1")
    await make_and_wait(page, "an owl --images 2", 2)
    await page.get_by_role("link", name="Gallery").click()
    await expect(page.locator(TILES)).to_have_count(3)

    async def hold(route):
        if "q=" in route.request.url:
            await route.continue_()

    await page.route("**/api/images?*", hold)
    wish = "fetch('/api/jobs', { method: 'POST', body: '{\"text\": \"a frog --images 1\"}', "
    async with page.expect_request("**/api/images?*"):  # of the finished job
        await page.evaluate(wish + "headers: { 'Content-Type': 'application/json' } })")
    async with page.expect_event("requestfailed", lambda lost: "q=" not in lost.url):
        await page.fill(".search input", "owl")
    await expect(page.locator(TILES)).to_have_count(2)
    await expect(page.locator(f'{TILES} a[aria-label*="owl"]')).to_have_count(2)
    await expect(page.locator(".count")).to_have_text("2 pictures")
    await expect(page.locator(".notice.bad")).to_have_count(0)


async def test_a_page_that_did_not_come_is_asked_for_again(page):
    await make_and_wait(page, "a fox --images 8")
    await page.route("**/api/images?*", few)
    await page.route("**/api/images?*cursor=*", lambda route: route.abort())
    await page.get_by_role("link", name="Gallery").click()
    await expect(page.locator(".notice.bad")).to_contain_text("does not answer")
    await expect(page.locator(TILES)).to_have_count(5)
    await page.unroute("**/api/images?*cursor=*")
    await page.get_by_role("link", name="Create").click()
    await page.get_by_role("link", name="Gallery").click()
    await expect(page.locator(TILES)).to_have_count(8)


async def test_a_search_while_a_page_is_on_its_way_hangs_each_picture_once(page):
    await make_and_wait(page, "a fox --images 8")
    await make_and_wait(page, "an owl --images 4", 2)
    await page.route("**/api/images?*", few)

    async def hold(route):
        if "q=" in route.request.url:
            await few(route)

    await page.route("**/api/images?*cursor=*", hold)
    async with page.expect_request("**/api/images?*cursor=*"):
        await page.get_by_role("link", name="Gallery").click()
    async with page.expect_request("**/api/images?*q=fox*cursor=*"):
        await page.fill(".search input", "fox")
    tiles = page.locator(TILES)
    await expect(page.locator(".count")).to_have_text("8 pictures")
    await expect(tiles).to_have_count(8)
    shown = [await tile.get_attribute("data-image") for tile in await tiles.all()]
    assert len(set(shown)) == 8


async def few(route):
    """Answer with small pages."""
    await route.continue_(url=re.sub(r"limit=\d+", "limit=5", route.request.url))
