"""From what was typed to requests."""

from dataclasses import replace

import pytest

from bot.errors import LimitReached, NotFound, UserError
from bot.prompts import Flags, PromptError, parse
from bot.studio.asking import (
    Sources,
    Wish,
    merged_flags,
    read_wishes,
    request_of,
    with_preferences,
)
from bot.studio.contract import Preferences
from engine.api import Ability, Catalogue, Diffusion, ImageToImage, Sampler
from engine.models.catalogue import Family, LoraInfo, ModelInfo, Source

PLAIN = ModelInfo(
    name="plain", family=Family.SD1, where="/x", source=Source.FOLDER, title="Plain",
    width=512, height=512, size_multiple=64, max_pixels=600_000, max_side=768,
    negative_prompt="blur",
)  # fmt: skip
CATALOGUE = Catalogue([PLAIN])
NO_PICTURES = Sources()


def request(text: str, sources: Sources = NO_PICTURES) -> Diffusion:
    wish = Wish(text, parse(text), 7)
    made = request_of(wish, sources, CATALOGUE)
    assert isinstance(made, Diffusion)
    return made


def test_the_models_defaults_fill_what_was_not_typed() -> None:
    made = request("a fox")
    assert (made.width, made.height, made.steps) == (512, 512, PLAIN.steps)
    assert (made.sampler, made.guidance_scale) == (PLAIN.sampler, PLAIN.guidance_scale)
    assert made.image_count == 4


def test_a_draft_is_drawn_by_the_model_that_draws_drafts() -> None:
    quick = replace(PLAIN, name="quick", draft_steps=3, draft_guidance_scale=1.0)
    catalogue = Catalogue([replace(PLAIN, draft_model="quick"), quick])
    drawn = request_of(Wish("", parse("a fox --draft"), 7), NO_PICTURES, catalogue)
    assert isinstance(drawn, Diffusion)
    assert (drawn.model, drawn.steps, drawn.guidance_scale) == ("quick", 3, 1.0)
    usual = request_of(Wish("", parse("a fox"), 7), NO_PICTURES, catalogue)
    assert isinstance(usual, Diffusion)
    assert usual.model == "plain"


def test_what_a_model_can_not_do_is_refused_before_it_waits() -> None:
    drawing = frozenset({Ability.TEXT_TO_IMAGE, Ability.IMAGE_TO_IMAGE})
    simple = replace(PLAIN, name="simple", title="Simple", abilities=drawing)
    dreamer = replace(PLAIN, name="dreamer", title="Dreamer", abilities=frozenset({Ability.DREAM}))
    catalogue = Catalogue([PLAIN, simple, dreamer])
    request_of(Wish("", parse("a fox --tile"), 7), NO_PICTURES, catalogue)
    with pytest.raises(LimitReached, match="Simple can't make seamless tiles"):
        request_of(Wish("", parse("a fox --tile --model simple"), 7), NO_PICTURES, catalogue)
    with pytest.raises(LimitReached, match="Dreamer draws dreams only"):
        request_of(Wish("", parse("a fox --model dreamer"), 7), NO_PICTURES, catalogue)


def test_a_lora_that_nobody_knows_is_called_one() -> None:
    with pytest.raises(NotFound, match="there is no LoRA called wood"):
        request("a fox --lora wood:1")


def test_an_aspect_keeps_about_the_same_number_of_pixels() -> None:
    made = request("a fox --ar 3:2")
    assert made.width > made.height
    assert made.width * made.height == pytest.approx(512 * 512, rel=0.2)


def test_the_models_own_dislikes_count_where_the_member_has_none() -> None:
    assert [part.text for part in request("a fox").prompt] == ["a fox", "blur"]
    assert [part.text for part in request("a fox --no text").prompt] == ["a fox", "text"]


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        ("--size 512x100", "multiple"),
        ("--size 512x520", "try 512x512"),
        ("--size 1024x64", "768 pixels a side"),
        ("--size 768x832", "too large"),
    ],
)
def test_a_size_the_model_cannot_draw_is_refused_with_a_cure(flags: str, says: str) -> None:
    with pytest.raises((LimitReached, PromptError), match=says):
        request(f"a fox {flags}")


def test_samplers_are_named_loosely_and_unknown_ones_get_a_hint() -> None:
    assert request("a fox --sampler EULER_A").sampler is Sampler.EULER_ANCESTRAL
    with pytest.raises(NotFound, match="did you mean heun"):
        request("a fox --sampler huen")


@pytest.mark.parametrize(("flag", "strength"), [("", 0.6), ("--iw 3", 1 / 3), ("--iw 0", 1.0)])
def test_the_image_weight_decides_how_much_of_a_picture_stays(flag: str, strength: float) -> None:
    made = request(f"a fox {flag}", Sources(b"png", (300, 200)))
    assert isinstance(made, ImageToImage)
    assert made.strength == pytest.approx(strength)
    assert made.width > made.height


def test_a_typed_aspect_replaces_a_usual_size() -> None:
    merged = merged_flags(Flags(aspect=(3, 2)), Flags(size=(64, 64), steps=5))
    assert (merged.aspect, merged.size, merged.steps) == ((3, 2), None, 5)


def test_usual_flags_add_what_is_avoided() -> None:
    parsed = with_preferences(parse("a fox"), Preferences(flags="--no text --chaos 5"))
    assert parsed.negative_prompt == "text"
    assert parsed.flags.chaos == 5


@pytest.mark.parametrize("usual", [Preferences(aspect="3:2"), Preferences(flags="--ar 3:2")])
def test_a_usual_aspect_counts_where_neither_the_text_nor_a_picture_has_one(
    usual: Preferences,
) -> None:
    def ratio(text: str, sources: Sources = NO_PICTURES) -> float:
        [wish] = read_wishes(text, usual, cap=1)
        drawn = request_of(wish, sources, CATALOGUE)
        assert isinstance(drawn, Diffusion)
        return drawn.width / drawn.height

    tall = Sources(b"png", (200, 300))
    assert ratio("a fox") == pytest.approx(1.5, abs=0.15)
    assert ratio("a fox", tall) == pytest.approx(0.67, abs=0.1)
    assert ratio("a fox --ar 1:1", tall) == 1


def test_jobs_of_one_prompt_are_counted_before_they_are_written_out() -> None:
    with pytest.raises(LimitReached, match="and 10 may be made"):
        read_wishes("{a,b}" * 60, Preferences(), cap=10)
    with pytest.raises(LimitReached):
        read_wishes("{a, b} --repeat 9", Preferences(), cap=10)


def test_repetitions_count_for_their_own_variant_alone() -> None:
    wishes = read_wishes("{a --repeat 6, b, c}", Preferences(), cap=10)
    assert [wish.text for wish in wishes] == [*["a"] * 6, "b", "c"]
    with pytest.raises(LimitReached, match="makes 8 jobs, and 7"):
        read_wishes("{a --repeat 6, b, c}", Preferences(), cap=7)


def test_default_flags_that_do_not_fit_the_model_at_hand_refuse_no_prompt() -> None:
    other = replace(PLAIN, name="other", family=Family.SDXL, max_pixels=2**22, max_side=2048)
    ink = LoraInfo(name="ink", where="/x", families=frozenset({Family.SDXL}))
    catalogue = Catalogue([PLAIN, other], [ink])

    def drawn(text: str) -> Diffusion:
        usual = Preferences(flags="--lora Ink:0.5 --size 1536x768", model="other")
        made = request_of(read_wishes(text, usual, cap=1)[0], NO_PICTURES, catalogue)
        assert isinstance(made, Diffusion)
        return made

    fitting, unfitting = drawn("a fox"), drawn("a fox --model plain")
    assert [(lora.name, lora.weight) for lora in fitting.loras] == [("ink", 0.5)]
    assert (fitting.width, fitting.height) == (1536, 768)
    assert unfitting.loras == ()
    assert (unfitting.width, unfitting.height) == PLAIN.size_for(2, 1)
    for typed in ("--lora ink", "--size 1536x768"):
        with pytest.raises(UserError, match="Plain"):
            drawn(f"a fox --model plain {typed}")


def test_each_expansion_draws_the_same_dynamic_parts() -> None:
    wishes = read_wishes("{red|blue|green|black} {fox, cat}", Preferences(), cap=10)
    colours = {wish.text.split()[0] for wish in wishes}
    assert (len(wishes), len(colours)) == (2, 1)
    assert len({wish.seed for wish in wishes}) == 2
