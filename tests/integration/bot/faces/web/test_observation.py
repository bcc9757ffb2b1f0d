import asyncio
import sqlite3
from contextlib import closing

from aiohttp.test_utils import TestClient, TestServer

from bot.faces.web import observation
from bot.faces.web.app import make_app
from bot.faces.web.config import WebConfig
from engine.api import EngineStatus, OutOfMemory, WorkerStatus


async def test_health_is_ok_while_jobs_can_be_taken(client):
    answer = await client.get("/healthz")
    assert answer.status == 200
    assert (await answer.json())["status"] == "ok"


async def test_health_says_when_no_worker_is_alive(client, engine):
    dead = WorkerStatus(
        "cpu", is_alive=False, running=0, restarts=3, memory_bytes=0, resident_models=()
    )
    engine.status = lambda: EngineStatus((dead,))
    answer = await client.get("/healthz")
    assert answer.status == 503
    assert "worker" in (await answer.json())["problems"][0]


async def test_health_says_when_there_is_no_room_for_pictures(studio, tmp_path, monkeypatch):
    folder = tmp_path / "data"
    app = make_app(studio, WebConfig(data_dir=folder))
    async with TestClient(TestServer(app)) as client:
        assert "data folder" in (await (await client.get("/healthz")).json())["problems"][0]
        folder.mkdir()
        assert (await client.get("/healthz")).status == 200
        monkeypatch.setattr(observation, "LEAST_FREE_BYTES", 2**63)
        full = await client.get("/healthz")
        assert full.status == 503
        assert "disk" in (await full.json())["problems"][0]


async def test_metrics_tell_prometheus_of_answers_errors_jobs_and_workers(client, engine, finish):
    engine.stuck = True
    started = await (await client.post("/api/jobs", json={"text": "a fox"})).json()
    await client.post("/api/jobs", json={"text": "a fox --choas 3"})
    text = await (await client.get("/metrics")).text()
    assert 'atelier_http_requests_total{method="POST",route="/api/jobs",status="202"} 1.0' in text
    assert 'atelier_http_errors_total{kind="PromptError"} 1.0' in text
    assert 'atelier_workers_alive{device="fake"} 1.0' in text
    assert "atelier_jobs{" in text
    await client.delete(f"/api/jobs/{started['id']}")


async def test_metrics_count_how_jobs_ended_and_tell_how_long_they_took(client, engine, finish):
    async def started(text):
        return (await (await client.post("/api/jobs", json={"text": text})).json())["id"]

    assert (await finish(await started("a fox --images 1")))["status"] == "finished"
    engine.error = OutOfMemory("the device has too little memory for this")
    assert (await finish(await started("a fox")))["status"] == "failed"
    engine.error = None
    engine.stuck = True
    running = await started("a fox")
    while (await (await client.get(f"/api/jobs/{running}")).json())["status"] != "running":
        await asyncio.sleep(0.02)
    for _ in range(2):  # an ended job does not end again
        await client.delete(f"/api/jobs/{running}")
    text = await (await client.get("/metrics")).text()
    for state in ("finished", "failed", "cancelled"):
        assert f'atelier_jobs_ended_total{{operation="imagine",state="{state}"}} 1.0' in text
    assert 'atelier_job_waiting_seconds_count{operation="imagine"} 3.0' in text
    assert 'atelier_job_device_seconds_count{operation="imagine"} 1.0' in text


async def test_metrics_name_routes_by_pattern_so_that_ids_do_not_fill_them(client):
    for number in range(3):
        await client.get(f"/api/jobs/zzzzzzzzz{number}")
    await client.request("INVENTED", "/api/jobs")
    text = await (await client.get("/metrics")).text()
    assert 'route="/api/jobs/{id}",status="404"} 3.0' in text
    assert "zzzzzzzzz" not in text
    assert "INVENTED" not in text


async def test_the_status_tells_queue_workers_errors_and_versions(client):
    await client.post("/api/jobs", json={"text": "a fox --choas 3"})
    told = await (await client.get("/api/status")).json()
    assert told["running"] == told["waiting"] == 0
    assert told["workers"][0]["device"] == "fake"
    assert told["errors"] == {"PromptError": 1}
    assert "aiohttp" in told["versions"]
    assert not told["login"]


async def test_while_the_database_fails_health_says_so_and_jobs_are_refused_kindly(
    client, tmp_path
):
    async def run(statement):
        def executed():
            with closing(sqlite3.connect(tmp_path / "atelier.db", timeout=20)) as database:
                database.execute(statement)

        await asyncio.to_thread(executed)  # the studio must be able to end what it writes

    await run("ALTER TABLE jobs RENAME TO elsewhere")
    assert (await client.get("/healthz")).status == 503
    refused = await client.post("/api/jobs", json={"text": "a fox"})
    assert refused.status == 503
    assert "Retry-After" in refused.headers
    assert "nothing was lost" in (await refused.json())["error"]
    assert (await client.get("/metrics")).status == 200
    await run("ALTER TABLE elsewhere RENAME TO jobs")
    assert (await client.get("/healthz")).status == 200
    assert (await client.post("/api/jobs", json={"text": "a fox"})).status == 202
