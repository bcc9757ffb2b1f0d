import pytest

from bot.prompts import PromptError, format_prompt, load_presets, parse, preset_named, with_look
from bot.prompts.presets import nearest_preset, read_presets
from engine.training.captions import LOOK_WORDS


@pytest.mark.parametrize("preset", load_presets(), ids=lambda preset: preset.name)
def test_each_preset_adds_its_words_and_keeps_those_of_the_member(preset):
    styled = preset.apply(parse("a fox --no trees --seed 4"))
    assert styled.prompt == f"a fox, {preset.added}"
    assert styled.negative_prompt == ", ".join(filter(None, ["trees", preset.avoided]))
    assert styled.flags.seed == 4
    assert parse(format_prompt(styled)) == styled


def test_the_shipped_model_is_taught_every_preset_by_its_own_words():
    taught = {words[-1] for words in LOOK_WORDS.values()}
    assert {preset.added for preset in load_presets()} == taught


def test_every_part_that_is_shown_gets_the_look_and_none_that_is_avoided():
    (preset,) = read_presets('[ink]\ntitle = "Ink"\ntitle_zh = "墨"\nadded = "ink"')
    styled = preset.apply(parse("(fox:1.2)::2 owl::1 dog::-.2"))
    assert [part.text for part in styled.parts] == ["fox, ink", "owl, ink", "dog"]
    assert styled.parts[0].spans[1].weight == 1.0


def test_a_preset_alone_still_shows_something():
    preset = load_presets()[0]
    assert preset.apply(parse("--tile", allow_empty=True)).prompt == preset.added


@pytest.mark.parametrize(
    ("typed", "usual", "shown"),
    [
        ("a fox", None, "a fox"),
        ("a fox", "blob", "a fox, blob style, round soft shapes, puffy"),
        ("a fox --preset cartoon", "blob", "a fox, cartoon style, bold outlines, bright colours"),
        ("a fox --preset none", "blob", "a fox"),
        ("a fox", "none", "a fox"),
    ],
)
def test_a_typed_preset_takes_the_place_of_the_usual_one(typed, usual, shown):
    assert with_look(parse(typed), usual).prompt == shown


def test_a_preset_is_typed_by_name_or_title_and_an_unknown_one_has_a_cure():
    assert parse('a fox --preset "Pixel art"').flags.preset == "pixel-art"
    with pytest.raises(PromptError) as refused:
        parse("a fox --preset pixelart")
    assert "--preset pixel-art" in refused.value.suggestion


def test_a_preset_is_found_by_name_or_title_in_any_case():
    presets = load_presets()
    for name in ("pixel-art", "Pixel ART", "像素画"):
        found = preset_named(name, presets)
        assert found is not None
        assert found.name == "pixel-art"
    assert preset_named("none such", presets) is None
    assert nearest_preset("pixelart", presets) == "pixel-art"
