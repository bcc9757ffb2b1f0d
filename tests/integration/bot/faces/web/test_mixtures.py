"""Blends, dreams, morphs and larger pictures over HTTP."""

import io

import pytest
from PIL import Image

from engine.api import Blend, Dream, Morph, Upscale, read_parameters
from tests.integration.bot.faces.web.test_jobs import data_url, picture
from tests.tiny_gan import LOOKS, NAME


async def start(client, finish, body):
    answer = await client.post("/api/jobs", json=body)
    assert answer.status == 202, await answer.text()
    return await finish((await answer.json())["id"])


def uploads(count=2):
    return [{"picture": data_url(picture())} for _ in range(count)]


async def test_a_blend_of_uploads_and_images(client, engine, finish, imagine):
    fox = (await imagine("a red fox --images 1"))["images"][0]
    asked = {
        "pictures": [{"image": fox["id"]}, *uploads(1)],
        "weights": [2, 1],
        "prompt": "a fox --steps 3",
        "strength": 0.4,
        "seed": 5,
    }
    job = await start(client, finish, {"blend": asked})
    assert (job["operation"], job["parent"]) == ("blend", fox["id"])
    request = engine.requests[-1]
    assert isinstance(request, Blend)
    assert (request.weights, request.strength, request.seed) == ((2.0, 1.0), 0.4, 5)


async def test_a_dream_and_its_variation(client, engine, finish):
    job = await start(client, finish, {"dream": {"look": "moon", "seed": 9, "count": 2}})
    assert [image["seed"] for image in job["images"]] == [9, 10]
    answer = await client.post(f"/api/images/{job['images'][1]['id']}/vary", json={"strong": False})
    await finish((await answer.json())["id"])
    request = engine.requests[-1]
    assert isinstance(request, Dream)
    assert request.origin == 10


async def test_a_morph_is_served_as_animation_beside_its_first_frame(client, engine, finish):
    asked = {"stops": [*uploads(1), {"prompt": "a fox --steps 3"}, {"seed": 3}], "frames": 6}
    job = await start(client, finish, {"morph": asked, "private": True})
    assert job["private"]
    [image] = job["images"]
    answer = await client.get(image["animation"])
    assert answer.content_type == "image/webp"
    moving = await answer.read()
    with Image.open(io.BytesIO(moving)) as opened:
        assert opened.n_frames == 6
    assert dict(read_parameters(moving).others)["Frames"] == "6"
    still = await client.get(image["png"])
    assert still.content_type == "image/png"
    request = engine.requests[-1]
    assert isinstance(request, Morph)


async def test_a_download_is_named_after_the_kind_of_its_file(client, finish):
    asked = {"stops": uploads(), "frames": 4, "video": True}
    [image] = (await start(client, finish, {"morph": asked}))["images"]
    for kind, suffix in (("png", "png"), ("webp", "webp"), ("animation", "webp"), ("video", "mp4")):
        answer = await client.get(f"{image[kind]}?download")
        assert answer.content_disposition.filename.endswith(f"-{image['id']}.{suffix}"), kind
        assert answer.content_type == {"mp4": "video/mp4"}.get(suffix, f"image/{suffix}")


async def test_a_still_picture_has_no_animation(client, imagine):
    fox = (await imagine("a red fox --images 1"))["images"][0]
    assert fox["animation"] is None
    answer = await client.get(f"/api/images/{fox['id']}/animation.webp")
    assert answer.status == 404


async def test_a_picture_is_enlarged_with_detail(client, engine, finish, imagine):
    asked = {"picture": data_url(picture()), "factor": 4, "detail": 0.9}
    await start(client, finish, {"upscale": asked})
    fox = (await imagine("a red fox --images 1"))["images"][0]
    path = f"/api/images/{fox['id']}/upscale"
    answer = await client.post(path, json={"factor": 2, "detail": 0.1})
    await finish((await answer.json())["id"])
    details = [r.detail for r in engine.requests if isinstance(r, Upscale)]
    assert details == [0.9, 0.1]


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"morph": {"stops": [{"seed": 1}, {"seed": 2}], "frames": 1}}, "frames"),
        ({"morph": {"stops": [{"seed": 1}, {"seed": 2}], "frames": 10_000}}, "frames"),
        ({"morph": {"stops": [{"seed": 1}]}}, "2 to 6 stops"),
        ({"morph": {"stops": [{"seed": 1, "prompt": "x"}, {"seed": 2}]}}, "one thing"),
        ({"blend": {"pictures": []}}, "2 to 5 pictures"),
        ({"blend": {"pictures": uploads(), "weights": [1e39, 1]}}, "weights must be in"),
        ({"blend": {"pictures": uploads(), "weights": [1e-50, 1e-50]}}, "weights are all"),
        ({"dream": {"distance": 0.1}}, "give a picture"),
        ({"dream": {"look": "dog"}}, "cat, moon"),
        ({"dream": {"truncation": 2}}, "truncation"),
        ({"text": "a fox", "dream": {}}, "send one of these alone: text, dream"),
    ],
)
async def test_what_can_not_be_done_is_refused_with_a_reason(client, body, says):
    answer = await client.post("/api/jobs", json=body)
    told = await answer.text()
    assert says in told
    assert 400 <= answer.status < 500


async def test_models_that_dream_are_listed_apart(client):
    told = await (await client.get("/api/models")).json()
    assert [one["name"] for one in told["dreamers"]] == [NAME]
    assert told["dreamers"][0]["looks"] == list(LOOKS)
    assert NAME not in [one["name"] for one in told["models"]]


async def test_a_video_is_served_whole_and_in_parts(client, finish):
    stops = uploads()
    job = await start(client, finish, {"morph": {"stops": stops, "frames": 4, "video": True}})
    [image] = job["images"]
    whole = await client.get(image["video"])
    assert (whole.status, whole.content_type) == (200, "video/mp4")
    video = await whole.read()
    assert dict(read_parameters(video).others)["Frames"] == "4"
    part = await client.get(image["video"], headers={"Range": "bytes=4-11"})
    assert (part.status, await part.read()) == (206, video[4:12])
    assert part.headers["Content-Range"] == f"bytes 4-11/{len(video)}"
    late = await client.get(image["video"], headers={"Range": f"bytes={len(video)}-"})
    assert late.status == 416
    for unknown in ("bytes=0-3,8-11", "frames=1-2", "bytes=7-4"):
        told = await client.get(image["video"], headers={"Range": unknown})
        assert (told.status, await told.read()) == (200, video)
    assert (await client.get(image["animation"])).content_type == "image/webp"
    told = await client.get(f"{image['video']}?download")
    assert ".mp4" in told.headers["Content-Disposition"]
    plain = await start(client, finish, {"morph": {"stops": stops, "frames": 4}})
    assert plain["images"][0]["video"] is None
    nothing = image["video"].replace(image["id"], plain["images"][0]["id"])
    assert (await client.get(nothing)).status == 404
