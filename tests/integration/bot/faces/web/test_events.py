import asyncio
import json
import time

import pytest
from aiohttp import ClientPayloadError
from aiohttp.test_utils import TestClient, TestServer

from bot.faces.web.answers import Update
from bot.faces.web.app import make_app
from bot.faces.web.events import STREAMS
from tests.integration.bot.faces.web.described import problems_of


async def events_of(answer, count=10_000):
    """Events as (id, data) until the stream ends or `count` have come."""
    found, number = [], None
    while len(found) < count:
        line = (await asyncio.wait_for(answer.content.readline(), 20)).decode()
        if not line:
            break
        if line.startswith("id: "):
            number = line[4:].strip()
        if line.startswith("data: "):
            found.append((number, json.loads(line[6:])))
    return found


async def start(client, text="a fox --images 1"):
    return (await (await client.post("/api/jobs", json={"text": text})).json())["id"]


async def test_a_stream_tells_progress_and_previews_up_to_the_ending(client, engine):
    engine.step_delay_s = 0.02
    job_id = await start(client)
    answer = await client.get(f"/api/jobs/{job_id}/events")
    assert answer.content_type == "text/event-stream"
    told = await events_of(answer)
    states = [job["status"] for _, job in told]
    assert states[-1] == "finished"
    assert states.count("finished") == 1
    progress = [job["progress"] for _, job in told if job["status"] == "running"]
    assert progress == sorted(progress)
    assert len(set(progress)) > 3
    assert any((job["preview"] or "").startswith("data:image/webp;base64,") for _, job in told)
    assert told[-1][1]["images"]
    assert [problem for _, job in told for problem in problems_of(job, Update)] == []


async def test_numbers_rise_so_that_a_client_can_say_where_it_was(client, engine):
    engine.step_delay_s = 0.01
    told = await events_of(await client.get(f"/api/jobs/{await start(client)}/events"))
    numbers = [int(number) for number, _ in told[:-1]]
    assert numbers == sorted(set(numbers))
    assert told[-1][0] == "end"


async def test_a_client_that_was_away_hears_the_ending_and_then_need_not_return(client, finish):
    job_id = await start(client)
    await finish(job_id)
    path = f"/api/jobs/{job_id}/events"
    back = await client.get(path, headers={"Last-Event-ID": "3"})
    assert [(number, job["status"]) for number, job in await events_of(back)] == [
        ("end", "finished")
    ]
    again = await client.get(path, headers={"Last-Event-ID": "end"})
    assert again.status == 204


async def test_one_stream_tells_of_all_own_jobs(client, finish):
    async with client.get("/api/events") as stream:
        first = await start(client)
        second = await start(client)
        ended = set()
        while ended != {first, second}:
            ((_, job),) = await events_of(stream, 1)
            if job["status"] == "finished":
                ended.add(job["id"])


async def test_who_returns_to_the_stream_of_all_is_told_what_ended_meanwhile(client, finish):
    job_id = await start(client)
    await finish(job_id)
    async with client.get("/api/events", headers={"Last-Event-ID": "1"}) as stream:
        ((_, job),) = await events_of(stream, 1)
    assert (job["id"], job["status"]) == (job_id, "finished")


async def test_who_comes_late_is_told_of_the_jobs_under_way(client, engine):
    engine.stuck = True
    job_id = await start(client)
    async with client.get("/api/events") as stream:
        ((_, job),) = await events_of(stream, 1)
    assert job["id"] == job_id


async def test_a_silent_stream_shows_signs_of_life(client):
    async with client.get("/api/events") as stream:
        beats = 0
        while beats < 2:
            line = await asyncio.wait_for(stream.content.readline(), 5)
            beats += line.startswith(b": beat")


async def test_stopping_the_service_ends_open_streams_at_once(studio, config):
    server = TestServer(make_app(studio, config))
    async with TestClient(server) as client:
        stream = await client.get("/api/events")
        await stream.content.readline()
        begun = time.monotonic()
        await server.close()
        assert time.monotonic() - begun < 3
        with pytest.raises(ClientPayloadError):  # cut off, so that browsers come back
            await stream.content.read()


async def test_a_client_that_goes_away_leaves_nothing_behind(client, studio):
    stream = await client.get("/api/events")
    await stream.content.readline()
    assert len(client.app[STREAMS]) == 1
    stream.close()
    async with asyncio.timeout(5):
        while client.app[STREAMS]:
            await asyncio.sleep(0.02)
