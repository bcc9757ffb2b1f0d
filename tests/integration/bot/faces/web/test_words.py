import io

from aiohttp import CookieJar
from aiohttp.test_utils import TestClient, TestServer
from PIL import Image

from bot.faces.web.app import make_app
from bot.faces.web.config import WebConfig


async def check(client, text):
    return await (await client.post("/api/check", json={"text": text})).json()


async def test_a_good_prompt_has_no_problem(client):
    assert await check(client, "a fox --ar 3:2") == {"count": 1, "problem": None}


async def test_nothing_typed_is_no_problem(client):
    assert await check(client, "  ") == {"count": 0, "problem": None}


async def test_flags_alone_are_no_problem_while_a_picture_may_say_enough(client):
    assert (await check(client, "--ar 3:2"))["problem"] is None


async def test_the_wrong_word_is_marked(client):
    text = "a fox --ar 3:2 --choas 5"
    problem = (await check(client, text))["problem"]
    assert text[problem["position"] :][: problem["length"]] == "--choas"
    assert "--chaos" in problem["suggestion"]


async def test_an_unknown_model_is_marked_before_it_is_sent(client):
    text = "a fox --model atelier-pak"
    problem = (await check(client, text))["problem"]
    assert text[problem["position"] :][: problem["length"]] == "atelier-pak"
    assert "atelier-pack" in problem["suggestion"]


async def test_permutations_are_counted_and_errors_in_them_found_in_what_was_typed(client):
    assert (await check(client, "a {red, blue} {fox, owl}"))["count"] == 4
    text = "a {red, blue} fox --chaos {10, 900}"
    problem = (await check(client, text))["problem"]
    assert text[problem["position"] :][: problem["length"]] == "900"


async def test_repetitions_are_counted(client):
    assert await check(client, "a {red, blue} fox --repeat 3") == {"count": 6, "problem": None}


async def test_lists_of_the_operator_are_known_while_one_types(client):
    assert await check(client, "a __animals__ in the snow") == {"count": 1, "problem": None}
    text = "a __anmals__"
    problem = (await check(client, text))["problem"]
    assert "animals" in problem["suggestion"]
    assert (await client.post("/api/jobs", json={"text": "a __animals__ --images 1"})).ok


async def test_an_unknown_style_is_marked_in_the_words_of_sending(client):
    text = "a wave --sref wave::2"
    problem = (await check(client, text))["problem"]
    assert text[problem["position"] :][: problem["length"]] == "wave"
    assert problem["position"] == text.rindex("wave")
    answer = await client.post("/api/jobs", json={"text": text})
    told = await answer.json()
    assert problem["error"] == f"{told['error']}."


async def test_styles_that_ship_or_are_saved_and_images_are_no_problem(client, imagine):
    image = (await imagine("a fox --images 1"))["images"][0]
    out = io.BytesIO()
    Image.new("RGB", (40, 30), "teal").save(out, "PNG")
    form = {"name": "my wave", "picture": io.BytesIO(out.getvalue())}
    assert (await client.post("/api/styles", data=form)).status < 300
    for name in ("great-wave::2 udnie", '"my wave"::0.5', "my-wave", "random", image["id"]):
        assert (await check(client, f"a fox --sref {name}"))["problem"] is None


async def test_more_jobs_than_may_be_made_are_told_while_one_types(studio):
    server = TestServer(make_app(studio, WebConfig(jobs_max=10)))
    async with TestClient(server, cookie_jar=CookieJar(unsafe=True)) as client:
        problem = (await check(client, "a {red, blue} fox --repeat 6"))["problem"]
        answer = await client.post("/api/jobs", json={"text": "a {red, blue} fox --repeat 6"})
        assert problem["error"] == (await answer.json())["error"]
    assert problem["error"].startswith("this prompt makes 12 jobs, and 10 may be made at once")


async def test_a_huge_number_of_permutations_is_counted_without_making_them(client):
    told = await check(client, "{a,b}" * 20 + " fox")
    assert told["count"] == 2**20 or told["problem"]


async def test_models_presets_and_flags_are_listed_for_the_controls(client):
    models = (await (await client.get("/api/models")).json())["models"]
    presets = (await (await client.get("/api/presets")).json())["presets"]
    flags = (await (await client.get("/api/flags")).json())["flags"]
    assert sum(model["default"] for model in models) == 1
    assert all(preset["added"] and preset["title_zh"] for preset in presets)
    assert {"ar", "seed", "chaos"} <= {flag["name"] for flag in flags}


async def test_a_picture_of_ours_tells_a_prompt_that_makes_it_again(client, imagine, finish):
    image = (await imagine("a fox --ar 3:2 --seed 5 --images 1"))["images"][0]
    data = await (await client.get(image["png"])).read()
    answer = await client.post("/api/parameters", data={"picture": io.BytesIO(data)})
    told = await answer.json()
    assert "Seed: 5" in told["text"]
    job = await imagine(told["prompt"])
    again = await (await client.get(job["images"][0]["png"])).read()
    assert Image.open(io.BytesIO(again)).tobytes() == Image.open(io.BytesIO(data)).tobytes()


async def test_a_picture_that_does_not_say_is_answered_with_nothing(client):
    out = io.BytesIO()
    Image.new("RGB", (8, 8)).save(out, "PNG")
    out.seek(0)
    answer = await client.post("/api/parameters", data={"picture": out})
    assert await answer.json() == {"text": "", "prompt": ""}
