"""A generator that learns from the gallery, on the studio page, in a real browser."""

import pytest
from playwright.async_api import expect

from engine.api import TrainGan
from tests.e2e.web.test_studio_page import FINISHED, make_and_wait

pytestmark = [
    pytest.mark.browser,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(300),
]


async def teach(page, minutes=""):
    """What the form sends."""
    await page.get_by_role("button", name="Mix pictures").click()
    dialog = page.get_by_role("dialog", name="What shall become of pictures?")
    await dialog.get_by_role("button", name="Dream", exact=True).click()
    await dialog.get_by_text("Teach a generator").click()
    await dialog.get_by_label("Name of the generator").fill(f"foxes{minutes}")
    await dialog.get_by_label("Minutes of learning").fill(minutes)
    async with page.expect_request("**/api/generators") as sent:
        await dialog.get_by_role("button", name="Train").click()
    return (await sent.value).post_data_json


async def test_minutes_are_the_servers_unless_named_and_a_sheet_is_to_look_at(page, engine):
    for seed in (1, 100):
        await make_and_wait(page, f"a fox --size 64x64 --steps 2 --images 8 --seed {seed}")
    assert (await teach(page))["minutes"] is None
    await expect(page.locator(FINISHED)).to_have_count(3)
    assert isinstance(engine.requests[-1], TrainGan)
    assert (await teach(page, "5"))["minutes"] == 5
    await expect(page.locator(FINISHED)).to_have_count(4)
    assert engine.requests[-1].minutes == 5
    tile = page.locator(".job").first.locator(".tile")
    await expect(tile.get_by_role("button", name="Favourite")).to_have_count(1)
    for change in ("Vary subtle", "Vary strong", "Upscale"):
        await expect(tile.get_by_role("button", name=change)).to_have_count(0)
    await page.locator(".tile img").first.click()
    sheet = page.get_by_role("dialog", name="foxes5")
    await expect(sheet.get_by_role("heading", name="Details")).to_be_visible()
    for change in ("Vary subtle", "Upscale", "Reroll", "Remix", "Make again", "Mix pictures"):
        await expect(sheet.get_by_role("button", name=change)).to_have_count(0)
    await page.keyboard.press("Escape")
    await page.get_by_role("button", name="Mix pictures").click()
    dialog = page.get_by_role("dialog", name="What shall become of pictures?")
    await dialog.get_by_role("button", name="Dream", exact=True).click()
    await dialog.get_by_text("Teach a generator").click()
    forget = dialog.get_by_role("button", name="Forget foxes5")
    await forget.click()
    question = page.get_by_role("dialog", name="Forget foxes5")
    await expect(question).to_contain_text("can't be brought back")
    await question.get_by_role("button", name="Cancel").click()
    await forget.click()
    await question.get_by_role("button", name="Forget foxes5").click()
    await expect(forget).to_have_count(0)
