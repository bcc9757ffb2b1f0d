import pytest

from bot.errors import LimitReached
from bot.faces.web.images import file_name
from bot.faces.web.words import CHECKED_EXPANSIONS, prompt_of, read_wanted
from bot.prompts import PromptError
from bot.studio.asking import Sources, read_wishes, request_of
from bot.studio.contract import Preferences
from engine.api import EngineConfig, GenerationParameters, open_catalogue


@pytest.fixture(scope="module")
def catalogue():
    return open_catalogue(EngineConfig())


@pytest.mark.parametrize(
    ("told", "prompt"),
    [
        (
            {"prompt": "a fox,\nin snow", "negative_prompt": "blur", "seed": 0, "model": "x"},
            "a fox, in snow --seed 0 --no blur",
        ),
        (
            {"prompt": "a fox --ar 3:2 --seed 5 --size", "seed": 6},
            "a fox \\--ar 3:2 \\--seed 5 \\--size --seed 6",
        ),
        (
            {"prompt": "a fox --seed 5 --tile --private", "seed": 6, "model": "Atelier-Pack"},
            "a fox --seed 6 --model atelier-pack --private",
        ),
        ({"prompt": "a fox", "width": 512, "height": 768}, "a fox --ar 2:3"),
        ({"prompt": "a fox", "width": 320, "height": 208}, "a fox --size 320x208"),
        ({"prompt": "a fox", "width": 256, "height": 256, "steps": 24}, "a fox"),
        ({"prompt": "a fox", "width": 9000, "height": 8, "seed": -1}, "a fox"),
        (
            {"prompt": "a fox", "steps": 500, "guidance_scale": 0.0, "sampler": "DPM++ 2M Karras"},
            "a fox --steps 150 --guidance 1 --sampler dpm++2m",
        ),
        ({"prompt": "a fox", "sampler": "UniPC", "guidance_scale": 5.0}, "a fox"),
        ({"prompt": "a fox <lora:add_detail:1>"}, "a fox"),
        (
            {"prompt": "a fox", "others": (("Chaos", "5 --tile"), ("Weird", "70"))},
            "a fox --weird 70",
        ),
        (
            {"prompt": "a fox", "negative_prompt": "(bad:1.4), hands"},
            "a fox --no (bad:1.4), hands",
        ),
        (
            {"prompt": "a fox", "negative_prompt": "bad --x, hands"},
            "a fox --no bad \\--x\\, hands",
        ),
    ],
)
def test_a_picture_tells_a_prompt_that_can_be_drawn_here(catalogue, told, prompt):
    found = GenerationParameters(**told)
    assert prompt_of(found, catalogue) == prompt
    [wish] = read_wishes(prompt, Preferences(), cap=1)
    assert request_of(wish, Sources(), catalogue)


@pytest.mark.parametrize("text", ["a fox", "a {red, blue} fox", "(fox:1.3) --ar 3:2", "--tile"])
def test_what_the_grammar_reads_has_no_problem(text, catalogue):
    assert read_wanted(text, catalogue).jobs


@pytest.mark.parametrize("text", ["a fox --ar", "{a", "fox --chaos 101", "a --model nobody"])
def test_what_it_does_not_read_has_a_place_within_the_text(text, catalogue):
    with pytest.raises(PromptError) as refused:
        read_wanted(text, catalogue)
    start, length = refused.value.position, refused.value.length
    assert 0 <= start <= start + length <= len(text)


MANY = "a {" + ",".join(str(i) for i in range(CHECKED_EXPANSIONS + 5)) + "} fox"


@pytest.mark.parametrize(
    ("text", "jobs"),
    [
        ("a fox --repeat 4", 4),
        ("a {red, blue} fox --repeat 3", 6),
        ("a fox --tile {, --repeat 3}", 4),
        (f"{MANY} --r 2", 50),
        ("{a,b}" * 20 + " fox", 2**20),
    ],
)
def test_repetitions_and_permutations_are_counted_as_when_they_are_sent(text, jobs, catalogue):
    assert read_wanted(text, catalogue).jobs == jobs
    if jobs <= 1000:
        assert len(read_wishes(text, Preferences(), cap=1000)) == jobs


@pytest.mark.parametrize("text", ["a fox --repeat 11", "a {red, blue} fox --repeat 6", MANY])
def test_more_jobs_than_may_be_made_are_refused_in_the_words_of_sending(text, catalogue):
    with pytest.raises(LimitReached) as sent:
        read_wishes(text, Preferences(), cap=10)
    with pytest.raises(LimitReached) as typed:
        read_wanted(text, catalogue, jobs_max=10)
    assert str(typed.value) == str(sent.value)
    assert read_wanted(text, catalogue, jobs_max=100)


def test_the_names_of_styles_are_found_but_neither_links_nor_chance(catalogue):
    text = "a {red, blue} fox --sref wave::2 https://a.example/b.png Random udnie"
    assert read_wanted(text, catalogue).styles == ("wave", "udnie")


def test_a_file_is_named_by_words_and_id(image_view):
    assert file_name(image_view(prompt="A red/fox: 狐狸 --ar 3:2")) == "A-red-fox-狐狸-abc123.png"
    assert file_name(image_view(prompt="--tile")) == "image-abc123.png"


@pytest.fixture
def image_view():
    from datetime import UTC, datetime

    from bot.studio.contract import ImageView, Operation

    def made(prompt: str) -> ImageView:
        return ImageView(
            id="abc123",
            job_id="job123",
            index=0,
            owner_id=0,
            guild_id=None,
            seed=1,
            width=64,
            height=64,
            prompt=prompt,
            model="atelier-pack",
            parameters="",
            operation=Operation.IMAGINE,
            parent_id=None,
            is_private=False,
            is_favourite=False,
            created_at=datetime(2026, 1, 1, tzinfo=UTC),
            alt_text="",
        )

    return made
