"""What is kept of the studio's own, over HTTP."""

import io
import json
import zipfile

import pytest

from bot.errors import StorageUnavailable
from bot.studio.contract import Caller, Destination
from tests.integration.bot.faces.web.test_jobs import data_url, picture


async def test_everything_comes_as_one_archive(client, imagine, finish):
    job = await imagine("a red fox --images 1")
    answer = await client.post("/api/jobs", json={"text": "b", "source": data_url(picture())})
    await finish((await answer.json())["id"])
    answer = await client.get("/api/privacy/export.zip")
    assert (answer.status, answer.content_type) == (200, "application/zip")
    archive = zipfile.ZipFile(io.BytesIO(await answer.read()))
    assert archive.testzip() is None
    told = json.loads(archive.read("atelier.json"))
    assert [one["prompt"] for one in told["jobs"]][-1] == "a red fox --images 1"
    assert f"pictures/{job['images'][0]['id']}.png" in archive.namelist()
    assert any(name.startswith("uploads/") for name in archive.namelist())


async def test_an_archive_that_cannot_be_made_is_no_broken_download(client, studio, monkeypatch):
    async def lost(_caller):
        raise StorageUnavailable
        yield

    monkeypatch.setattr(studio, "export", lost)
    answer = await client.get("/api/privacy/export.zip")
    assert (answer.status, answer.content_type) == (503, "application/json")


@pytest.mark.parametrize("body", [{}, {"confirmed": False}])
async def test_nothing_is_deleted_that_was_not_confirmed(client, imagine, body):
    await imagine("a fox --images 1")
    assert (await client.post("/api/privacy/delete", json=body)).status == 400
    assert (await (await client.get("/api/images")).json())["total"] == 1


async def test_everything_is_deleted_and_of_others_nothing(client, studio, imagine):
    job = await imagine("a fox --images 2")
    other = Caller(owner_id=77)
    [theirs] = await studio.imagine(other, "an owl --images 1", Destination(face="web"))
    async for update in studio.watch(other, theirs.id):
        theirs = update.job
    answer = await client.post("/api/privacy/delete", json={"confirmed": True})
    told = await answer.json()
    assert (answer.status, told["jobs"], told["images"]) == (200, 1, 2)
    assert told["files"] >= 2
    assert (await client.get(job["images"][0]["png"])).status == 404
    assert (await (await client.get("/api/jobs")).json())["jobs"] == []
    assert (await studio.image_png(other, theirs.images[0].id)).startswith(b"\x89PNG")
