"""The measures themselves: they must tell right from wrong before they judge a network."""

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

from engine.gan.measures import kernel_distance
from engine.training import evaluate
from engine.training.cards import MARKER, write_cards
from engine.training.judge import SIDE, Judge, accuracy, jittered
from engine.training.loop import Draw
from engine.training.shapes import centre_of_colour, colours_of, counted, stands

RED, BLUE = (217, 36, 38), (38, 97, 217)


def picture(*discs: tuple[int, int, tuple[int, int, int]]) -> np.ndarray:
    image = Image.new("RGB", (128, 128), "white")
    for x, y, colour in discs:
        ImageDraw.Draw(image).ellipse((x - 16, y - 16, x + 16, y + 16), fill=colour)
    return np.asarray(image)


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4])
def test_things_that_stand_apart_are_counted(count):
    places = [(30, 30), (96, 30), (30, 96), (96, 96)][:count]
    assert counted(picture(*[(x, y, RED) for x, y in places])) == count


def test_specks_are_not_counted():
    pixels = picture((64, 64, RED)).copy()
    pixels[4:8, 4:8] = 0
    assert counted(pixels) == 1


@pytest.mark.parametrize(
    ("red", "blue", "relation"),
    [((30, 64), (98, 64), "left of"), ((98, 60), (30, 64), "right of"),
     ((64, 30), (60, 98), "above"), ((64, 98), (64, 30), "below")],
)  # fmt: skip
def test_positions_are_seen_by_colour(red, blue, relation):
    pixels = picture((*red, RED), (*blue, BLUE))
    one, two = centre_of_colour(pixels, "red"), centre_of_colour(pixels, "blue")
    others = {"left of", "right of", "above", "below"} - {relation}
    assert stands(one, two, relation)
    assert not any(stands(one, two, other) for other in others)


def test_the_colour_of_a_thing_and_of_its_ground_are_told_apart():
    assert colours_of(picture((64, 64, RED))) == ("red", "white")
    exchanged = Image.new("RGB", (128, 128), RED)
    ImageDraw.Draw(exchanged).ellipse((40, 40, 90, 90), fill="white")
    assert colours_of(np.asarray(exchanged)) == ("white", "red")
    assert colours_of(picture()) == ("", "white")


def test_a_missing_thing_stands_nowhere():
    pixels = picture((64, 64, RED))
    assert centre_of_colour(pixels, "blue") is None
    assert not stands(centre_of_colour(pixels, "red"), None, "above")


def test_the_kernel_distance_is_near_zero_for_one_source_and_large_for_two():
    generator = torch.Generator().manual_seed(0)
    one, two = (torch.randn(300, 16, generator=generator) for _ in range(2))
    assert abs(kernel_distance(one, two)) < 0.2
    assert kernel_distance(one, two + 1) > 1


def test_questions_without_an_answer_do_not_count_for_accuracy():
    torch.set_num_threads(1)
    judge = Judge(3, 2, 2, width=8).eval()
    pixels = torch.rand(4, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        named = judge(pixels).look.argmax(1).numpy()
    labels = np.stack([np.full(4, -1), named, 1 - named.clip(0, 1)], axis=1)
    subject, look, _ = accuracy(judge, pixels, labels)
    assert subject == 0
    assert look == 1


def test_new_figures_replace_old_ones_and_keep_what_people_wrote(tmp_path):
    card = tmp_path / "vae.md"
    card.write_text(f"# The autoencoder\n\nBy hand.\n\n{MARKER}\nold figure 1.0\n")
    write_cards(tmp_path, {"scale": 0.5, "fidelity": {"vae_kodak_db": 27.5, "upscaler_x2_db": 3}})
    text = card.read_text()
    assert "By hand." in text
    assert "old figure" not in text
    assert "| vae kodak db | 27.5 |" in text
    assert "upscaler" not in text


def test_a_look_is_told_from_nearby_places_alone():
    """What stands far away changes no place that a look is told from."""
    judge = Judge(3, 2, 2, width=8).eval()
    pixels = torch.zeros(1, 3, SIDE, SIDE, requires_grad=True)
    x = torch.nn.functional.pixel_unshuffle(pixels, 2)
    # Without the normalisation, which lets every place see a little of all.
    for stage in judge.stages[:3]:
        for layer in stage:
            x = x if isinstance(layer, torch.nn.GroupNorm) else layer(x)
    place = x[0, :, x.shape[2] // 2, x.shape[3] // 2].sum()
    (gradient,) = torch.autograd.grad(place, pixels)
    rows = gradient.abs().sum((0, 1, 3)).nonzero()
    assert 16 < rows.max() - rows.min() < SIDE / 2


def test_the_judge_learns_from_pictures_of_other_light_and_place_by_the_draw():
    pixels = torch.rand(4, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    one, again, other = (jittered(pixels, Draw.of_step(0, step)) for step in (1, 1, 2))
    assert torch.equal(one, again)
    assert not torch.equal(one, other)
    assert one.shape == pixels.shape
    assert one.min() >= 0
    assert one.max() <= 1


def test_asking_partiprompts_without_their_table_says_how_to_name_it(tmp_path, capsys):
    command = ["--data", str(tmp_path), "--work", str(tmp_path), "--only", "parti"]
    with pytest.raises(SystemExit):
        evaluate.main([*command, "--prompts", str(tmp_path / "none.tsv")])
    assert "--prompts" in capsys.readouterr().err
