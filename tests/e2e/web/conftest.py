"""A real browser on a real studio page; the engine draws patterns, slowly enough to be watched."""

import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, async_playwright, expect

from bot.faces.web.app import open_web
from bot.faces.web.config import WebConfig
from bot.studio.opening import open_studio
from engine.config import EngineConfig
from engine.models.catalogue import open_catalogue
from engine.testing import FakeEngine
from tests.conftest import skip_aloud
from tests.tiny_gan import write_gan_entry

expect.set_options(timeout=30_000)  # machines that test are busy ones

ARTEFACTS = Path(__file__).parents[3] / "artefacts"
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def chromium() -> str | None:
    named = os.environ.get("ATELIER_CHROMIUM")
    names = ("chromium", "chromium-browser", "google-chrome")
    return named or next(filter(None, map(shutil.which, names)), None)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    path = chromium()
    if path is None:
        skip_aloud("no Chromium found: install chromium, or set ATELIER_CHROMIUM to its path")
    async with async_playwright() as playwright:
        opened = await playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield opened
        await opened.close()


@pytest_asyncio.fixture(loop_scope="module")
async def engine(tmp_path: Path) -> FakeEngine:
    pages = (write_gan_entry(tmp_path), write_gan_entry(tmp_path, "second-dreamer"))
    catalogue = open_catalogue(EngineConfig(catalogue_files=pages))
    return FakeEngine(step_delay_s=0.02, catalogue=catalogue)


@pytest.fixture
def config() -> WebConfig:
    """What a test module may override."""
    return WebConfig(port=0)


@pytest_asyncio.fixture(loop_scope="module")
async def address(engine: FakeEngine, config: WebConfig, tmp_path: Path) -> AsyncIterator[str]:
    """The address of a fresh studio."""
    url = f"sqlite+aiosqlite:///{tmp_path / 'atelier.db'}"
    async with (
        open_studio(engine, database_url=url, images_dir=tmp_path / "images") as studio,
        open_web(studio, config) as opened,
    ):
        yield opened


@pytest_asyncio.fixture(loop_scope="module")
async def page(browser: Browser, address: str) -> AsyncIterator[Page]:
    """The studio page on a desk; anything it complains about fails the test."""
    async for opened in studio_page(browser, address):
        yield opened


@pytest_asyncio.fixture(loop_scope="module")
async def phone(browser: Browser, address: str) -> AsyncIterator[Page]:
    """The studio page on a small phone, at night."""
    viewport = {"width": 360, "height": 740}
    async for opened in studio_page(
        browser, address, viewport=viewport, is_mobile=True, has_touch=True, color_scheme="dark"
    ):
        yield opened


async def studio_page(
    browser: Browser, address: str, *, shows: str = "#prompt", **looks: object
) -> AsyncIterator[Page]:
    looks.setdefault("viewport", {"width": 1280, "height": 800})
    looks.setdefault("locale", "en-US")
    context = await browser.new_context(reduced_motion="reduce", **looks)  # type: ignore[arg-type]
    context.set_default_timeout(40_000)
    opened = await context.new_page()
    complaints: list[str] = []
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.on(
        "console", lambda told: complaints.append(told.text) if told.type == "error" else None
    )
    await opened.goto(address)
    await opened.wait_for_selector(shows)
    yield opened
    await context.close()
    serious = [line for line in complaints if "Failed to load resource" not in line]
    assert not serious, serious


@pytest.fixture(scope="session")
def artefacts() -> Path:
    """Where screenshots are kept to be looked at."""
    ARTEFACTS.mkdir(exist_ok=True)
    return ARTEFACTS
