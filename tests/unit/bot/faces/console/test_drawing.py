from pathlib import Path

import pytest

from bot.faces.console import drawing


@pytest.mark.parametrize(
    ("prompt", "name"),
    [
        ("a Red fox, glossy --seed 7", "a-red-fox-glossy.png"),
        ("../../etc/passwd", "etc-passwd.png"),
        ("--seed 3", "picture.png"),
        ("小狗 在 雪地", "小狗-在-雪地.png"),
        ("one two three four five six seven", "one-two-three-four-five-six.png"),
    ],
)
def test_the_default_name_comes_from_the_first_words(prompt, name):
    assert drawing.default_path(prompt) == Path(name)
