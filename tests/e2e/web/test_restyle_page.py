"""Restyling on the studio page, in a real browser."""

import io

import pytest
from PIL import Image
from playwright.async_api import expect

from engine.api import KeepColour, StyleLoss, StyleMethod, StyleStart, Stylize, TrainStyle
from tests.e2e.web.test_studio_page import FINISHED, drop, gradient, make_and_wait

pytestmark = [
    pytest.mark.browser,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(240),
]


def bench(page):
    return page.get_by_role("dialog", name="Which look shall it take?")


async def test_a_dropped_picture_takes_the_look_of_two_paintings(page, engine, artefacts):
    await drop(page, gradient())
    await page.get_by_role("button", name="Restyle it").click()
    dialog = bench(page)
    start = dialog.get_by_role("button", name="Restyle", exact=True)
    await expect(start).to_be_disabled()
    await dialog.get_by_role("button", name="Starry Night").click()
    await dialog.get_by_role("button", name="Udnie").click()
    await dialog.get_by_label("Udnie").last.fill("0.4")
    await dialog.get_by_label("Strength", exact=True).fill("0.7")
    await dialog.get_by_role("checkbox", name="Only some places").check()
    for cell in ("A1", "B1"):
        await dialog.get_by_role("button", name=cell, exact=True).click()
    await dialog.get_by_label("Method").select_option("optimise")
    await dialog.get_by_label("Detail").select_option("draft")
    await dialog.get_by_label("Colours").select_option("luminance")
    await page.screenshot(path=artefacts / "restyle-bench.png")
    await start.click()
    await expect(page.locator(FINISHED)).to_have_count(1)
    [request] = engine.requests
    assert isinstance(request, Stylize)
    assert [style.weight for style in request.styles] == [1, 0.4]
    assert (request.strength, request.iterations) == (0.7, 60)
    assert request.mask
    assert (request.method, request.keep_colour) == (StyleMethod.OPTIMISE, KeepColour.LUMINANCE)


async def test_a_picture_of_the_feed_is_restyled_from_the_lightbox(page, engine):
    await make_and_wait(page, "a red fox --images 1")
    await page.locator(".tile img").first.click()
    await page.get_by_role("button", name="Restyle").click()
    await bench(page).get_by_role("button", name="Great Wave").click()
    await bench(page).get_by_role("button", name="Restyle", exact=True).click()
    await expect(page.locator(FINISHED)).to_have_count(2)
    await expect(page.locator(".job").first).to_contain_text("Great Wave off Kanagawa")


async def test_back_leaves_the_bench_together_with_the_picture_under_it(page):
    await make_and_wait(page, "a fox --images 1")
    await page.locator(".tile a").first.click()
    await page.locator(".changes").get_by_role("button", name="Restyle").click()
    await expect(page.locator("dialog.restyle")).to_be_visible()
    await page.go_back()
    await expect(page.locator("dialog[open]")).to_have_count(0)
    await expect(page.locator(".tile .frame").first).to_be_focused()


async def test_a_picture_of_ones_own_lends_its_look_and_a_blend_has_five_steps(page, engine):
    await drop(page, gradient())
    await page.get_by_role("button", name="Restyle it").click()
    dialog = bench(page)
    look = {"name": "look.png", "mimeType": "image/png", "buffer": gradient()}
    await dialog.get_by_label("Your own picture").last.set_input_files(look)
    await expect(dialog.get_by_role("button", name="look.png")).to_have_attribute(
        "aria-pressed", "true"
    )
    await dialog.get_by_role("button", name="Shipwreck").click()
    await dialog.get_by_role("checkbox", name="Show five steps").check()
    await dialog.get_by_role("button", name="Restyle", exact=True).click()
    await expect(page.locator(f"{FINISHED} .tile")).to_have_count(5)
    [request] = engine.requests
    assert isinstance(request, Stylize)
    assert request.styles[0].image
    assert request.image_weights[2] == (0.5, 0.5)


async def test_what_few_ask_for_is_behind_a_word(page, engine, artefacts):
    await drop(page, gradient())
    await page.get_by_role("button", name="Restyle it").click()
    dialog = bench(page)
    size = dialog.get_by_label("Longer side in pixels")
    await expect(size).to_be_hidden()
    await dialog.get_by_role("button", name="Udnie").click()
    await dialog.get_by_role("button", name="Starry Night").click()
    await dialog.get_by_role("checkbox", name="Show five steps").check()
    await dialog.get_by_label("Method").select_option("optimise")
    await dialog.get_by_text("More", exact=True).click()
    await expect(dialog.get_by_label("Model")).to_be_hidden()
    await size.fill("80")
    await dialog.get_by_label("Seed").fill("7")
    await dialog.get_by_label("Compares looks by").select_option("sliced")
    await dialog.get_by_label("Begins with").select_option("noise")
    await dialog.get_by_label("Second look midway").fill("0.3")
    await size.scroll_into_view_if_needed()
    await page.screenshot(path=artefacts / "restyle-more.png")
    await dialog.get_by_role("button", name="Restyle", exact=True).click()
    await expect(page.locator(f"{FINISHED} .tile")).to_have_count(5)
    [request] = engine.requests
    assert isinstance(request, Stylize)
    assert (request.size, request.seed) == (80, 7)
    assert (request.loss, request.start) == (StyleLoss.SLICED, StyleStart.NOISE)
    assert request.image_weights[2] == (0.7, 0.3)


async def test_a_picture_is_drawn_anew_by_a_chosen_model(page, engine):
    await drop(page, gradient())
    await page.get_by_role("button", name="Restyle it").click()
    dialog = bench(page)
    await dialog.get_by_role("button", name="Udnie").click()
    await dialog.get_by_text("More", exact=True).click()
    await dialog.get_by_label("Method").select_option("diffusion")
    await dialog.get_by_label("Model").select_option("atelier-pack-draft")
    await dialog.get_by_role("button", name="Restyle", exact=True).click()
    await expect(page.locator(FINISHED)).to_have_count(1)
    [request] = engine.requests
    assert isinstance(request, Stylize)
    assert request.model == "atelier-pack-draft"


async def test_a_mask_or_cells_say_where_but_never_both(page, engine, artefacts):
    await drop(page, gradient())
    await page.get_by_role("button", name="Restyle it").click()
    dialog = bench(page)
    await dialog.get_by_role("button", name="Udnie").click()
    cells = dialog.get_by_role("checkbox", name="Only some places")
    file = {"name": "sky.png", "mimeType": "image/png", "buffer": gradient()}
    await dialog.get_by_text("More", exact=True).click()
    await cells.check()
    await dialog.get_by_role("button", name="A1", exact=True).click()
    await dialog.get_by_label("Mask").set_input_files(file)
    await expect(cells).not_to_be_checked()
    await page.screenshot(path=artefacts / "restyle-mask.png")
    await cells.check()
    await expect(dialog.get_by_text("sky.png")).to_have_count(0)
    cell = dialog.get_by_role("button", name="A1", exact=True)
    await expect(cell).to_have_attribute("aria-pressed", "false")
    await dialog.get_by_label("Mask").set_input_files(file)
    await expect(dialog.get_by_text("sky.png")).to_be_visible()
    await dialog.get_by_role("button", name="Restyle", exact=True).click()
    await expect(page.locator(FINISHED)).to_have_count(1)
    [request] = engine.requests
    assert isinstance(request, Stylize)
    with Image.open(io.BytesIO(request.mask)) as mask:
        assert mask.size == (96, 64)
        assert len(mask.convert("L").getcolors() or ()) > 2  # cells would be black and white


async def test_four_strengths_are_one_picture_with_a_slider(page, engine, artefacts):
    await drop(page, gradient())
    await page.get_by_role("button", name="Restyle it").click()
    dialog = bench(page)
    await dialog.get_by_role("button", name="Starry Night").click()
    await dialog.get_by_role("checkbox", name="Compare four strengths").check()
    await expect(dialog.get_by_label("Strength", exact=True)).to_be_hidden()
    await expect(dialog.get_by_label("Images")).to_be_hidden()
    await dialog.get_by_role("button", name="Restyle", exact=True).click()
    job = page.locator(FINISHED)
    slider = job.get_by_role("slider", name="Strength")
    await expect(slider).to_have_attribute("aria-valuetext", "100 %")
    [request] = engine.requests
    assert request.image_strengths == (0.25, 0.5, 0.75, 1.0)
    await slider.fill("0.5")
    await expect(slider).to_have_attribute("aria-valuetext", "50 %")  # it snaps when let go
    tiles = job.locator(".tile")
    await expect(tiles).to_have_count(4)
    for tile, opacity in zip(await tiles.all(), "1100", strict=True):
        await expect(tile).to_have_css("opacity", opacity)
    await job.screenshot(path=artefacts / "restyle-strengths.png")
    heart = job.locator(".tile:not([inert]) button:has(.icon-heart)")
    await heart.press("Enter")
    await expect(heart).to_have_attribute("aria-pressed", "true")
    await expect(heart).to_be_focused()
    await expect(slider).to_have_attribute("aria-valuetext", "50 %")
    # What is pressed is the picture that is seen.
    chosen = await tiles.nth(1).get_attribute("data-image")
    await job.locator(".tile:not([inert]) .frame").click()
    await expect(page).to_have_url(f"{page.url.split('/i/')[0].rstrip('/')}/i/{chosen}")
    await page.get_by_role("button", name="Compare strengths").click()
    await expect(page.locator(FINISHED)).to_have_count(2)
    assert len(engine.requests) == 2


async def test_a_refused_restyle_says_why_and_keeps_all_that_was_set_up(page, engine, artefacts):
    told = {"error": "you have too many jobs waiting.", "kind": "TooManyWaiting"}
    await page.route("**/api/jobs", lambda route: route.fulfill(status=429, json=told), times=1)
    await drop(page, gradient())
    await page.get_by_role("button", name="Restyle it").click()
    dialog = bench(page)
    await dialog.get_by_role("button", name="Udnie").click()
    start = dialog.get_by_role("button", name="Restyle", exact=True)
    await start.click()
    await expect(dialog.get_by_role("alert")).to_have_text("you have too many jobs waiting.")
    await page.screenshot(path=artefacts / "restyle-refused.png")
    await start.click()
    await expect(page.locator(FINISHED)).to_have_count(1)
    assert len(engine.requests) == 1


async def test_a_refused_name_of_a_look_can_be_changed(page, artefacts):
    await drop(page, gradient())
    await page.get_by_role("button", name="Keep its look").click()
    name = page.get_by_label("What is this look called?")
    await name.fill("!!!")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("dialog").get_by_role("alert")).not_to_be_empty()
    await page.screenshot(path=artefacts / "restyle-name-refused.png")
    await name.fill("My Wave")
    await page.get_by_role("button", name="Keep", exact=True).click()
    await expect(page.locator(".notice")).to_contain_text("Kept as My Wave")


async def test_a_look_is_kept_under_a_name_and_offered_first(page):
    await drop(page, gradient())
    await page.get_by_role("button", name="Keep its look").click()
    await page.get_by_label("What is this look called?").fill("My Wave")
    await page.keyboard.press("Enter")
    await expect(page.locator(".notice")).to_contain_text("Kept as My Wave")
    await drop(page, gradient())
    await page.get_by_role("button", name="Restyle it").click()
    await expect(bench(page).locator(".look").first).to_contain_text("my-wave")


async def test_a_cancelled_restyle_keeps_its_last_preview(page, engine):
    engine.stuck = True
    await drop(page, gradient())
    await page.get_by_role("button", name="Restyle it").click()
    await bench(page).get_by_role("button", name="Udnie").click()
    await bench(page).get_by_label("Method").select_option("optimise")
    await bench(page).get_by_label("Detail").select_option("draft")
    await bench(page).get_by_role("button", name="Restyle", exact=True).click()
    await expect(page.locator(".job .previewed")).to_have_count(1)
    await page.get_by_role("button", name="Cancel this job").click()
    await expect(page.locator('.job[data-status="cancelled"]')).to_have_count(1)
    await expect(page.locator(".job .previewed")).to_have_count(1)


async def test_looks_are_chosen_by_their_pictures(page, artefacts):
    await drop(page, gradient())
    await page.get_by_role("button", name="Restyle it").click()
    looks = bench(page).locator(".look:not(.add) img")
    await expect(looks).to_have_count(8)
    for look in await looks.all():
        await look.scroll_into_view_if_needed()
        await expect(look).to_have_js_property("naturalWidth", 128)
    await page.screenshot(path=artefacts / "restyle-looks.png")


async def test_a_look_is_learned_from_the_page_and_forgotten_again(page, engine, artefacts):
    await drop(page, gradient())
    await page.get_by_role("button", name="Keep its look").click()
    await page.get_by_label("What is this look called?").fill("My Wave")
    await page.get_by_role("checkbox", name="Learn it too").check()
    await page.screenshot(path=artefacts / "restyle-learn.png")
    await page.keyboard.press("Enter")
    await expect(page.locator(FINISHED)).to_have_count(1)
    [request] = engine.requests
    assert isinstance(request, TrainStyle)
    await expect(page.locator(".job")).to_contain_text("my-wave")
    await page.screenshot(path=artefacts / "restyle-learned-job.png")
    await drop(page, gradient())
    await page.get_by_role("button", name="Restyle it").click()
    learned = bench(page).locator(".look").first
    await expect(learned).to_contain_text("my-wave")
    await expect(learned).to_contain_text("learned", ignore_case=True)
    forget = bench(page).get_by_role("button", name="Forget my-wave")
    await expect(forget).to_be_hidden()
    await learned.click()
    await page.screenshot(path=artefacts / "restyle-forget.png")
    await forget.click()
    question = page.get_by_role("dialog", name="Forget my-wave")
    await question.get_by_role("button", name="Cancel").click()
    await forget.click()
    await expect(question).to_contain_text("can't be brought back")
    await question.get_by_role("button", name="Forget my-wave").click()
    await expect(page.locator(".notice").last).to_contain_text("my-wave")
    await expect(forget).to_be_hidden()
    await expect(bench(page).locator(".look").first).not_to_contain_text("my-wave")
    await bench(page).get_by_role("button", name="Cancel").click()
    await page.reload()
    await page.wait_for_selector("#prompt")  # nobody drops a picture before there is a page
    await drop(page, gradient())
    await page.get_by_role("button", name="Restyle it").click()
    await expect(bench(page).locator(".look:not(.add)")).to_have_count(8)


async def test_a_kept_look_is_called_otherwise(page, engine, artefacts):
    await drop(page, gradient())
    await page.get_by_role("button", name="Keep its look").click()
    await page.get_by_label("What is this look called?").fill("wave")
    await page.keyboard.press("Enter")
    await expect(page.locator(".notice").last).to_contain_text("Kept as wave")
    await drop(page, gradient())
    await page.get_by_role("button", name="Restyle it").click()
    rename = bench(page).get_by_role("button", name="Rename wave")
    await expect(rename).to_be_hidden()
    await bench(page).locator(".look").first.click()
    await page.screenshot(path=artefacts / "restyle-kept.png")
    await rename.click()
    question = page.get_by_role("dialog", name="Rename wave")
    name = question.get_by_label("What is this look called?")
    await name.fill("udnie")
    await name.press("Enter")
    await expect(question).to_contain_text("udnie")
    await page.screenshot(path=artefacts / "restyle-rename.png")
    await name.fill("Deep Sea")
    await name.press("Enter")
    await expect(question).to_have_count(0)
    look = bench(page).locator(".look").first
    await expect(look).to_contain_text("deep-sea")
    assert await look.locator("img").evaluate("(img) => img.decode().then(() => img.naturalWidth)")
    await bench(page).get_by_role("button", name="Restyle", exact=True).click()
    await expect(page.locator(FINISHED)).to_have_count(1)
    assert isinstance(engine.requests[-1], Stylize)


async def test_a_kept_look_is_learned_where_it_is_chosen_and_replaced_only_if_told(page, engine):
    async def keep(picture):
        await drop(page, picture)
        await page.get_by_role("button", name="Keep its look").click()
        await page.get_by_label("What is this look called?").fill("wave")
        await page.keyboard.press("Enter")

    await keep(gradient())
    await expect(page.locator(".notice").last).to_contain_text("Kept as wave")
    await drop(page, gradient())
    await page.get_by_role("button", name="Restyle it").click()
    await bench(page).locator(".look").first.click()
    await bench(page).get_by_role("button", name="Learn wave").click()
    await expect(page.locator(FINISHED)).to_have_count(1)
    [request] = engine.requests
    assert isinstance(request, TrainStyle)
    file = io.BytesIO()
    Image.new("RGB", (40, 30), "teal").save(file, "PNG")
    await keep(file.getvalue())
    dialog = page.get_by_role("dialog", name="Keep its look")
    await expect(dialog.get_by_role("alert")).to_contain_text("was learned from another picture")
    replacing = dialog.get_by_role("checkbox", name="Replace it")
    await replacing.check()
    name = page.get_by_label("What is this look called?")
    await name.fill("waves")
    await expect(replacing).to_be_hidden()  # said of another name
    await name.fill("wave")
    await page.keyboard.press("Enter")
    await expect(replacing).not_to_be_checked()
    await replacing.check()
    await dialog.get_by_role("button", name="Keep", exact=True).click()
    await expect(page.locator(".notice").last).to_contain_text("what was learned from the old one")


async def test_the_bench_fits_a_small_phone_in_chinese(phone, artefacts):
    await phone.click("#language")
    await expect(phone.locator("#prompt")).to_be_visible()
    await drop(phone, gradient())
    await phone.get_by_role("button", name="给它换画风").click()
    await phone.get_by_role("button", name="星月夜").click()
    wide = await phone.evaluate("document.documentElement.scrollWidth")
    assert wide <= 360
    box = await phone.get_by_role("button", name="换画风", exact=True).bounding_box()
    assert box is not None
    assert box["y"] + box["height"] <= 740
    await phone.screenshot(path=artefacts / "restyle-phone.png")


async def test_the_way_on_stays_in_sight_however_much_is_set(page):
    await page.set_viewport_size({"width": 1280, "height": 700})
    await drop(page, gradient())
    await page.get_by_role("button", name="Restyle it").click()
    dialog = bench(page)
    await dialog.locator("summary").first.click()
    start = dialog.get_by_role("button", name="Restyle", exact=True)
    box, frame = await start.bounding_box(), await dialog.bounding_box()
    assert box["y"] + box["height"] <= frame["y"] + frame["height"]
