"""The web application: routes, gates, and serving it until told to stop.

/                    the page (also /gallery, /status and /i/{image id})
/api/...             for programs and the page; docs/api.md tells what each address takes and gives
/p/...               one picture by its signed link, without login
/healthz, /metrics   for operators
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from bot.faces.web import (
    events,
    generators,
    images,
    jobs,
    links,
    login,
    observation,
    openapi,
    pages,
    privacy,
    restyles,
    words,
)
from bot.faces.web.config import WebConfig
from bot.faces.web.context import CONFIG, FACE, STUDIO
from bot.faces.web.gates import add_headers, check_host, check_login, check_origin
from bot.faces.web.observation import METRICS, Metrics
from bot.faces.web.refusals import answer_errors
from bot.studio.contract import JobView, Studio

log = logging.getLogger(__name__)

SHUTDOWN_S = 3.0  # for answers under way when the service stops

_JOB = "/api/jobs/{id:[0-9a-z]+}"
_IMAGE = "/api/images/{id:[0-9a-z]+(?::[0-9]+)?}"  # an image id, or job:index

_ROUTES = (
    web.get("/", pages.studio_page),
    web.get("/gallery", pages.studio_page),
    web.get("/status", pages.studio_page),
    web.get("/i/{id}", pages.studio_page),
    web.get("/manifest.webmanifest", pages.manifest),
    web.get("/favicon.ico", pages.icon),
    web.get("/login", login.login_page),
    web.post("/login", login.log_in),
    web.post("/logout", login.log_out),
    web.post("/api/jobs", jobs.start),
    web.get("/api/jobs", jobs.history),
    web.get(_JOB, jobs.show),
    web.delete(_JOB, jobs.cancel),
    web.get(f"{_JOB}/events", events.job_events),
    web.post(f"{_JOB}/reroll", jobs.reroll),
    web.post(f"{_JOB}/remix", jobs.remix),
    web.post("/api/again", jobs.make_again),
    web.get("/api/events", events.all_events),
    web.get("/api/images", images.page),
    web.get("/api/images.zip", images.archive),
    web.get(f"{_IMAGE}.png", images.png),
    web.get(f"{_IMAGE}.webp", images.thumbnail),
    web.get(f"{_IMAGE}/animation.webp", images.animation),
    web.get(f"{_IMAGE}/video.mp4", images.video),
    web.get(_IMAGE, images.show),
    web.post(f"{_IMAGE}/vary", images.vary),
    web.post(f"{_IMAGE}/strengths", images.compare_strengths),
    web.post(f"{_IMAGE}/upscale", images.upscale),
    web.post(f"{_IMAGE}/restyle", images.restyle),
    web.post(f"{_IMAGE}/reroll", images.reroll),
    web.post(f"{_IMAGE}/remix", images.remix),
    web.post(f"{_IMAGE}/again", images.make_again),
    web.post(f"{_IMAGE}/favourite", images.favourite),
    web.post(f"{_IMAGE}/publish", images.publish),
    web.post(f"{_IMAGE}/tags", images.tag),
    web.post(f"{_IMAGE}/delete", images.delete),
    web.post(f"{_IMAGE}/restore", images.restore),
    web.get(links.ROUTE, links.signed_picture),
    web.get(links.EXPORT_ROUTE, links.signed_export),
    web.get("/api/styles", restyles.list_styles),
    web.post("/api/styles", restyles.save_style),
    web.post("/api/styles/train", restyles.train_style),
    web.get("/api/styles/{name}.png", restyles.style_png),
    web.get("/api/styles/{name}.webp", restyles.style_thumbnail),
    web.post("/api/styles/{name}/rename", restyles.rename_style),
    web.delete("/api/styles/{name}", restyles.delete_style),
    web.get("/api/generators", generators.list_generators),
    web.post("/api/generators", generators.train_generator),
    web.get("/api/generators/{name}.png", generators.generator_png),
    web.delete("/api/generators/{name}", generators.delete_generator),
    web.get("/api/privacy/export.zip", privacy.export),
    web.post("/api/privacy/delete", privacy.erase),
    web.get("/api/models", words.models),
    web.get("/api/presets", words.presets),
    web.get("/api/flags", words.flags),
    web.post("/api/check", words.check),
    web.post("/api/parameters", words.parameters),
    web.get("/api/status", observation.status),
    web.get("/api/openapi.json", openapi.describe),
    web.get("/healthz", observation.health),
    web.get("/metrics", observation.metrics),
    web.static("/static", pages.STATIC),
)


class FeedDeliverer:
    """Brings nothing anywhere: the feed is read from the database, so a committed job is there."""

    async def deliver(self, job: JobView, files: tuple[bytes, ...]) -> None:
        """Count the job as delivered."""


def make_app(studio: Studio, config: WebConfig) -> web.Application:
    """Build the web studio's application over the studio's use-cases."""
    app = web.Application(
        middlewares=[
            observation.measure,
            answer_errors,
            check_host,
            check_login,
            check_origin,
            jobs.answer_again,
        ],
        client_max_size=config.body_max_bytes,
    )
    app[STUDIO] = studio
    app[CONFIG] = config
    app[METRICS] = Metrics()
    studio.register_observer(app[METRICS].note_ending)
    app[events.STREAMS] = set()
    app[login.FAILED_LOGINS] = login.FailedLogins()
    app.add_routes(_ROUTES)
    app.on_response_prepare.append(add_headers)
    app.on_shutdown.append(events.end_streams)
    studio.register_deliverer(FACE, FeedDeliverer())
    return app


@asynccontextmanager
async def open_web(studio: Studio, config: WebConfig) -> AsyncIterator[str]:
    """Listen as configured; gives the address of the studio page, closes on leaving.

    Raises:
        OSError: the address is taken or not ours.
    """
    runner = web.AppRunner(make_app(studio, config), access_log=None, shutdown_timeout=SHUTDOWN_S)
    await runner.setup()
    try:
        await web.TCPSite(runner, config.host, config.port).start()
        address = _address(config, runner.addresses[0][1])
        log.info("the web studio is at %s", address)
        yield address
    finally:
        await runner.cleanup()


async def serve(studio: Studio, config: WebConfig) -> None:
    """Serve the web studio until cancelled."""
    async with open_web(studio, config):
        await asyncio.Event().wait()


def _address(config: WebConfig, port: int) -> str:
    if config.public_url:
        return config.public_url
    host = f"[{config.host}]" if ":" in config.host else config.host
    return f"http://{host}:{port}"
