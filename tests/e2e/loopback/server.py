"""The server: reads and judges each request, answers it, and judges the answer."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

from tests.e2e.loopback.control import Control
from tests.e2e.loopback.gateway import Gateway
from tests.e2e.loopback.interactions import Deeds
from tests.e2e.loopback.messages import RateLimited, Upload
from tests.e2e.loopback.rest import NEEDS_NO_TOKEN, ROUTES, Answer, Call, Route, as_json
from tests.e2e.loopback.schema import Contract
from tests.e2e.loopback.world import Fault, Refusal, World

PREFIX = "/api/v10"
BODY_LIMIT = 26 * 2**20  # bytes; Discord's own is 25 MiB
REQUEST_LIMIT = 25 * 2**20
TOKEN = "loopback-token"


class CutConnection(Exception):
    """The client gets no answer at all."""


class Rest:
    """What stands between the wire and the routes."""

    def __init__(self, world: World, gateway: Gateway, contract: Contract | None) -> None:
        self._world = world
        self._gateway = gateway
        self._contract = contract

    def add_to(self, app: web.Application) -> None:
        """Serve all routes; any other is noted."""
        for (method, template), route in ROUTES.items():
            app.router.add_route(method, PREFIX + template, self._handler(template, route))
        app.router.add_route("*", PREFIX + "/{rest:.*}", self._unknown)

    def _handler(self, template: str, route: Route) -> Any:
        async def handler(request: web.Request) -> web.StreamResponse:
            path = request.path.removeprefix(PREFIX)
            noted = {"method": request.method, "template": template, "path": path, "status": 0}
            self._world.requests.append(noted)
            is_upload = request.content_type == "multipart/form-data"
            fault = self._world.fault_for(request.method, path, is_upload=is_upload)
            try:
                response = await self._respond(request, template, route, fault)
            except CutConnection:
                assert request.transport is not None
                request.transport.abort()
                return web.Response()
            noted["status"] = response.status
            return response

        return handler

    async def _respond(
        self, request: web.Request, template: str, route: Route, fault: Fault | None
    ) -> web.Response:
        headers: dict[str, str] = {}
        try:
            if fault is not None:
                await asyncio.sleep(fault.delay_s)
                if not fault.is_after:
                    _break(fault)
            status, body = await self._carried_out(request, template, route)
            if fault is not None and fault.is_after:
                _break(fault)
        except Refusal as refusal:
            status, body = refusal.status, {"code": refusal.code, "message": refusal.message}
        except RateLimited as limited:
            status = 429
            body = {
                "message": "You are being rate limited.",
                "code": 0,
                "retry_after": round(limited.retry_after, 3),
                "global": False,
            }
            headers = {"Via": "1.1 google", "Retry-After": str(limited.retry_after)}
        self._judge_answer(request.method, template, status, body)
        if body is None:
            return web.Response(status=status, headers=headers)
        # Exactly this type: discord.py takes no charset.
        headers["Content-Type"] = "application/json"
        return web.Response(status=status, body=as_json(body), headers=headers)

    async def _carried_out(self, request: web.Request, template: str, route: Route) -> Answer:
        is_open = template.startswith(NEEDS_NO_TOKEN)
        if not is_open and request.headers.get("Authorization") != f"Bot {TOKEN}":
            raise Refusal(401, 0, "401: Unauthorized")
        body, uploads = await _read(request)
        self._judge_request(request, template, body)
        return await route(
            Call(self._world, self._gateway, request.match_info, request.query, body, uploads)
        )

    def _judge_request(self, request: web.Request, template: str, body: Any) -> None:
        if self._contract is None:
            return
        problem = self._contract.request_problem(request.method, template, body)
        if problem:
            self._world.complain(f"request {request.method} {template}: {problem}")
            raise Refusal(400, 50035, f"Invalid Form Body: {problem}")

    def _judge_answer(self, method: str, template: str, status: int, body: Any) -> None:
        if self._contract is None or status >= 500:
            return
        problem = self._contract.answer_problem(method, template, status, body)
        if problem:
            self._world.complain(f"our answer to {method} {template}: {problem}")

    async def _unknown(self, request: web.Request) -> web.Response:
        self._world.complain(f"{request.method} {request.path} is not served here")
        body = as_json({"code": 0, "message": "404: Not Found"})
        return web.Response(status=404, body=body, headers={"Content-Type": "application/json"})


async def _read(request: web.Request) -> tuple[Any, dict[int, Upload]]:
    """The JSON of a request and its files by their numbers."""
    if (request.content_length or 0) > REQUEST_LIMIT:
        await request.read()
        raise Refusal(413, 40005, "Request entity too large")
    if request.content_type != "multipart/form-data":
        raw = await request.read()
        return (json.loads(raw) if raw else None), {}
    body: Any = None
    uploads: dict[int, Upload] = {}
    async for part in await request.multipart():
        data = bytes(await part.read(decode=False))
        if part.name == "payload_json":
            body = json.loads(data)
        else:
            number = int(part.name.removeprefix("files[").removesuffix("]"))
            uploads[number] = Upload(part.filename, data)
    return body, uploads


def _break(fault: Fault) -> None:
    if fault.status == 429:
        raise RateLimited(fault.retry_after or 0.5)
    if fault.status:
        raise Refusal(fault.status, fault.code, fault.message)
    if not fault.delay_s:
        raise CutConnection


async def _serve_file(world: World, request: web.Request) -> web.Response:
    stored = world.files.get(int(request.match_info["file_id"]))
    fault = world.fault_for("GET", request.path)
    is_over = stored is None or stored.expires < world.clock.now()
    if stored is None or is_over or fault is not None:
        return web.Response(status=fault.status if fault else 404, text="This content is gone.")
    return web.Response(body=stored.data, content_type=stored.content_type)


@asynccontextmanager
async def open_server(contract: Contract | None, port: int = 0) -> AsyncIterator[World]:
    """Serve on loopback until the context is left; the world knows its address."""
    app = web.Application(client_max_size=BODY_LIMIT)
    world = World("")
    gateway = Gateway(world, TOKEN)
    Rest(world, gateway, contract).add_to(app)
    app.router.add_get("/gateway", gateway.serve)
    app.router.add_get(
        "/attachments/{channel_id}/{file_id}/{filename}",
        lambda request: _serve_file(world, request),
    )
    Control(world, gateway, Deeds(world, gateway), is_judged=contract is not None).add_to(app)
    runner = web.AppRunner(app, shutdown_timeout=1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
        world.address = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield world
    finally:
        await runner.cleanup()
