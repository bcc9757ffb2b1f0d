"""`atelier blend`, `morph`, `dream` and `upscale`, on an engine that needs no weights."""

import pytest
from PIL import Image

from tests.integration.bot.faces.console.test_commands import atelier, env  # noqa: F401


@pytest.fixture
def pictures(tmp_path):
    for name, colour in (("a.png", "red"), ("b.png", "blue")):
        Image.new("RGB", (90, 60), colour).save(tmp_path / name)
    return ("a.png", "b.png")


def test_blend_and_upscale_write_pictures(atelier, pictures, tmp_path):  # noqa: F811
    done = atelier("blend", *pictures, "--weights", "2:1", "--seed", "3")
    assert done.returncode == 0, done.stderr
    with Image.open(tmp_path / "blend.png") as image:
        assert "Blend: " in image.text["parameters"]
    done = atelier("upscale", "a.png", "--factor", "4", "--detail", "0.9")
    assert done.returncode == 0, done.stderr
    with Image.open(tmp_path / "upscaled.png") as image:
        assert image.size == (360, 240)


def test_morph_writes_an_animation(atelier, pictures, tmp_path):  # noqa: F811
    done = atelier("morph", "a.png", "a fox --steps 3", "--frames", "5", "--no-loop")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "morph.webp"
    with Image.open(tmp_path / "morph.webp") as image:
        assert image.n_frames == 5


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (("morph", "a.png", "b.png", "--frames", "1"), "frames must be in 2..120"),
        (("morph", "a.png"), "2 to 6 stops"),
        (("blend", "a.png"), "2 to 5 pictures"),
        (("upscale", "a.png", "--factor", "3"), "factor must be 2 or 4"),
        (("blend", "a.png", "b.png", "--weights", "much"), "weights are numbers"),
        (("blend", "a.png", "nothing.png"), "nothing.png"),
        (("morph", "a.png", "nothing.png"), "nothing.png can't be read: No such file"),
    ],
)
def test_a_mistake_ends_with_a_line_and_code_1(atelier, pictures, command, says):  # noqa: F811
    done = atelier(*command)
    assert done.returncode == 1
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_a_second_dream_does_not_replace_the_first(atelier, tmp_path):  # noqa: F811
    for seed in ("1", "2"):
        done = atelier("dream", "--count", "1", "--seed", seed)
        assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "dream-2.png"
    assert len({(tmp_path / name).read_bytes() for name in ("dream.png", "dream-2.png")}) == 2


def test_a_dream_of_an_unknown_look_is_refused(atelier):  # noqa: F811
    done = atelier("dream", "--look", "dog")
    assert done.returncode == 1
    assert done.stderr.startswith("Error:")


@pytest.mark.timeout(240)
def test_a_generator_learns_from_the_gallery_and_dreams(atelier, tmp_path):  # noqa: F811
    drawn = atelier("imagine", "a {fox,owl} --size 64x64 --steps 1 --images 8", "--out", "a.png")
    assert drawn.returncode == 0, drawn.stderr
    done = atelier("generator", "train", "beasts", "--minutes", "1")
    assert done.returncode == 0, done.stderr
    with Image.open(tmp_path / "generator.png") as image:
        assert "Verdict: healthy" in image.text["parameters"]
    assert "beasts" in atelier("generator", "list").stdout
    dreamt = atelier("dream", "--model", "beasts", "--count", "1")
    assert dreamt.returncode == 0, dreamt.stderr
    kept = atelier("generator", "delete", "beasts")
    assert (kept.returncode, "--yes forgets it" in kept.stderr) == (1, True)
    moved = atelier("morph", "1", "2", "--frames", "4", "--dreamer", "beasts")
    assert moved.returncode == 0, moved.stderr
