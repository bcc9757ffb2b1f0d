import dataclasses

import pytest

from bot.prompts import DEFAULT_LIMIT, FLAGS, FlagKind, Flags, ParsedPrompt, parse
from engine.api import EngineConfig, Sampler, open_catalogue, style_presets


def test_every_field_of_flags_is_set_by_some_flag_and_every_flag_sets_a_field():
    of_flags = {spec.field for spec in FLAGS} - {f.name for f in dataclasses.fields(ParsedPrompt)}
    assert of_flags == {f.name for f in dataclasses.fields(Flags)}


def test_no_name_or_alias_is_used_twice():
    names = [name for spec in FLAGS for name in (spec.name, *spec.aliases)]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("spec", FLAGS, ids=lambda spec: spec.name)
def test_the_example_of_each_flag_is_accepted(spec):
    assert parse(f"a fox {spec.usage}") != parse("a fox")


@pytest.mark.parametrize("spec", FLAGS, ids=lambda spec: spec.name)
def test_each_flag_has_help_in_both_languages(spec):
    assert spec.help_text().startswith(f"--{spec.name}")
    assert any("\u4e00" <= c <= "\u9fff" for c in spec.help_text(chinese=True))


@pytest.mark.parametrize(
    "spec",
    [s for s in FLAGS if s.kind in (FlagKind.INTEGER, FlagKind.NUMBER)],
    ids=lambda s: s.name,
)
def test_both_ends_of_each_range_are_accepted(spec):
    for value in (spec.minimum, spec.maximum):
        parsed = parse(f"a fox --{spec.name} {value:.10g}")
        assert getattr(parsed.flags, spec.field) == value


def test_the_names_in_examples_are_those_that_ship():
    named = parse("a fox " + " ".join(s.usage for s in FLAGS if s.name in ("model", "sampler")))
    assert named.flags.model in open_catalogue(EngineConfig()).names()
    assert named.flags.sampler in {sampler.value for sampler in Sampler}
    (sref,) = (spec for spec in FLAGS if spec.kind is FlagKind.STYLES)
    (style,) = parse(f"a fox {sref.usage}").style_references
    assert style.ref in {preset.name for preset in style_presets()}


def test_the_help_of_repeat_says_how_many_jobs_are_made_at_once():
    (repeat,) = (spec for spec in FLAGS if spec.name == "repeat")
    for chinese in (False, True):
        assert f" {DEFAULT_LIMIT} " in repeat.help_text(chinese=chinese)
