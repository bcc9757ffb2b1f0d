import asyncio
import io
import re

import pytest
from PIL import Image
from playwright.async_api import expect

from bot.prompts import load_presets
from tests.e2e.web.conftest import ARGUMENTS, chromium, studio_page

pytestmark = [
    pytest.mark.browser,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(240),  # a browser on a busy machine is slow
]

FINISHED = '.job[data-status="finished"]'


async def make(page, text):
    await page.fill("#prompt", text)
    await page.press("#prompt", "Enter")


async def make_and_wait(page, text, jobs=1):
    await make(page, text)
    await expect(page.locator(FINISHED)).to_have_count(jobs)


async def until(page, condition):
    """Wait for a condition; Playwright's own wait needs eval, which the page forbids."""
    async with asyncio.timeout(10):
        while not await page.evaluate(condition):
            await asyncio.sleep(0.05)


async def drop(page, data, name="picture.png", kind="image/png"):
    """Drop a picture on the page, as from a folder; True: the page has taken it."""
    return await page.evaluate(
        """async ([bytes, name, type]) => {
            const transfer = new DataTransfer();
            transfer.items.add(new File([new Uint8Array(bytes)], name, { type }));
            const options = { dataTransfer: transfer, bubbles: true, cancelable: true };
            window.dispatchEvent(new DragEvent("dragenter", options));
            return !window.dispatchEvent(new DragEvent("drop", options));
        }""",
        [list(data), name, kind],
    )


async def paste(page, selector, text):
    """Paste words and a picture where one writes; True: the page has taken the picture."""
    return await page.evaluate(
        """([selector, text]) => {
            const clipboardData = new DataTransfer();
            clipboardData.setData("text/plain", text);
            clipboardData.items.add(new File([""], "image.png", { type: "image/png" }));
            const options = { clipboardData, bubbles: true, cancelable: true };
            const place = document.querySelector(selector);
            return !place.dispatchEvent(new ClipboardEvent("paste", options));
        }""",
        [selector, text],
    )


def gradient():
    out = io.BytesIO()
    Image.linear_gradient("L").resize((96, 64)).convert("RGB").save(out, "PNG")
    return out.getvalue()


async def test_a_typed_prompt_is_drawn_before_ones_eyes_and_opens_large(page, artefacts):
    await page.fill("#prompt", "a red fox --seed 5")
    await page.press("#prompt", "Enter")
    await expect(page.locator("#prompt")).to_have_value("")
    job = page.locator(".job")
    await expect(job).to_have_count(1)
    await expect(job.locator(".waiting")).to_have_count(4)
    await expect(job.locator(".previewed").first).to_be_visible()
    await expect(job.locator(".eta")).to_contain_text("%")
    await page.screenshot(path=artefacts / "studio-running.png")
    await expect(page.locator(FINISHED)).to_have_count(1)
    await expect(job.locator(".tile img")).to_have_count(4)
    await job.locator(".tile a").nth(1).click()
    light = page.locator("dialog.lightbox")
    await expect(light.locator(".large")).to_be_visible()
    await expect(light.locator(".facts")).to_contain_text("6")  # seed 5 + 1
    await expect(light.locator(".words")).to_have_text("a red fox")
    assert "/i/" in page.url
    await page.screenshot(path=artefacts / "studio-lightbox.png")


async def test_enter_sends_and_shift_enter_breaks_the_line(page):
    await page.fill("#prompt", "a fox")
    await page.press("#prompt", "Shift+Enter")
    await page.keyboard.type("in snow")
    await expect(page.locator("#prompt")).to_have_value("a fox\nin snow")
    await page.press("#prompt", "Enter")
    await expect(page.locator(".job")).to_have_count(1)


async def test_enter_that_chooses_a_chinese_word_sends_nothing_in_safari_either(page):
    await page.fill("#prompt", "狐狸")
    was_taken = await page.locator("#prompt").evaluate(
        """box => !box.dispatchEvent(new KeyboardEvent("keydown", {
            key: "Enter", keyCode: 229, bubbles: true, cancelable: true,
        }))"""
    )
    assert not was_taken
    await expect(page.locator("#prompt")).to_have_value("狐狸")


async def test_up_recalls_earlier_prompts_and_down_comes_back(page):
    await make_and_wait(page, "one --images 1", 1)
    await make_and_wait(page, "two --images 1", 2)
    box = page.locator("#prompt")
    await box.press("ArrowUp")
    await expect(box).to_have_value("two --images 1")
    await box.press("ArrowUp")
    await expect(box).to_have_value("one --images 1")
    await box.press("ArrowDown")
    await expect(box).to_have_value("two --images 1")
    await box.press("ArrowDown")
    await expect(box).to_have_value("")


async def test_the_wrong_word_is_marked_while_one_types_and_mended_by_one_click(page, artefacts):
    await page.fill("#prompt", "🦊 a fox --choas 20")
    await expect(page.locator(".mirror .wrong")).to_have_text("--choas")
    await expect(page.locator("#problem")).to_contain_text("no flag --choas")
    await expect(page.locator("#prompt")).to_have_attribute("aria-invalid", "true")
    await page.screenshot(path=artefacts / "studio-error.png")
    await page.get_by_role("button", name="Write --chaos").click()
    await expect(page.locator("#prompt")).to_have_value("🦊 a fox --chaos 20")
    await expect(page.locator("#problem")).to_be_hidden()


async def test_a_wrong_word_is_mended_by_one_click_in_chinese_too(browser, address):
    async for page in studio_page(browser, address, locale="zh-CN"):
        await page.fill("#prompt", "狐狸 --choas 30")
        await page.get_by_role("button", name="改为 --chaos").click()
        await expect(page.locator("#prompt")).to_have_value("狐狸 --chaos 30")


async def test_the_wrong_word_of_a_prompt_that_scrolls_is_marked_at_its_place(browser, address):
    opened = await browser.browser_type.launch(
        executable_path=chromium(), args=ARGUMENTS, ignore_default_args=["--hide-scrollbars"]
    )
    async for page in studio_page(opened, address):
        await page.fill("#prompt", "a fox that sleeps in the snow " * 60 + "--choas 20")
        await expect(page.locator(".mirror .wrong")).to_have_text("--choas")
        shown = "element => [element.clientWidth, element.scrollHeight]"
        typed = await page.locator("#prompt").evaluate(shown)
        assert await page.locator(".mirror").evaluate(shown) == typed
    await opened.close()


async def test_a_refused_prompt_comes_back_and_nothing_is_lost(page):
    await make(page, "a fox --ar 3")
    await expect(page.locator("#prompt")).to_have_value("a fox --ar 3")
    await expect(page.locator("#problem")).to_be_visible()
    await expect(page.locator(".job")).to_have_count(0)


async def test_controls_write_flags_into_the_text(page):
    box = page.locator("#prompt")
    await page.fill("#prompt", "a fox")
    await page.click("[data-control=ar]")
    await page.get_by_role("button", name="3:2", exact=True).click()
    await expect(box).to_have_value("a fox --ar 3:2")
    await page.click("[data-control=images2]")
    await expect(box).to_have_value("a fox --ar 3:2 --images 2")
    await page.click("[data-control=draft]")
    await expect(box).to_have_value("a fox --ar 3:2 --images 2 --draft")
    await page.click("[data-control=seed]")
    await page.fill(".seed input", "42")
    await page.press(".seed input", "Enter")
    await expect(box).to_have_value("a fox --ar 3:2 --images 2 --draft --seed 42")
    await page.click("[data-control=draft]")
    await page.click("[data-control=images4]")
    await expect(box).to_have_value("a fox --ar 3:2 --seed 42")
    await page.click("[data-control=look]")
    pictures = page.locator(".menu img")
    assert await pictures.count() == len(load_presets())
    await expect(pictures.first).to_have_js_property("complete", value=True)
    assert await pictures.first.evaluate("image => image.naturalWidth") > 0
    await page.locator(".menu").get_by_role("button", name="Pixel art").click()
    await expect(box).to_have_value("a fox --ar 3:2 --seed 42 --preset pixel-art")
    await expect(page.locator("[data-control=look]")).to_contain_text("Pixel art")
    await page.click("[data-control=look]")
    await page.get_by_role("button", name="No preset").click()
    await expect(box).to_have_value("a fox --ar 3:2 --seed 42")


async def test_what_the_page_writes_into_the_prompt_can_be_undone(page):
    await make_and_wait(page, "one --images 1")
    box = page.locator("#prompt")
    await box.press_sequentially("a fox")
    await page.get_by_role("button", name="Draft", exact=True).click()
    await expect(box).to_have_value("a fox --draft")
    await box.press("Control+z")
    await expect(box).to_have_value("a fox")
    await box.press("Home")
    await box.press("ArrowUp")
    await expect(box).to_have_value("one --images 1")
    await box.press("Control+z")
    await expect(box).to_have_value("a fox")


async def test_typed_flags_set_the_controls(page):
    await page.fill("#prompt", "a fox —ar 16:9 --images 3 --private")
    await expect(page.locator("[data-control=ar]")).to_contain_text("16:9")
    await expect(page.locator("[data-control=images3]")).to_have_attribute("aria-pressed", "true")
    await expect(page.locator("[data-control=private]")).to_have_attribute("aria-pressed", "true")


async def test_several_jobs_run_side_by_side_and_the_newest_is_on_top(page, engine):
    engine.stuck = True
    for word in ("one", "two", "three"):
        await make(page, f"{word} --images 1")
        await expect(page.locator(".job .words").first).to_have_text(word)
    await expect(page.locator(".job")).to_have_count(3)
    engine.stuck = False
    await expect(page.locator(FINISHED)).to_have_count(3)


async def test_many_jobs_ask_first(page):
    await make(page, "a {red, blue, green, grey, white} fox --images 1")
    dialog = page.get_by_role("dialog", name="Start 5 jobs?")
    await dialog.get_by_role("button", name="Start them all").click()
    await expect(page.locator(".job")).to_have_count(5)


async def test_the_cross_cancels_a_running_job(page, engine):
    engine.stuck = True
    await make(page, "a fox")
    await page.get_by_role("button", name="Cancel this job").press("Enter")
    await expect(page.locator('.job[data-status="cancelled"]')).to_have_count(1)
    await expect(page.locator(".job").get_by_role("button", name="Reroll")).to_be_focused()
    async with asyncio.timeout(10):
        while not engine.cancelled:
            await asyncio.sleep(0.02)


async def test_a_refused_cancel_may_be_tried_again_at_once(page, engine):
    engine.stuck = True
    await make(page, "a fox")
    await page.route("**/api/jobs/*", lambda route: route.abort())
    cross = page.get_by_role("button", name="Cancel this job")
    await cross.press("Enter")
    await expect(page.locator(".notice")).to_contain_text("does not answer")
    await expect(cross).to_be_focused()


async def test_what_is_done_with_a_job_keeps_the_focus_when_it_ends(page, engine):
    engine.stuck = True
    await make(page, "a fox --images 1")
    deed = page.locator(".job").get_by_role("button", name="Copy prompt")
    await deed.focus()
    engine.stuck = False
    await expect(page.locator(FINISHED)).to_have_count(1)
    await expect(deed).to_be_focused()


async def test_a_reload_in_the_middle_loses_nothing(page, engine):
    engine.stuck = True
    await make(page, "a fox --images 2")
    await expect(page.locator(".job")).to_have_count(1)
    await page.fill("#prompt", "half a thou")
    await page.reload()
    await expect(page.locator("#prompt")).to_have_value("half a thou")
    await expect(page.locator(".job")).to_have_count(1)
    engine.stuck = False
    await expect(page.locator(f"{FINISHED} img")).to_have_count(2)


async def test_without_the_event_stream_the_page_asks_until_it_knows(page, engine):
    await page.route("**/api/events?*", lambda route: route.abort())
    await page.reload()
    await make(page, "a fox --images 1")
    await expect(page.locator(FINISHED)).to_have_count(1)


async def test_a_job_that_another_tab_erased_unheard_is_taken_off(page, address, engine):
    engine.stuck = True
    await page.route("**/api/events?*", lambda route: route.abort())
    await page.reload()
    await make(page, "a fox")
    await expect(page.locator(".job")).to_have_count(1)
    await page.request.post(f"{address}/api/privacy/delete", data={"confirmed": True})
    await expect(page.locator(".job")).to_have_count(0)


async def test_the_keyboard_leads_through_pictures_and_out(page):
    await make_and_wait(page, "a fox --images 2")
    await page.locator(".tile a").first.click()
    image = page.locator("dialog .large")
    first = await image.get_attribute("src")
    await page.keyboard.press("ArrowRight")
    await expect(image).not_to_have_attribute("src", first)
    await page.keyboard.press("ArrowLeft")
    await expect(image).to_have_attribute("src", first)
    await page.keyboard.press("Escape")
    await expect(page.locator("dialog.lightbox")).to_be_hidden()
    await expect(page).not_to_have_url("/i/")


async def test_what_is_pressed_again_before_it_is_answered_starts_once_and_is_told_of(page):
    await make_and_wait(page, "a fox --images 1")
    held = asyncio.Event()

    async def slowly(route):
        await held.wait()
        await route.continue_()

    await page.route("**/vary", slowly)
    tile = page.locator(".tile").first
    await tile.hover()
    for _ in range(2):
        await tile.get_by_role("button", name="Vary subtle").click()
    told = page.locator("#notices").get_by_text("Sending…")
    await expect(told).to_have_count(1)
    held.set()
    await expect(page.locator(FINISHED)).to_have_count(2)
    await expect(told).to_have_count(0)
    await make_and_wait(page, "an owl --images 1", 3)  # a second variation would be there before it


async def test_keys_and_clicks_that_are_the_browsers_stay_the_browsers(page):
    await make_and_wait(page, "a fox --images 2")
    await page.locator(".tile a").nth(1).click()
    strip = page.locator("dialog.lightbox .strip a")
    async with page.context.expect_page() as other:
        await strip.first.click(modifiers=["ControlOrMeta"])
    await (await other.value).close()
    is_free = await page.evaluate(
        """() => document.activeElement.dispatchEvent(new KeyboardEvent("keydown", {
            key: "ArrowLeft", altKey: true, bubbles: true, cancelable: true,
        }))"""
    )
    assert is_free
    await expect(strip.nth(1)).to_have_attribute("aria-current", "true")


async def test_a_picture_that_comes_when_one_has_gone_elsewhere_does_not_open(page, address):
    await make_and_wait(page, "a fox --images 1")
    image = await page.locator(".tile").first.get_attribute("data-image")
    held = asyncio.Event()

    async def slowly(route):
        await held.wait()
        await route.continue_()

    await page.route(f"**/api/images/{image}", slowly)
    await page.goto(f"{address}/i/{image}")
    await page.get_by_role("link", name="Gallery").click()
    async with page.expect_response(f"**/api/images/{image}"):
        held.set()
    await expect(page.locator(".justified .tile")).to_have_count(1)
    await page.keyboard.press("Tab")  # what a response leads to has happened by then
    await expect(page.locator("dialog.lightbox")).to_be_hidden()
    assert page.url.endswith("/gallery")


async def test_a_link_to_a_picture_opens_it_and_back_closes_it(page):
    await make_and_wait(page, "a fox --images 1")
    await page.locator(".tile a").first.click()
    await expect(page.locator("dialog .large")).to_be_visible()
    link = page.url
    await page.go_back()
    await expect(page.locator("dialog.lightbox")).to_be_hidden()
    await page.goto(link)
    await expect(page.locator("dialog .large")).to_be_visible()


async def test_each_operation_of_a_picture_starts_a_job_that_shows_in_the_feed(page):
    await make_and_wait(page, "a fox --images 1")
    operations = {
        "Vary subtle": "Varied a little",
        "Vary strong": "Varied strongly",
        "Upscale": "Upscaled",
        "Reroll": "Rerolled",
        "Make again": "Made again",
    }
    for count, (name, kind) in enumerate(operations.items(), start=2):
        await page.locator(".job").last.locator(".tile a").first.click()
        await page.locator(".changes").get_by_role("button", name=name).click()
        await expect(page.locator("dialog.lightbox")).to_be_hidden()
        await expect(page.locator(".job .meta").first).to_contain_text(kind)
        await expect(page.locator(FINISHED)).to_have_count(count)


async def test_remix_brings_the_words_back_to_be_changed(page):
    await make_and_wait(page, "a fox --images 1")
    await page.locator(".tile a").first.click()
    await page.locator(".changes").get_by_role("button", name="Remix").click()
    await expect(page.locator("#prompt")).to_have_value("a fox --images 1")
    await make(page, "an owl --images 1")
    await expect(page.locator(".job .meta").first).to_contain_text("Remixed")
    await expect(page.locator(FINISHED)).to_have_count(2)


async def test_a_remix_and_attached_pictures_take_each_others_place(page, engine):
    await make_and_wait(page, "a fox --images 1")
    chip = page.locator(".attached .chip")
    for name, label in (
        ("Use as image prompt", "Image prompt"),
        ("Remix", "Remixing"),
        ("Use as style", "Style"),
    ):
        await page.locator(".tile a").first.click()
        await page.locator(".changes").get_by_role("button", name=name).click()
        await expect(chip).to_have_count(1)
        await expect(chip).to_contain_text(label)
        await expect(page.locator("dialog.lightbox")).to_be_hidden()
        await expect(page.locator("#prompt")).to_be_focused()
    await page.reload()
    await expect(chip).to_contain_text("Style")
    await page.get_by_role("button", name="Remove").click()
    await drop(page, gradient())
    await page.get_by_role("button", name="Image prompt").click()
    await expect(chip).to_contain_text("Image prompt")
    await make(page, "an owl --images 1")
    await expect(page.locator(FINISHED)).to_have_count(2)
    assert type(engine.requests[-1]).__name__ == "ImageToImage"


async def test_a_heart_keeps_the_focus_when_it_is_pressed(page):
    await make_and_wait(page, "a fox --images 3")
    heart = page.locator(".job .tile").nth(1).locator("button:has(.icon-heart)")
    for pressed in ("true", "false"):
        await heart.press("Enter")
        await expect(heart).to_have_attribute("aria-pressed", pressed)
        await expect(heart).to_be_focused()


@pytest.mark.parametrize("place", ["feed", "gallery"])
async def test_the_focus_comes_back_to_the_tile_of_what_was_large(page, place):
    await make_and_wait(page, "a fox --images 3")
    if place == "gallery":
        await page.get_by_role("link", name="Gallery").click()
    frames = page.locator(".view:not([hidden]) .tile .frame")
    large = page.locator("dialog .large")
    await frames.nth(1).press("Enter")
    shown = await large.get_attribute("src")
    for name, change in (("Favourite", ".heart"), ("Make private", ".lock")):
        await page.locator(".keepers").get_by_role("button", name=name).press("Enter")
        await expect(page.locator(f".keeper{change}")).to_have_attribute("aria-pressed", "true")
    await page.fill(".tag-field", "best")
    await page.press(".tag-field", "Enter")
    await expect(page.locator(".tags .tag")).to_have_text("best")
    await page.keyboard.press("Escape")
    await expect(frames.nth(1)).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(large).to_have_attribute("src", shown)
    await page.keyboard.press("ArrowRight")
    await expect(large).not_to_have_attribute("src", shown)
    await page.keyboard.press("Escape")
    await expect(frames.nth(2)).to_be_focused()


async def test_a_picture_leads_back_to_the_one_it_was_varied_from(page):
    await make_and_wait(page, "a fox --images 1")
    await page.locator(".tile a").first.click()
    source = await page.locator("dialog .large").get_attribute("src")
    await page.locator(".changes").get_by_role("button", name="Vary strong").click()
    await expect(page.locator(FINISHED)).to_have_count(2)
    await page.locator(".job").first.locator(".tile a").first.click()
    await page.locator(".lineage .strip a").first.click()
    await expect(page.locator("dialog .large")).to_have_attribute("src", source)


async def test_a_deleted_picture_can_be_brought_back(page):
    await make_and_wait(page, "a fox --images 2")
    await page.locator(".tile a").first.click()
    await page.locator(".keepers").get_by_role("button", name="Delete").click()
    await page.get_by_role("button", name="Undo").click()
    await page.keyboard.press("Escape")
    await expect(page.locator(".job .tile img")).to_have_count(2)


async def test_a_job_without_pictures_stays_away_until_they_come_back(page):
    await make_and_wait(page, "a fox --images 1")
    job = page.locator(".job")
    await page.locator(".tile a").first.click()
    delete = page.locator(".keepers").get_by_role("button", name="Delete")
    await delete.click()
    await expect(job).to_be_hidden()
    await page.get_by_role("button", name="Undo").click()
    await expect(job).to_be_visible()
    await page.locator(".tile a").first.click()
    await delete.click()
    await expect(job).to_be_hidden()
    await expect(page).to_have_url(re.compile(r"/$"))  # a step back would stop the reload
    await page.reload()
    await expect(page.get_by_role("heading", name="Nothing here yet")).to_be_visible()
    await expect(job).to_be_hidden()


async def test_a_favourite_is_found_by_the_filter_of_the_gallery(page, artefacts):
    await make_and_wait(page, "a fox --images 2")
    await make_and_wait(page, "an owl --images 3 --ar 3:2", 2)
    tile = page.locator(".job .tile").first
    await tile.hover()
    await tile.get_by_role("button", name="Favourite").click()
    await expect(tile.locator(".quick [aria-pressed=true]")).to_have_count(1)
    await page.get_by_role("link", name="Gallery").click()
    await expect(page.locator(".justified .tile")).to_have_count(5)
    await page.screenshot(path=artefacts / "studio-gallery.png")
    await page.get_by_role("button", name="Favourites").click()
    await expect(page.locator(".justified .tile")).to_have_count(1)
    everyone = page.get_by_role("button", name="Everyone")
    await expect(everyone).to_have_attribute("aria-pressed", "true")
    await page.get_by_role("button", name="Favourites").click()
    await page.fill(".search input", "fox")
    await expect(page.locator(".justified .tile")).to_have_count(2)
    await expect(page.locator(".count")).to_have_text("2 pictures")


async def test_a_tag_is_added_and_found(page):
    await make_and_wait(page, "a fox --images 2")
    await page.locator(".tile a").first.click()
    await page.fill(".tag-field", "best")
    await page.press(".tag-field", "Enter")
    await expect(page.locator(".tags .tag")).to_have_text("best")
    await page.keyboard.press("Escape")
    await page.get_by_role("link", name="Gallery").click()
    await page.fill(".search input", "tag:best")
    await expect(page.locator(".count")).to_have_text("1 picture")


async def test_many_pictures_are_chosen_downloaded_and_deleted_at_once(page):
    await make_and_wait(page, "a fox --images 4")
    await page.get_by_role("link", name="Gallery").click()
    await page.get_by_role("button", name="Select").click()
    await page.locator(".justified .tile a").nth(0).click()
    await page.locator(".justified .tile a").nth(2).click(modifiers=["Shift"])
    await expect(page.locator(".basket strong")).to_have_text("3 selected")
    async with page.expect_download() as download:
        await page.locator(".basket").get_by_role("link", name="Download").click()
    assert (await download.value).suggested_filename == "atelier.zip"
    await page.locator(".basket").get_by_role("button", name="Delete").click()
    await expect(page.locator(".justified .tile")).to_have_count(1)
    await page.get_by_role("button", name="Undo").click()
    await expect(page.locator(".justified .tile")).to_have_count(4)


async def test_the_gallery_scrolls_on_and_keeps_its_place_over_a_reload(page, address, engine):
    engine.step_delay_s = 0.0
    for number in range(6):
        await page.request.post(
            f"{address}/api/jobs", data={"text": f"fox {number} --images 8 --ar 1:2"}
        )
    await expect(page.locator(FINISHED)).to_have_count(6, timeout=120_000)
    await page.get_by_role("link", name="Gallery").click()
    tiles = page.locator(".justified .tile")
    await expect(page.locator(".count")).to_have_text("48 pictures")
    await page.mouse.wheel(0, 5000)
    await expect(tiles).to_have_count(48)
    await until(page, "scrollY > 300")
    before = await page.evaluate("scrollY")
    await page.reload()
    await expect(tiles).to_have_count(48)
    await until(page, f"Math.abs(scrollY - {before}) < 5")


async def test_a_dropped_picture_becomes_an_image_prompt(page, engine, artefacts):
    await drop(page, gradient())
    dialog = page.get_by_role("dialog", name="What is this picture for?")
    await expect(dialog).to_be_visible()
    await page.screenshot(path=artefacts / "studio-drop.png")
    await dialog.get_by_role("button", name="Image prompt").click()
    await expect(page.locator(".attached .chip")).to_have_count(1)
    await make_and_wait(page, "a fox --images 1")
    assert type(engine.requests[-1]).__name__ == "ImageToImage"
    await expect(page.locator(".attached .chip")).to_have_count(0)


async def test_a_dropped_file_that_is_no_picture_is_told_of_and_never_opened(page):
    assert await drop(page, b"hello", "note.txt", "text/plain")
    await expect(page.locator(".notice")).to_have_text("That is no picture the studio can use.")
    await expect(page.locator(".veil")).to_be_hidden()


async def test_words_are_pasted_as_words_also_where_a_picture_of_them_comes_along(page):
    dialog = page.get_by_role("dialog", name="What is this picture for?")
    assert not await paste(page, "#prompt", "a fox in snow")
    await expect(dialog).to_have_count(0)
    for place, text in (("body", "a fox in snow"), ("#prompt", ""), ("#prompt", "image.png")):
        assert await paste(page, place, text)
        await expect(dialog).to_be_visible()
        await page.keyboard.press("Escape")
        await expect(dialog).to_have_count(0)


async def test_a_dropped_picture_of_ours_tells_how_it_was_made(page, address):
    await make_and_wait(page, "a fox --seed 9 --images 1")
    path = await page.locator(".tile a").first.get_attribute("href")
    png = await (
        await page.request.get(f"{address}/api/images/{path.removeprefix('/i/')}.png")
    ).body()
    await drop(page, png)
    await page.get_by_role("button", name="Read its parameters").click()
    dialog = page.get_by_role("dialog", name="Its parameters")
    await expect(dialog).to_contain_text("Seed: 9")
    await dialog.get_by_role("button", name="Write its prompt").click()
    await expect(page.locator("#prompt")).to_have_value(re.compile("^a fox .*--seed 9"))


async def test_attached_pictures_and_a_remix_outlast_a_reload(page, engine):
    await make_and_wait(page, "a fox --images 1")
    chip = page.locator(".attached .chip")
    await page.locator(".tile a").first.click()
    await page.get_by_role("button", name="Use as image prompt").click()
    await page.fill("#prompt", "an owl --images 1")
    await page.click("#language")
    await expect(chip).to_contain_text("参考图")
    await page.click("#language")
    await expect(chip).to_contain_text("Image prompt")
    await page.press("#prompt", "Enter")
    await expect(page.locator(FINISHED)).to_have_count(2)
    assert type(engine.requests[-1]).__name__ == "ImageToImage"
    told = await page.evaluate("fetch('/api/jobs?limit=2').then((answer) => answer.json())")
    owl, fox = told["jobs"]
    assert owl["parent"] == fox["images"][0]["id"]
    await page.locator(".tile a").last.click()
    await page.locator(".changes").get_by_role("button", name="Remix").click()
    await page.reload()
    await expect(chip).to_contain_text("Remixing")
    await make(page, "a hill --images 1")
    await expect(page.locator(".job .meta").first).to_contain_text("Remixed")
    await page.reload()
    await expect(page.locator(".job")).to_have_count(3)
    await expect(chip).to_have_count(0)


async def test_another_language_asks_before_a_picture_of_the_device_is_lost(page, artefacts):
    await drop(page, gradient())
    await page.get_by_role("button", name="Image prompt").click()
    await page.click("#language")
    dialog = page.get_by_role("dialog", name="Switch to Chinese?")
    await page.screenshot(path=artefacts / "studio-language.png")
    await dialog.get_by_role("button", name="Cancel").click()
    await expect(page.locator(".attached .chip")).to_have_count(1)
    await page.click("#language")
    await dialog.get_by_role("button", name="Switch").click()
    await expect(page.locator("html")).to_have_attribute("lang", "zh-CN")
    await expect(page.locator(".attached .chip")).to_have_count(0)


async def test_a_reload_asks_before_a_picture_of_the_device_is_lost(page):
    asked = []

    async def stay(dialog):
        asked.append(dialog.type)
        await dialog.dismiss()

    page.on("dialog", stay)
    await page.reload()
    await expect(page.locator("#prompt")).to_be_visible()  # the page listens for pictures
    assert asked == [], "nothing would be lost"
    await drop(page, gradient())
    await page.get_by_role("button", name="Image prompt").click()
    chip = page.locator(".attached .chip")
    await expect(chip).to_have_count(1)
    await page.evaluate("location.reload()")
    async with asyncio.timeout(10):
        while not asked:
            await asyncio.sleep(0.05)
    assert asked == ["beforeunload"]
    await expect(chip).to_have_count(1)
    await chip.get_by_role("button", name="Remove").click()
    await page.reload()
    assert len(asked) == 1


async def test_a_prompt_on_its_way_is_told_of_and_a_reload_asks_before_its_picture_is_lost(page):
    asked, held = [], asyncio.Event()

    async def stay(dialog):
        asked.append(dialog.type)
        await dialog.dismiss()

    async def slowly(route):
        await held.wait()
        await route.continue_()

    page.on("dialog", stay)
    await drop(page, gradient())
    await page.get_by_role("button", name="Image prompt").click()
    await page.route("**/api/jobs", slowly)
    await make(page, "a fox --images 1")
    await expect(page.locator("#notices")).to_contain_text("Sending…")
    await page.evaluate("location.reload()")
    async with asyncio.timeout(10):
        while not asked:
            await asyncio.sleep(0.05)
    held.set()
    await expect(page.locator(FINISHED)).to_have_count(1)
    await expect(page.locator("#notices")).not_to_contain_text("Sending…")
    await page.reload()
    assert asked == ["beforeunload"], "now nothing would be lost"


async def test_text_of_members_is_never_markup(page):
    await make_and_wait(page, "<img src=x onerror=alert(1)> <b>fox</b> --images 1")
    await expect(page.locator(".job .words")).to_have_text(
        "<img src=x onerror=alert(1)> <b>fox</b>"
    )
    await page.locator(".tile a").first.click()
    await expect(page.locator("dialog .words")).to_have_text(
        "<img src=x onerror=alert(1)> <b>fox</b>"
    )


async def test_the_page_speaks_chinese_once_asked(page, artefacts):
    await page.click("#language")
    await expect(page.locator("html")).to_have_attribute("lang", "zh-CN")
    await expect(page.locator("#prompt")).to_have_attribute("placeholder", "描述一幅画……")
    await expect(page.get_by_role("link", name="图库")).to_be_visible()
    await page.screenshot(path=artefacts / "studio-chinese.png")


async def test_everything_fits_a_small_phone(phone, artefacts):
    await make_and_wait(phone, "a fox --ar 3:2")
    await phone.wait_for_timeout(400)
    for path, name in (("/", "feed"), ("/gallery", "gallery"), ("/status", "status")):
        await phone.evaluate("path => history.pushState({}, '', path)", path)
        await phone.evaluate("dispatchEvent(new PopStateEvent('popstate'))")
        await phone.wait_for_timeout(400)
        wide = await phone.evaluate("document.documentElement.scrollWidth")
        assert wide <= 360, (path, wide)
        await phone.screenshot(path=artefacts / f"studio-phone-{name}.png")
        box = await phone.locator("#prompt").bounding_box()
        assert box["y"] < 740
    await phone.locator(".justified .tile a, .job .tile a").first.evaluate("link => link.click()")
    await expect(phone.locator("dialog .large")).to_be_visible()
    assert await phone.evaluate("document.querySelector('dialog').scrollWidth") <= 360
    await phone.screenshot(path=artefacts / "studio-phone-lightbox.png")


async def test_the_prompt_bar_never_leaves_the_screen(page):
    for number in range(4):
        await make_and_wait(page, f"fox {number}", number + 1)
    await page.mouse.wheel(0, 3000)
    await until(page, "scrollY > 200")
    await expect(page.locator("#prompt")).to_be_in_viewport()


async def test_every_control_has_a_name_and_every_picture_a_description(page):
    await make_and_wait(page, "a fox --images 2")
    await page.locator(".tile a").first.click()
    nameless = await page.evaluate(
        """() => [...document.querySelectorAll("button, a, input, textarea, select")]
            .filter((one) => one.checkVisibility() && !one.textContent.trim())
            .filter((one) => !one.getAttribute("aria-label") && !one.labels?.length)
            .map((one) => one.outerHTML)"""
    )
    assert nameless == []
    undescribed = await page.evaluate(
        """() => [...document.querySelectorAll("img")]
            .filter((one) => !one.alt && !one.closest("a[aria-label], button, .chip"))
            .map((one) => one.outerHTML)"""
    )
    assert undescribed == []
