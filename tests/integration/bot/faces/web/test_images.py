import asyncio
import io
import zipfile

import pytest
from PIL import Image
from yarl import URL

from bot.faces.web.app import open_web
from bot.faces.web.config import WebConfig
from bot.storage.files import content_key
from bot.studio.contract import Caller, Destination
from engine.api import read_parameters


async def gallery(client, query=""):
    return await (await client.get(f"/api/images{query}")).json()


async def test_the_gallery_shows_what_was_made_newest_first(client, imagine):
    await imagine("a fox --images 2")
    await imagine("an owl --images 1")
    page = await gallery(client)
    assert [image["prompt"].split(" --")[0] for image in page["images"]] == [
        "an owl",
        "a fox",
        "a fox",
    ]
    assert page["total"] == 3
    assert page["cursor"] is None


async def test_what_a_picture_shows_is_told_in_the_language_of_the_reader(client, imagine):
    job = await imagine("a red fox --images 1 --seed 3")
    [image] = job["images"]
    assert image["alt"] == "Image made from the words: a red fox"
    chinese = {"Accept-Language": "zh-CN"}
    page = await (await client.get("/api/images", headers=chinese)).json()
    alone = await (await client.get(f"/api/images/{image['id']}", headers=chinese)).json()
    told = await (await client.get(f"/api/jobs/{job['id']}", headers=chinese)).json()
    alts = {one["alt"] for one in (alone, *page["images"], *told["images"])}
    assert alts == {"由文字画出的图片：a red fox"}


async def test_the_gallery_comes_in_pages_that_miss_and_repeat_nothing(client, imagine):
    job = await imagine("a fox --images 3")
    first = await gallery(client, "?limit=2")
    rest = await gallery(client, f"?limit=2&cursor={first['cursor']}")
    ids = [image["id"] for image in first["images"] + rest["images"]]
    assert sorted(ids) == sorted(image["id"] for image in job["images"])


async def test_the_gallery_is_searched_by_words_and_filtered_by_favourite(client, imagine):
    fox = await imagine("a fox --images 1")
    await imagine("an owl --images 1")
    found = await gallery(client, "?q=fox")
    assert [image["job_id"] for image in found["images"]] == [fox["id"]]
    await client.post(f"/api/images/{fox['images'][0]['id']}/favourite", json={"on": True})
    found = await gallery(client, "?favourite=true")
    assert [image["job_id"] for image in found["images"]] == [fox["id"]]


async def test_favourites_are_those_of_everybodys_pictures_unless_own_ones_are_asked_for(
    client, studio, imagine
):
    member = Caller(owner_id=7, guild_id=5)
    (theirs,) = await studio.imagine(member, "a fox --images 1", Destination(face="web"))
    async for update in studio.watch(member, theirs.id):
        images = update.job.images
    await client.post(f"/api/images/{images[0].id}/favourite", json={"on": True})
    found = await gallery(client, "?favourite=true")
    assert [image["job_id"] for image in found["images"]] == [theirs.id]
    assert (await gallery(client, "?favourite=true&scope=mine"))["images"] == []
    assert (await gallery(client))["images"] == []


@pytest.mark.parametrize(
    "moment", ["2020-01-01", "2020-01-01T10:00:00", "2020-01-01T10:00:00%2B02:00"]
)
async def test_pictures_are_filtered_by_the_time_they_were_made(client, imagine, moment):
    await imagine("a fox --images 1")
    later = await (await client.get(f"/api/images?after={moment}")).json()
    earlier = await (await client.get(f"/api/images?before={moment}")).json()
    assert (later["total"], earlier["total"]) == (1, 0)


async def test_a_moment_beyond_the_calendar_is_refused(client):
    answer = await client.get("/api/images?after=9999-12-31T23:59:59-12:00")
    assert answer.status == 400


@pytest.mark.parametrize(
    "query",
    [
        *("?limit=0", "?limit=x", "?scope=theirs", "?before=x", "?colour=1", "?before=2020"),
        *("?after=1e9", "?before=-1", "?after=2020-13-01", "?cursor=zzz", "?cursor=older-"),
        *("?cursor=older-Z", "?q=seed:abc", "?q=is:foo", "?q=after:soon", "?scope=guild"),
    ],
)
async def test_a_query_nobody_understands_is_refused(client, query):
    answer = await client.get(f"/api/images{query}")
    assert answer.status == 400
    assert (await answer.json())["error"]


async def test_the_original_is_a_png_that_says_how_it_was_made(client, imagine):
    job = await imagine("a fox --seed 5 --images 1")
    image = job["images"][0]
    answer = await client.get(image["png"])
    body = await answer.read()
    assert answer.content_type == "image/png"
    assert Image.open(io.BytesIO(body)).size == (image["width"], image["height"])
    found = read_parameters(body)
    assert found is not None
    assert found.seed == 5


async def test_the_thumbnail_is_a_small_webp(client, imagine):
    image = (await imagine("a fox --images 1"))["images"][0]
    answer = await client.get(image["webp"])
    assert answer.content_type == "image/webp"
    assert max(Image.open(io.BytesIO(await answer.read())).size) <= 384


# As a browser has it, as a proxy that packs answers makes it, and among others.
@pytest.mark.parametrize("known", ["{}", "W/{}", '"other", {}', "*"])
async def test_a_browser_that_has_a_picture_is_not_sent_it_again(client, imagine, known):
    image = (await imagine("a fox --images 1"))["images"][0]
    tag = (await client.get(image["png"])).headers["ETag"]
    again = await client.get(image["png"], headers={"If-None-Match": known.format(tag)})
    assert again.status == 304
    other = await client.get(image["png"], headers={"If-None-Match": '"other"'})
    assert other.status == 200


async def test_a_download_is_named_after_the_prompt(client, imagine):
    image = (await imagine("狐狸 red/fox --images 1"))["images"][0]
    answer = await client.get(image["png"] + "?download")
    named = answer.headers["Content-Disposition"]
    assert named.startswith("attachment")
    assert answer.content_disposition.filename == f"狐狸-red-fox-{image['id']}.png"


async def test_many_pictures_are_downloaded_as_one_zip(client, imagine):
    job = await imagine("a fox --images 3")
    ids = ",".join(image["id"] for image in job["images"])
    answer = await client.get(f"/api/images.zip?ids={ids}")
    archive = zipfile.ZipFile(io.BytesIO(await answer.read()))
    assert archive.testzip() is None
    assert len(archive.namelist()) == 3
    assert all(Image.open(archive.open(name)).format == "PNG" for name in archive.namelist())


async def test_a_zip_tells_which_of_its_pictures_are_lost_and_holds_the_others(
    client, imagine, tmp_path, caplog
):
    job = await imagine("a fox --images 3")
    lost = job["images"][1]
    png = await (await client.get(lost["png"])).read()
    for file in (tmp_path / "images").glob(f"??/??/{content_key(png)}"):
        file.unlink()
    ids = ",".join(image["id"] for image in job["images"])
    answer = await client.get(f"/api/images.zip?ids={ids}")
    archive = zipfile.ZipFile(io.BytesIO(await answer.read()))
    assert archive.testzip() is None
    *pictures, last = archive.namelist()
    assert len(pictures) == 2
    assert last == "MISSING.txt"
    assert lost["id"] in archive.read(last).decode()
    assert f"image {lost['id']} is left out of an archive" in caplog.text


@pytest.mark.parametrize("path", ["/api/images.zip?ids={id}", "/api/privacy/export.zip"])
async def test_a_download_that_is_stopped_is_no_mistake_of_the_studio(
    studio, client, imagine, caplog, path
):
    image = (await imagine("a fox --images 1"))["images"][0]
    path = path.format(id=image["id"])
    # Served as it is; the client's server would cancel the handler.
    async with open_web(studio, WebConfig(port=0)) as address:
        url = URL(address)
        _, writer = await asyncio.open_connection(url.host, url.port)
        writer.write(f"GET {path} HTTP/1.1\r\nHost: {url.host}\r\n\r\n".encode())
        await writer.drain()
        writer.transport.abort()
        async with asyncio.timeout(10):
            while f'"{URL(path).path}"' not in await read(client, url / "metrics"):
                await asyncio.sleep(0.02)
        assert '"errors": {}' in await read(client, url / "api/status")
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


async def read(client, url):
    async with client.session.get(url) as answer:
        return await answer.text()


async def test_a_zip_with_an_unknown_picture_is_refused_before_it_begins(client):
    answer = await client.get("/api/images.zip?ids=zzzzzzzzzz")
    assert answer.status == 404


async def test_an_image_is_found_by_its_id_and_by_job_and_place(client, imagine):
    job = await imagine("a fox --images 2")
    second = job["images"][1]
    by_id = await (await client.get(f"/api/images/{second['id']}")).json()
    by_place = await (await client.get(f"/api/images/{job['id']}:{second['index']}")).json()
    assert by_id["id"] == second["id"]
    assert by_place["id"] == second["id"]


@pytest.mark.parametrize("end", ["", ".png", ".webp"])
async def test_an_unknown_image_is_not_found(client, end):
    answer = await client.get(f"/api/images/zzzzzzzzzz{end}")
    assert answer.status == 404
    assert (await answer.json())["error"]


@pytest.mark.parametrize(
    ("operation", "body", "expected"),
    [
        ("vary", {"strong": False}, "vary-subtle"),
        ("vary", {"strong": True}, "vary-strong"),
        ("upscale", {"factor": 2}, "upscale"),
        ("reroll", None, "reroll"),
        ("remix", {"text": "an owl --images 1"}, "remix"),
        ("again", None, "make-again"),
    ],
)
async def test_each_operation_makes_a_job_of_its_kind(
    client, imagine, finish, operation, body, expected
):
    image = (await imagine("a fox --seed 5 --images 1"))["images"][0]
    answer = await client.post(f"/api/images/{image['id']}/{operation}", json=body or {})
    assert answer.status == 202, await answer.text()
    job = await finish((await answer.json())["id"])
    assert job["status"] == "finished", job["reason"]
    assert job["operation"] == expected


async def test_lineage_leads_back_to_the_image_that_was_varied(client, imagine, finish):
    image = (await imagine("a fox --images 2"))["images"][1]
    started = await client.post(f"/api/images/{image['id']}/vary", json={"strong": True})
    job = await finish((await started.json())["id"])
    assert {varied["parent"] for varied in job["images"]} == {image["id"]}


async def test_a_picture_made_again_from_its_file_is_the_same_picture(client, imagine, finish):
    image = (await imagine("a fox --seed 5 --images 1"))["images"][0]
    data = await (await client.get(image["png"])).read()
    from_file = await client.post("/api/again", data={"picture": io.BytesIO(data)})
    assert from_file.status == 202, await from_file.text()
    job = await finish((await from_file.json())["id"])
    made = await (await client.get(job["images"][0]["png"])).read()
    assert Image.open(io.BytesIO(made)).tobytes() == Image.open(io.BytesIO(data)).tobytes()


async def test_a_deleted_picture_is_gone_and_comes_back_when_restored(client, imagine):
    image = (await imagine("a fox --images 1"))["images"][0]
    deleted = await client.post(f"/api/images/{image['id']}/delete")
    assert deleted.status == 200
    assert (await gallery(client))["images"] == []
    assert (await client.get(image["png"])).status == 404
    restored = await client.post(f"/api/images/{image['id']}/restore")
    assert (await restored.json())["id"] == image["id"]
    assert len((await gallery(client))["images"]) == 1


async def test_a_favourite_can_be_unmarked(client, imagine):
    image = (await imagine("a fox --images 1"))["images"][0]
    path = f"/api/images/{image['id']}/favourite"
    assert (await (await client.post(path, json={"on": True})).json())["favourite"]
    assert not (await (await client.post(path, json={"on": False})).json())["favourite"]


async def test_a_tagged_picture_is_found_by_its_tag(client, imagine):
    image = (await imagine("a fox --images 2"))["images"][0]
    answer = await client.post(f"/api/images/{image['id']}/tags", json={"tags": ["Red", "best-of"]})
    assert sorted((await answer.json())["tags"]) == ["best-of", "red"]
    answer = await client.post(f"/api/images/{image['id']}/tags", json={"tags": ["two words"]})
    assert answer.status == 400
    assert "tags are up to" in (await answer.json())["error"]
    found = await gallery(client, "?q=tag:best-of")
    assert [one["id"] for one in found["images"]] == [image["id"]]


async def test_a_picture_can_be_hidden_and_shown(client, imagine):
    image = (await imagine("a fox --images 1"))["images"][0]
    path = f"/api/images/{image['id']}/publish"
    assert (await (await client.post(path, json={"private": True})).json())["private"]
    assert not (await (await client.post(path, json={"private": False})).json())["private"]
