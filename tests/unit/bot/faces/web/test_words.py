import pytest

from bot.faces.web.images import file_name
from bot.faces.web.words import check_text, prompt_of
from engine.api import EngineConfig, GenerationParameters, open_catalogue


@pytest.fixture(scope="module")
def catalogue():
    return open_catalogue(EngineConfig())


def test_a_foreign_picture_tells_words_seed_size_and_what_to_avoid(catalogue):
    found = GenerationParameters(
        prompt="a fox,\nin snow", negative_prompt="blur", seed=7, width=512, height=384, model="x"
    )
    assert prompt_of(found, catalogue) == "a fox, in snow --no blur --seed 7 --size 512x384"


def test_what_the_prompt_says_itself_is_not_said_again(catalogue):
    found = GenerationParameters(
        prompt="a fox --ar 3:2 --seed 5", seed=6, width=512, height=384, model="atelier-pack"
    )
    assert prompt_of(found, catalogue) == "a fox --ar 3:2 --seed 5 --model atelier-pack"


@pytest.mark.parametrize("text", ["a fox", "a {red, blue} fox", "(fox:1.3) --ar 3:2", "--tile"])
def test_what_the_grammar_reads_has_no_problem(text, catalogue):
    assert check_text(text, catalogue)["problem"] is None


@pytest.mark.parametrize("text", ["a fox --ar", "{a", "fox --chaos 101", "a --model nobody"])
def test_what_it_does_not_read_has_a_place_within_the_text(text, catalogue):
    problem = check_text(text, catalogue)["problem"]
    assert problem["error"]
    assert 0 <= problem["position"] <= problem["position"] + problem["length"] <= len(text)


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
