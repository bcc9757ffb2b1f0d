"""Blends, animations and dreams on the studio page, in a real browser."""

import asyncio
import re

import pytest
from PIL import Image
from playwright.async_api import expect

from engine.api import Blend, Dream, Morph, TrainGan, Upscale
from engine.media.video import encode_mp4
from tests.e2e.web.test_studio_page import FINISHED, drop, gradient, make_and_wait, until

pytestmark = [
    pytest.mark.browser,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(300),
]

OWN = {"name": "own.png", "mimeType": "image/png", "buffer": gradient()}


def bench(page):
    return page.get_by_role("dialog", name="What shall become of pictures?")


async def test_pictures_become_a_blend_and_an_animation_that_plays(page, engine, artefacts):
    await make_and_wait(page, "a red fox --images 1")
    await page.get_by_role("button", name="Mix pictures").click()
    dialog = bench(page)
    start = dialog.get_by_role("button", name="Make it")
    await expect(start).to_be_disabled()
    await dialog.get_by_label("Recent pictures").get_by_role("button").first.click()
    await dialog.locator("input[type=file]").set_input_files(OWN)
    await dialog.get_by_label("Weight").last.fill("0.5")
    await dialog.get_by_placeholder("Words that draw it on").fill("an owl --steps 3")
    await page.screenshot(path=artefacts / "mix-blend.png")
    await start.click()
    await expect(page.locator(FINISHED)).to_have_count(2)
    request = engine.requests[-1]
    assert isinstance(request, Blend)
    assert (request.weights, request.strength) == ((1.0, 0.5), 0.5)

    await page.locator(".tile img").first.click()
    await expect(page.get_by_role("link", name="Download PNG")).to_be_visible()
    await page.get_by_role("dialog").get_by_role("button", name="Mix pictures").click()
    await dialog.get_by_role("button", name="Animate").click()
    await dialog.get_by_role("button", name="Add words").click()
    await dialog.get_by_label("What to show here").fill("a hill --steps 3")
    await dialog.get_by_label("Frames").fill("6")
    await page.screenshot(path=artefacts / "mix-morph.png")
    await start.click()
    await expect(page.locator(FINISHED)).to_have_count(3)
    request = engine.requests[-1]
    assert isinstance(request, Morph)
    assert (request.frames, len(request.stops)) == (6, 2)
    await page.locator(".tile img").first.click()
    await expect(page.get_by_role("link", name="Download WebP")).to_be_visible()
    await page.get_by_role("button", name="Play").click()
    await expect(page.locator("img.large")).to_have_attribute("src", re.compile("animation.webp$"))
    await page.screenshot(path=artefacts / "mix-animation.png")


async def test_the_keyboard_stays_in_the_dialog_while_pictures_come_and_go(page):
    await make_and_wait(page, "a red fox --images 3")
    await page.get_by_role("button", name="Mix pictures").click()
    dialog = bench(page)
    recent = dialog.get_by_label("Recent pictures").get_by_role("button")
    for count in range(3):
        await recent.first.press("Enter")
        await expect(dialog.get_by_label("Weight").nth(count)).to_be_focused()
    removes = dialog.locator(".items").get_by_role("button", name="Remove")
    for pressed, left in ((1, 1), (1, 0)):
        await removes.nth(pressed).press("Enter")
        await expect(removes.nth(left)).to_be_focused()
    await removes.press("Enter")
    add = dialog.get_by_role("button", name="Add a picture").first  # then comes its field
    await expect(add).to_be_focused()
    await dialog.get_by_role("button", name="Animate").click()
    await recent.first.press("Enter")
    await expect(add).to_be_focused()


async def test_a_refused_blend_says_why_and_keeps_all_that_was_set_up(page, engine, artefacts):
    await page.get_by_role("button", name="Mix pictures").click()
    dialog = bench(page)
    await dialog.locator("input[type=file]").set_input_files([OWN, OWN])
    await dialog.get_by_label("Weight").last.fill("0.5")
    words = dialog.get_by_placeholder("Words that draw it on")
    await words.fill("an owl --choas 3")
    start = dialog.get_by_role("button", name="Make it")
    await start.click()
    await expect(dialog.get_by_role("alert")).to_contain_text("--choas")
    await expect(start).to_be_enabled()
    await expect(dialog.get_by_label("Weight").last).to_have_value("0.5")
    await page.screenshot(path=artefacts / "mix-refused.png")
    await words.fill("an owl --steps 3")
    await start.click()
    await expect(page.locator(FINISHED)).to_have_count(1)
    assert engine.requests[-1].weights == (1.0, 0.5)


async def test_a_video_plays_and_tells_how_it_was_made(
    page, engine, address, monkeypatch, artefacts
):
    frames = [Image.new("RGB", (96, 64), colour) for colour in ("red", "lime", "blue", "white")]
    monkeypatch.setattr("engine.testing.VIDEO", encode_mp4(frames, [250] * 4))
    await page.get_by_role("button", name="Mix pictures").click()
    dialog = bench(page)
    await dialog.get_by_role("button", name="Animate").click()
    for words in ("a fox", "a hill"):
        await dialog.get_by_role("button", name="Add words").click()
        await dialog.get_by_label("What to show here").last.fill(f"{words} --steps 3")
    await dialog.get_by_label("As an MP4 video").check()
    await dialog.get_by_role("button", name="Make it").click()
    await expect(page.locator(FINISHED)).to_have_count(1)
    assert engine.requests[-1].is_video
    await page.locator(".tile img").first.click()
    await expect(page.get_by_role("link", name="Download MP4")).to_be_visible()
    await page.locator("video.large").evaluate("video => video.play()")
    assert await page.evaluate("document.querySelector('video.large').videoWidth") == 96
    await page.screenshot(path=artefacts / "mix-video.png")
    path = await page.locator("video.large").get_attribute("src")
    mp4 = await (await page.request.get(f"{address}{path}")).body()
    await page.keyboard.press("Escape")
    await drop(page, mp4, "morph.mp4", "video/mp4")
    await until(page, "document.querySelector('.purposes video')?.videoWidth == 96")
    await page.screenshot(path=artefacts / "drop-video.png")
    await expect(page.get_by_role("button", name="Restyle it")).to_have_count(0)
    await page.get_by_role("button", name="Read its parameters").click()
    told = page.get_by_role("dialog", name="Its parameters")
    await expect(told).to_contain_text("Morph: ")


async def test_a_dream_needs_nothing_and_detail_is_asked_for(page, engine):
    await page.get_by_role("button", name="Mix pictures").click()
    dialog = bench(page)
    await dialog.get_by_role("button", name="Dream", exact=True).click()
    await dialog.get_by_label("Dream of").select_option("moon")
    await dialog.get_by_label("Images").fill("2")
    await dialog.get_by_role("button", name="Make it").click()
    await expect(page.locator(f"{FINISHED} .tile")).to_have_count(2)
    [request] = engine.requests
    assert isinstance(request, Dream)
    assert (request.look, request.image_count) == ("moon", 2)
    await page.locator(".tile img").first.click()
    await page.get_by_role("button", name="Enlarge with detail").click()
    asked = page.get_by_role("dialog", name="Enlarge with detail")
    await asked.get_by_label("Crispness").fill("0.9")
    await asked.get_by_role("button", name="Upscale", exact=True).click()
    await expect(page.locator(FINISHED)).to_have_count(2)
    assert isinstance(engine.requests[-1], Upscale)
    assert engine.requests[-1].detail == 0.9


async def test_dreams_like_a_picture_have_a_seed_and_a_distance(page, engine, artefacts):
    await page.get_by_role("button", name="Mix pictures").click()
    dialog = bench(page)
    await dialog.get_by_role("button", name="Dream", exact=True).click()
    seed = dialog.get_by_label("Seed")
    await expect(seed).to_be_hidden()
    await dialog.get_by_text("More", exact=True).click()
    await seed.fill("7")
    await expect(dialog.get_by_label("How far from it")).to_have_count(0)
    await dialog.locator("input[type=file]").set_input_files(OWN)
    await expect(seed).to_have_value("7")
    await dialog.get_by_label("How far from it").fill("0.6")
    await page.screenshot(path=artefacts / "mix-more.png")
    await dialog.get_by_role("button", name="Make it").click()
    await expect(page.locator(FINISHED)).to_have_count(1)
    [request] = engine.requests
    assert isinstance(request, Dream)
    assert request.like
    assert (request.seed, request.distance) == (7, 0.6)


async def test_an_animation_of_dreams_has_a_look_and_a_seed(page, engine):
    await page.get_by_role("button", name="Mix pictures").click()
    dialog = bench(page)
    await dialog.get_by_role("button", name="Animate").click()
    await dialog.get_by_role("button", name="Add words").click()
    await dialog.get_by_label("What to show here").fill("a fox --steps 3")
    await dialog.get_by_text("More", exact=True).click()
    await dialog.get_by_label("Seed", exact=True).fill("5")
    look = dialog.get_by_label("Dream of")
    await expect(look).to_have_count(0)
    await dialog.get_by_role("button", name="Add a dream").click()
    await dialog.get_by_label("Seed of the dream").fill("1")
    await look.select_option("moon")
    await dialog.get_by_role("button", name="Make it").click()
    await expect(page.locator(FINISHED)).to_have_count(1)
    [request] = engine.requests
    assert isinstance(request, Morph)
    assert (request.look, request.drawing.seed) == ("moon", 5)


async def test_a_blend_is_drawn_on_by_a_chosen_model_and_seed(page, engine):
    await page.get_by_role("button", name="Mix pictures").click()
    dialog = bench(page)
    await dialog.locator("input[type=file]").set_input_files([OWN, OWN])
    await dialog.get_by_text("More", exact=True).click()
    await expect(dialog.get_by_label("Model")).to_be_hidden()
    await dialog.get_by_placeholder("Words that draw it on").fill("an owl --steps 3")
    await dialog.get_by_label("Model").select_option("atelier-pack-draft")
    await dialog.get_by_label("Seed").fill("9")
    await dialog.get_by_role("button", name="Make it").click()
    await expect(page.locator(FINISHED)).to_have_count(1)
    [request] = engine.requests
    assert isinstance(request, Blend)
    assert (request.model, request.seed) == ("atelier-pack-draft", 9)


async def test_as_many_tiles_wait_as_there_will_be_pictures(page, engine, artefacts):
    engine.stuck = True
    await page.get_by_role("button", name="Mix pictures").click()
    dialog = bench(page)
    await dialog.get_by_role("button", name="Dream", exact=True).click()
    await dialog.get_by_label("Images").fill("2")
    await dialog.get_by_role("button", name="Make it").click()
    waiting = page.locator(".job").first.locator(".waiting")
    await expect(waiting).to_have_count(2)
    await page.get_by_role("button", name="Mix pictures").click()
    await dialog.locator("input[type=file]").set_input_files([OWN, OWN])
    await dialog.get_by_placeholder("Words that draw it on").fill("an owl --steps 8")
    await dialog.get_by_role("button", name="Make it").click()
    await expect(page.locator(".job")).to_have_count(2)
    await expect(waiting).to_have_count(1)
    whole = "document.querySelector('.waiting.previewed').style.getPropertyValue('--size')"
    await expect(page.locator(".waiting.previewed").first).to_be_visible()
    assert await page.evaluate(whole) == "100% 100%"
    await page.screenshot(path=artefacts / "mix-waiting.png")
    await page.reload()
    await expect(waiting).to_have_count(1)


async def test_a_generator_of_the_catalogue_is_chosen_with_its_own_looks(page, engine, artefacts):
    await page.get_by_role("button", name="Mix pictures").click()
    dialog = bench(page)
    await dialog.get_by_role("button", name="Dream", exact=True).click()
    dreamer = dialog.get_by_label("Dreamt by")
    await dreamer.focus()
    await dreamer.select_option("second-dreamer")
    await expect(dreamer).to_be_focused()
    looks = dialog.get_by_label("Dream of")
    await expect(looks.locator("option")).to_have_text(["Anything", "cat", "moon"])
    await looks.select_option("cat")
    await page.screenshot(path=artefacts / "mix-catalogue.png")
    await dialog.get_by_role("button", name="Make it").click()
    await expect(page.locator(FINISHED)).to_have_count(1)
    [request] = engine.requests
    assert isinstance(request, Dream)
    assert (request.model, request.look) == ("second-dreamer", "cat")


async def test_the_bench_fits_a_small_phone_in_chinese(phone, artefacts):
    await phone.click("#language")
    await expect(phone.locator("#prompt")).to_be_visible()
    await phone.get_by_role("button", name="混合图片").click()
    await phone.locator("dialog input[type=file]").set_input_files([OWN, OWN])
    assert await phone.evaluate("document.documentElement.scrollWidth") <= 360
    box = await phone.get_by_role("button", name="开始", exact=True).bounding_box()
    assert box is not None
    assert box["y"] + box["height"] <= 740
    await phone.screenshot(path=artefacts / "mix-phone.png")


async def test_a_generator_is_taught_and_dreams(page, engine, artefacts):
    for seed in (1, 100):
        await make_and_wait(page, f"a fox --size 64x64 --steps 2 --images 8 --seed {seed}")
    await page.get_by_role("button", name="Mix pictures").click()
    dialog = bench(page)
    await dialog.get_by_role("button", name="Dream", exact=True).click()
    await dialog.get_by_text("Teach a generator").click()
    train = dialog.get_by_role("button", name="Train")
    await expect(train).to_be_disabled()
    await dialog.get_by_label("Name of the generator").fill("foxes")
    words = dialog.get_by_label("Only pictures found by these words")
    await words.fill("owl")
    await train.click()
    await expect(dialog.get_by_role("alert")).to_contain_text("16")  # there are foxes only
    await words.fill("fox")
    await page.screenshot(path=artefacts / "teach.png")
    await train.click()
    told = page.get_by_text("The dreams are varied")
    await expect(told).to_be_visible()
    await page.screenshot(path=artefacts / "taught.png")
    assert isinstance(engine.requests[-1], TrainGan)
    await page.get_by_role("button", name="Mix pictures").click()
    await dialog.get_by_role("button", name="Dream", exact=True).click()
    await dialog.get_by_label("Dreamt by").select_option("foxes")
    await dialog.get_by_role("button", name="Make it").click()
    await expect(page.get_by_text("a dream").first).to_be_visible()
    async with asyncio.timeout(20):  # the page shows a job before the engine has it
        while not isinstance(engine.requests[-1], Dream):
            await asyncio.sleep(0.05)
    assert engine.requests[-1].weights
    await page.get_by_role("button", name="Mix pictures").click()
    await dialog.get_by_role("button", name="Animate").click()
    for seed in ("1", "2"):
        await dialog.get_by_role("button", name="Add a dream").click()
        await dialog.get_by_label("Seed of the dream").last.fill(seed)
    await dialog.get_by_label("Dreamt by").select_option("foxes")
    await page.screenshot(path=artefacts / "mix-dreams.png")
    await dialog.get_by_role("button", name="Make it").click()
    await expect(page.get_by_text("dream 1 → dream 2").first).to_be_visible()
    assert engine.requests[-1].weights
