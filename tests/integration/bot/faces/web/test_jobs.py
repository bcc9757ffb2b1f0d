import asyncio
import base64
import io

import pytest
from aiohttp import ClientSession, FormData
from PIL import Image
from yarl import URL

from bot.faces.web.app import open_web
from bot.faces.web.config import WebConfig
from bot.studio.watching import MAX_HISTORY
from engine.api import ImageToImage, InvalidRequest, OutOfMemory, Said


def picture(kind: str = "PNG", size: tuple[int, int] = (96, 64)) -> bytes:
    out = io.BytesIO()
    Image.linear_gradient("L").resize(size).convert("RGB").save(out, kind)
    return out.getvalue()


def data_url(data: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(data).decode()


async def test_a_prompt_is_accepted_as_a_job_and_ends_with_pictures(client, finish):
    answer = await client.post("/api/jobs", json={"text": "a red fox --seed 7 --images 2"})
    told = await answer.json()
    assert answer.status == 202
    assert told["ids"] == [told["id"]]
    assert told["jobs"][0]["status"] in ("queued", "running")
    job = await finish(told["id"])
    assert job["status"] == "finished"
    assert job["progress"] == 1
    assert job["reason"] == ""
    assert [image["seed"] for image in job["images"]] == [7, 8]
    assert len({image["id"] for image in job["images"]}) == 2
    assert job["operation"] == "imagine"


async def test_a_wrong_flag_is_refused_with_its_place_and_a_cure(client):
    answer = await client.post("/api/jobs", json={"text": "a fox --choas 20"})
    told = await answer.json()
    assert answer.status == 400
    assert told["position"] == 6
    assert told["length"] == len("--choas")
    assert "--chaos" in told["suggestion"]


async def test_many_jobs_start_only_once_confirmed(client):
    body = {"text": "a {red, blue, green, grey, white} fox"}
    refused = await client.post("/api/jobs", json=body)
    assert refused.status == 409
    assert (await refused.json())["count"] == 5
    assert (await (await client.get("/api/jobs")).json())["jobs"] == []
    started = await client.post("/api/jobs", json=body | {"confirmed": True})
    assert started.status == 202
    assert len((await started.json())["ids"]) == 5


async def test_a_chinese_member_reads_in_chinese_why_a_job_failed(client, engine, imagine):
    wrong = Said("must be in {low}..{high}, not {given}", low=2, high=96, given=500)
    engine.error = InvalidRequest("frames", wrong)
    job = await imagine("a fox")
    assert job["reason"] == "frames must be in 2..96, not 500"
    chinese = {"Accept-Language": "zh-CN,zh;q=0.9,en;q=0.8"}
    told = await (await client.get(f"/api/jobs/{job['id']}", headers=chinese)).json()
    assert told["reason"] == "帧数必须在 2 到 96 之间，不能是 500"
    page = await (await client.get("/api/jobs", headers=chinese)).json()
    assert page["jobs"][0]["reason"] == told["reason"]
    stream = await client.get(f"/api/jobs/{job['id']}/events?language=zh-CN")
    assert told["reason"] in await stream.text(), "browsers' event streams send no headers"


async def test_a_failed_job_says_why(client, engine, imagine):
    engine.error = OutOfMemory("the device has too little memory for this")
    job = await imagine("a fox")
    assert job["status"] == "failed"
    assert "memory" in job["reason"]
    assert job["images"] == []


async def test_a_running_job_can_be_cancelled_and_stays_cancelled(client, engine, finish):
    engine.stuck = True
    started = await (await client.post("/api/jobs", json={"text": "a fox"})).json()
    cancelled = await client.delete(f"/api/jobs/{started['id']}")
    assert cancelled.status == 200
    assert (await finish(started["id"]))["status"] == "cancelled"
    again = await client.delete(f"/api/jobs/{started['id']}")
    assert (await again.json())["status"] == "cancelled"


async def test_no_more_jobs_are_asked_for_than_one_page_of_the_studio_holds(client):
    assert (await client.get(f"/api/jobs?limit={MAX_HISTORY}")).status == 200
    assert (await client.get(f"/api/jobs?limit={MAX_HISTORY + 1}")).status == 400


async def test_a_request_that_comes_again_with_its_key_is_answered_with_its_first_jobs(
    client, engine, finish
):
    engine.stuck = True
    key = {"Idempotency-Key": "order 7"}
    body = {"text": "a {red, blue} fox --images 1"}
    both = [client.post("/api/jobs", json=body, headers=key) for _ in range(2)]
    first, second = [await answer.json() for answer in await asyncio.gather(*both)]
    assert first["ids"] == second["ids"]
    assert len((await (await client.get("/api/jobs")).json())["jobs"]) == 2
    engine.stuck = False
    ended = await finish(first["id"])
    again = await client.post("/api/jobs", json=body, headers=key)
    assert again.status == 202
    assert (await again.json())["jobs"][0] == ended
    other = await client.post("/api/jobs", json=body, headers={"Idempotency-Key": "order 8"})
    assert (await other.json())["id"] not in first["ids"]


async def test_who_starts_jobs_or_asks_again_is_told_of_them_in_their_language(client, finish):
    asked = {"Idempotency-Key": "order 7", "Accept-Language": "zh-CN"}
    body = {"text": "a red fox --images 1"}
    await finish((await (await client.post("/api/jobs", json=body, headers=asked)).json())["id"])
    again = await (await client.post("/api/jobs", json=body, headers=asked)).json()
    assert [image["alt"] for image in again["jobs"][0]["images"]] == ["由文字画出的图片：a red fox"]


async def test_every_operation_may_name_a_key_which_is_not_too_long(client, imagine):
    image = (await imagine("a fox --images 1"))["images"][0]
    address, key = f"/api/images/{image['id']}/vary", {"Idempotency-Key": "x" * 80}
    answers = [await client.post(address, headers=key) for _ in range(2)]
    first, second = [(await answer.json())["ids"] for answer in answers]
    assert first == second
    long = await client.post(address, headers={"Idempotency-Key": "x" * 81})
    assert long.status == 400


async def test_a_key_that_can_not_be_read_is_what_is_refused(client):
    reader, writer = await asyncio.open_connection(client.host, client.port)
    named = f"POST /api/jobs HTTP/1.1\r\nHost: {client.host}\r\nConnection: close\r\n"
    writer.write(named.encode() + b"Idempotency-Key: caf\xe9\r\n\r\n")  # as Latin-1 has it
    told = (await reader.read()).decode()
    writer.close()
    assert " 400 " in told
    assert "Idempotency-Key" in told


async def test_history_comes_newest_first_in_pages(client, imagine):
    for word in ("one", "two", "three"):
        await imagine(f"{word} --images 1")
    first = await (await client.get("/api/jobs?limit=2")).json()
    rest = await (await client.get(f"/api/jobs?limit=2&cursor={first['cursor']}")).json()
    prompts = [job["prompt"].split()[0] for job in first["jobs"] + rest["jobs"]]
    assert prompts == ["three", "two", "one"]
    assert rest["cursor"] is None
    assert (await client.get("/api/jobs?cursor=zzz")).status == 400


@pytest.mark.parametrize("field", ["source", "style"])
async def test_a_picture_that_is_none_is_refused_with_what_to_do(client, field):
    body = {"text": "a fox", field: data_url(b"this is no picture")}
    answer = await client.post("/api/jobs", json=body)
    assert answer.status == 400
    assert (await answer.json())["error"]


async def test_a_source_image_may_come_as_data_url_or_as_form(client, engine, finish):
    by_json = await client.post("/api/jobs", json={"text": "a fox", "source": data_url(picture())})
    form = FormData()
    form.add_field("text", "a fox")
    form.add_field("source", picture("JPEG"), filename="photo.jpg", content_type="image/jpeg")
    by_form = await client.post("/api/jobs", data=form)
    for answer in (by_json, by_form):
        assert answer.status == 202, await answer.text()
        assert (await finish((await answer.json())["id"]))["status"] == "finished"
    assert [type(request) for request in engine.requests] == [ImageToImage, ImageToImage]


async def test_images_of_the_gallery_are_named_by_their_ids(client, engine, imagine, finish):
    fox = (await imagine("a fox --images 1"))["images"][0]
    body = {"text": "an owl --images 1", "source_image": fox["id"], "style_image": fox["id"]}
    form = FormData(body, default_to_multipart=True)
    for sent in ({"json": body}, {"data": form}):
        started = await client.post("/api/jobs", **sent)
        assert started.status == 202, await started.text()
        job = await finish((await started.json())["id"])
        assert isinstance(engine.requests[-1], ImageToImage)
        assert len(engine.requests[-1].style_references) == 1
        assert job["images"][0]["parent"] == fox["id"]


async def test_a_picture_is_an_upload_or_an_id(client, imagine):
    fox = (await imagine("a fox --images 1"))["images"][0]
    body = {"text": "an owl", "source": data_url(picture()), "source_image": fox["id"]}
    answer = await client.post("/api/jobs", json=body)
    assert answer.status == 400
    assert "the id of an image" in (await answer.json())["error"]
    unknown = await client.post("/api/jobs", json={"text": "an owl", "source_image": "zzzzzzzzzz"})
    assert unknown.status == 404


async def test_a_private_job_makes_private_pictures(client, imagine, finish):
    answer = await client.post("/api/jobs", json={"text": "a fox", "private": True})
    job = await finish((await answer.json())["id"])
    assert all(image["private"] for image in job["images"])


@pytest.mark.parametrize(
    ("body", "hint"),
    [
        (b"{", "JSON"),
        (b"[1]", "object"),
        (b"{}", "text"),
        (b'{"text": 3}', "text"),
        (b'{"text": "a", "colour": 1}', "colour"),
        (b'{"text": "a", "source": "x.png"}', "data URL"),
        (b'{"text": "a", "source": "data:image/png;base64,%%%"}', "base64"),
        (b"\xff\xfe", "JSON"),
    ],
)
async def test_a_body_of_the_wrong_shape_is_refused_by_name(client, body, hint):
    headers = {"Content-Type": "application/json"}
    answer = await client.post("/api/jobs", data=body, headers=headers)
    assert answer.status == 400
    assert hint in (await answer.json())["error"]


async def test_a_form_that_a_foreign_page_could_send_is_refused(client):
    answer = await client.post("/api/jobs", data={"text": "a fox"})
    assert answer.status == 415


@pytest.mark.parametrize("path", ["/api/jobs/zzzzzzzzzz", "/api/jobs/zzzzzzzzzz/events"])
async def test_an_unknown_job_is_not_found(client, path):
    answer = await client.get(path)
    assert answer.status == 404
    assert (await answer.json())["error"]


class TestWithASmallUploadLimit:
    @pytest.fixture
    def config(self) -> WebConfig:
        return WebConfig(upload_max_bytes=3_000)

    async def test_a_picture_over_the_limit_is_refused(self, client):
        source = data_url(b"x" * 4_000)
        answer = await client.post("/api/jobs", json={"text": "a fox", "source": source})
        assert answer.status == 413
        assert "smaller" in (await answer.json())["error"]

    async def test_a_body_over_the_limit_is_refused_before_it_is_read_whole(self, client):
        body = io.BytesIO(b'{"text": "' + b"x" * 1_500_000 + b'"}')
        headers = {"Content-Type": "application/json"}
        answer = await client.post("/api/jobs", data=body, headers=headers)
        assert answer.status == 413

    async def test_a_form_over_the_limit_is_refused(self, client):
        form = FormData()
        big = io.BytesIO(b"x" * 1_500_000)
        form.add_field("source", big, filename="a.png", content_type="image/png")
        answer = await client.post("/api/jobs", data=form)
        assert answer.status == 413


async def test_what_was_made_can_be_made_again_with_another_seed_or_other_words(
    client, imagine, finish
):
    job = await imagine("a fox --seed 3 --images 1")
    rerolled = await client.post(f"/api/jobs/{job['id']}/reroll")
    remixed = await client.post(f"/api/jobs/{job['id']}/remix", json={"text": "an owl --images 1"})
    first = await finish((await rerolled.json())["id"])
    second = await finish((await remixed.json())["id"])
    assert first["operation"] == "reroll"
    assert first["seed"] != 3
    assert second["operation"] == "remix"
    assert second["prompt"] == "an owl --images 1"


async def test_an_upload_that_breaks_off_is_no_mistake_of_the_studio(studio, caplog):
    # Served as it is; the test client's server would cancel the handler.
    async with open_web(studio, WebConfig(port=0)) as address, ClientSession(address) as session:
        url = URL(address)
        _, writer = await asyncio.open_connection(url.host, url.port)
        head = f"POST /api/jobs HTTP/1.1\r\nHost: {url.host}\r\nContent-Length: 99\r\n"
        writer.write(f'{head}Content-Type: application/json\r\n\r\n{{"text"'.encode())
        await writer.drain()
        await asyncio.sleep(0.2)
        writer.transport.abort()
        async with asyncio.timeout(10):
            while 'method="POST"' not in await (await session.get("/metrics")).text():
                await asyncio.sleep(0.02)
        assert (await (await session.get("/api/status")).json())["errors"] == {}
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


async def test_two_files_of_one_name_are_refused_and_none_is_left_out(client):
    form = FormData()
    form.add_field("stylize", '{"styles": []}')
    for name in ("content", "style", "style"):
        form.add_field(name, picture(), filename=f"{name}.png")
    answer = await client.post("/api/jobs", data=form)
    assert answer.status == 400
    assert (await answer.json())["error"] == "style is sent more than once"


async def test_an_address_that_is_too_long_is_refused(client):
    answer = await client.get("/api/jobs", params={"cursor": "z" * 9000})
    assert answer.status == 400
