"""What a thing is made of, by the words of its row."""

from pathlib import Path

import pytest

from engine.training.materials import MATERIALS, material_of
from engine.training.pictures import Folder, Picture

SOURCE = Folder(Path("set"))


@pytest.mark.parametrize(
    ("columns", "material"),
    [
        ({"name": "brick brown", "category": "dngn / wall"}, "brick"),
        ({"name": "ice statue", "category": "mon / statues"}, "ice"),
        ({"name": "altar", "category": "dngn / altars"}, "stone"),
        ({"name": "Golden Delicious", "group": "Fruit / Apple / Golden Delicious"}, "peel"),
        ({"name": "dress", "group": "clothing"}, "cloth"),
        ({"title": "The Oak", "artist": "A", "medium": "Oil on panel"}, "oil paint"),
        ({"title": "A Saint", "artist": "B", "medium": "Tempera and oil on panel"}, "tempera"),
        ({"title": "Untitled", "artist": "C", "medium": None}, None),
        ({"name": "smiling face", "style": "flat"}, None),
        ({"name": "Steel Boat", "style": "flat"}, "metal"),
        ({"name": "boatsteel", "style": "flat"}, None),
    ],
)
def test_a_material_is_read_from_whole_words_of_a_row(columns, material):
    assert material_of(Picture(SOURCE, "a.png", columns)) == material


def test_a_word_names_one_material():
    words = [word for group in MATERIALS.values() for word in group]
    assert len(words) == len(set(words))
