from PIL import Image

from bot.faces.web.preset_pictures import LOOKS, SIDE
from bot.prompts import load_presets


def test_the_menu_has_a_picture_of_each_preset_and_of_nothing_else():
    names = {path.stem for path in LOOKS.iterdir()}
    assert names == {preset.name for preset in load_presets()}


def test_the_pictures_are_as_large_as_the_menu_shows_them_on_dense_screens():
    for path in LOOKS.iterdir():
        with Image.open(path) as image:
            assert (image.format, image.size) == ("WEBP", (SIDE, SIDE))
            assert path.stat().st_size < 8_000
