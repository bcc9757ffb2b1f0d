import pytest

from bot.prompts import aspect_size


@pytest.mark.parametrize(
    ("aspect", "budget", "multiple", "size"),
    [
        ((1, 1), 512 * 512, 8, (512, 512)),
        ((3, 2), 512 * 512, 8, (624, 416)),
        ((2, 3), 512 * 512, 8, (416, 624)),
        ((1, 1), 1, 64, (64, 64)),
        ((16, 9), 1024 * 1024, 64, (1344, 768)),
    ],
)
def test_a_size_has_the_shape_asked_for_at_about_the_budget(aspect, budget, multiple, size):
    assert aspect_size(aspect, budget, multiple) == size


def test_an_impossible_aspect_is_an_error_of_the_caller():
    with pytest.raises(ValueError, match="positive"):
        aspect_size((0, 1), 100, 8)
