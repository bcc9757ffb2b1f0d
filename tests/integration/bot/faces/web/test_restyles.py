import io
import json

import pytest
from aiohttp import FormData
from PIL import Image

from bot.faces.web.config import WebConfig
from engine.api import KeepColour, StyleMethod, Stylize
from tests.integration.bot.faces.web.test_jobs import data_url, picture

NIGHT = {"name": "starry-night"}


async def start(client, finish, body, path="/api/jobs"):
    answer = await client.post(path, json=body)
    assert answer.status == 202, await answer.text()
    return await finish((await answer.json())["id"])


async def test_a_picture_is_restyled_as_asked(client, engine, finish):
    asked = {
        "content": data_url(picture()),
        "styles": [NIGHT, {"picture": data_url(picture()), "weight": 50}],
        "strength": 0.7,
        "method": "optimise",
        "detail": "draft",
        "keep_colour": "matched",
        "size": 128,
        "seed": 5,
        "variations": 2,
        "mask": data_url(picture()),
    }
    job = await start(client, finish, {"stylize": asked})
    assert job["operation"] == "stylize"
    assert [image["seed"] for image in job["images"]] == [5, 6]
    assert job["images"][0]["width"] == 128
    [request] = engine.requests
    assert isinstance(request, Stylize)
    assert (request.method, request.keep_colour) == (StyleMethod.OPTIMISE, KeepColour.MATCHED)
    assert [style.weight for style in request.styles] == [1, 50]
    assert request.mask


async def test_an_image_of_the_gallery_is_restyled_in_place(client, finish, imagine):
    drawn = (await imagine("a red fox --images 1"))["images"][0]
    job = await start(client, finish, {"styles": [NIGHT]}, f"/api/images/{drawn['id']}/restyle")
    assert job["parent"] == drawn["id"]
    assert job["prompt"] == "a red fox, in the style of The Starry Night"
    other = {"stylize": {"image": drawn["id"], "styles": [{"name": "udnie"}]}, "private": True}
    assert (await start(client, finish, other))["private"]


async def test_a_form_carries_the_pictures_as_files(client, engine, finish):
    form = FormData()
    form.add_field("stylize", json.dumps({"styles": [NIGHT], "strength": 0.5}))
    form.add_field("content", picture("JPEG", (40, 30)), filename="photo.jpg")
    form.add_field("style", picture("WEBP"), filename="look.webp")
    answer = await client.post("/api/jobs", data=form)
    assert answer.status == 202, await answer.text()
    job = await finish((await answer.json())["id"])
    assert job["images"][0]["width"] == 40
    assert len(engine.requests[0].styles) == 2


async def test_a_blend_is_five_pictures(client, finish):
    asked = {"content": data_url(picture()), "styles": [NIGHT, {"name": "udnie"}], "blend": 0.3}
    job = await start(client, finish, {"stylize": asked})
    assert len(job["images"]) == 5


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        ({}, 400, "text is needed"),
        ({"text": "a fox", "stylize": {}}, 400, "send one of these alone: text, stylize"),
        ({"stylize": {"styles": [NIGHT]}}, 400, "nothing to restyle"),
        ({"stylize": {}}, 400, "nothing to restyle"),
        ({"stylize": {"image": "abcdefgh12", "styles": [NIGHT]}}, 404, "no such image"),
        ({"stylize": {"content": data_url(b"x"), "styles": [NIGHT]}}, 400, "the picture is no"),
        ({"stylize": {"content": data_url(picture()), "styles": []}}, 400, "1 to 8 styles"),
        ({"stylize": {"content": data_url(picture()), "styles": [{}]}}, 400, "name or a picture"),
        ({"stylize": {"styles": [{"name": " "}]}}, 400, "name or a picture"),
        ({"stylize": {"styles": [NIGHT], "strength": 2}}, 400, "stylize.strength"),
        ({"stylize": {"styles": [NIGHT], "blend": 0.5}}, 400, "between two styles"),
        ({"stylize": {"styles": [{"name": "x", "weight": 0}]}}, 400, "weight"),
        ({"upscale": {"image": "abcdefgh12", "factor": 3}}, 400, "must be one of 2, 4"),
        ({"stylize": {"styls": []}}, 400, "styls"),
    ],
)
async def test_what_cannot_be_restyled_is_refused_with_the_reason(client, body, status, says):
    answer = await client.post("/api/jobs", json=body)
    told = await answer.json()
    assert answer.status == status, told
    assert says in told["error"]


async def test_looks_are_saved_listed_shown_and_deleted(client):
    saved = await client.post(
        "/api/styles", json={"name": "My Wave", "picture": data_url(picture())}
    )
    assert saved.status == 200, await saved.text()
    listed = (await (await client.get("/api/styles")).json())["styles"]
    assert [listed[0]["name"], listed[0]["preset"]] == ["my-wave", False]
    assert sum(style["preset"] for style in listed) == 8
    shown = await client.get(listed[0]["picture"])
    assert Image.open(io.BytesIO(await shown.read())).format == "WEBP"
    painting = await client.get(listed[-1]["picture"])
    assert Image.open(io.BytesIO(await painting.read())).size == (128, 128)
    whole = await client.get("/api/styles/my-wave.png")
    assert Image.open(io.BytesIO(await whole.read())).format == "PNG"
    assert (await client.delete("/api/styles/my-wave")).status == 200
    assert (await client.get("/api/styles/my-wave.png")).status == 404


async def test_looks_are_titled_in_the_language_of_the_browser(client):
    chinese = await client.get("/api/styles", headers={"Accept-Language": "zh-CN,zh"})
    titles = [style["title"] for style in (await chinese.json())["styles"]]
    assert any("梵高" in title for title in titles)
    english = await client.get("/api/styles?language=en", headers={"Accept-Language": "zh"})
    titles = [style["title"] for style in (await english.json())["styles"]]
    assert "The Starry Night (Vincent van Gogh, 1889)" in titles


class TestSmallUploads:
    @pytest.fixture
    def config(self) -> WebConfig:
        return WebConfig(upload_max_bytes=200)

    async def test_a_picture_deep_in_the_body_is_measured_too(self, client):
        asked = {"content": data_url(b"x"), "styles": [{"picture": data_url(bytes(201))}]}
        answer = await client.post("/api/jobs", json={"stylize": asked})
        assert answer.status == 413


async def test_a_look_is_learned_as_a_job_and_says_so_afterwards(client, finish):
    answer = await client.post(
        "/api/styles/train", json={"name": "My Wave", "picture": data_url(picture())}
    )
    assert answer.status == 202, await answer.text()
    [job] = (await answer.json())["jobs"]
    assert (await finish(job["id"]))["status"] == "finished"
    listed = (await (await client.get("/api/styles")).json())["styles"]
    assert [listed[0]["name"], listed[0]["trained"]] == ["my-wave", True]
    refused = await client.post(
        "/api/styles/train", json={"name": "udnie", "picture": data_url(picture())}
    )
    assert refused.status == 400
    assert "ships" in (await refused.json())["error"]


async def test_what_was_learned_is_replaced_only_if_asked_to(client, finish):
    learnt = {"name": "wave", "picture": data_url(picture())}
    job = await start(client, finish, learnt, "/api/styles/train")
    assert job["status"] == "finished"
    other = {"name": "wave", "picture": data_url(picture(size=(20, 20)))}
    for address in ("/api/styles", "/api/styles/train"):
        refused = await client.post(address, json=other)
        assert refused.status == 409
        assert (await refused.json())["kind"] == "NameTaken"
    chinese = {"Accept-Language": "zh"}
    saved = await client.post("/api/styles", json=other | {"replace": True}, headers=chinese)
    told = await saved.json()
    assert "从旧图片学到的内容没有了" in told["remark"]
    assert not told["styles"][0]["trained"]


async def test_an_image_is_kept_learned_without_sending_it_again_and_renamed(
    client, finish, imagine
):
    drawn = (await imagine("a red fox --images 1"))["images"][0]
    saved = await client.post("/api/styles", json={"name": "fox", "image": drawn["id"]})
    assert saved.status == 200, await saved.text()
    job = await start(client, finish, {"name": "fox"}, "/api/styles/train")
    assert job["status"] == "finished"
    renamed = await client.post("/api/styles/fox/rename", json={"name": "Red Fox"})
    told = (await renamed.json())["styles"][0]
    assert (told["name"], told["trained"]) == ("red-fox", True)
    assert (await client.post("/api/styles/fox/rename", json={"name": "owl"})).status == 404
    await client.post("/api/styles", json={"name": "owl", "image": drawn["id"]})
    taken = await client.post("/api/styles/owl/rename", json={"name": "red-fox"})
    assert taken.status == 409
    both = {"name": "fox", "image": drawn["id"], "picture": data_url(picture())}
    for address, wrong in (("/api/styles", {"name": "fox"}), ("/api/styles/train", both)):
        refused = await client.post(address, json=wrong)
        assert refused.status == 400
        assert "an upload or the id of an image" in (await refused.json())["error"]
