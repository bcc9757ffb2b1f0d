"""The measures themselves: they must tell right from wrong before they judge a network."""

import json

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

from engine.gan.measures import kernel_distance
from engine.training import adherence, evaluate
from engine.training.backgrounds import PAINTERS
from engine.training.cards import MARKER, write_cards
from engine.training.judge import (
    SIDE,
    Judge,
    Judging,
    LabelledScenes,
    ThingJudge,
    accuracy,
    jittered,
)
from engine.training.look_judge import (
    CROP,
    Drawings,
    LookJudge,
    LookJudging,
    a_little_changed,
    judged_looks,
)
from engine.training.loop import Draw
from engine.training.shapes import centre_of_colour, colours_of, counted, stands
from engine.training.subjects import Subject, SubjectLibrary

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
    judge = Judge(3, ("3d", "flat"), 2, width=8).eval()
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
    write_cards(tmp_path, {"fidelity": {"vae_kodak_db": 27.5, "upscaler_x2_db": 3}})
    text = card.read_text()
    assert "By hand." in text
    assert "old figure" not in text
    assert "| vae kodak db | 27.5 |" in text
    assert "upscaler" not in text


def test_a_look_is_told_from_nearby_places_alone():
    """What stands far away changes no place that a look is told from."""
    judge = LookJudge(2, width=8).eval()
    pixels = torch.zeros(1, 3, SIDE, SIDE, requires_grad=True)
    x = judge.edges(torch.nn.functional.pixel_unshuffle(pixels, 2))
    # Without the normalisation, which lets every place see a little of all.
    for stage in judge.stages:
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


def test_the_judge_learns_the_same_from_the_same_draw():
    """Its dropout too is a function of seed and step."""
    scenes = LabelledScenes(
        np.random.default_rng(0).integers(0, 256, (8, SIDE, SIDE, 3), dtype=np.uint8),
        np.zeros((8, 3), np.int64),
        [],
    )
    judging = Judging(ThingJudge(3, 2, width=8), scenes)
    judging.batch = 4
    losses = []
    for _ in range(2):
        torch.rand(3)  # whatever was drawn before
        loss = judging.loss(judging.network.train(), Draw.of_step(0, 5))
        losses.append(float(loss.detach()))
    assert losses[0] == losses[1]


def drawings(folder, **files):
    """A set of drawings: name of the file and its row beside its colour."""
    rows = ["file\tname\tstyle\tvendor\tsplit"]
    for name, (row, colour) in files.items():
        Image.new("RGBA", (40, 40), colour).save(folder / f"{name}.png")
        rows.append(f"{name}.png\t{name}\t{row}")
    (folder / "captions.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return Drawings(folder, seed=1, grounds=3)


def test_looks_are_learnt_from_every_training_drawing_and_from_no_other(tmp_path):
    red, blue, green = (217, 36, 38), (38, 97, 217), (10, 200, 20)
    shown = drawings(
        tmp_path,
        cat=("3d\tfluent\ttrain", red),
        nonsense=("flatcartoon\temojione\ttrain", blue),  # a look of which no noun is known
        scribble=("flatcartoon\tfxemoji\ttrain", green),  # a doodle: no look that is judged
        dog=("flat\tfluent\tvalidation", green),
    )
    assert set(shown.looks) == {"3d", "sticker", "pixel", "oil"}  # the last are made of glossy ones
    drawn = [shown.draw(np.random.default_rng(n)) for n in range(60)]
    assert {look for _, look in drawn} == {"3d", "sticker", "pixel", "oil"}
    for pixels, look in drawn:
        assert pixels.shape == (CROP, CROP, 3)
        colour = {"3d": red, "sticker": blue}.get(look)
        middle = pixels[CROP // 2 - 4 : CROP // 2 + 4, CROP // 2 - 4 : CROP // 2 + 4]
        assert not (np.abs(middle.astype(int) - green).max(-1) < 8).all()
        if colour:
            assert len({tuple(value) for value in middle.reshape(-1, 3)}) == 1


def test_the_judge_of_looks_tells_palettes_apart_and_learns_the_same_from_the_same_draw(tmp_path):
    """Two drawers whose yellows differ by a tenth."""
    torch.manual_seed(0)
    shown = drawings(
        tmp_path,
        one=("flat\tfluent\ttrain", (255, 200, 60)),
        two=("cartoon\tnoto\ttrain", (230, 200, 60)),
    )
    judging = LookJudging(LookJudge(8, width=8), shown)
    judging.batch = 16
    losses = []
    for _ in range(2):
        torch.rand(3)  # whatever was drawn before
        losses.append(float(judging.loss(judging.network.train(), Draw.of_step(0, 5)).detach()))
    assert losses[0] == losses[1]
    optimiser = torch.optim.Adam(judging.network.parameters(), 1e-2)
    for step in range(25):
        optimiser.zero_grad()
        judging.loss(judging.network, Draw.of_step(1, step)).backward()
        optimiser.step()
    judge, right = judging.network.eval(), 0
    looks = judged_looks()
    for number in range(60):
        pixels, look = shown.draw(np.random.default_rng([7, number]))
        if look in {"flat", "cartoon"}:
            with torch.no_grad():
                named = judge(torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None] / 255)
            right += 1 if looks[int(named.argmax())] == look else -1
    assert right > 20


def test_drawings_are_changed_so_little_that_their_palette_stays():
    pixels = torch.rand(16, 3, CROP, CROP, generator=torch.Generator().manual_seed(0))
    flat = pixels.mean((2, 3), keepdim=True).expand_as(pixels)
    one, again = (a_little_changed(flat, torch.Generator().manual_seed(1)) for _ in range(2))
    assert torch.equal(one, again)
    assert not torch.equal(one, flat)
    assert (one.mean((2, 3)) - flat.mean((2, 3))).abs().max() < 0.08


def test_pairs_of_which_another_drawing_was_trained_on_are_not_held_out():
    def library(*pairs):
        rgba = np.zeros((4, 4, 4), np.uint8)
        return SubjectLibrary([Subject(noun, look, rgba, "", common=True) for look, noun in pairs])

    trained = library(("3d", "cat"), ("flat", "cat"), ("3d", "dog"))
    held_out = library(("3d", "cat"), ("flat", "dog"), ("photo", "pear"))
    assert adherence._unseen(held_out, trained) == [("flat", "dog")]


def test_real_drawings_answer_the_questions_that_are_asked_of_generated_pictures():
    def disc(colour):
        rgba = np.zeros((40, 40, 4), np.uint8)
        rgba[4:36, 4:36] = (*colour, 255)
        return rgba

    library = SubjectLibrary(
        [
            Subject("cat", "3d", disc(RED), "", common=True),
            Subject("dog", "blob", disc(BLUE), "", common=True),
        ]
    )
    looks, grounds = judged_looks(), list(PAINTERS)
    labels = np.array(
        [
            (0, looks.index("3d"), grounds.index("snow")),
            (1, looks.index("blob"), grounds.index("sea")),
        ]
    )
    pixels = adherence._as_asked(library, labels, ["cat", "dog"], looks)
    assert pixels.shape == (2, 3, 128, 128)
    middles = (pixels[:, :, 60:72, 60:72].mean((2, 3)) * 255).round().tolist()
    assert [tuple(middle) for middle in middles] == [RED, BLUE]


def test_some_measures_leave_the_other_figures_and_train_no_judge(tmp_path, monkeypatch):
    pack, out = tmp_path / "pack", tmp_path / "out"
    pack.mkdir()
    for file in evaluate.PACK.iterdir():
        if file.suffix != ".md":
            (pack / file.name).symlink_to(file)
    monkeypatch.setattr(evaluate, "trained_judge", lambda *_: pytest.fail("no judge is needed"))
    monkeypatch.setattr(evaluate, "speed", lambda _: {"threads": 1})
    values = {"pack": pack, "minutes": 1, "only": ("speed",), "prompts": tmp_path / "none.tsv"}
    first = evaluate.evaluate(tmp_path, tmp_path, out, scale=0.1, **values)
    assert first["speed"]["share_of_questions"] == 0.1
    kept = {"parti": {"parti_prompts": 804}} | first
    (out / "figures.json").write_text(json.dumps(kept))
    evaluate.evaluate(tmp_path, tmp_path, out, scale=1.0, **values)
    figures = json.loads((out / "figures.json").read_text())
    assert figures["parti"] == {"parti_prompts": 804}
    assert figures["speed"]["share_of_questions"] == 1.0
    assert "| parti prompts | 804 |" in (pack / "text_encoder.md").read_text()


def test_asking_partiprompts_without_their_table_says_how_to_name_it(tmp_path, capsys):
    command = ["--data", str(tmp_path), "--work", str(tmp_path), "--only", "parti"]
    with pytest.raises(SystemExit):
        evaluate.main([*command, "--prompts", str(tmp_path / "none.tsv")])
    assert "--prompts" in capsys.readouterr().err
