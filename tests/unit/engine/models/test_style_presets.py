"""The looks that ship."""

import re

from PIL import Image

from engine.api import style_presets


def test_eight_paintings_ship_with_names_that_can_be_typed() -> None:
    presets = style_presets()
    assert len({preset.name for preset in presets}) == 8
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*", preset.name) for preset in presets)


def test_a_painting_is_titled_in_both_languages() -> None:
    night = next(preset for preset in style_presets() if preset.name == "starry-night")
    assert night.titled() == "The Starry Night (Vincent van Gogh, 1889)"
    assert night.titled("zh-CN") == "星月夜（文森特·梵高，1889）"


def test_a_painting_is_hinted_at_by_four_of_its_colours() -> None:
    for preset in style_presets():
        assert len(set(preset.colours)) == 4
        assert all(re.fullmatch(r"#[0-9a-f]{6}", colour) for colour in preset.colours)


def test_a_painting_ships_as_a_small_picture() -> None:
    for preset in style_presets():
        with Image.open(preset.picture) as picture:
            assert picture.size == (128, 128)
        assert preset.picture.stat().st_size < 12_000


def test_the_whole_painting_ships_at_a_size_that_shows_its_strokes() -> None:
    for preset in style_presets():
        with Image.open(preset.painting) as painting:
            assert max(painting.size) == 512
        assert preset.painting.stat().st_size < 100_000


def test_each_source_is_another_picture() -> None:
    sources = {preset.source for preset in style_presets()}
    assert len(sources) == 8
    assert all(re.fullmatch(r"classic/\w+\.webp", source) for source in sources)
