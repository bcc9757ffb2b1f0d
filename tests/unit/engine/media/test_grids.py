import io

import pytest
from PIL import Image

from engine.media.grids import (
    BACKGROUND,
    GAP,
    contact_grid,
    grid_shape,
    sheet_of_squares,
    thumbnail,
)


@pytest.mark.parametrize(
    ("count", "shape"),
    [(1, (1, 1)), (2, (2, 1)), (3, (2, 2)), (4, (2, 2)), (5, (3, 2)), (7, (3, 3)), (16, (4, 4))],
)
def test_cells_stand_in_a_near_square(count, shape):
    assert grid_shape(count) == shape


def test_four_images_stand_in_reading_order():
    colours = ["red", "lime", "blue", "white"]
    grid = contact_grid([Image.new("RGB", (10, 10), colour) for colour in colours], gap=2)
    assert grid.size == (22, 22)
    seen = [grid.getpixel(place) for place in ((5, 5), (17, 5), (5, 17), (17, 17))]
    assert seen == [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)]
    assert grid.getpixel((10, 10)) == BACKGROUND


def test_one_image_is_its_own_grid():
    image = Image.new("RGB", (10, 8), "red")
    assert contact_grid([image]).tobytes() == image.tobytes()


def test_images_of_other_sizes_are_whole_and_centred():
    grid = contact_grid(
        [Image.new("RGB", (20, 10), "red"), Image.new("RGB", (10, 20), "blue")], gap=0
    )
    assert grid.size == (40, 20)
    assert [grid.getpixel(place) for place in ((10, 10), (10, 2))] == [(255, 0, 0), BACKGROUND]
    assert [grid.getpixel(place) for place in ((30, 2), (22, 10))] == [(0, 0, 255), BACKGROUND]


def test_a_cell_side_shrinks_the_images_in_shape():
    images = [Image.new("RGB", (300, 200), "red")] * 4
    assert contact_grid(images, cell_side=30).size == (60 + GAP, 40 + GAP)


def test_transparent_images_show_the_background():
    grid = contact_grid([Image.new("RGBA", (4, 4), (255, 0, 0, 0))])
    assert grid.mode == "RGB"
    assert grid.getpixel((1, 1)) == BACKGROUND


def test_a_grid_of_nothing_is_an_error():
    with pytest.raises(ValueError, match="at least one"):
        contact_grid([])


@pytest.mark.parametrize(
    ("size", "expected"), [((400, 200), (100, 50)), ((50, 20), (50, 20)), ((5000, 1), (100, 1))]
)
def test_a_thumbnail_fits_and_is_never_larger(size, expected):
    assert thumbnail(Image.new("RGB", size), 100).size == expected


def test_small_pictures_lie_side_by_side_as_squares() -> None:
    red, blue = (encoded(Image.new("RGB", (40, 20), colour)) for colour in ("red", "blue"))
    sheet = sheet_of_squares([red, blue, red], 16, 2)
    assert sheet.size == (2 * 16 + GAP, 2 * 16 + GAP)
    assert sheet.getpixel((8, 8)) == (255, 0, 0)
    assert sheet.getpixel((16 + GAP + 8, 8)) == (0, 0, 255)
    assert sheet.getpixel((16 + GAP + 8, 16 + GAP + 8)) == BACKGROUND
    assert sheet_of_squares([red], 16, 4).size == (16, 16)
    with pytest.raises(ValueError, match="at least one"):
        sheet_of_squares([], 16, 4)


def encoded(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()
