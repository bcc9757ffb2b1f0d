"""Generators over HTTP: trained on the gallery, listed, shown, dreamt with, deleted."""

from engine.api import Dream, Morph, TrainGan
from tests.integration.bot.faces.web.test_restyles import start


async def draw(imagine, times=2):
    for number in range(times):
        await imagine(f"a fox --size 64x64 --steps 1 --images 8 --seed {100 * number}")


async def test_a_generator_is_trained_and_dreamt_with(client, engine, finish, imagine):
    await draw(imagine)
    body = {"name": "Red Foxes", "minutes": 5}
    job = await start(client, finish, body, "/api/generators")
    assert (job["status"], job["operation"]) == ("finished", "train-gan")
    assert job["reason"].startswith("It learnt from 16 pictures.")
    assert isinstance(engine.requests[-1], TrainGan)
    chinese = {"Accept-Language": "zh-CN"}
    [told] = (await (await client.get("/api/generators", headers=chinese)).json())["generators"]
    assert (told["name"], told["pictures"]) == ("red-foxes", 16)
    assert "梦境" in told["verdict"]
    sheet = await client.get(told["sheet"])
    assert sheet.content_type == "image/png"
    await start(client, finish, {"dream": {"model": "red-foxes"}})
    request = engine.requests[-1]
    assert isinstance(request, Dream)
    assert request.weights == b"learnt"
    morph = {"stops": [{"seed": 1}, {"seed": 2}], "frames": 4, "dreamer": "red-foxes"}
    await start(client, finish, {"morph": morph})
    request = engine.requests[-1]
    assert isinstance(request, Morph)
    assert (request.dreams, request.weights) == ("red-foxes", b"learnt")
    gone = await client.delete("/api/generators/red-foxes")
    assert (await gone.json()) == {"generators": []}
    assert (await client.get(told["sheet"])).status == 404


async def test_what_can_not_be_learnt_is_refused_with_a_reason(client, imagine):
    answer = await client.post("/api/generators", json={"name": "few"})
    assert 400 <= answer.status < 500
    assert "16 different pictures" in (await answer.json())["error"]
    for wrong in ({"name": ""}, {"name": "a", "scope": "all"}, {"name": "a", "minutes": 0}):
        assert (await client.post("/api/generators", json=wrong)).status == 400
