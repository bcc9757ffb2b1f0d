"""The style networks' data and programmes, on pictures that the test draws."""

import math

import numpy as np
import pytest
import torch
from PIL import Image

from engine.networks.style import StyleConfig, StyleTransfer
from engine.training import style_pictures
from engine.training.loop import Draw
from engine.training.pictures import BrokenSet, read_pictures
from engine.training.style_encoder import StyleClassifier, TrainStyleEncoder, equalise, shares_named
from engine.training.style_pictures import UNKNOWN, Labelled, labelled_pictures, split_paintings
from engine.training.style_transfer import TrainStyleTransfer, restyle_loss

CONFIG = StyleConfig(widths=(4, 6, 8, 8))


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Emoji of two concepts in four looks, and twenty paintings, one of them grey."""
    folder = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    emoji = folder / "emoji"
    emoji.mkdir()
    lines = ["file\tname\tstyle\tvendor\tsplit"]
    for name in ("apple", "boat"):
        for look in ("3d", "flat", "blob", "cartoon"):
            values = rng.integers(0, 256, (64, 64, 4), dtype=np.uint8)
            Image.fromarray(values).save(emoji / f"{name}-{look}.png")
            lines.append(f"{name}-{look}.png\t{name}\t{look}\tvendor\ttrain")
    lines.append("apple-3d.png\tapple\t3d\tvendor\tvalidation")
    (emoji / "captions.tsv").write_text("\n".join(lines) + "\n")
    paintings = folder / "paintings"
    paintings.mkdir()
    lines = ["file\ttitle\tartist\tmedium\tcolour"]
    for number in range(20):
        values = rng.integers(0, 256, (160, 200, 3), dtype=np.uint8)
        Image.fromarray(values).save(paintings / f"{number}.png")
        medium, colour = "Tempera" if number % 2 else "Oil", "grey" if number == 3 else "colour"
        lines.append(f"{number}.png\tUntitled\tSomebody\t{medium} on panel\t{colour}")
    (paintings / "captions.tsv").write_text("\n".join(lines) + "\n")
    return read_pictures(folder)


@pytest.fixture
def labelled(pictures):
    return labelled_pictures(pictures)


def test_a_set_without_training_pictures_is_named(pictures):
    held_out = [picture for picture in pictures if picture.split == "validation"]
    for lacking, where in ((held_out, "emoji"), ([], "captions.tsv")):
        with pytest.raises(BrokenSet) as refused:
            labelled_pictures(lacking)
        assert str(refused.value) == f"{where}: has no pictures to train on"


def test_labels_name_concept_look_material_and_painting_where_there_is_one(labelled):
    drawn = labelled.paintings == UNKNOWN
    assert drawn.sum() == 8  # the validation row stays out
    assert set(labelled.concepts[drawn]) == {0, 1}
    assert set(labelled.concepts[~drawn]) == {UNKNOWN}
    assert set(labelled.materials[drawn]) == {UNKNOWN}
    assert set(labelled.materials[~drawn]) == {0, 1}
    assert labelled.counts == (2, 5, 2, len(split_paintings_of(labelled)))


def split_paintings_of(labelled):
    return set(labelled.paintings[labelled.paintings != UNKNOWN])


def test_grey_and_held_out_paintings_are_not_trained_on(pictures):
    train, held_out = split_paintings(pictures)
    assert len(train) + len(held_out) == 19
    assert held_out
    assert not {p.file for p in train} & {p.file for p in held_out}
    assert "3.png" not in {p.file for p in train + held_out}


def test_crops_are_pixels_in_the_unit_range(labelled):
    pixels, labels = labelled.batch(np.random.default_rng(1), 5, 64)
    assert pixels.shape == (5, 3, 64, 64)
    assert 0 <= pixels.min() < pixels.max() <= 1
    assert [len(part) for part in labels] == [5, 5, 5, 5]


def test_the_same_step_draws_the_same_pictures(labelled):
    programme = TrainStyleEncoder(StyleClassifier(CONFIG, labelled.counts), labelled)
    losses = [float(programme.loss(programme.network, Draw.of_step(3, 7)).detach()) for _ in "ab"]
    assert losses[0] == losses[1]


def test_what_is_left_out_is_asked_by_its_own_labels(labelled):
    kept, out = labelled.parted(1, 16)
    assert (len(kept.pixels), len(out.pixels)) == (len(labelled.pixels) - 16, 16)
    both = np.concatenate([kept.pixels, out.pixels]).reshape(len(labelled.pixels), -1)
    assert len(np.unique(both, axis=0)) == len(labelled.pixels)

    row_of = {picture.tobytes(): row for row, picture in enumerate(labelled.pixels)}

    def knows(pixels):
        tiles = (pixels * 255).round().byte().permute(0, 2, 3, 1).numpy()
        rows = [row_of[tile.tobytes()] for tile in tiles]
        answers = [torch.zeros(len(rows), 30) for _ in labelled.labels]
        for answer, labels in zip(answers, labelled.labels, strict=True):
            answer[range(len(rows)), labels[rows]] = 1
        answers[1] = -answers[1]
        return answers

    out = labelled.parted(1, len(labelled.pixels))[1]
    shares = shares_named(knows, out)
    assert shares == {"concept": 1, "look": 0, "material": 1, "painting": 1}
    unknown = Labelled(out.pixels[:1], *(np.array([UNKNOWN]) for _ in out.labels))
    assert all(math.isnan(share) for share in shares_named(knows, unknown).values())


def test_equalised_channels_have_one_mean(labelled):
    torch.manual_seed(1)
    encoder = StyleClassifier(CONFIG, labelled.counts).encoder
    equalise(encoder, labelled)
    some = torch.from_numpy(labelled.pixels[:: max(1, len(labelled.pixels) // 512)].copy())
    with torch.no_grad():
        levels = encoder(some.permute(0, 3, 1, 2).float() / 255)
    for level in levels:
        means = level.mean((0, 2, 3))
        firing = means > 0.1
        assert firing.any()
        assert torch.allclose(means[firing], torch.ones(int(firing.sum())), atol=0.2)


def test_a_few_steps_bring_the_decoder_nearer_to_the_style(labelled):
    torch.manual_seed(2)
    network = StyleTransfer(CONFIG)
    programme = TrainStyleTransfer(network, labelled.pixels, labelled.pixels[::-1].copy())
    optimiser = torch.optim.Adam(network.decoder.parameters(), 1e-2)
    losses = []
    for step in range(24):
        loss = programme.loss(network, Draw.of_step(0, step % 2))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert sum(losses[-2:]) < 0.8 * sum(losses[:2])
    assert all(parameter.grad is None for parameter in network.encoder.parameters())


def test_restyling_a_picture_as_itself_costs_nothing_for_a_decoder_that_inverts(labelled):
    """The loss has its minimum where it should: at the picture itself when style is content."""
    torch.manual_seed(3)
    network = StyleTransfer(CONFIG)
    content = torch.from_numpy(labelled.pixels[:2].copy()).permute(0, 3, 1, 2).float() / 255
    with torch.no_grad():
        network.decoder.forward = lambda _: content
        perfect = restyle_loss(network, content, content, 2)
        network.decoder.forward = lambda _: (content + 0.2).clamp(0, 1)
        worse = restyle_loss(network, content, content, 2)
    assert perfect < 0.5 * worse


def test_the_sheet_shows_each_content_in_each_style(labelled):
    programme = TrainStyleTransfer(
        StyleTransfer(CONFIG), labelled.pixels, labelled.pixels[::-1].copy(), held_out=3
    )
    sheet = programme.sheet(programme.network)
    assert sheet.width >= 4 * style_pictures.SIDE
    assert sheet.height >= 4 * style_pictures.SIDE
