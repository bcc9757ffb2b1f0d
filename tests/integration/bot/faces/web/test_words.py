import io

from PIL import Image


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
